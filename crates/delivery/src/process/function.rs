//! Functions that transform records: whatever speaks the Lambda Invoke API, or a local command.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_core::engine::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::error::Failure;
use super::said::Said;
use crate::http::{Address, HttpClient, HttpError, HttpRequest, Method};

/// How long an invocation may take. Source: "Transform source data" of the developer guide.
pub const TIME_LIMIT: Duration = Duration::from_secs(5 * 60);
/// Longest payload of a synchronous invocation, in bytes. Source: Lambda's quotas, "6 MB".
pub const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// Longest reply, in bytes. Source: Lambda's own text, "exceeded maximum allowed payload size (6291556 bytes)".
pub const MAX_REPLY_BYTES: usize = 6_291_556;

/// Why an invocation brought no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// It ran and failed: it threw, its reply was too large, its process ended with an error.
    #[error("the function failed: {0}")]
    Failed(String),
    /// It is invoked too often already.
    #[error("the function is throttled")]
    Throttled,
    /// Who invokes it may not.
    #[error("the function may not be invoked")]
    Denied,
    /// There is no such function.
    #[error("no such function")]
    NotFound,
    /// It did not reply within [`TIME_LIMIT`].
    #[error("the function did not reply in time")]
    TimedOut,
    /// It could not be invoked.
    #[error("the function could not be invoked: {0}")]
    Unavailable(String),
}

impl FunctionError {
    /// As it stands in error output.
    pub(super) fn failure(&self) -> Failure {
        match self {
            Self::Failed(_) => Failure::function(),
            Self::Throttled => Failure::throttled(),
            Self::Denied => Failure::access_denied(),
            Self::NotFound => Failure::not_found(),
            Self::TimedOut => Failure::timed_out(),
            Self::Unavailable(why) => Failure::service(why),
        }
    }
}

/// A function. It answers within [`TIME_LIMIT`] and with at most [`MAX_REPLY_BYTES`].
pub trait Function: Send + Sync + std::fmt::Debug + 'static {
    /// One invocation with a JSON event; the reply is JSON too. Dropping the future gives the invocation up.
    ///
    /// # Errors
    /// [`FunctionError`]. Any may be passing; who calls decides how often to try again.
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, FunctionError>>;
}

/// A function behind an address that speaks the Lambda Invoke API: Lambda itself, its runtime interface emulator, SAM,
/// an emulator of AWS. Requests are not signed.
#[derive(Debug)]
pub struct HttpFunction {
    client: Arc<dyn HttpClient>,
    address: Address,
    path: String,
}

/// What the paths of the API begin with.
const INVOKE_PATH: &str = "/2015-03-31/functions/";

impl HttpFunction {
    /// The function of this ARN at an address. An address that contains `/2015-03-31/functions/` is called as it is
    /// (the runtime interface emulator knows one name only, `function`); else path and name are appended, and a
    /// qualifier as a query.
    #[must_use]
    pub fn new(client: Arc<dyn HttpClient>, address: Address, function_arn: &str) -> Self {
        let called = address.mapped.as_deref().unwrap_or(&address.url);
        let path = if called.contains(INVOKE_PATH) { String::new() } else { invoke_path(function_arn) };
        Self { client, address, path }
    }
}

/// `arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]`; anything else is taken as a name.
fn invoke_path(function_arn: &str) -> String {
    let mut parts = function_arn.split(':').skip(6);
    let name = parts.next().unwrap_or(function_arn);
    let query = parts.next().map(|qualifier| format!("?Qualifier={}", escaped(qualifier))).unwrap_or_default();
    format!("{INVOKE_PATH}{}/invocations{query}", escaped(name))
}

/// Everything but unreserved characters as `%XX`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

impl Function for HttpFunction {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, FunctionError>> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = HttpRequest {
            method: Method::Post,
            address: self.address.clone(),
            path: self.path.clone(),
            headers: vec![
                header("content-type", "application/json"),
                header("x-amz-invocation-type", "RequestResponse"),
            ],
            secret_headers: Vec::new(),
            body: payload,
            timeout: TIME_LIMIT,
            max_response_bytes: MAX_REPLY_BYTES,
        };
        Box::pin(async move {
            let response = match self.client.send(request).await {
                Ok(response) => response,
                Err(HttpError::Timeout(_)) => return Err(FunctionError::TimedOut),
                Err(error @ HttpError::TooLarge(_)) => return Err(FunctionError::Failed(error.to_string())),
                Err(error) => return Err(FunctionError::Unavailable(error.to_string())),
            };
            match response.status {
                200..=299 => match response.header("x-amz-function-error") {
                    Some(kind) => Err(FunctionError::Failed(kind.to_owned())),
                    None => Ok(response.body),
                },
                401 | 403 => Err(FunctionError::Denied),
                404 => Err(FunctionError::NotFound),
                429 => Err(FunctionError::Throttled),
                status => Err(FunctionError::Unavailable(format!("status {status}"))),
            }
        })
    }
}

/// A function that is a program on this machine: the event on its standard input, the reply on its standard output.
/// What it says on its standard error goes to the log. It is started for each invocation and killed when it takes too
/// long; what it has started in turn is its own business.
#[derive(Debug)]
pub struct CommandFunction {
    program: PathBuf,
    arguments: Vec<String>,
    /// Where it runs; `None`: where the node does.
    dir: Option<PathBuf>,
    said_by: SaidBy,
    time_limit: Duration,
}

/// Who says something, for the log.
#[derive(Clone, Debug, Default)]
pub struct SaidBy {
    /// ARN of the function.
    pub function: String,
    /// Name of the delivery stream.
    pub delivery_stream: String,
}

impl CommandFunction {
    /// A program, found as a shell in `dir` would find it, and its arguments. `None` if there is no program.
    #[must_use]
    pub fn new(command: &[String], dir: Option<&Path>, said_by: SaidBy) -> Option<Self> {
        let (program, arguments) = command.split_first()?;
        // Whether a relative path is looked up before or after the change of directory differs between systems.
        let program = match dir {
            Some(dir) if program.contains('/') => dir.join(program),
            _ => PathBuf::from(program),
        };
        let (arguments, dir) = (arguments.to_vec(), dir.map(Path::to_owned));
        Some(Self { program, arguments, dir, said_by, time_limit: TIME_LIMIT })
    }

    #[cfg(test)]
    pub(super) fn with_time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    async fn run(&self, payload: Bytes) -> Result<Bytes, FunctionError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let cannot = |error| FunctionError::Unavailable(format!("cannot start {}: {error}", self.program.display()));
        let mut child = command.kill_on_drop(true).spawn().map_err(cannot)?;
        let mut said = Said::new(&self.said_by, child.stderr.take());
        let answered = tokio::time::timeout(self.time_limit, async {
            let conversation = converse(child, payload);
            tokio::pin!(conversation);
            loop {
                tokio::select! {
                    biased;
                    reply = &mut conversation => return reply,
                    () = said.line() => {}
                }
            }
        });
        // If the time is over, the process has been dropped with the future, and thereby killed.
        let reply = answered.await.unwrap_or(Err(FunctionError::TimedOut));
        said.rest().await;
        reply
    }
}

/// Writes and reads at the same time, since a program may reply before it has read all.
async fn converse(mut child: Child, payload: Bytes) -> Result<Bytes, FunctionError> {
    let failed = |error: std::io::Error| FunctionError::Failed(error.to_string());
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not care for its input may have closed it: its exit status decides.
            let _ = stdin.write_all(&payload).await;
            let _ = stdin.shutdown().await;
        }
    };
    let read = async {
        let mut reply = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_REPLY_BYTES as u64 + 1).read_to_end(&mut reply).await?;
        }
        Ok(reply)
    };
    let ((), reply) = tokio::join!(biased; write, read);
    let reply = reply.map_err(failed)?;
    if reply.len() > MAX_REPLY_BYTES {
        return Err(FunctionError::Failed(format!("a reply of more than {MAX_REPLY_BYTES} bytes")));
    }
    let status = child.wait().await.map_err(failed)?;
    if status.success() { Ok(reply.into()) } else { Err(FunctionError::Failed(status.to_string())) }
}

impl Function for CommandFunction {
    fn invoke(&self, payload: Bytes) -> BoxFuture<'_, Result<Bytes, FunctionError>> {
        Box::pin(self.run(payload))
    }
}
