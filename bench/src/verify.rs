//! Looks closely at a sample of the answers, and reads the records behind them back.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::Result;
use crate::client::Client;
use crate::record::Records;
use crate::request::STREAM;
use crate::rows::Operation;

/// One answer in so many is parsed whole.
const EVERY: u64 = 64;
/// So many acknowledged records are kept to be read back; the latest ones replace the oldest.
const KEPT: usize = 64;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecordsOutput {
    failed_record_count: Option<u32>,
    records: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    shard_id: Option<String>,
    sequence_number: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

/// Where a record is said to stand.
struct Place {
    serial: u64,
    shard: String,
    sequence: String,
}

/// A sample of a row's answers.
#[derive(Default)]
pub(crate) struct Samples {
    seen: u64,
    /// Answers parsed and found right.
    pub(crate) checked: u64,
    kept: Vec<Place>,
}

impl Samples {
    /// Counts an answer, and says whether it is in the sample.
    pub(crate) fn wants(&mut self) -> bool {
        self.seen += 1;
        (self.seen - 1).is_multiple_of(EVERY)
    }

    /// Takes an answer to the put of the records from serial `first` on: its status must be 200, and its body, if
    /// it was wanted, right.
    ///
    /// # Errors
    /// If the answer is not a success for every record.
    pub(crate) fn take(&mut self, operation: Operation, first: u64, status: u16, body: Option<&[u8]>) -> Result<()> {
        match body {
            _ if status != 200 => {
                let shown = body.map(|b| String::from_utf8_lossy(&b[..b.len().min(400)])).unwrap_or_default();
                Err(format!("a put is answered with {status}: {shown}").into())
            }
            Some(body) => self.check(operation, first, body),
            None => Ok(()),
        }
    }

    /// Checks an answer to the put of the records from serial `first` on.
    ///
    /// # Errors
    /// If the answer is not a success for every record.
    fn check(&mut self, operation: Operation, first: u64, body: &[u8]) -> Result<()> {
        let entries = entries(operation, body)?;
        let at = (self.checked as usize * 7919) % entries.len();
        let entry = (first + at as u64, &entries[at]);
        if let (serial, Entry { shard_id: Some(shard), sequence_number: Some(sequence), .. }) = entry {
            let place = Place { serial, shard: shard.clone(), sequence: sequence.clone() };
            match self.kept.len() {
                KEPT => self.kept[self.checked as usize % KEPT] = place,
                _ => self.kept.push(place),
            }
        }
        self.checked += 1;
        Ok(())
    }

    /// Reads every kept record by its sequence number and compares it. Answers how many.
    ///
    /// # Errors
    /// If a record is not there, or not as it was put.
    pub(crate) fn read_back(&self, client: &mut Client, records: &Records) -> Result<u64> {
        for place in &self.kept {
            let iterator = client.kinesis(
                "GetShardIterator",
                &json!({
                    "StreamName": STREAM,
                    "ShardId": place.shard,
                    "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                    "StartingSequenceNumber": place.sequence,
                }),
            )?;
            let page =
                client.kinesis("GetRecords", &json!({ "ShardIterator": iterator["ShardIterator"], "Limit": 1 }))?;
            let (shard, sequence) = (&place.shard, &place.sequence);
            let lost = || format!("the acknowledged record {sequence} of {shard} cannot be read: {page}");
            let record = &page["Records"][0];
            if record["SequenceNumber"] != sequence.as_str() {
                return Err(lost().into());
            }
            let key = record["PartitionKey"].as_str().ok_or_else(lost)?;
            let data = base64_simd::STANDARD.decode_to_vec(record["Data"].as_str().ok_or_else(lost)?)?;
            if records.recognise(key, &data)? != place.serial {
                return Err(format!("another record stands at {sequence} of {shard}").into());
            }
        }
        Ok(self.kept.len() as u64)
    }
}

/// The entries of an answer, as many as were put, all successes, rising within each shard.
fn entries(operation: Operation, body: &[u8]) -> Result<Vec<Entry>> {
    let entries = match operation {
        Operation::PutRecord => vec![serde_json::from_slice::<Entry>(body)?],
        Operation::PutRecords { records } => {
            let output: PutRecordsOutput = serde_json::from_slice(body)?;
            if output.failed_record_count != Some(0) {
                let failed = output.records.iter().find(|e| e.error_code.is_some());
                let (code, message) =
                    failed.map_or((None, None), |e| (e.error_code.as_ref(), e.error_message.as_ref()));
                let count = output.failed_record_count;
                return Err(format!("FailedRecordCount {count:?}, first {code:?} {message:?}").into());
            }
            if output.records.len() != records as usize {
                return Err(format!("{} results for {records} records", output.records.len()).into());
            }
            output.records
        }
    };
    let mut last: HashMap<&str, &str> = HashMap::new();
    for entry in &entries {
        let (Some(shard), Some(sequence), None) = (&entry.shard_id, &entry.sequence_number, &entry.error_code) else {
            return Err(format!("a result without a place: {:?} {:?}", entry.error_code, entry.error_message).into());
        };
        // All numbers have 56 digits, so that they compare as text.
        if last.insert(shard, sequence).is_some_and(|before| before >= sequence.as_str()) {
            return Err(format!("sequence numbers of {shard} do not rise within an answer").into());
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: Operation = Operation::PutRecords { records: 2 };

    #[test]
    fn a_right_answer_passes() {
        let body = br#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"10","ShardId":"a"},{"SequenceNumber":"11","ShardId":"a"}]}"#;
        assert_eq!(entries(TWO, body).unwrap().len(), 2);
        let body = br#"{"EncryptionType":"NONE","SequenceNumber":"10","ShardId":"a"}"#;
        assert_eq!(entries(Operation::PutRecord, body).unwrap().len(), 1);
    }

    #[test]
    fn wrong_answers_are_refused() {
        let rows: &[(Operation, &str, &str)] = &[
            (TWO, r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"a"}]}"#, "1 results for 2"),
            (
                TWO,
                r#"{"FailedRecordCount":1,"Records":[{"SequenceNumber":"1","ShardId":"a"},{"ErrorCode":"InternalFailure","ErrorMessage":"m"}]}"#,
                "InternalFailure",
            ),
            (
                TWO,
                r#"{"Records":[{"SequenceNumber":"1","ShardId":"a"},{"SequenceNumber":"2","ShardId":"a"}]}"#,
                "FailedRecordCount None",
            ),
            (
                TWO,
                r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"1","ShardId":"a"},{"ErrorCode":"InternalFailure"}]}"#,
                "without a place",
            ),
            (
                TWO,
                r#"{"FailedRecordCount":0,"Records":[{"SequenceNumber":"2","ShardId":"a"},{"SequenceNumber":"2","ShardId":"a"}]}"#,
                "do not rise",
            ),
            (Operation::PutRecord, r#"{"ShardId":"a"}"#, "without a place"),
            (Operation::PutRecord, "", "EOF"),
        ];
        for (operation, body, expected) in rows {
            let error =
                entries(*operation, body.as_bytes()).err().unwrap_or_else(|| panic!("{body} passes")).to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }

    #[test]
    fn one_answer_in_so_many_is_wanted_and_the_latest_places_are_kept() {
        let mut samples = Samples::default();
        let wanted = (0..10 * EVERY).filter(|_| samples.wants()).count();
        assert_eq!(wanted, 10);
        for serial in 0..KEPT as u64 + 3 {
            let body = format!(r#"{{"SequenceNumber":"{serial}","ShardId":"a"}}"#);
            samples.check(Operation::PutRecord, serial, body.as_bytes()).unwrap();
        }
        assert_eq!(samples.checked, KEPT as u64 + 3);
        let mut serials: Vec<_> = samples.kept.iter().map(|p| p.serial).collect();
        serials.sort_unstable();
        assert_eq!(serials, (3..KEPT as u64 + 3).collect::<Vec<_>>());
    }
}
