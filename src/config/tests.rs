use super::SCHEMA;

const EXAMPLE: &str = include_str!("../../config/mirrorlag.yaml");

/// Keys that begin a line of the example, also those behind a `#` without a blank.
fn keys_of_example() -> Vec<&'static str> {
    let key_of = |line: &'static str| {
        let line = line.trim_start().trim_start_matches("- ");
        let line = line.strip_prefix('#').unwrap_or(line);
        let (key, _) = line.split_once(':')?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_key && !key.is_empty()).then_some(key)
    };
    EXAMPLE.lines().filter_map(key_of).collect()
}

#[test]
fn every_key_that_is_read_stands_in_the_example() {
    let shown = keys_of_example();
    let missing: Vec<_> = SCHEMA
        .iter()
        .flat_map(|(_, keys)| keys.iter())
        .filter(|key| !shown.contains(key))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Each key after `yes`, where its value reaches a mirror host, or `no`; `tests/hostile_values.rs` tries those with `yes`.
const ON_A_HOST: &str = include_str!("../../tests/config/keys_on_a_host.txt");

#[test]
fn of_every_key_it_is_known_whether_its_value_reaches_a_mirror_host() {
    let known: Vec<_> = ON_A_HOST
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let unknown: Vec<_> = SCHEMA
        .iter()
        .flat_map(|(_, keys)| keys.iter())
        .filter(|key| known.iter().filter(|(_, name)| name == *key).count() != 1)
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
