//! In: a URL as written. Out: the URL, or what is wrong with it.
//! Never: repeats a text that may hold a password.

use elasticsearch::http::Url;

use super::expand::Fault;

/// The same parser that the client uses. The text is not repeated where it may hold a password.
pub(super) fn url(text: &str) -> Result<Url, Fault> {
    let fault = |what: String, mend: &str| Err((what, mend.to_owned()));
    // A password may hold any character, so the text is taken apart by nobody.
    if text.contains('@') {
        return fault(
            "has a user name or password in it".to_owned(),
            "remove what stands before the @, and write username: and password_env: or password_file:",
        );
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return fault(
                format!("{text:?} is not a URL: {error}"),
                "write http://host:9200 or https://host:9200",
            );
        }
    };
    if !matches!(url.scheme(), "http" | "https") {
        let has_scheme = text.contains("://");
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let what = match has_scheme {
            true => format!("{:?} is neither http nor https", url.scheme()),
            false => format!("{text:?} has no http:// or https:// before it"),
        };
        return Err((what, format!("write http://{rest} or https://{rest}")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return fault(
            format!("{text:?} has a query or a fragment"),
            "write scheme, host, port and at most a path",
        );
    }
    Ok(url)
}
