use super::*;

const ED25519: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBoWJa4bkqUmQ7BlfbiGR9kkAwcAoC8yQGxPuq5bxnnc";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEaQmPQ2hSG8mQ1uqMzP0bZ0g2bSMRpTVxYk1mHc5Q1w";

/// Numbers of the lines that speak of a name.
fn lines_of(text: &str, name: &str) -> Vec<usize> {
    let file = KnownHosts::parse(text);
    assert_eq!(file.bad_lines, [], "every line of this text is good");
    file.of(name).map(|entry| entry.line).collect()
}

#[test]
fn a_name_a_name_with_port_and_a_list_are_matched_exactly() {
    let text = format!("mm1,10.0.0.11 {ED25519}\n[mm1]:2222 {ED25519} comment with spaces\n");
    assert_eq!(lines_of(&text, "mm1"), [1]);
    assert_eq!(lines_of(&text, "10.0.0.11"), [1]);
    assert_eq!(lines_of(&text, "[mm1]:2222"), [2]);
    assert_eq!(lines_of(&text, "mm11"), [0; 0]);
    assert_eq!(lines_of(&text, "[mm1]:22"), [0; 0]);
}

#[test]
fn case_does_not_matter_in_a_name() {
    assert_eq!(
        lines_of(&format!("MM1.Example {ED25519}"), "mm1.eXample"),
        [1]
    );
}

#[test]
fn wildcards_match_as_in_openssh() {
    let text = format!("*.example.com {ED25519}\nmm?.local {ED25519}\n[10.0.*]:2* {ED25519}\n");
    assert_eq!(lines_of(&text, "a.b.example.com"), [1]);
    assert_eq!(lines_of(&text, "example.com"), [0; 0]);
    assert_eq!(lines_of(&text, "mm1.local"), [2]);
    assert_eq!(lines_of(&text, "mm12.local"), [0; 0]);
    assert_eq!(lines_of(&text, "[10.0.0.11]:2222"), [3]);
}

#[test]
fn a_negated_name_takes_the_line_away_wherever_it_stands() {
    let text = format!("*.example.com,!mm1.example.com {ED25519}\n!mm1,mm? {ED25519}\n");
    assert_eq!(lines_of(&text, "mm1.example.com"), [0; 0]);
    assert_eq!(lines_of(&text, "mm2.example.com"), [1]);
    assert_eq!(lines_of(&text, "mm1"), [0; 0]);
    assert_eq!(lines_of(&text, "mm2"), [2]);
    assert_eq!(lines_of(&format!("!mm1 {ED25519}"), "mm2"), [0; 0]);
}

#[test]
fn a_hashed_name_is_matched_with_its_port() {
    // Made by: ssh-keygen -H, of "[mm1]:2222" with the salt of twenty bytes 0x01.
    let salt = vec![1; 20];
    let mac = Hmac::<Sha1>::new_from_slice(&salt)
        .expect("any length")
        .chain_update("[mm1]:2222");
    let digest = STANDARD.encode(mac.finalize().into_bytes());
    let text = format!("|1|{}|{digest} {ED25519}\n", STANDARD.encode(&salt));
    assert_eq!(lines_of(&text, "[MM1]:2222"), [1]);
    assert_eq!(lines_of(&text, "mm1"), [0; 0]);
}

#[test]
fn a_line_hashed_by_ssh_keygen_is_matched() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("known_hosts");
    std::fs::write(&path, format!("[mm1]:2222 {ED25519}\nmm2 {OTHER}\n")).expect("write");
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&path)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .status()
        .expect("ssh-keygen");
    assert!(status.success());
    let text = std::fs::read_to_string(&path).expect("read");
    assert!(text.starts_with("|1|") && !text.contains("mm1"), "{text}");
    assert_eq!(lines_of(&text, "[mm1]:2222"), [1]);
    assert_eq!(lines_of(&text, "mm2"), [2]);
}

#[test]
fn markers_are_kept_apart_from_known_keys() {
    let text = format!("@revoked mm1 {ED25519}\n@cert-authority *.example {OTHER}\nmm1 {OTHER}");
    let file = KnownHosts::parse(&text);
    let markers: Vec<Marker> = file.entries.iter().map(|entry| entry.marker).collect();
    assert_eq!(markers, [Marker::Revoked, Marker::Authority, Marker::Known]);
    assert_eq!(file.of("a.example").count(), 1);
}

#[test]
fn one_bad_line_is_named_and_the_others_are_kept() {
    let bad = [
        "mm1",
        "mm1 ssh-ed25519",
        "mm1 ssh-ed25519 not*base64",
        "mm1 ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIBoWJa4bkqUmQ7BlfbiGR9kkAwcAoC8yQGxPuq5bxnnc",
        "@who mm1 ssh-ed25519 AAAA",
        "|2|AA==|AA== ssh-ed25519 AAAA",
        "mm1 1024 35 123456789",
        "mm1 ssh-ed25519 AAAAC3Nz\u{fffd}",
    ];
    for line in bad {
        let text = format!("mm0 {ED25519}\n{line}\nmm2 {OTHER}\n");
        let file = KnownHosts::parse(&text);
        assert_eq!(file.bad_lines.len(), 1, "{line}");
        assert_eq!(file.bad_lines[0].0, 2, "{line}");
        let kept: Vec<usize> = file.entries.iter().map(|entry| entry.line).collect();
        assert_eq!(kept, [1, 3], "{line}");
    }
}

#[test]
fn cr_lf_comments_and_blank_lines_do_no_harm() {
    let text = format!("# hosts\r\n\r\n  \t\r\nmm1 {ED25519}\r\nmm1 {OTHER} someone@somewhere\r\n");
    assert_eq!(lines_of(&text, "mm1"), [4, 5]);
    let file = KnownHosts::parse(&text);
    let first = &file.entries[0];
    assert_eq!(first.blob.len(), 51, "no CR became a part of the key");
    assert_eq!(first.key_type, "ssh-ed25519");
}

#[test]
fn several_keys_of_one_host_are_all_found() {
    let text = format!("mm1 {ED25519}\nmm2 {OTHER}\nmm1 {OTHER}\n");
    assert_eq!(lines_of(&text, "mm1"), [1, 3]);
}

#[test]
fn a_hostile_pattern_ends_in_time() {
    let pattern = "*a".repeat(200);
    let name = "a".repeat(199);
    assert!(!is_match(pattern.as_bytes(), name.as_bytes()));
    assert!(is_match(b"a*b*c", b"a-b-b-c"));
    assert!(is_match(b"**", b""));
    assert!(!is_match(b"?", b""));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~\\n\\r@|!*\u{e9}]{0,200}") {
        let file = KnownHosts::parse(&text);
        proptest::prop_assert!(file.entries.len() + file.bad_lines.len() <= text.lines().count());
    }
}
