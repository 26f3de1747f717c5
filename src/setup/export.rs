//! In: what the servers are to have. Out: files with the same content, to be imported by hand, and a README.txt that says how.
//! Never: asks a server, writes a file.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::modules::Modules;
use super::request::{Body, Request, Server};
use super::roles;
use super::set_up::Wanted;
use super::steps::{self, Step};
use super::thing::Line;
use crate::kibana;

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the folder of the export.
    pub path: PathBuf,
    pub text: String,
}

const OPENING: &str = "\
What `mirrorlag setup --export` wrote, and which request or page takes which file. Put your own addresses for ES (http://es-node1:9200) and
KIBANA (https://kibana.example:5601), and a user with enough rights for USER. mirrorlag-export.sha256 says which files are as they were written:
`setup --export` replaces those, and no others.
";

/// Every file, README.txt last.
///
/// # Errors
/// A mapping that is no JSON, which the configuration would have refused.
pub fn export(wanted: &Wanted<'_>) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    let mut readme = OPENING.to_owned();
    elasticsearch(wanted, &mut files, &mut readme)?;
    kibana_files(wanted, &mut files, &mut readme);
    grafana(wanted, &mut files, &mut readme);
    let path = PathBuf::from("README.txt");
    files.push(File { path, text: readme });
    Ok(files)
}

fn elasticsearch(
    wanted: &Wanted<'_>,
    files: &mut Vec<File>,
    readme: &mut String,
) -> Result<(), String> {
    let Some(settings) = wanted.elasticsearch else {
        return Ok(());
    };
    say(readme, "\nElasticsearch, in this order\n\n");
    let documents = steps::documents(settings)?;
    // Nobody is asked: a server that lacks a module will say so by itself.
    let modules = Modules::default();
    let steps = steps::elasticsearch(settings, &documents, &modules, wanted.now, false);
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Say(Line { name, outcome, .. }) => {
                let why = outcome.text().unwrap_or_default();
                say(readme, &format!("  ({name}: {why})\n"));
            }
            Step::Thing(thing) => {
                let name = thing.name().replace([' ', '/'], "_");
                let path = format!("elasticsearch/{:02}_{name}.json", number + 1);
                add_request(&thing.make(), &path, files, readme);
            }
        }
    }
    say(
        readme,
        "\nRoles: what each command needs, and no more (in Kibana: Stack Management > Roles)\n\n",
    );
    let names = roles::names(settings);
    for (name, shipped) in [
        ("run", roles::RUN),
        ("setup", roles::SETUP),
        ("migrate", roles::MIGRATE),
        ("prune", roles::PRUNE),
    ] {
        let body = Body::Json(roles::role(shipped, &names, None));
        let method = crate::sinks::elasticsearch::Method::Put;
        let request =
            Request::elasticsearch(method, format!("_security/role/mirrorlag_{name}"), body);
        add_request(&request, &format!("roles/{name}.json"), files, readme);
    }
    let space = wanted.description.space.as_deref();
    let body = Body::Json(roles::role(roles::KIBANA, &names, space));
    let method = crate::sinks::elasticsearch::Method::Put;
    let request = Request::kibana(method, "api/security/role/mirrorlag_kibana", body);
    add_request(&request, "roles/kibana.json", files, readme);
    Ok(())
}

fn kibana_files(wanted: &Wanted<'_>, files: &mut Vec<File>, readme: &mut String) {
    let base = base(wanted);
    let file = "kibana/mirrorlag.ndjson";
    say(
        readme,
        &format!(
            "\nKibana 8.9 to 9.x: Stack Management > Saved Objects > Import > {file}, with \"overwrite\"; or\n\n\
             \x20 curl -u USER -H 'kbn-xsrf: true' -F file=@{file} '{base}/api/saved_objects/_import?overwrite=true'\n\n\
             The answer must have \"success\":true; HTTP 200 alone says nothing.\n\nAlert rules, once each; add in Kibana whom to tell\n\n"
        ),
    );
    files.push(File {
        path: file.into(),
        text: kibana::ndjson(&wanted.description),
    });
    for alert in kibana::alerts(&wanted.description) {
        let path = format!("kibana/alerts/{}.json", alert.name);
        let line = format!(
            "  curl -u USER -H 'kbn-xsrf: true' -H 'content-type: application/json' -d @{path} {base}/api/alerting/rule/{}\n",
            alert.id
        );
        say(readme, &line);
        files.push(json_file(&path, &alert.body));
    }
}

fn grafana(wanted: &Wanted<'_>, files: &mut Vec<File>, readme: &mut String) {
    say(
        readme,
        "\nGrafana 9.1 or later: Dashboards > New > Import, for each of grafana/*.json; they ask for the Elasticsearch data source. \
         grafana/alerts.yaml goes into provisioning/alerting of the server.\n",
    );
    let mut description = wanted.description.clone();
    if description.layout == kibana::Layout::Both {
        // A data source of Grafana has one index: that of the totals.
        description.layout = kibana::Layout::Wide;
    }
    let documents = description.every_round();
    let line = format!(
        "The data source's index is {}, its time field {}.\n",
        description.index_pattern(documents),
        description.time_field
    );
    say(readme, &line);
    for (name, dashboard) in kibana::grafana_dashboards(&description) {
        files.push(json_file(&format!("grafana/{name}.json"), &dashboard));
    }
    files.push(File {
        path: "grafana/alerts.yaml".into(),
        text: kibana::grafana_alerts(&description),
    });
}

fn base(wanted: &Wanted<'_>) -> String {
    match &wanted.description.space {
        Some(space) => format!("KIBANA/s/{space}"),
        None => "KIBANA".to_owned(),
    }
}

/// A file for the body, and the line that sends it.
fn add_request(request: &Request, path: &str, files: &mut Vec<File>, readme: &mut String) {
    let (verb, server) = match request.server {
        Server::Elasticsearch => (request.verb(), "ES"),
        Server::Kibana => (request.verb(), "KIBANA"),
    };
    let xsrf = match request.server {
        Server::Elasticsearch => "",
        Server::Kibana => "-H 'kbn-xsrf: true' ",
    };
    let body = match &request.body {
        Body::Json(body) => {
            files.push(json_file(path, body));
            format!("-H 'content-type: application/json' --data-binary @{path} ")
        }
        Body::Nothing | Body::File(_) => String::new(),
    };
    let line = format!(
        "  curl -u USER -X {verb} {xsrf}{body}{server}/{}\n",
        request.path
    );
    say(readme, &line);
}

fn json_file(path: &str, body: &Value) -> File {
    File {
        path: path.into(),
        text: format!("{:#}\n", json!(body)),
    }
}

fn say(readme: &mut String, text: &str) {
    // Writing to a text cannot fail.
    let _written = readme.write_str(text);
}
