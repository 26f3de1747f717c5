//! In: arguments. Out: text on the terminal and an exit code.
//! Never: collects, delivers, knows SSH.

// Cells into lines that fit the terminal.
mod columns;
// The table that moves, for `demo`.
mod live;
// The latest sample of each topic as a table.
pub mod table;
