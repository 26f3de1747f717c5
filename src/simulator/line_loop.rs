//! In: the arguments of a script's shell loop, a host. Out: what the loop would print: one line of lags per describe, for one topic.
//! Never: ends before the client is gone, as the real one never does.

use std::time::SystemTime;

use super::command::LineLoopArguments;
use super::host::Host;
use super::remote_loop::Output;

/// What `cut -f 6` takes of a row: LAG, where the table begins with GROUP.
const LAG_COLUMN: usize = 5;

/// Runs the loop until nobody reads what it prints.
pub(super) async fn run(host: &Host, arguments: &LineLoopArguments, output: &Output) {
    let _running = host.count_loop();
    loop {
        tokio::time::sleep(arguments.pause).await;
        let asked_at = SystemTime::now();
        let printed = host.describe(&arguments.group).await;
        let line = lags(&printed.stdout, &arguments.topic) + "\n";
        if output.out(&line).await.is_err() {
            return;
        }
        host.note_round(arguments.topic.clone(), asked_at);
    }
}

/// `grep TOPIC | sed 's/\s\+/\t/g' | cut -f 6 | xargs`.
fn lags(table: &str, topic: &str) -> String {
    let rows = table.lines().filter(|line| line.contains(topic));
    let lags = rows.filter_map(|row| row.split_whitespace().nth(LAG_COLUMN));
    lags.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_sixth_column_of_every_row_that_contains_the_topic() {
        let table = "\nGROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n\
            g orders 1 5 17 12 - - -\ng orders-eu 0 - 4 - - - -\ng payments 0 1 1 0 - - -\n";
        assert_eq!(lags(table, "orders"), "12 -");
        assert_eq!(lags(table, "absent"), "");
    }
}
