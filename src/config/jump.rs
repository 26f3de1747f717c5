//! In: `jump:` of an `ssh:` section. Out: the bastions on the way to a mirror host, each with all its settings.
//! Never: connects, resolves a name.

use std::sync::Arc;

use super::document::Kind;
use super::problem::{Place, Reported};
use super::scalar::wrong_type;
use super::section::{At, Reader, Section, Written, items_of, value_or};
use super::{names, ssh};
use crate::ssh::Settings;

/// Those of `ssh:` but `jump`: a chain is a list.
pub(super) const KEYS: &[&str] = &[
    "address",
    "port",
    "user",
    "private_key",
    "passphrase_env",
    "passphrase_file",
    "agent",
    "known_hosts",
    "host_key",
    "connect_timeout",
    "dead_after",
];

/// Two are rare already; each costs a round trip per byte and a login.
const HOPS_MAX: usize = 4;

/// One bastion, as written.
#[derive(Clone)]
pub(super) struct Hop {
    place: Place,
    address: Written<String>,
    port: Written<u64>,
    ssh: ssh::Keys,
}

/// Reads `jump:`: one bastion, or a list of them, the nearest first; an empty list is no bastion.
pub(super) fn read(section: &Section<'_>) -> Written<Vec<Hop>> {
    let at = match section.node("jump")? {
        Ok(at) => at,
        Err(reported) => return Some(Err(reported)),
    };
    let reader = section.reader;
    let items = match &at.value.kind {
        Kind::List(items) if items.len() > HOPS_MAX => {
            let what = format!("has {} bastions", items.len());
            let mend = format!("write at most {HOPS_MAX}");
            return Some(Err(reader.report.error(&at.place, what, mend)));
        }
        Kind::List(items) => items_of(items, &at.place.key),
        Kind::Section(_) => vec![at.clone()],
        _ => {
            let wanted = "a bastion or a list of bastions";
            let (what, mend) = wrong_type(at.value, wanted, "{address: bastion.example}");
            return Some(Err(reader.report.error(&at.place, what, mend)));
        }
    };
    let hops: Vec<_> = items
        .into_iter()
        .map(|item| {
            let section = Section::open(reader, item.value, item.place.clone(), KEYS)?;
            let address = reader.expanded(section.text("address"));
            Ok(Hop {
                place: item.place,
                address: reader.refine(address, |text| names::address(text)),
                port: section.number("port", 1..=u64::from(u16::MAX)),
                ssh: ssh::Keys::read(&section),
            })
        })
        .collect();
    let value: Result<Vec<_>, Reported> = hops.into_iter().collect();
    Some(value.map(|value| At {
        value,
        place: at.place,
    }))
}

/// The last bastion, which has those before it in its settings; what a hop does not say is taken from `ssh:` of `defaults:`.
pub(super) fn resolve(
    hops: Written<Vec<Hop>>,
    reader: &Reader<'_>,
    defaults: &ssh::Keys,
) -> Result<Option<Arc<Settings>>, Reported> {
    let mut before = Ok(None);
    for hop in value_or(hops, Vec::new())? {
        let mend = "write address: with the host name or IP address of the bastion";
        let address = reader.required(hop.address, &hop.place, "address", mend);
        let port = value_or(hop.port, u64::from(ssh::PORT));
        let port = port.and_then(|port| u16::try_from(port).map_err(|_| Reported));
        // Also where the address is wrong: all problems are wanted.
        let text = address.as_ref().map(|at| at.value.clone());
        let whose = ssh::Whose {
            place: hop.place,
            is_bastion: true,
        };
        let settings = hop.ssh.or(&defaults.for_bastion()).resolve(
            reader,
            &whose,
            text.unwrap_or_default(),
            port.unwrap_or(ssh::PORT),
            before,
        );
        let is_whole = address.and(port).map(|_| ());
        before = is_whole
            .and(settings)
            .map(|settings| Some(Arc::new(settings)));
    }
    before
}
