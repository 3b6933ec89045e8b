//! `[endpoints]`, `[lambda]` and `[tls]`: how what delivery streams name is reached from here.
//!
//! ```toml
//! [endpoints]                          # permission to reach a local or plain address, too
//! "https://in.example.com/put" = "http://127.0.0.1:8088"
//! "arn:aws:es:us-east-1:000000000000:domain/logs" = "https://admin:word@localhost:9200"
//!
//! [lambda."arn:aws:lambda:us-east-1:000000000000:function:clean"]
//! url = "http://127.0.0.1:9000"        # speaks the Lambda Invoke API
//! command = ["python3", "clean.py"]    # or: reads an event, writes a reply
//!
//! [tls]
//! extra_ca = "ca.pem"                  # trusted beside the system's, by destinations, functions and buckets
//! ```
//!
//! An ARN of a function without version or alias stands for all of them; one with counts more.

use std::collections::BTreeMap;
use std::path::PathBuf;

use levada_delivery::http::{Address, Mappings};
use serde::Deserialize;

use super::{ConfigError, Home};

/// How functions and endpoints are reached.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// `[endpoints]`
    pub endpoints: Mappings,
    functions: BTreeMap<String, FunctionTarget>,
}

/// A function of this machine or of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionTarget {
    /// Speaks the Lambda Invoke API.
    Url(Address),
    /// A program and its arguments.
    Command {
        /// Both.
        command: Vec<String>,
        /// Where it runs; `None`: where the node does.
        dir: Option<PathBuf>,
    },
}

impl Destinations {
    /// What stands for the function of this ARN; `None` if nobody said.
    #[must_use]
    pub fn function(&self, arn: &str) -> Option<&FunctionTarget> {
        self.functions.get(arn).or_else(|| self.functions.get(unqualified(arn)))
    }
}

/// The ARN without version or alias.
fn unqualified(arn: &str) -> &str {
    // arn:aws:lambda:REGION:ACCOUNT:function:NAME, then perhaps a qualifier
    arn.match_indices(':').nth(6).map_or(arn, |(end, _)| &arn[..end])
}

/// `[lambda."ARN"]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FunctionSection {
    url: Option<String>,
    command: Option<Vec<String>>,
}

/// `[tls]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    /// Certificates in PEM.
    pub(super) extra_ca: Option<PathBuf>,
}

/// Checks the sections.
pub(super) fn validate(
    endpoints: BTreeMap<String, String>,
    lambda: BTreeMap<String, FunctionSection>,
    home: &Home,
) -> Result<Destinations, ConfigError> {
    let endpoints = Mappings::new(endpoints).map_err(|error| ConfigError(format!("[endpoints]: {error}")))?;
    let function = |(arn, section): (String, FunctionSection)| {
        let target = section.validate(&arn, home)?;
        Ok((arn, target))
    };
    Ok(Destinations { endpoints, functions: lambda.into_iter().map(function).collect::<Result<_, _>>()? })
}

impl FunctionSection {
    fn validate(self, arn: &str, home: &Home) -> Result<FunctionTarget, ConfigError> {
        let wrong = |what: &str| Err(ConfigError(format!("[lambda.{arn:?}]: {what}")));
        let mut parts = arn.split(':').skip(2);
        let is_function = parts.next() == Some("lambda") && parts.nth(2) == Some("function");
        if !arn.starts_with("arn:") || !is_function || parts.next().is_none_or(str::is_empty) {
            return wrong("not the ARN of a function");
        }
        match (self.url, self.command) {
            (Some(url), None) => match Mappings::new([(arn.to_owned(), url)]) {
                Ok(mappings) => Ok(FunctionTarget::Url(mappings.address(arn))),
                Err(error) => wrong(&format!("url: {error}")),
            },
            (None, Some(command)) if command.first().is_some_and(|program| !program.is_empty()) => {
                Ok(FunctionTarget::Command { command, dir: home.0.clone() })
            }
            (None, Some(_)) => wrong("command: no program"),
            (Some(_), Some(_)) => wrong("give either url or command, not both"),
            (None, None) => wrong("give url or command"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use crate::cli::ServeArgs;

    const CLEAN: &str = "arn:aws:lambda:us-east-1:000000000000:function:clean";

    fn from_file(text: &str) -> Result<Config, ConfigError> {
        Config::new(&ServeArgs::default(), Some(text))
    }

    #[test]
    fn a_function_is_found_by_its_arn_with_and_without_a_qualifier() {
        let file = format!(
            "[lambda.\"{CLEAN}\"]\nurl = \"http://127.0.0.1:9000\"\n\
             [lambda.\"{CLEAN}:beta\"]\ncommand = [\"python3\", \"clean.py\"]"
        );
        let config = from_file(&file).unwrap().destinations;
        let url = FunctionTarget::Url(Address { url: CLEAN.to_owned(), mapped: Some("http://127.0.0.1:9000".into()) });
        let command = FunctionTarget::Command { command: vec!["python3".to_owned(), "clean.py".to_owned()], dir: None };
        for (arn, target) in [
            (CLEAN.to_owned(), Some(&url)),
            (format!("{CLEAN}:7"), Some(&url)),
            (format!("{CLEAN}:$LATEST"), Some(&url)),
            (format!("{CLEAN}:beta"), Some(&command)),
            (format!("{CLEAN}er"), None),
            ("clean".to_owned(), None),
        ] {
            assert_eq!(config.function(&arn), target, "{arn}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (file, says) in [
            ("[endpoints]\n\"http://in.example.com\" = \"http://127.0.0.1:1\"".to_owned(), "[endpoints]"),
            ("[endpoints]\n\"https://in.example.com\" = \"127.0.0.1\"".to_owned(), "[endpoints]"),
            ("[lambda.clean]\nurl = \"http://127.0.0.1:1\"".to_owned(), "[lambda.\"clean\"]: not the ARN"),
            (format!("[lambda.\"{CLEAN}\"]"), "give url or command"),
            (format!("[lambda.\"{CLEAN}\"]\ncommand = []"), "no program"),
            (format!("[lambda.\"{CLEAN}\"]\ncommand = [\"\"]"), "no program"),
            (format!("[lambda.\"{CLEAN}\"]\nurl = \"clean.py\""), "url"),
            (format!("[lambda.\"{CLEAN}\"]\nurl = \"http://127.0.0.1:1\"\ncommand = [\"x\"]"), "not both"),
            (format!("[lambda.\"{CLEAN}\"]\nuri = \"http://127.0.0.1:1\""), "uri"),
            ("[tls]\nextra_ca = \"/nowhere/ca.pem\"".to_owned(), "/nowhere/ca.pem"),
            ("[tls]\nca = \"ca.pem\"".to_owned(), "ca"),
        ] {
            let error = from_file(&file).unwrap_err().to_string();
            assert!(error.contains(says), "{file}: {error}");
        }
    }

    #[test]
    fn passwords_do_not_print() {
        let file = "[endpoints]\n\"https://in.example.com\" = \"https://admin:hush@localhost:9200\"";
        let config = from_file(file).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        let address = config.destinations.endpoints.address("https://in.example.com/x");
        assert_eq!(address.mapped.as_deref(), Some("https://admin:hush@localhost:9200/x"));
    }
}
