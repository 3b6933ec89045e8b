//! What must be where in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64_simd::STANDARD as BASE64;
use levada_conformance::receiver::{Fault, Record, Request};
use serde_json::Value;

use crate::clients::{Writer, is_poison, number, text};
use crate::destinations::Destinations;
use crate::streams::{Kind, RAW};

/// Parcels of one delivery stream that are under way at a time (crates/delivery, `Tuning::parallel_uploads`).
const PARCELS_AT_A_TIME: usize = 4;

/// What stands in a bucket, by number.
#[derive(Default)]
struct Content {
    records: BTreeMap<u64, usize>,
    failed: BTreeMap<u64, usize>,
    objects: usize,
}

impl Content {
    /// What is in the bucket of the writer's delivery stream.
    fn of(writer: &Writer, destinations: &Destinations) -> Self {
        match writer.kind {
            Kind::Stored => Self::read(writer, stored(destinations)),
            kind => Self::read(writer, files(&destinations.directory_of(kind.name()))),
        }
    }

    /// The source records that a processed delivery stream keeps.
    fn raw(writer: &Writer, destinations: &Destinations) -> Self {
        Self::read(writer, files(&destinations.directory_of(RAW)))
    }

    /// Whatever was not put by the writer ends the test.
    fn read(writer: &Writer, objects: BTreeMap<String, String>) -> Self {
        let mut content = Self { objects: objects.len(), ..Self::default() };
        let kind = writer.kind;
        for (path, object) in objects {
            let is_failed = path.contains("-failed/");
            let place = if is_failed { &mut content.failed } else { &mut content.records };
            let texts: Vec<String> = if is_failed {
                object.lines().map(|line| raw_data(line).unwrap_or_else(|| panic!("{path}: {line}"))).collect()
            } else {
                object.split_inclusive('>').map(str::to_owned).collect()
            };
            for text in texts {
                let number = number(kind, &text).filter(|number| *number < writer.attempted);
                *place.entry(number.unwrap_or_else(|| panic!("{path}: never put: {text}"))).or_default() += 1;
            }
        }
        content
    }

    fn has(&self, number: u64) -> bool {
        self.records.contains_key(&number) || self.failed.contains_key(&number)
    }

    /// Nothing stands there twice.
    fn check_once(&self, what: &str) {
        for (place, records) in [("records", &self.records), ("error output", &self.failed)] {
            let twice: Vec<u64> = records.iter().filter(|(_, times)| **times > 1).map(|(number, _)| *number).collect();
            let (first, last) = (twice.first(), twice.last());
            assert!(
                twice.is_empty(),
                "{what}, {place}: {} are there more than once, {first:?} to {last:?}",
                twice.len()
            );
        }
    }
}

fn raw_data(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    String::from_utf8(BASE64.decode_to_vec(line["rawData"].as_str()?).ok()?).ok()
}

/// Paths and contents of a directory's objects. What is being written stands in `.%tmp` until it is whole.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("directory entry").path();
            if path.is_dir() && !path.ends_with(".%tmp") {
                directories.push(path);
            } else if let Ok(content) = std::fs::read_to_string(&path) {
                files.insert(path.display().to_string(), content);
            }
        }
    }
    files
}

/// Keys and contents of the objects that the store took. However often one was put, it was the same.
fn stored(destinations: &Destinations) -> BTreeMap<String, String> {
    let mut objects = BTreeMap::new();
    for record in destinations.store.records() {
        let (key, content) = (record.id.clone().expect("a key"), read(&record));
        let before = objects.entry(key.clone()).or_insert_with(|| content.clone());
        assert_eq!(*before, content, "{key} was put again with another content");
    }
    objects
}

fn read(record: &Record) -> String {
    String::from_utf8(record.bytes()).expect("UTF-8")
}

/// What a kind's server has taken.
#[derive(Default)]
struct Taken {
    requests: Vec<Request>,
    /// By text: the requests that brought it.
    by: BTreeMap<String, Vec<usize>>,
}

impl Taken {
    /// Nothing, if the kind has none.
    fn of(kind: Kind, destinations: &Destinations) -> Self {
        let mut taken = Self::default();
        if !kind.has_endpoint() {
            return taken;
        }
        let server = destinations.server_of(kind);
        taken.requests = server.requests();
        for record in server.records() {
            let content = read(&record);
            // The collector takes whole requests.
            let texts: Vec<&str> =
                if kind == Kind::Splunk { content.split_inclusive('>').collect() } else { vec![&content] };
            for text in texts {
                taken.by.entry(text.to_owned()).or_default().push(record.request);
            }
        }
        taken
    }

    /// The requests that brought a record.
    fn requests_of(&self, kind: Kind, number: u64) -> &[usize] {
        self.by.get(&text(kind, number)).map_or(&[][..], Vec::as_slice)
    }
}

/// What the function dropped.
fn dropped(destinations: &Destinations) -> BTreeSet<String> {
    destinations.function.records().iter().map(read).collect()
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) objects: usize,
    pub(crate) in_error_output: usize,
    /// By the function.
    pub(crate) dropped: usize,
    /// By kind with a server of its own.
    pub(crate) requested: BTreeMap<Kind, Requested>,
}

/// What came of requests.
#[derive(Debug, Default)]
pub(crate) struct Requested {
    /// Records that the server took.
    pub(crate) taken: usize,
    /// Of those: more than once, or in the error output too.
    pub(crate) doubled: usize,
    /// Requests of theirs that it took and answered wrongly or not at all, as planned.
    pub(crate) injected: usize,
    /// Requests of theirs that were under way when the node or the server died.
    pub(crate) interrupted: usize,
}

/// How many acknowledged records are nowhere yet.
pub(crate) fn missing(writers: &[Writer], destinations: &Destinations) -> BTreeMap<Kind, Vec<u64>> {
    let dropped = dropped(destinations);
    let mut missing: BTreeMap<Kind, Vec<u64>> = BTreeMap::new();
    for writer in writers {
        let kind = writer.kind;
        let taken = Taken::of(kind, destinations);
        let content = Content::of(writer, destinations);
        let raw = (kind == Kind::Processed).then(|| Content::raw(writer, destinations));
        let is_there = |number: &u64| {
            let is_requested = || !taken.requests_of(kind, *number).is_empty() || content.failed.contains_key(number);
            let delivered = match kind {
                Kind::Plain | Kind::Stored | Kind::Sourced => content.records.contains_key(number),
                Kind::Processed | Kind::Partitioned => content.has(*number) || dropped.contains(&text(kind, *number)),
                Kind::Endpoint | Kind::Splunk | Kind::Search => is_requested(),
                Kind::Kept => is_requested() && content.records.contains_key(number),
            };
            delivered && raw.as_ref().is_none_or(|raw| raw.records.contains_key(number))
        };
        let gone: Vec<u64> = writer.accepted.iter().filter(|number| !is_there(number)).copied().collect();
        if !gone.is_empty() {
            missing.insert(kind, gone);
        }
    }
    missing
}

/// Nothing is there twice but what was injected, or cut off by one of so many deaths of the node or by one of the server.
pub(crate) fn nothing_twice(writers: &[Writer], destinations: &Destinations, deaths: usize) -> Found {
    let mut found = Found { dropped: dropped(destinations).len(), ..Found::default() };
    for writer in writers {
        let kind = writer.kind;
        let content = Content::of(writer, destinations);
        content.check_once(kind.name());
        found.objects += content.objects;
        found.in_error_output += content.failed.len();
        if kind == Kind::Processed {
            let raw = Content::raw(writer, destinations);
            raw.check_once(RAW);
            found.objects += raw.objects;
        }
        if kind.has_endpoint() {
            let deaths = deaths + destinations.server_of(kind).deaths;
            let taken = Taken::of(kind, destinations);
            found.requested.insert(kind, requested(writer, &content, &taken, deaths));
            continue;
        }
        let both: Vec<_> = content.records.keys().filter(|number| content.failed.contains_key(number)).collect();
        assert!(both.is_empty(), "{kind:?}: delivered and in the error output too: {both:?}");
        let passed = content.records.keys().find(|number| kind == Kind::Partitioned && matches!(**number % 20, 7 | 13));
        assert_eq!(passed, None, "{kind:?}: the function did not let this pass");
    }
    nothing_foreign(writers, destinations);
    documents_once(destinations);
    found
}

fn requested(writer: &Writer, content: &Content, taken: &Taken, deaths: usize) -> Requested {
    let kind = writer.kind;
    assert!(kind == Kind::Kept || content.records.is_empty(), "{kind:?}: a backup nobody wanted");
    let (mut injected, mut interrupted) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Requested::default();
    for number in 0..writer.attempted {
        let requests = taken.requests_of(kind, number);
        assert!(requests.is_empty() || kind != Kind::Search || !is_poison(number), "{number} is no document");
        let given_up = content.failed.contains_key(&number);
        let needless = requests.len().saturating_sub(usize::from(!given_up));
        found.taken += usize::from(!requests.is_empty());
        found.doubled += usize::from(needless > 0);
        for place in &requests[..needless] {
            let request = &taken.requests[*place];
            if matches!(kind, Kind::Endpoint | Kind::Kept) {
                let last = &taken.requests[requests[requests.len() - 1]];
                assert_eq!(request.id, last.id, "{kind:?}: {number} came again under another request id");
            }
            let is_planned = request.fault.as_ref().is_some_and(|fault| !is_harmless(fault));
            if is_planned {
                injected.insert(*place)
            } else {
                interrupted.insert(*place)
            };
        }
    }
    (found.injected, found.interrupted) = (injected.len(), interrupted.len());
    let most = deaths * PARCELS_AT_A_TIME;
    assert!(
        found.interrupted <= most,
        "{kind:?}: {} requests repeated without need, {deaths} deaths",
        interrupted.len()
    );
    found
}

/// The servers got only what was put to their delivery streams.
fn nothing_foreign(writers: &[Writer], destinations: &Destinations) {
    for kind in [Kind::Endpoint, Kind::Splunk, Kind::Search] {
        let server = destinations.server_of(kind);
        let served = writers.iter().filter(|writer| writer.kind.has_endpoint());
        let served: Vec<&Writer> =
            served.filter(|writer| std::ptr::eq(destinations.server_of(writer.kind), server)).collect();
        let is_of = |writer: &Writer, text: &str| number(writer.kind, text).is_some_and(|n| n < writer.attempted);
        let taken = Taken::of(kind, destinations);
        let foreign = taken.by.keys().find(|text| !served.iter().any(|writer| is_of(writer, text)));
        assert_eq!(foreign, None, "the server of {kind:?} got what nobody put");
    }
}

/// However often a document was sent, it is in the index once: under the same id, which is no other document's.
fn documents_once(destinations: &Destinations) {
    let (mut by_id, mut by_text) = (BTreeMap::new(), BTreeMap::new());
    for record in destinations.cluster.records() {
        let (place, text) = ((record.index.clone(), record.id.clone()), read(&record));
        assert!(place.1.is_some(), "a document without an id: {text}");
        let known: &String = by_id.entry(place.clone()).or_insert_with(|| text.clone());
        assert_eq!(*known, text, "two documents of the id {place:?}");
        let known = by_text.entry(text.clone()).or_insert_with(|| place.clone());
        assert_eq!(*known, place, "a document under two ids: {text}");
    }
}

/// Whether a request that met it was taken and answered as it should be.
fn is_harmless(fault: &Fault) -> bool {
    matches!(fault, Fault::Slow { .. } | Fault::AckAfter { .. } | Fault::SomeItems { .. })
}
