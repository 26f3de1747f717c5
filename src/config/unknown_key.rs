//! In: a word that is not known where it stands. Out: the word that was most likely meant.
//! Never: takes the one for the other.

/// What mends an unknown key, and the keys that it was most likely meant to be: those are not missing.
pub(super) fn judge(
    key: &str,
    known: &[&str],
    schema: &[(&str, &[&str])],
) -> (String, Vec<String>) {
    let is_secret = known
        .iter()
        .any(|known| known.strip_suffix("_env") == Some(key));
    if is_secret {
        let mend = format!(
            "a secret does not stand in this file: name its variable in {key}_env or its file in {key}_file"
        );
        return (mend, vec![format!("{key}_env")]);
    }
    if let Some(near) = nearest(key, known.iter().copied()) {
        return (format!("did you mean {near:?}?"), vec![near.to_owned()]);
    }
    let home = schema.iter().find(|(_, keys)| keys.contains(&key));
    let mend = match home {
        Some((home, _)) => format!("it belongs under {home}"),
        None if known.is_empty() => "nothing is known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    };
    (mend, Vec::new())
}

/// The candidate that a slip of the finger turns into `written`.
pub(super) fn nearest<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let written = written.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| {
            let plain = candidate.to_lowercase().replace('-', "_");
            (strsim::damerau_levenshtein(&written, &plain), candidate)
        })
        // A third of the letters wrong is another word.
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
