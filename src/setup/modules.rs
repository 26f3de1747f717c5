//! In: what the settings need beyond a plain index. Out: which modules the server lacks, as it says itself.
//! Never: changes anything, asks for a module that nothing needs.

use super::request::{Body, Request, Unanswered};
use super::servers::Servers;
use crate::sinks::elasticsearch::Method;

/// The first version whose data streams have a lifecycle of their own, without asking for a preview.
const STREAM_LIFECYCLE_SINCE: (u64, u64) = (8, 14);

/// Modules that some builds and versions do not have; `Some`: it is missing, and how that is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Modules {
    /// Index lifecycle management.
    pub no_lifecycle: Option<String>,
    pub no_data_streams: Option<String>,
    /// A retention within a data stream's template.
    pub no_stream_lifecycle: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    pub has_policy: bool,
    /// Name of the data stream.
    pub data_stream: Option<String>,
    pub has_stream_lifecycle: bool,
}

impl Modules {
    /// Asks.
    ///
    /// # Errors
    /// The server is lost: one line.
    pub async fn ask(servers: &mut Servers, needs: &Needs) -> Result<Self, String> {
        let mut modules = Self::default();
        if needs.has_policy {
            // Not the policy itself: without the module, 7.17 takes `_ilm/policy/x` for a document.
            modules.no_lifecycle = lacks(servers, "_ilm/status").await?;
        }
        if let Some(name) = &needs.data_stream {
            modules.no_data_streams = lacks(servers, &format!("_data_stream/{name}")).await?;
        }
        if needs.has_stream_lifecycle {
            modules.no_stream_lifecycle = too_old(servers).await?;
        }
        Ok(modules)
    }
}

/// How the server says that it has no such endpoint.
async fn lacks(servers: &mut Servers, path: &str) -> Result<Option<String>, String> {
    let request = Request::elasticsearch(Method::Get, path, Body::Nothing);
    match servers.ask(&request).await {
        Ok(answer) if answer.is_unknown_to_the_server() => {
            Ok(Some(format!("HTTP {}", answer.status)))
        }
        // It is there; what it says is the thing's to judge.
        Ok(_) | Err(Unanswered::Thing(_)) => Ok(None),
        Err(Unanswered::Server(why)) => Err(why),
    }
}

/// The version, where it is known to be too old.
async fn too_old(servers: &mut Servers) -> Result<Option<String>, String> {
    let path = "_nodes/_local/http?filter_path=nodes.*.version";
    let request = Request::elasticsearch(Method::Get, path, Body::Nothing);
    let answer = match servers.ask(&request).await {
        Ok(answer) => answer,
        Err(Unanswered::Thing(_)) => return Ok(None),
        Err(Unanswered::Server(why)) => return Err(why),
    };
    let nodes = answer.body.get("nodes").and_then(|it| it.as_object());
    let node = nodes.and_then(|nodes| nodes.values().next());
    let version = node.and_then(|node| node.get("version")?.as_str());
    let is_old = |version: &&str| release(version).is_some_and(|it| it < STREAM_LIFECYCLE_SINCE);
    Ok(version
        .filter(is_old)
        .map(|version| format!("version {version}")))
}

/// Major and minor of `8.17.4`.
pub(super) fn release(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}
