use std::collections::BTreeSet;

use super::*;
use crate::collector::Topics;

async fn fleet(folder: &Folder) -> Fleet {
    let settings = FleetSettings::demonstration(SEED, folder.path.clone());
    Fleet::start(settings).await.unwrap()
}

fn load(folder: &Folder, text: &str) -> Result<config::Loaded, Error> {
    let file = folder.path.join("mirrorlag.yaml");
    fs::write(&file, text).unwrap();
    let env = |name: &str| (name == "ES_PASSWORD").then(|| "secret".to_owned());
    config::load(&file, &env).map_err(told_of_the_url)
}

#[tokio::test]
async fn the_configuration_of_the_demonstration_covers_every_topic_in_every_shape() {
    let folder = Folder::make(&std::env::temp_dir(), "demo").unwrap();
    let fleet = fleet(&folder).await;
    let text = configuration(&fleet, &folder.path, None);
    let config = load(&folder, &text).unwrap().config;
    assert_eq!(config.mirror_hosts.len(), 4);
    let mut groups = BTreeSet::new();
    let (mut one, mut listed, mut all) = (0, 0, 0);
    for source in &config.sources {
        groups.insert((
            source.mirror_host.name.clone(),
            source.describe.group.clone(),
        ));
        match &source.topics {
            Topics::One(_) => one += 1,
            Topics::Listed(topics) => listed += topics.len(),
            Topics::All { .. } => all += 1,
        }
    }
    // Three topics of east-1, three of west-2; three of west-1 in a list; whatever east-2 has.
    assert_eq!((one, listed, all, groups.len()), (6, 3, 1, 5));
}

#[tokio::test]
async fn an_elasticsearch_gets_its_credentials_from_the_environment() {
    let folder = Folder::make(&std::env::temp_dir(), "demo").unwrap();
    let fleet = fleet(&folder).await;
    let env = |name: &str| (name == "ES_PASSWORD").then(|| "secret".to_owned());
    let sink = sink("http://127.0.0.1:9200", &env).unwrap();
    assert!(!sink.contains("secret"), "{sink}");
    let text = configuration(&fleet, &folder.path, Some(&sink));
    let settings = load(&folder, &text).unwrap().config.sinks.elasticsearch;
    assert_eq!(settings.unwrap().urls, ["http://127.0.0.1:9200"]);
}

#[tokio::test]
async fn a_wrong_url_is_said_of_the_argument_and_not_of_a_file_that_nobody_wrote() {
    let none = |_: &str| None;
    for (url, said) in [
        (
            "http://elastic:secret@es:9200",
            "--elasticsearch: has a user name or password in it; ",
        ),
        ("es:9200", "--elasticsearch: "),
    ] {
        let Err(error) = Demo::start(Some(url), &none).await else {
            panic!("{url} is no URL of an Elasticsearch");
        };
        let error = error.to_string();
        assert!(error.starts_with(said), "{error}");
        assert!(
            !error.contains("secret") && !error.contains(".yaml"),
            "{error}"
        );
    }
}

#[test]
fn the_folder_is_its_owners_alone_and_goes_with_the_demonstration() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::make(&std::env::temp_dir(), "demo").unwrap();
    let path = folder.path.clone();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    fs::write(path.join("journal.db"), "x").unwrap();
    drop(folder);
    assert!(!path.exists());
}
