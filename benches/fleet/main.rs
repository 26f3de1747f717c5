//! What `mirrorlag run` costs and how fast it is on a simulated fleet, beside what people run today. Not criterion: whole processes.
//!
//!     cargo bench --bench fleet -- MODE [NUMBERS]
//!
//! | mode | measures |
//! |---|---|
//! | `cost [SOURCES [SECONDS]]` | CPU, memory, documents: 100 sources at 1 s; then today's script on the same fleet |
//! | `topics [SECONDS [INTERVAL]]` | the same at 10, 100, 1,000 and 5,000 topics in groups of 50, with the lateness of ticks |
//! | `connect [SESSIONS]` | time until 400 sessions are logged in; then parallel-ssh and OpenSSH |
//! | `first` | time from the start of the process to the first document |
//! | `describes` | JVMs a host starts per tick for 50 topics of one group; then today's script |
//! | `freshness [SOURCES [SECONDS]]` | last byte of a table on the wire to document accepted; then today's script |
//! | `deliver [RECORDS]` | documents per second from the journal into Elasticsearch; then one call per line and `helpers.bulk` |
//! | `restart [RECORDS]` | time to the first batch, and memory, with 1,000,000 records undelivered |
//!
//! The fleet and a server that accepts every document run in this process; what is measured runs in its own. What needs Python takes it
//! from MIRRORLAG_COMPARE_PYTHON and is left out without it; MIRRORLAG_COMPARE_ELASTICSEARCH (a URL with `user:password@`) is
//! needed by `deliver`. `benches/compare/run` sets both.

// In functions that tests call, which clippy does not know as tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod accepting;
mod backlog;
mod child;
mod configuration;
mod connect;
mod cost;
mod deliver;
mod freshness;

/// A fleet is given this long until all its sources are connected and collect.
const START: std::time::Duration = std::time::Duration::from_secs(15);

#[tokio::main]
async fn main() {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    let mode = arguments.first().map_or("cost", String::as_str);
    let number = |at: usize, default: u64| -> u64 {
        arguments
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    match mode {
        "cost" => cost::cost(number(1, 100) as usize, number(2, 60)).await,
        "topics" => cost::topics(number(1, 30), number(2, 1)).await,
        "describes" => cost::describes().await,
        "connect" => connect::connect(number(1, 400) as usize).await,
        "first" => connect::first().await,
        "freshness" => freshness::freshness(number(1, 20) as usize, number(2, 30)).await,
        "deliver" => deliver::deliver(number(1, 20_000)).await,
        "restart" => backlog::restart(number(1, 1_000_000)).await,
        other => panic!("no mode {other:?}; see benches/fleet/main.rs"),
    }
}
