//! A way in for simulated clients: one line of JSON a call, one line an answer.

use std::io;
use std::sync::Arc;

use levada_core::batch::BatchBuilder;
use levada_core::engine::{Append, Appended, Engine, Expect, LogId, Millis, Offset, ReadRequest};
use levada_core::env::sim::SimDisk;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use turmoil::net::TcpStream;

use crate::node::{HOST, PORT};

/// A call to the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Call {
    /// Append these texts as one batch, at this end or wherever the log ends.
    Append {
        /// The log.
        log: u64,
        /// The expected end.
        end: Option<Offset>,
        /// The data of its records.
        texts: Vec<String>,
    },
    /// Read from an offset on.
    Read {
        /// The log.
        log: u64,
        /// The offset.
        from: Offset,
    },
}

/// The node's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Durable.
    At {
        /// Offset of the first record.
        first: Offset,
        /// Arrival time of all.
        arrival: Millis,
    },
    /// Not appended, because the log ends here.
    Moved {
        /// The real end.
        end: Offset,
    },
    /// The outcome is open.
    Unknown,
    /// Anything that no client should be told here.
    Wrong(String),
    /// What was read: offset, arrival time, text.
    Records(Vec<(Offset, Millis, String)>),
}

/// Answers the calls of one connection until it ends, or until the machine of this disk has no power to tell of its
/// failures. What is claimed to be durable is told even then.
///
/// # Errors
/// Those of the network, and lines that are no calls.
pub async fn serve(stream: TcpStream, engine: Arc<impl Engine>, disk: SimDisk) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await? > 0 {
        let call = serde_json::from_str(&line).map_err(io::Error::other)?;
        let answer = answer(&*engine, call).await;
        if matches!(answer, Answer::Wrong(_)) && disk.is_powerless() {
            return Ok(());
        }
        line = serde_json::to_string(&answer).map_err(io::Error::other)?;
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

async fn answer(engine: &impl Engine, call: Call) -> Answer {
    match call {
        Call::Append { log, end, texts } => {
            let mut builder = BatchBuilder::default();
            texts.iter().for_each(|text| builder.push(b"key", text.as_bytes()));
            let Some(batch) = builder.finish() else { return Answer::Wrong("an empty append".to_owned()) };
            let append = Append { log: LogId(log), expect: end.map_or(Expect::Tail, Expect::End), batch };
            match engine.append_many(vec![append]).await.pop() {
                Some(Appended::At { first, arrival }) => Answer::At { first, arrival },
                Some(Appended::Moved { end }) => Answer::Moved { end },
                Some(Appended::Unknown) => Answer::Unknown,
                other => Answer::Wrong(format!("{other:?}")),
            }
        }
        Call::Read { log, from } => {
            let request = ReadRequest { log: LogId(log), from, max_records: 50, max_bytes: 100_000 };
            match engine.read(request).await {
                Ok(page) => Answer::Records(
                    page.chunks
                        .iter()
                        .flat_map(|chunk| chunk.records().map(|(offset, record)| (offset, chunk.arrival, record)))
                        .map(|(offset, arrival, record)| {
                            (offset, arrival, String::from_utf8_lossy(record.data).into_owned())
                        })
                        .collect(),
                ),
                Err(error) => Answer::Wrong(error.to_string()),
            }
        }
    }
}

/// A client's connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects to the node.
    ///
    /// # Errors
    /// Those of the network.
    pub async fn open() -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect((HOST, PORT)).await?)))
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Errors
    /// Those of the network: the outcome of an append is open then.
    pub async fn call(&mut self, call: &Call) -> io::Result<Answer> {
        let mut line = serde_json::to_string(call).map_err(io::Error::other)?;
        line.push('\n');
        self.0.write_all(line.as_bytes()).await?;
        line.clear();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }
}
