//! MetadataExtraction: partition keys by a jq expression, through jaq.
//!
//! jq is a whole language, with recursion and unbounded generators, and who may create a delivery stream writes the
//! expression; who may put a record writes its input. So everything is bounded (docs/decisions/0008-bounds-of-jq.md):
//!
//! - **time and memory**: a program is rewritten before it is compiled, the library's definitions too, so that each
//!   step, and each value that is made, asks a [`bounds::Budget`] first (`rewrite`). The budget counts; it does not
//!   depend on the machine, so that the same record has the same fate everywhere. A limit of wall time stands behind it.
//! - **depth**: of input by the parser, of values by the budget, of evaluation by the distance on the stack.
//! - **the outside**: the functions are those of jq 1.6 without the environment, files, other input and the process's
//!   end (`library`).
//!
//! When the budget is spent, evaluation unwinds, which no `try` of the program can stop. That costs the one record.

mod bounds;
mod differing;
mod input;
mod library;
mod regex;
mod rewrite;
#[cfg(test)]
mod tests;
mod time;

use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jaq_core::load::parse::Term;
use jaq_core::load::{Arena, File, Lexer, Loader, Parser};
use jaq_core::{Compiler, Ctx, Exn, Vars};
use jaq_json::{Num, Val};
use levada_core::env::Clock;
use tokio::sync::{Semaphore, oneshot};

use self::bounds::{Budget, Jq, Spent, World};
use self::input::ReadError;
use super::error::Failure;
use crate::blocking::Blocking;
use crate::chain::Held;

/// Most partition keys. Source: quotas of the developer guide.
pub const MAX_KEYS: usize = 50;
/// Longest expression, in bytes: `ProcessorParameterValue` of the model.
const MAX_TEXT: usize = 5120;
/// Most of what the interpreter says of a failure that is told, in bytes.
const MAX_SAID: usize = 200;
/// Stack of a thread that compiles or evaluates, in bytes: five thousand characters are as many levels at most, and no
/// level takes 50 KiB. It is memory only where it was used.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// How much of it evaluation may use. The rest is for what asks no budget: to compare, print and drop what is nested,
/// each to a bounded depth.
const EVALUATION_STACK_BYTES: usize = 32 * 1024 * 1024;
/// How long one delivery stream evaluates while others wait for their turn.
const TURN: Duration = Duration::from_millis(250);
const _: () = assert!(INLINE_STACK_BYTES < EVALUATION_STACK_BYTES && EVALUATION_STACK_BYTES < STACK_BYTES);
/// On the thread of a simulation, whose stack is an ordinary one.
const INLINE_STACK_BYTES: usize = 256 * 1024;

/// Name and value of each partition key, in the order of names.
type Keys = Vec<(String, String)>;
/// An error is the text for the line of error output.
pub(super) type Evaluated = Result<Keys, String>;

/// An expression that can be evaluated. Cheap to clone.
#[derive(Clone)]
pub struct Query {
    text: Arc<str>,
    keys: Option<Arc<[String]>>,
    /// Those that are used; `None` for all.
    used: Option<Arc<[String]>>,
    program: Arc<jaq_core::Filter<Jq>>,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Query").field(&self.text).finish()
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Longer than a parameter may be.
    #[error("longer than {MAX_TEXT} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// It uses what is neither defined in it nor one of jq 1.6's functions here.
    #[error("{0} is not defined")]
    Undefined(String),
    /// More than [`MAX_KEYS`] of them.
    #[error("more than {MAX_KEYS} partition keys")]
    TooManyKeys,
    /// The machine has no thread left to read it.
    #[error("it could not be read now")]
    Unavailable,
}

impl Query {
    /// Reads and compiles an expression. Takes some milliseconds.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn new(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_TEXT {
            return Err(QueryError::TooLong);
        }
        // Thousands of nested parentheses are thousands of frames.
        let owned: Arc<str> = text.into();
        let (keys, program) = on_thread({
            let text = Arc::clone(&owned);
            move || compile(&text)
        })
        .ok_or(QueryError::Unavailable)??;
        if keys.as_ref().is_some_and(|keys| keys.len() > MAX_KEYS) {
            return Err(QueryError::TooManyKeys);
        }
        Ok(Self { text: owned, keys, used: None, program: Arc::new(program) })
    }

    /// The names of the partition keys, if the expression is an object whose names are literal, as in
    /// `{customer:.customer, year:(.time|strftime("%Y"))}`; `None` if they are known only when it has run.
    #[must_use]
    pub fn keys(&self) -> Option<&[String]> {
        self.keys.as_deref()
    }

    /// Only these of its keys, whatever others it makes.
    #[must_use]
    pub(super) fn only(self, names: &[String]) -> Self {
        Self { used: Some(names.into()), ..self }
    }

    /// Evaluates the expression on each input.
    ///
    /// # Errors
    /// [`Held`] if the machine has no thread left.
    pub(super) async fn evaluate(
        &self,
        inputs: Vec<Bytes>,
        clock: Arc<dyn Clock>,
        blocking: Blocking,
        interpreters: &Interpreters,
    ) -> Result<Vec<Evaluated>, Held> {
        if blocking == Blocking::Inline {
            return Ok(inputs.iter().map(|input| self.evaluate_one(input, &*clock, INLINE_STACK_BYTES)).collect());
        }
        let inputs: Arc<[Bytes]> = inputs.into();
        let mut results = Vec::with_capacity(inputs.len());
        let held = || Held("no thread for a query".to_owned());
        while results.len() < inputs.len() {
            let _permit = interpreters.0.acquire().await.map_err(|_| held())?;
            let (done, slice) = oneshot::channel();
            let (query, inputs, clock, first) = (self.clone(), Arc::clone(&inputs), Arc::clone(&clock), results.len());
            let work = move || {
                // Nobody waits for the results of a worker that has ended.
                let _ = done.send(query.evaluate_slice(&inputs[first..], &*clock));
            };
            spawn(work).ok_or_else(held)?;
            results.extend(slice.await.map_err(|_| held())?);
        }
        Ok(results)
    }

    /// As many inputs as a turn has time for, at least one.
    fn evaluate_slice(&self, inputs: &[Bytes], clock: &dyn Clock) -> Vec<Evaluated> {
        let (mut results, end) = (Vec::new(), clock.monotonic() + TURN);
        for input in inputs {
            results.push(self.evaluate_one(input, clock, EVALUATION_STACK_BYTES));
            if clock.monotonic() > end {
                break;
            }
        }
        results
    }

    /// Exactly one object of text, numbers and booleans.
    fn evaluate_one(&self, input: &[u8], clock: &dyn Clock, stack_bytes: usize) -> Evaluated {
        let (input, _) = input::read(input).map_err(|error| match error {
            ReadError::Malformed(_) => "The record is no JSON.".to_owned(),
            ReadError::TooLarge => Spent::Units.to_string(),
        })?;
        let budget = Budget::new(clock, stack_bytes);
        let run = || {
            let world = World { lut: &self.program.lut, budget: &budget };
            let mut outputs = self.program.id.run((Ctx::<Jq>::new(&world, Vars::new([])), input));
            let first = outputs.next();
            let more = outputs.next().is_some();
            match first {
                Some(Ok(output)) if !more => keys_of(output, self.used.as_deref()),
                Some(Ok(_)) => Err("The query has more than one result.".to_owned()),
                Some(Err(error)) => Err(failed(error)),
                None => Err("The query has no result.".to_owned()),
            }
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result,
            Err(reason) => Err(match reason.downcast::<Spent>() {
                Ok(spent) => spent.to_string(),
                Err(_) => "The query failed on the record.".to_owned(),
            }),
        }
    }
}

/// How many queries of a node are evaluated at a time: one for the node, shared by its chains.
#[derive(Clone, Debug)]
pub struct Interpreters(Arc<Semaphore>);

impl Interpreters {
    /// Each takes a core while it runs, and memory as its budget allows: some 60 MiB for a hostile query (measured), and
    /// 64 MiB at most for a hostile record.
    const AT_A_TIME: usize = 4;
}

impl Default for Interpreters {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::AT_A_TIME)))
    }
}

/// What the interpreter says, which may contain what it was given.
fn failed(error: Exn<'_, Val>) -> String {
    let mut said = Beginning(String::new());
    let Ok(error) = error.get_err() else { return "The query failed on the record.".to_owned() };
    // It ends early, with an error of its own, if there is more than enough.
    let _ = write!(said, "{error}");
    format!("The query failed on the record: {}", said.0)
}

/// The beginning of a text, however long it would be.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() >= MAX_SAID {
                self.0.push('…');
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

type Compiled = (Option<Arc<[String]>>, jaq_core::Filter<Jq>);

/// Runs `work` on a thread with a large stack. `None` if there is no such thread.
#[expect(
    clippy::disallowed_methods,
    reason = "tokio's threads have small stacks; evaluation runs inline in a simulation"
)]
fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<std::thread::JoinHandle<T>> {
    std::thread::Builder::new().name("levada-jq".to_owned()).stack_size(STACK_BYTES).spawn(work).ok()
}

fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    spawn(work)?.join().ok()
}

fn compile(text: &str) -> Result<Compiled, QueryError> {
    let tokens = Lexer::new(text).lex().map_err(|errors| syntax(text, errors.first().map(|(_, rest)| *rest)))?;
    let term = Parser::new(&tokens)
        .parse(|parser| parser.term())
        .map_err(|errors| syntax(text, errors.first().and_then(|(_, token)| token.map(|token| token.0))))?;
    if let Some(name) = library::undefined(&term) {
        return Err(QueryError::Undefined(name));
    }
    let keys = literal_keys(&term);
    let mut defs = library::definitions(&term);
    defs.push(rewrite::program(term));
    let arena = Arena::default();
    let main = File { code: rewrite::PROGRAM, path: () };
    let modules = Loader::new(rewrite::definitions(defs))
        .load(&arena, main)
        .map_err(|_| QueryError::Syntax("it cannot be loaded".to_owned()))?;
    let program = Compiler::default().with_funs(library::functions()).compile(modules).map_err(|errors| {
        let name = errors.iter().flat_map(|(_, undefined)| undefined).next();
        QueryError::Undefined(name.map_or_else(|| "something".to_owned(), |(name, _)| (*name).to_owned()))
    })?;
    Ok((keys, program))
}

/// `at` is a part of `text`, or nothing at its end.
fn syntax(text: &str, at: Option<&str>) -> QueryError {
    let start = at.map_or(text.len(), |at| jaq_core::load::span(text, at).start);
    QueryError::Syntax(if start < text.len() {
        format!("syntax error at byte {start}")
    } else {
        "syntax error at the end".to_owned()
    })
}

fn literal_keys(term: &Term<&str>) -> Option<Arc<[String]>> {
    let Term::Obj(members) = term else { return None };
    members.iter().map(|(key, _)| rewrite::literal(key)).collect()
}

fn keys_of(output: Val, used: Option<&[String]>) -> Evaluated {
    let Val::Obj(members) = output else { return Err("The result of the query is no object.".to_owned()) };
    if members.len() > MAX_KEYS {
        return Err(format!("The query has more than {MAX_KEYS} partition keys."));
    }
    let mut keys = Vec::with_capacity(members.len());
    for (key, value) in members.iter() {
        let Val::TStr(key) = key else { return Err(Failure::partition_keys().message) };
        let key = String::from_utf8_lossy(key);
        if used.is_some_and(|used| !used.iter().any(|name| *name == key)) {
            continue;
        }
        let value = text_of(value).ok_or_else(|| Failure::partition_keys().message)?;
        keys.push((key.into_owned(), value));
    }
    keys.sort();
    Ok(keys)
}

/// A value as it stands in an object's key: neither null, nor empty, nor made of several.
fn text_of(value: &Val) -> Option<String> {
    match value {
        Val::TStr(text) if !text.is_empty() => Some(String::from_utf8_lossy(text).into_owned()),
        Val::Bool(value) => Some(value.to_string()),
        // Neither is a number in JSON.
        Val::Num(Num::Float(number)) if !number.is_finite() => None,
        Val::Num(number) => Some(number.to_string()),
        _ => None,
    }
}
