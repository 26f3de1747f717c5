//! In: a description of a fleet. Out: MirrorMakers that fall behind and catch up, behind a real SSH server in this process.
//! Never: is used by a room that collects, starts a real process.

// What `kafka-consumer-groups.sh --describe` prints, by version.
pub mod table;
