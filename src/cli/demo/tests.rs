use chrono::{DateTime, TimeDelta, Utc};

use super::plain;
use crate::kafka::{GroupState, Outcome};
use crate::sample::{Partition, Sample};
use crate::watch::Topics;

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).unwrap()
}

fn sample(topic: &str, second: i64, lag: Option<i64>) -> Sample {
    let partition = Partition {
        partition: 0,
        lag,
        current_offset: None,
        log_end_offset: None,
        consumer_id: None,
        consumer_host: None,
        client_id: None,
    };
    Sample {
        sampled_at: start() + TimeDelta::seconds(second),
        clock_generation: 0,
        topic: topic.to_owned(),
        group: "oasis".to_owned(),
        mirror_host: "east-1".to_owned(),
        cluster: None,
        outcome: Outcome::Ok,
        group_state: GroupState::Stable,
        reason: None,
        partitions: vec![partition],
        round_ms: Some(100),
    }
}

#[test]
fn a_pipe_gets_one_line_per_topic_and_an_unknown_lag_is_a_dash() {
    let mut topics = Topics::default();
    for second in 0..8 {
        topics.push(sample("orders", second, Some(100 * second)));
    }
    topics.push(sample("new\n", 7, None));
    let text = plain(&topics, start() + TimeDelta::seconds(9));
    let lines: Vec<&str> = text.lines().collect();
    let rest = "group=oasis mirror_host=east-1 partitions=1";
    assert_eq!(
        lines,
        [
            format!(
                "14:13:27 topic=new  {rest} lag_total=- lag_max=- trend=- outcome=ok group_state=stable age=2s"
            ),
            format!(
                "14:13:27 topic=orders {rest} lag_total=700 lag_max=700 trend=+100/s outcome=ok group_state=stable age=2s"
            ),
        ]
    );
}
