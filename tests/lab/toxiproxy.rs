//! In: a port. Out: another port that leads to it, and what a network does to what passes.
//! Never: knows what passes.

use serde_json::{Value, json};

use crate::{http, lab};

/// The way of the bytes that a toxic is for.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// From the collector to the server.
    Upstream,
    /// From the server to the collector.
    Downstream,
}

/// One proxy of the lab's toxiproxy; it goes with this value.
pub struct Toxiproxy {
    pub port: u16,
    name: String,
}

impl Toxiproxy {
    /// A proxy without a fault, to a port of this machine.
    pub fn to(target: u16) -> Self {
        let port = lab::free_port();
        let name = lab::unique("proxy");
        let proxy = json!({
            "name": name, "listen": format!("127.0.0.1:{port}"), "upstream": format!("127.0.0.1:{target}"), "enabled": true,
        });
        ask("POST", "/proxies", Some(&proxy));
        Self { port, name }
    }

    /// Connections are refused and those that stand are closed, until `switch_on`.
    pub fn switch_off(&self) {
        self.set(&json!({"enabled": false}));
    }

    pub fn switch_on(&self) {
        self.set(&json!({"enabled": true}));
    }

    /// Adds a toxic by its kind (`latency`, `bandwidth`, `timeout`, `reset_peer`, `slicer`, `limit_data`, `slow_close`) and its
    /// attributes: <https://github.com/Shopify/toxiproxy#toxics>.
    pub fn add(&self, kind: &str, way: Way, attributes: Value) {
        let stream = match way {
            Way::Upstream => "upstream",
            Way::Downstream => "downstream",
        };
        self.add_with(kind, stream, 1.0, &attributes);
    }

    /// Connections made from now on are reset whenever this proxy closes them: it sets their linger to zero where it finds such a
    /// toxic, also one that never strikes.
    pub fn close_by_reset(&self) {
        self.add_with("reset_peer", "downstream", 0.0, &json!({"timeout": 0}));
    }

    fn add_with(&self, kind: &str, stream: &str, toxicity: f64, attributes: &Value) {
        let toxic = json!({
            "name": format!("{kind}_{stream}"), "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes,
        });
        ask(
            "POST",
            &format!("/proxies/{}/toxics", self.name),
            Some(&toxic),
        );
    }

    /// Takes every toxic away; bytes that one held back go on.
    pub fn heal(&self) {
        let (_, toxics) = ask("GET", &format!("/proxies/{}/toxics", self.name), None);
        for toxic in toxics.as_array().into_iter().flatten() {
            let name = toxic["name"].as_str().expect("the name of a toxic");
            ask(
                "DELETE",
                &format!("/proxies/{}/toxics/{name}", self.name),
                None,
            );
        }
    }

    fn set(&self, change: &Value) {
        ask("POST", &format!("/proxies/{}", self.name), Some(change));
    }
}

impl Drop for Toxiproxy {
    fn drop(&mut self) {
        ask("DELETE", &format!("/proxies/{}", self.name), None);
    }
}

#[track_caller]
fn ask(method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let (status, answer) = http::request(lab::port("TOXIPROXY"), None, method, path, body);
    assert!(
        (200..300).contains(&status),
        "toxiproxy: {method} {path} answered {status}: {answer}"
    );
    (status, answer)
}
