//! In: the names that a migration will touch. Out: every privilege that this user lacks on them, before anything is changed.
//! Never: takes a question that was not answered for a refusal.

use serde_json::{Value, json};

use super::MigrateError;
use crate::sinks::elasticsearch::{Admin, Method};

/// On each of the three indices; the README's role for migrate has them.
const NEEDED: &[&str] = &["read", "write", "manage"];

/// Asks the cluster what the user may do.
pub(super) async fn judge(admin: &mut Admin, names: [&str; 3]) -> Result<(), MigrateError> {
    let question =
        json!({"cluster": ["monitor"], "index": [{"names": names, "privileges": NEEDED}]});
    let path = "_security/user/_has_privileges";
    let answer = admin.ask(Method::Post, path, Some(&question)).await?;
    // Without security nobody can be asked, and everybody may do everything.
    if !answer.is_success() {
        return Ok(());
    }
    let missing = missing(&answer.body);
    match missing.is_empty() {
        true => Ok(()),
        false => Err(MigrateError::Privileges {
            missing: missing.join(", "),
        }),
    }
}

/// `manage on consumer_lag_v2`, for each that is answered with false.
fn missing(body: &Value) -> Vec<String> {
    let refused = |granted: &Value| -> Vec<String> {
        let granted = granted.as_object().into_iter().flatten();
        granted
            .filter(|(_, is_granted)| **is_granted == Value::Bool(false))
            .map(|(privilege, _)| privilege.clone())
            .collect()
    };
    let cluster = body.get("cluster").map(refused).unwrap_or_default();
    let cluster = cluster
        .into_iter()
        .map(|privilege| format!("the cluster privilege {privilege}"));
    let indices = body.get("index").and_then(Value::as_object);
    let indices = indices.into_iter().flatten().flat_map(|(name, granted)| {
        let refused = refused(granted);
        refused
            .into_iter()
            .map(move |privilege| format!("{privilege} on {name}"))
    });
    cluster.chain(indices).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_privilege_is_named_at_once() {
        let body = json!({"has_all_requested": false, "cluster": {"monitor": false},
            "index": {"consumer_lag": {"read": true, "manage": false}, "consumer_lag_v2": {"write": false}}});
        let expected = [
            "the cluster privilege monitor",
            "manage on consumer_lag",
            "write on consumer_lag_v2",
        ];
        assert_eq!(missing(&body), expected);
    }
}
