//! The log, for tests that read it.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::Value;

/// Lines as a node writes them for machines.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of all tests of a binary: what a callsite is cached to do is asked on the thread that comes to it first.
    /// Who reads it knows own lines by what only they can name.
    pub(crate) fn of_all() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            tracing::callsite::rebuild_interest_cache();
            log
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Levels and members of the lines that are wanted.
    pub(crate) fn lines(&self, wanted: impl Fn(&Value) -> bool) -> Vec<(String, Value)> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.map(|line| (line["level"].as_str().unwrap().to_owned(), line["fields"].clone()));
        lines.filter(|(_, fields)| wanted(fields)).collect()
    }

    /// Those about a delivery stream.
    pub(crate) fn about(&self, stream: &str) -> Vec<(String, Value)> {
        self.lines(|fields| fields["delivery_stream"] == stream)
    }

    /// Those with this message.
    pub(crate) fn saying(&self, stream: &str, message: &str) -> Vec<(String, Value)> {
        self.lines(|fields| fields["delivery_stream"] == stream && fields["message"] == message)
    }
}
