//! In: the settings of a sink. Out: what its cluster has, and what an operator's command made, changed or took away there, line by line.
//! Never: collects, delivers, prints; touches what mirrorlag did not make without being told to.

mod bulk;
mod hand;
pub mod migrate;
mod place;
pub mod prune;
mod task;

pub use place::{Concrete, Place, matching};

/// Is told each line of what a command does, as soon as it is true.
pub type Say<'a> = dyn FnMut(String) + Send + 'a;
