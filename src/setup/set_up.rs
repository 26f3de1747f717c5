//! In: what the servers are to have. Out: the line of each thing, in the order in which one needs the other.
//! Never: prints; goes on with a server that is lost.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::apply::{Mode, apply};
use super::kibana_client::{Kibana, KibanaSettings};
use super::kibana_ready::ready;
use super::modules::Modules;
use super::servers::Servers;
use super::steps::{self, Step};
use super::thing::{Line, Outcome};
use crate::kibana::Description;
use crate::sinks::elasticsearch::{Admin, Settings};

/// What the servers are to have.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The configuration, for messages.
    pub file: &'a Path,
    /// `None`: the configuration has no such sink.
    pub elasticsearch: Option<&'a Settings>,
    /// `None`: the configuration names no Kibana.
    pub kibana: Option<&'a KibanaSettings>,
    /// What Kibana is to draw.
    pub description: Description,
    /// Alert rules too.
    pub with_alerts: bool,
    /// Decides which index of a dated name is made.
    pub now: DateTime<Utc>,
}

/// Makes what is missing and changes what differs, or takes it back; `each` is told each line as it comes.
///
/// Run again, it goes on where it failed, and changes nothing that is as it should be.
pub async fn set_up(wanted: &Wanted<'_>, mode: Mode, each: &mut (dyn FnMut(Line) + Send)) {
    // What refers to something else is made after it, and taken back before it.
    if mode.is_removal {
        set_up_kibana(wanted, mode, each).await;
        set_up_elasticsearch(wanted, mode, each).await;
    } else {
        set_up_elasticsearch(wanted, mode, each).await;
        set_up_kibana(wanted, mode, each).await;
    }
}

async fn set_up_elasticsearch(
    wanted: &Wanted<'_>,
    mode: Mode,
    each: &mut (dyn FnMut(Line) + Send),
) {
    const NAME: &str = "Elasticsearch";
    let Some(settings) = wanted.elasticsearch else {
        let why = format!(
            "no elasticsearch: below sinks: in {}",
            wanted.file.display()
        );
        return each(Line::new(NAME, Outcome::Skipped(why)));
    };
    let lost = match Admin::new(settings) {
        Ok(admin) => {
            let mut servers = Servers {
                elasticsearch: Some(admin),
                kibana: None,
            };
            run_elasticsearch(&mut servers, settings, wanted.now, mode, each).await
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = lost {
        each(Line::new(NAME, Outcome::Failed(why)));
    }
}

async fn run_elasticsearch(
    servers: &mut Servers,
    settings: &Settings,
    now: DateTime<Utc>,
    mode: Mode,
    each: &mut (dyn FnMut(Line) + Send),
) -> Result<(), String> {
    let documents = steps::documents(settings)?;
    let needs = steps::needs(settings, &documents, mode.is_removal);
    let modules = Modules::ask(servers, &needs).await?;
    let steps = steps::elasticsearch(settings, &documents, &modules, now, mode.is_removal);
    run(servers, steps, mode, each).await
}

async fn set_up_kibana(wanted: &Wanted<'_>, mode: Mode, each: &mut (dyn FnMut(Line) + Send)) {
    const NAME: &str = "Kibana";
    let Some(settings) = wanted.kibana else {
        let file = wanted.file.display();
        let why = format!("no kibana: in {file}; `mirrorlag setup --export DIR` writes the files");
        return each(Line::new(NAME, Outcome::Skipped(why)));
    };
    if let Err(why) = run_kibana(settings, wanted, mode, each).await {
        each(Line::new(NAME, Outcome::Failed(why)));
    }
}

async fn run_kibana(
    settings: &KibanaSettings,
    wanted: &Wanted<'_>,
    mode: Mode,
    each: &mut (dyn FnMut(Line) + Send),
) -> Result<(), String> {
    let kibana = Kibana::new(settings)?;
    ready(&kibana, settings).await?;
    let mut servers = Servers {
        elasticsearch: None,
        kibana: Some(kibana),
    };
    // A removal takes the rules too, whether they are wanted now or were once.
    let with_alerts = wanted.with_alerts || mode.is_removal;
    let steps = steps::kibana(&wanted.description, with_alerts);
    run(&mut servers, steps, mode, each).await
}

/// Each step in turn. One that fails does not keep the next from being tried; a server that is lost ends them.
async fn run(
    servers: &mut Servers,
    mut steps: Vec<Step>,
    mode: Mode,
    each: &mut (dyn FnMut(Line) + Send),
) -> Result<(), String> {
    if mode.is_removal {
        steps.reverse();
    }
    for step in steps {
        each(match step {
            Step::Say(line) => line,
            Step::Thing(thing) => apply(servers, thing.as_ref(), mode).await?,
        });
    }
    Ok(())
}
