//! In: the journal from a committed position. Out: batches to one sink, commits, dead letters.
//! Never: formats a document, blocks the collector or another sink, drops a record that a sink has not had.
// NOTE: written by the lead on main; see NOTE-FROM-LEAD.md. Leave this file alone.
