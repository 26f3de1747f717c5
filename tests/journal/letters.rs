//! Dead letters are kept with the commit that passes them, once, until somebody removes them.

use crate::{Place, bodies, letter};

#[tokio::test]
async fn letters_come_back_as_they_were_and_page_by_number() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=3), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let letters = vec![letter("a", 1), letter("a", 3)];
    journal.commit("a", 3, letters.clone()).await.unwrap();
    journal.close().await;

    let journal = place.open();
    let found = journal.letters(0, 10).await.unwrap();
    assert_eq!(
        found.iter().map(|it| it.letter.clone()).collect::<Vec<_>>(),
        letters
    );
    let second = journal.letters(found[0].number, 1).await.unwrap();
    assert_eq!(second, found[1..]);
    assert_eq!(journal.size().await.unwrap().letters, 2);
}

#[tokio::test]
async fn a_letter_committed_twice_is_kept_once_and_a_removed_number_is_not_used_again() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=2), None).await.unwrap();
    journal.keep_readers(&["a", "b"]).await.unwrap();
    for reader in ["a", "a", "b"] {
        journal
            .commit(reader, 1, vec![letter(reader, 1)])
            .await
            .unwrap();
    }
    let found = journal.letters(0, 10).await.unwrap();
    assert_eq!(found.len(), 2);
    let numbers = found.iter().map(|it| it.number).collect();
    assert_eq!(journal.remove_letters(numbers).await.unwrap(), 2);
    journal.commit("a", 2, vec![letter("a", 2)]).await.unwrap();
    let next = journal.letters(0, 10).await.unwrap();
    assert!(next[0].number > found[1].number);
    assert_eq!(
        journal.remove_letters(vec![found[0].number]).await.unwrap(),
        0
    );
}

#[tokio::test]
async fn a_letter_outlives_its_record() {
    let place = Place::new();
    let journal = place.open();
    journal.append(bodies(1..=1), None).await.unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    journal.commit("a", 1, vec![letter("a", 1)]).await.unwrap();
    let later = chrono::Utc::now() + chrono::TimeDelta::days(30);
    assert_eq!(journal.retain(later).await.unwrap().by_age, 1);
    assert_eq!(journal.letters(0, 10).await.unwrap().len(), 1);
}
