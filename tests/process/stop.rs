//! SIGTERM in each phase ends it in order, with exit code 0, and costs nothing that was acknowledged.

use std::net::TcpListener;

use crate::bulk_server::raw_port;
use crate::run::{Place, records};

#[tokio::test(flavor = "multi_thread")]
async fn while_connecting_to_a_host_that_never_speaks() {
    let place = Place::new().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let mut run = place.run_with(port, &place.fake.url, &[], |_| {});
    let (_connection, _) = silent.accept().unwrap();
    run.end_in_order();
    // Ticks without a connection are records too.
    assert!(place.documents().is_subset(&records(&place.journal())));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_no_elasticsearch_can_be_reached() {
    let place = Place::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let mut run = place.run_with(place.port(), &url, &[], |_| {});
    place
        .until("records", |it| records(&it.journal()).len() >= 4)
        .await;
    run.end_in_order();
    let kept = records(&place.journal());
    let mut run = place.run();
    place
        .until("delivery", |it| kept.is_subset(&it.documents()))
        .await;
    run.end_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_sink_holds() {
    let place = Place::new().await;
    place.fake.lock().login = Some(("mirrorlag".to_owned(), "secret".to_owned()));
    let mut run = place.run();
    place
        .until("a hold", |it| it.lines("the sink holds") == 1)
        .await;
    place
        .until("records", |it| records(&it.journal()).len() >= 4)
        .await;
    run.end_in_order();
    assert!(place.documents().is_empty());
    let kept = records(&place.journal());
    place.fake.lock().login = None;
    let mut run = place.run();
    place
        .until("delivery", |it| kept.is_subset(&it.documents()))
        .await;
    run.end_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_bulk_is_under_way_whose_answer_never_comes() {
    let place = Place::new().await;
    let (silent, _) = raw_port(None).await;
    let url = format!("http://{silent}");
    let mut run = place.run_with(place.port(), &url, &[], |_| {});
    place
        .until("records", |it| records(&it.journal()).len() >= 4)
        .await;
    run.end_in_order();
    assert!(records(&place.journal()).len() >= 4);
}
