//! What the clients asked for, were told and saw, held against what the engine has in the end.

use std::collections::{BTreeMap, BTreeSet};

use levada_core::engine::{Engine, LogId, Millis, Offset, ReadRequest};

/// The clients' common notes, and a running hash of everything that happened.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Batches by their log and first text, with all their texts.
    asked: BTreeMap<(u64, String), Vec<String>>,
    acknowledged: Vec<(u64, Offset, Millis, Vec<String>)>,
    refused: BTreeSet<String>,
    seen: BTreeMap<(u64, Offset), (Millis, String)>,
    trace: u64,
}

impl Ledger {
    /// Notes an event, at a time in milliseconds of the simulation.
    pub fn event(&mut self, at_ms: u128, what: &str) {
        for byte in at_ms.to_le_bytes().iter().chain(what.as_bytes()) {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// Hash of all events in their order (FNV-1a).
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.trace
    }

    /// Number of acknowledged batches.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Number of logs that hold acknowledged batches.
    #[must_use]
    pub fn logs(&self) -> usize {
        self.acknowledged.iter().map(|(log, ..)| log).collect::<BTreeSet<_>>().len()
    }

    /// A client is about to append these texts.
    pub fn ask(&mut self, log: u64, texts: &[String]) {
        self.asked.insert((log, texts[0].clone()), texts.to_vec());
    }

    /// It was told that they are durable.
    pub fn acknowledge(&mut self, log: u64, first: Offset, arrival: Millis, texts: Vec<String>) {
        self.acknowledged.push((log, first, arrival, texts));
    }

    /// It was told that they were not appended.
    pub fn refuse(&mut self, texts: &[String]) {
        self.refused.insert(texts[0].clone());
    }

    /// A client read this.
    ///
    /// # Errors
    /// If something else was read there before.
    pub fn see(&mut self, log: u64, offset: Offset, arrival: Millis, text: String) -> Result<(), String> {
        let now = (arrival, text);
        match self.seen.get(&(log, offset)) {
            Some(before) if *before != now => {
                Err(format!("log {log} at {offset}: first {}, then {}", show(before), show(&now)))
            }
            _ => {
                self.seen.insert((log, offset), now);
                Ok(())
            }
        }
    }

    /// Whether the engine holds all that was acknowledged or seen, once, in its place, and nothing that nobody
    /// asked for.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn check(&self, engine: &impl Engine, logs: u64) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for log in 0..logs {
            let records = read_all(engine, log).await?;
            self.check_batches(log, &records)?;
            found.extend(records.into_iter().map(|(offset, arrival, text)| ((log, offset), (arrival, text))));
        }
        for (log, first, arrival, texts) in &self.acknowledged {
            for (offset, text) in (*first..).zip(texts) {
                let there = found.get(&(*log, offset));
                let told = (*arrival, text.clone());
                if there != Some(&told) {
                    let there = there.map_or("nothing".to_owned(), show);
                    return Err(format!("log {log} at {offset}: {} was acknowledged, there is {there}", show(&told)));
                }
            }
        }
        for (place, seen) in &self.seen {
            let there = found.get(place);
            if there != Some(seen) {
                let there = there.map_or("nothing".to_owned(), show);
                return Err(format!("log and offset {place:?}: {} was read, there is {there}", show(seen)));
            }
        }
        Ok(())
    }

    fn check_batches(&self, log: u64, records: &[(Offset, Millis, String)]) -> Result<(), String> {
        let mut firsts = BTreeSet::new();
        let mut at = 0;
        while at < records.len() {
            let (offset, _, first) = &records[at];
            let Some(texts) = self.asked.get(&(log, first.clone())) else {
                return Err(format!("log {log} at {offset}: nobody asked for {first}"));
            };
            let there = records[at..].iter().take(texts.len()).map(|(_, _, text)| text);
            if !there.eq(texts) {
                return Err(format!("log {log} at {offset}: {first} is torn"));
            }
            if self.refused.contains(first) || !firsts.insert(first) {
                return Err(format!("log {log} at {offset}: {first} was refused, or is there twice"));
            }
            at += texts.len();
        }
        Ok(())
    }
}

/// A record without its padding.
fn show((arrival, text): &(Millis, String)) -> String {
    format!("{:?} of {arrival}", text.trim_end_matches('x').trim_end())
}

async fn read_all(engine: &impl Engine, log: u64) -> Result<Vec<(Offset, Millis, String)>, String> {
    let mut all = Vec::new();
    loop {
        let from = all.len() as u64;
        let request = ReadRequest { log: LogId(log), from, max_records: 100, max_bytes: 1 << 20 };
        let page = engine.read(request).await.map_err(|error| format!("log {log} at {from}: {error}"))?;
        for chunk in &page.chunks {
            for (offset, record) in chunk.records() {
                if offset != all.len() as u64 {
                    return Err(format!("log {log}: a gap at {offset}"));
                }
                all.push((offset, chunk.arrival, String::from_utf8_lossy(record.data).into_owned()));
            }
        }
        if page.next == from {
            return Ok(all);
        }
    }
}
