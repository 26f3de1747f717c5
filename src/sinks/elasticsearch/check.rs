//! In: the settings of one cluster. Out: what each link to it showed: every URL, login, privileges, indices, mappings, fields.
//! Never: changes anything there, needs `GET /`, which a restricted server may not answer.

use std::time::Duration;

use elasticsearch::http::Method;
use elasticsearch::http::headers::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::nodes::{Answer, NoAnswer, Node, Nodes};
use super::response::{is_wrong_server, refusal};
use super::{Credentials, Settings};
use crate::finding::{Finding, Verdict};

// One index, dated index or data stream.
mod index;
// What the user may do there.
mod privileges;

/// The topic with the most partitions: a wide document has a field for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Widest {
    pub topic: String,
    pub partitions: usize,
}

/// Checks every link between here and the indices; asks all URLs at once, each question within the request timeout.
///
/// `widest`: the topic with the most partitions that was seen; `None` where no table was.
pub async fn check(settings: &Settings, widest: Option<&Widest>) -> Vec<Finding> {
    let started = Instant::now();
    let nodes = match Nodes::new(settings) {
        Ok(nodes) => nodes.list,
        Err(error) => {
            return vec![finding(
                "elasticsearch".to_owned(),
                "settings",
                started,
                failed(error, "mend it in sinks.elasticsearch"),
            )];
        }
    };
    let has_login = !matches!(settings.credentials, Credentials::None);
    let mut asked = JoinSet::new();
    for (order, node) in nodes.into_iter().enumerate() {
        asked.spawn(async move {
            let (findings, is_usable) = check_node(&node, has_login).await;
            (order, node, findings, is_usable)
        });
    }
    let mut answered = asked.join_all().await;
    answered.sort_by_key(|(order, ..)| *order);
    let mut findings = Vec::new();
    let mut usable = None;
    for (_, node, found, is_usable) in answered {
        findings.extend(found);
        if is_usable && usable.is_none() {
            usable = Some(node);
        }
    }
    for looked in index::all(settings) {
        match &usable {
            Some(node) => findings.extend(looked.check(node, widest).await),
            None => {
                let why = Verdict::Skipped("no url could be asked".to_owned());
                findings.push(finding(looked.subject(), "index", Instant::now(), why));
            }
        }
    }
    findings
}

/// One URL: does Elasticsearch answer there, which version, and does it know us?
async fn check_node(node: &Node, has_login: bool) -> (Vec<Finding>, bool) {
    let started = Instant::now();
    let subject = format!("elasticsearch {}", node.url);
    let asked = ask(node, Method::Get, "_security/_authenticate", None).await;
    let took = started.elapsed();
    let answer = match asked {
        Ok(answer) => answer,
        Err(no_answer) => {
            let verdict = unreachable(node, no_answer);
            return (vec![finding(subject, "reachable", started, verdict)], false);
        }
    };
    let refusal = refusal(&answer.body);
    // Without security there is no such question, and the answer is an error in bare text.
    let is_security_off =
        matches!(answer.status, 400 | 404 | 405 | 500) && is_elasticsearch(&answer);
    if !is_security_off && is_wrong_server(answer.status, &refusal) {
        let why = format!("what answers is not elasticsearch (HTTP {})", answer.status);
        let verdict = failed(why, "mend urls: host, port, and path of a proxy");
        return (vec![finding(subject, "reachable", started, verdict)], false);
    }
    let login = match answer.status {
        200 => {
            let name = value(&answer)["username"]
                .as_str()
                .unwrap_or("?")
                .to_owned();
            Verdict::Passed(format!("as {name:?}"))
        }
        _ if is_security_off && has_login => Verdict::Warned {
            what: "security is off there: the login is not looked at".to_owned(),
            mend: "turn xpack.security.enabled on, or remove the login".to_owned(),
        },
        _ if is_security_off => Verdict::Passed("security is off".to_owned()),
        401 if has_login => failed(
            format!("refused: {}", refusal.reason),
            "mend username and password_env/password_file, or api_key_env/api_key_file",
        ),
        401 => failed(
            "it asks for a login, and none is given",
            "give username and password_env, or api_key_env",
        ),
        status => failed(
            format!("HTTP {status}: {}", refusal.reason),
            "ask who runs this cluster",
        ),
    };
    let is_usable = !matches!(login, Verdict::Failed { .. });
    let version = match is_usable {
        true => version(node).await,
        false => "version unknown".to_owned(),
    };
    let reachable = Finding {
        subject: subject.clone(),
        link: "reachable",
        verdict: Verdict::Passed(version),
        took,
    };
    (
        vec![reachable, finding(subject, "login", started, login)],
        is_usable,
    )
}

async fn version(node: &Node) -> String {
    let path = "_nodes/_local/http?filter_path=nodes.*.version";
    let answer = ask(node, Method::Get, path, None).await;
    let version = answer
        .ok()
        .filter(|it| it.status == 200)
        .and_then(|answer| {
            let value = value(&answer);
            let node = value.get("nodes")?.as_object()?.values().next()?;
            Some(format!("version {}", node.get("version")?.as_str()?))
        });
    // The question needs the cluster privilege monitor, which nothing else here does.
    version.unwrap_or_else(|| "version unknown".to_owned())
}

async fn ask(
    node: &Node,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> Result<Answer, NoAnswer> {
    let body = body.map(|it| it.to_string());
    let sent = node
        .client
        .send(method, path, HeaderMap::new(), None::<&()>, body, None)
        .await;
    let path_end = path.split('?').next().unwrap_or(path);
    node.answer(sent, path_end).await
}

/// Why there was no answer, and what to type; the texts are those of the TLS library and of the operating system.
fn unreachable(node: &Node, no_answer: NoAnswer) -> Verdict {
    let why = match no_answer {
        NoAnswer::Redirected(why) => {
            return failed(why, "put the address it redirects to into urls");
        }
        NoAnswer::Untrusted { why, mend } => return failed(why, mend),
        NoAnswer::Broken(why) => why,
    };
    let is_https = node.url.scheme() == "https";
    let has = |part: &str| why.contains(part);
    let mend = if is_https && (has("InvalidContentType") || has("corrupt message")) {
        "this port does not speak TLS: write http:// in urls"
    } else if !is_https && (has("connection closed") || has("reset")) {
        "this port may want TLS: write https:// in urls"
    } else if has("failed to lookup") || has("Name or service") {
        "mend the name in urls, or name resolution here"
    } else if has("no answer in time") {
        "check firewalls and the load of this node; raise request_timeout if it is slow"
    } else {
        "check that Elasticsearch runs there and that host and port in urls are right"
    };
    failed(why, mend)
}

/// Whether an answer has the shape of Elasticsearch's errors.
fn is_elasticsearch(answer: &Answer) -> bool {
    value(answer).get("error").is_some()
}

fn value(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn failed(why: impl ToString, mend: &str) -> Verdict {
    Verdict::Failed {
        why: why.to_string(),
        mend: mend.to_owned(),
    }
}

fn finding(subject: String, link: &'static str, started: Instant, verdict: Verdict) -> Finding {
    let took: Duration = started.elapsed();
    Finding {
        subject,
        link,
        verdict,
        took,
    }
}
