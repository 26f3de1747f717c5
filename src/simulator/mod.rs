//! In: a description of a fleet. Out: MirrorMakers that fall behind and catch up, behind a real SSH server in this process.
//! Never: is used by a room that collects, starts a real process.

// What a fleet is made of, and the fleets that are ready-made.
pub mod fleet;
// Offsets of a group at an instant.
pub mod load;
// What the CLI prints of them, on both streams.
pub mod printed;
// What `kafka-consumer-groups.sh --describe` prints, by version.
pub mod table;
