//! In: the settings of a sink. Out: what its cluster has, and what an operator's command made, changed or took away there, line by line.
//! Never: collects, delivers, prints; touches what mirrorlag did not make without being told to.

mod place;

pub use place::{Concrete, Place, matching};
