//! In: a host name on the first line, then a known_hosts file. Out: nothing, or a panic.
//!
//! Claims: every line is an entry, named as bad, or a comment; an entry says what its line says and nothing else; a bad line changes no
//! other; patterns match as a plain second implementation matches them; case of a name does not matter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mirrorlag::ssh::{KnownHosts, KnownHostsMarker as Marker};

/// Longer names exist nowhere, and the second implementation is slow.
const NAME_BYTES_MAX: usize = 300;

pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (name, text) = text.split_once('\n').unwrap_or((&text, ""));
    let file = KnownHosts::parse(text);
    assert_eq!(file, KnownHosts::parse(text), "the same text, read twice");

    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let spoken: Vec<usize> = (1..=lines.len())
        .filter(|line| !lines[line - 1].is_empty() && !lines[line - 1].starts_with('#'))
        .collect();
    let mut read: Vec<usize> = file.entries.iter().map(|entry| entry.line).collect();
    read.extend(file.bad_lines.iter().map(|(line, _)| *line));
    read.sort_unstable();
    assert_eq!(read, spoken, "each line once: an entry or a bad line");

    for entry in &file.entries {
        let mut words = lines[entry.line - 1].split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let marker = match first {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Authority,
            _ => Marker::Known,
        };
        assert_eq!(entry.marker, marker, "line {}", entry.line);
        let names = match marker {
            Marker::Known => first,
            _ => words.next().unwrap_or_default(),
        };
        assert_eq!(words.next(), Some(entry.key_type.as_str()));
        let key = words.next().and_then(|word| STANDARD.decode(word).ok());
        assert_eq!(key.as_ref(), Some(&entry.blob), "the key of the line");
        check_names(&file, entry.line, names, name);
    }

    let of = |name: &str| -> Vec<usize> { file.of(name).map(|entry| entry.line).collect() };
    assert_eq!(of(name), of(&name.to_ascii_uppercase()), "case of {name:?}");
    let worse = KnownHosts::parse(&format!("not a line of known_hosts\n{text}"));
    let shifted: Vec<_> = file
        .entries
        .iter()
        .map(|it| (it.line + 1, it.marker, &it.blob))
        .collect();
    let kept: Vec<_> = worse
        .entries
        .iter()
        .map(|it| (it.line, it.marker, &it.blob))
        .collect();
    assert_eq!(kept, shifted, "a bad line before them");
}

/// Hashed names are compared by the library's HMAC, which has tests of its own.
fn check_names(file: &KnownHosts, line: usize, names: &str, name: &str) {
    if names.starts_with('|') || name.len() > NAME_BYTES_MAX || names.len() > 10 * NAME_BYTES_MAX {
        return;
    }
    let (names, lower) = (names.to_lowercase(), name.to_lowercase());
    let hit = |pattern: &str| is_match(pattern.as_bytes(), lower.as_bytes());
    let (denied, allowed): (Vec<&str>, Vec<&str>) = names
        .split(',')
        .partition(|pattern| pattern.starts_with('!'));
    let is_denied = denied.iter().any(|pattern| hit(&pattern[1..]));
    let expected = !is_denied && allowed.iter().any(|pattern| hit(pattern));
    let found = file.of(name).any(|entry| entry.line == line);
    assert_eq!(found, expected, "{name:?} in {names:?}");
}

/// `fits[t]`: the pattern so far fits the first `t` bytes of the text.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let mut fits = vec![false; text.len() + 1];
    fits[0] = true;
    for byte in pattern {
        let before = fits.clone();
        for t in 0..fits.len() {
            fits[t] = match byte {
                b'*' => before[t] || (t > 0 && fits[t - 1]),
                _ => t > 0 && before[t - 1] && (*byte == b'?' || *byte == text[t - 1]),
            };
        }
    }
    fits[text.len()]
}
