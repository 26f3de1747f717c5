//! In: the `kibana:` section. Out: where `setup` makes dashboards, and how it logs in there.
//! Never: sends a request; wants a secret of a command that does not ask Kibana.

use super::credentials::{self, Secrets};
use super::expand::Fault;
use super::problem::Reported;
use super::section::{At, Section, optional, value_or};
use super::sinks::{REQUEST_TIMEOUT, certificates, judge_trust, request_timeout};
use super::url::url;
use crate::setup::KibanaSettings;
use crate::sinks::elasticsearch::Credentials;

pub(super) const KEYS: &[&str] = &[
    "url",
    "space",
    "username",
    "password_env",
    "password_file",
    "api_key_env",
    "api_key_file",
    "ca_file",
    "accept_any_certificate",
    "proxy",
    "request_timeout",
];

/// Kibana's own space, whose id stands in no path.
const DEFAULT_SPACE: &str = "default";

/// Reads `kibana:`; every problem is reported. `None`: the file has no such section.
pub(super) fn read(
    file: &Section<'_>,
    secrets: Secrets,
) -> Result<Option<KibanaSettings>, Reported> {
    let section = file.section("kibana", KEYS).transpose()?;
    section.map(|section| kibana(&section, secrets)).transpose()
}

fn kibana(section: &Section<'_>, secrets: Secrets) -> Result<KibanaSettings, Reported> {
    let reader = section.reader;
    let mend =
        "write http://kibana.example:5601, with the path of server.basePath where it has one";
    let written = reader.expanded(section.text("url"));
    let written = reader.refine(written, |text| {
        url(text).map(|_| text.trim_end_matches('/').to_owned())
    });
    let address = reader.required(written, &section.place, "url", mend);
    let space = reader.refine(section.text("space"), |name| space(name));
    let written = section.local_file("ca_file");
    let ca_file = reader.refine(written, |path| certificates(path).map(|()| path.clone()));
    let accept_any = section.flag("accept_any_certificate");
    judge_trust(section, &accept_any, "Kibana");
    let written = reader.expanded(section.text("proxy"));
    let proxy = reader.refine(written, |text| url(text).map(|_| text.clone()));
    let request_timeout = request_timeout(section);
    // `run` on a server need not have the password of Kibana.
    let credentials = match secrets {
        Secrets::All => credentials::read(section),
        Secrets::OfSinks | Secrets::None => Ok(Credentials::None),
    };
    if let (Ok(address), Ok(credentials)) = (&address, &credentials) {
        let addresses = At {
            value: vec![address.clone()],
            place: address.place.clone(),
        };
        credentials::warn_if_in_the_clear(reader, &addresses, credentials);
    }
    let (space, ca_file, proxy) = (optional(space), optional(ca_file), optional(proxy));
    let accept_any = value_or(accept_any, false);
    let request_timeout = value_or(request_timeout, REQUEST_TIMEOUT);
    Ok(KibanaSettings {
        url: address?.value,
        space: space?.filter(|space| space != DEFAULT_SPACE),
        credentials: credentials?,
        ca_file: ca_file?,
        accept_any_certificate: accept_any?,
        proxy: proxy?,
        request_timeout: request_timeout?,
    })
}

/// Kibana's own rule of a space's id.
fn space(id: &str) -> Result<String, Fault> {
    let is_legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    match !id.is_empty() && id.chars().all(is_legal) {
        true => Ok(id.to_owned()),
        false => Err((
            format!("{id:?} is not the id of a space"),
            "write the id, which stands in the address of Kibana behind /s/: lower-case letters, digits, '_' and '-'".to_owned(),
        )),
    }
}
