//! In: a request. Out: the answer of the server that it is for.
//! Never: sends one that was not given.

use super::kibana_client::Kibana;
use super::request::{Body, Request, Server, Unanswered};
use crate::sinks::elasticsearch::{Admin, AdminError, Answer};

/// The servers that the configuration names.
pub(super) struct Servers {
    pub elasticsearch: Option<Admin>,
    pub kibana: Option<Kibana>,
}

impl Servers {
    pub async fn ask(&mut self, request: &Request) -> Result<Answer, Unanswered> {
        match request.server {
            Server::Elasticsearch => match &mut self.elasticsearch {
                Some(admin) => {
                    let body = match &request.body {
                        Body::Json(body) => Some(body),
                        Body::Nothing | Body::File(_) => None,
                    };
                    let answer = admin.ask(request.method, &request.path, body).await?;
                    judge(answer)
                }
                None => Err(nobody(request)),
            },
            Server::Kibana => match &self.kibana {
                Some(kibana) => kibana.ask(request).await,
                None => Err(nobody(request)),
            },
        }
    }
}

/// Every success of what is asked here is JSON: a proxy's page with 200 is none.
fn judge(answer: Answer) -> Result<Answer, Unanswered> {
    match answer.is_success() && answer.body.is_null() {
        false => Ok(answer),
        true => Err(Unanswered::Server(format!(
            "what answers is not Elasticsearch (HTTP {} without JSON); mend urls: host, port, and path of a proxy",
            answer.status
        ))),
    }
}

fn nobody(request: &Request) -> Unanswered {
    Unanswered::Server(format!("the configuration names no {:?}", request.server))
}

impl From<AdminError> for Unanswered {
    fn from(error: AdminError) -> Self {
        match &error {
            AdminError::Privilege { .. } | AdminError::Refused { .. } => {
                Self::Thing(error.to_string())
            }
            AdminError::Settings(_)
            | AdminError::NoAnswer(_)
            | AdminError::Untrusted { .. }
            | AdminError::Redirected(_)
            | AdminError::WrongServer { .. }
            | AdminError::Login { .. } => Self::Server(error.to_string()),
        }
    }
}
