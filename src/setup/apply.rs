//! In: a thing and its server. Out: the line that says what became of it, after at most one request that changes something.
//! Never: overwrites or removes what is not ours, knows what kind of thing it is.

use super::request::{Request, Unanswered};
use super::servers::Servers;
use super::thing::{Found, Line, Outcome, Thing};

/// What to do with every thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// Say what would be sent, and send only what changes nothing.
    pub is_dry: bool,
    /// Take things back instead of making them.
    pub is_removal: bool,
}

/// Looks at a thing and makes it what it should be.
///
/// # Errors
/// The server is lost: one line for all that was still to come from it.
pub(super) async fn apply(
    servers: &mut Servers,
    thing: &dyn Thing,
    mode: Mode,
) -> Result<Line, String> {
    let found = look(servers, thing).await?;
    let planned = match mode.is_removal {
        true => taking_back(thing, found),
        false => making(thing, found),
    };
    let (request, outcome) = match planned {
        Ok(planned) => planned,
        Err(outcome) => return Ok(Line::new(thing.name(), outcome)),
    };
    if mode.is_dry {
        let unsent = Some(request);
        return Ok(Line {
            unsent,
            ..Line::new(thing.name(), outcome)
        });
    }
    let outcome = match mode.is_removal {
        true => take_back(servers, &request).await?,
        false => make(servers, thing, &request, outcome).await?,
    };
    Ok(Line::new(thing.name(), outcome))
}

/// What there is of it.
async fn look(servers: &mut Servers, thing: &dyn Thing) -> Result<Found, String> {
    match servers.ask(&thing.look()).await {
        Ok(answer) => Ok(thing.judge(&answer)),
        Err(Unanswered::Thing(why)) => Ok(Found::Unclear(why)),
        Err(Unanswered::Server(why)) => Err(why),
    }
}

/// The request that is due, and what its success is called; or what to say where none is.
fn making(thing: &dyn Thing, found: Found) -> Result<(Request, Outcome), Outcome> {
    match found {
        Found::Missing => Ok((thing.make(), Outcome::Created)),
        Found::Differs { what, change } => Ok((change, Outcome::Changed(what))),
        Found::Same => Err(Outcome::Unchanged),
        Found::Kept(why) => Err(Outcome::Left(why)),
        Found::Foreign(why) | Found::Unclear(why) => Err(Outcome::Failed(why)),
    }
}

fn taking_back(thing: &dyn Thing, found: Found) -> Result<(Request, Outcome), Outcome> {
    match found {
        Found::Missing => Err(Outcome::Skipped("there is none".to_owned())),
        Found::Foreign(why) => Err(Outcome::Left(why)),
        Found::Unclear(why) => Err(Outcome::Failed(why)),
        Found::Same | Found::Differs { .. } | Found::Kept(_) => match thing.take_back() {
            Ok(request) => Ok((request, Outcome::Removed)),
            Err(why) => Err(Outcome::Left(why)),
        },
    }
}

async fn make(
    servers: &mut Servers,
    thing: &dyn Thing,
    request: &Request,
    done: Outcome,
) -> Result<Outcome, String> {
    let why = match servers.ask(request).await {
        Ok(answer) => match thing.is_done(&answer) {
            Ok(()) => return Ok(done),
            Err(why) => why,
        },
        Err(Unanswered::Thing(why)) => return Ok(Outcome::Failed(why)),
        Err(Unanswered::Server(why)) => return Err(why),
    };
    // Another setup may have been faster: "exists already", "conflict", each in its own words. What counts is what is there.
    match look(servers, thing).await? {
        Found::Same => Ok(Outcome::Unchanged),
        _ => Ok(Outcome::Failed(why)),
    }
}

async fn take_back(servers: &mut Servers, request: &Request) -> Result<Outcome, String> {
    match servers.ask(request).await {
        // 404: another was faster.
        Ok(answer) if answer.is_success() || answer.status == 404 => Ok(Outcome::Removed),
        // A template that a data stream needs, a policy that indices have.
        Ok(answer) if answer.status == 400 && answer.reason.contains("in use") => {
            Ok(Outcome::Left(answer.reason))
        }
        Ok(answer) => Ok(Outcome::Failed(answer.to_string())),
        Err(Unanswered::Thing(why)) => Ok(Outcome::Failed(why)),
        Err(Unanswered::Server(why)) => Err(why),
    }
}
