//! In: a Kibana. Out: it is one, of a version that takes our objects, and has the space; or one line that says what is wrong.
//! Never: changes anything.

use super::kibana_client::{Kibana, KibanaSettings};
use super::modules::release;
use super::request::{Body, Request, Unanswered};
use crate::sinks::elasticsearch::Method;

/// The version whose shapes our objects have: an older one refuses them.
const OLDEST: (u64, u64) = (8, 9);

/// Looks before the first object: one line about Kibana says more than one about each object.
///
/// # Errors
/// What is wrong, with the mend.
pub(super) async fn ready(kibana: &Kibana, settings: &KibanaSettings) -> Result<(), String> {
    let ask = async |path: String| {
        let request = Request::kibana(Method::Get, path, Body::Nothing);
        let asked = kibana.ask_outside_the_space(&request).await;
        asked.map_err(|(Unanswered::Server(why) | Unanswered::Thing(why))| why)
    };
    let answer = ask("api/status".to_owned()).await?;
    let is_kibana = ["version", "status"]
        .iter()
        .any(|key| answer.body.get(key).is_some());
    if !answer.is_success() || !is_kibana {
        return Err(format!(
            "{} does not answer as Kibana ({answer}); mend kibana.url: host, port, and the path of server.basePath",
            settings.url
        ));
    }
    let version = answer.body.pointer("/version/number");
    let version = version.and_then(|it| it.as_str());
    if let Some(version) = version
        && release(version).is_some_and(|it| it < OLDEST)
    {
        return Err(format!(
            "it is version {version}, and the dashboards need 8.9 or later; upgrade it, or take Grafana's files of `mirrorlag setup --export DIR`"
        ));
    }
    let Some(space) = &settings.space else {
        return Ok(());
    };
    let answer = ask(format!("api/spaces/space/{space}")).await?;
    match answer.status {
        200..=299 => Ok(()),
        404 => Err(format!(
            "there is no space {space:?} at {}; make it in Stack Management > Spaces, or mend kibana.space",
            settings.url
        )),
        _ => Err(format!(
            "space {space:?} cannot be looked at: {answer}; mend kibana.space"
        )),
    }
}
