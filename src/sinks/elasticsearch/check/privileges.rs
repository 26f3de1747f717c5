//! In: a node and the name of an index, or the wildcard of several. Out: what this user may do there, as the cluster itself says.
//! Never: tries it out.

use elasticsearch::http::Method;
use serde_json::{Value, json};

use super::{ask, failed, value};
use crate::finding::Verdict;
use crate::sinks::elasticsearch::nodes::Node;

/// What this user may do, as the cluster itself says.
pub(super) struct Privileges {
    /// `None`: security is off, or the question was not answered.
    granted: Option<Value>,
}

impl Privileges {
    pub(super) async fn ask(node: &Node, index: &str) -> Self {
        let question = json!({"index": [{"names": [index],
            "privileges": ["create_doc", "auto_configure", "view_index_metadata", "create_index"]}]});
        let answer = ask(
            node,
            Method::Post,
            "_security/user/_has_privileges",
            Some(question),
        )
        .await;
        let granted = answer
            .ok()
            .filter(|it| it.status == 200)
            .and_then(|answer| {
                value(&answer)
                    .get("index")
                    .and_then(|it| it.get(index))
                    .cloned()
            });
        Self { granted }
    }

    /// Whether it is granted, as far as we could ask.
    pub(super) fn has(&self, privilege: &str) -> bool {
        let granted = self.granted.as_ref();
        granted.is_none_or(|granted| granted.get(privilege).and_then(Value::as_bool) == Some(true))
    }

    pub(super) fn judge(&self, index: &str) -> Verdict {
        if self.granted.is_none() {
            return Verdict::Skipped(
                "security is off, or the question was not answered".to_owned(),
            );
        }
        let needed = ["create_doc", "view_index_metadata"];
        let missing: Vec<&str> = needed.into_iter().filter(|it| !self.has(it)).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return failed(
                format!("missing on {index:?}: {missing}"),
                &format!(
                    "grant {missing} (and auto_configure) on {index:?} to the role of this user"
                ),
            );
        }
        if !self.has("auto_configure") {
            return Verdict::Warned {
                what: "auto_configure is missing: a partition that the mapping does not list is mapped with a deprecation warning, and refused by the next major version".to_owned(),
                mend: format!("grant auto_configure on {index:?} to the role of this user"),
            };
        }
        Verdict::Passed("create_doc, view_index_metadata, auto_configure".to_owned())
    }
}
