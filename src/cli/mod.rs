//! In: arguments. Out: text on the terminal and an exit code.
//! Never: collects, delivers, knows SSH.
