//! Notes: the last one of a name, and none of a name that is not kept.

use std::collections::BTreeSet;

use mirrorlag::journal::{Note, View};

use crate::{Place, bodies};

fn note(name: &str, value: &str) -> Note {
    Note {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn noted(place: &Place) -> Vec<Note> {
    let snapshot = View::open(&place.path()).unwrap().snapshot().unwrap();
    snapshot
        .notes
        .into_iter()
        .map(|stored| stored.note)
        .collect()
}

#[tokio::test]
async fn a_note_is_replaced_by_the_next_of_its_name_and_outlives_the_process() {
    let place = Place::new();
    let journal = place.open();
    journal
        .note(vec![note("run", "1"), note("source/a", "1")])
        .await
        .unwrap();
    journal.note(vec![note("run", "2")]).await.unwrap();
    journal.close().await;
    assert_eq!(noted(&place), [note("run", "2"), note("source/a", "1")]);
}

#[tokio::test]
async fn notes_of_names_that_are_not_kept_go() {
    let place = Place::new();
    let journal = place.open();
    let names = ["run", "source/a", "source/b"];
    let notes = names.map(|name| note(name, "1")).to_vec();
    journal.note(notes).await.unwrap();
    let kept = ["run", "source/b", "source/new"].map(str::to_owned);
    journal.keep_notes(BTreeSet::from(kept)).await.unwrap();
    journal.close().await;
    assert_eq!(noted(&place), [note("run", "1"), note("source/b", "1")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_go_between_many_notes() {
    let place = Place::new();
    let journal = place.open();
    let many: Vec<Note> = (0..5_000)
        .map(|number| note(&format!("source/{number}"), &"x".repeat(500)))
        .collect();
    let noting = {
        let journal = journal.clone();
        tokio::spawn(async move { journal.note(many).await })
    };
    let mut appended_meanwhile = 0;
    while !noting.is_finished() {
        appended_meanwhile = journal.append(bodies(1..=1), None).await.unwrap();
    }
    noting.await.unwrap().unwrap();
    // In one transaction with all of them, there would be one or two.
    assert!(appended_meanwhile > 10, "{appended_meanwhile}");
    journal.close().await;
    assert_eq!(noted(&place).len(), 5_000);
}
