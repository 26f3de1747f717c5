//! In: a `Config` and a shutdown signal. Out: the running program, or what one of its commands found.
//! Never: prints, parses arguments.
