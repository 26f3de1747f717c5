//! In: the settings of a sink and of Kibana. Out: what their servers have, and what an operator's command made, changed or took away there, line by line.
//! Never: collects, delivers, prints; touches what mirrorlag did not make without being told to.
//!
//! `setup` is one list of things (`steps`), each of which knows how to be looked at, judged, made and taken back (`thing`); `apply` does that
//! for any of them.

// What a name stands for in a cluster.
mod place;

// Documents moved and deleted.
mod bulk;
mod hand;
pub mod migrate;
pub mod prune;
mod task;

// One request, and who answers it.
mod kibana_client;
mod kibana_ready;
mod request;
mod servers;

// What setup makes, and how each is handled.
mod alert_rule;
mod apply;
mod data_stream;
mod difference;
mod index;
mod index_template;
mod lifecycle;
mod modules;
mod saved_object;
mod set_up;
mod steps;
mod thing;

// The same as files, for those who import by hand.
mod export;
pub mod roles;
mod write;

pub use apply::Mode;
pub use export::{File, export};
pub use kibana_client::KibanaSettings;
pub use place::{Concrete, Place, matching};
pub use request::{Body, Request, Server};
pub use set_up::{Wanted, set_up};
pub use thing::{Line, Outcome};
pub use write::write;

/// Is told each line of what a command does, as soon as it is true.
pub type Say<'a> = dyn FnMut(String) + Send + 'a;
