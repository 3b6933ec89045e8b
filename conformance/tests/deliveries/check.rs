//! What must be where in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64_simd::STANDARD as BASE64;
use levada_conformance::receiver::{Fault, Request};
use serde_json::Value;

use crate::clients::{Writer, number, text};
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
        let (key, content) = (record.id.clone().expect("a key"), String::from_utf8(record.bytes()).expect("UTF-8"));
        let before = objects.entry(key.clone()).or_insert_with(|| content.clone());
        assert_eq!(*before, content, "{key} was put again with another content");
    }
    objects
}

/// What the two servers have taken.
struct Taken {
    requests: Vec<Request>,
    /// By text: the requests that brought it to the endpoint.
    by_endpoint: BTreeMap<String, Vec<usize>>,
    dropped: BTreeSet<String>,
}

impl Taken {
    fn by(destinations: &Destinations) -> Self {
        let read = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let mut by_endpoint: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for record in destinations.endpoint.records() {
            by_endpoint.entry(read(record.bytes())).or_default().push(record.request);
        }
        let dropped = destinations.function.records().iter().map(|record| read(record.bytes())).collect();
        Self { requests: destinations.endpoint.requests(), by_endpoint, dropped }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) objects: usize,
    pub(crate) in_error_output: usize,
    /// By the function.
    pub(crate) dropped: usize,
    /// Records that the endpoint took more than once, or that are in the error output too.
    pub(crate) doubled: usize,
    /// Requests of theirs that it took and answered wrongly or not at all, as planned.
    pub(crate) injected: usize,
    /// Requests of theirs that were under way when the node or the endpoint died.
    pub(crate) interrupted: usize,
}

/// How many acknowledged records are nowhere yet.
pub(crate) fn missing(writers: &[Writer], destinations: &Destinations) -> BTreeMap<Kind, Vec<u64>> {
    let taken = Taken::by(destinations);
    let mut missing: BTreeMap<Kind, Vec<u64>> = BTreeMap::new();
    for writer in writers {
        let kind = writer.kind;
        let content = Content::of(writer, destinations);
        let raw = (kind == Kind::Processed).then(|| Content::raw(writer, destinations));
        let is_there = |number: &u64| {
            let text = text(kind, *number);
            let delivered = match kind {
                Kind::Plain | Kind::Stored | Kind::Sourced => content.records.contains_key(number),
                Kind::Processed | Kind::Partitioned => content.has(*number) || taken.dropped.contains(&text),
                Kind::Endpoint => content.has(*number) || taken.by_endpoint.contains_key(&text),
                Kind::Kept => {
                    let delivered = content.failed.contains_key(number) || taken.by_endpoint.contains_key(&text);
                    delivered && content.records.contains_key(number)
                }
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

/// Nothing is there twice but what was injected, or cut off by one of so many deaths of the node and the endpoint.
pub(crate) fn nothing_twice(writers: &[Writer], destinations: &Destinations, deaths: usize) -> Found {
    let taken = Taken::by(destinations);
    let mut found = Found { dropped: taken.dropped.len(), ..Found::default() };
    let mut interrupted = BTreeSet::new();
    let mut injected = BTreeSet::new();
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
        if !kind.has_endpoint() {
            let both: Vec<_> = content.records.keys().filter(|number| content.failed.contains_key(number)).collect();
            assert!(both.is_empty(), "{kind:?}: delivered and in the error output too: {both:?}");
            let passed =
                content.records.keys().find(|number| kind == Kind::Partitioned && matches!(**number % 20, 7 | 13));
            assert_eq!(passed, None, "{kind:?}: the function did not let this pass");
            continue;
        }
        assert!(kind == Kind::Kept || content.records.is_empty(), "{kind:?}: a backup nobody wanted");
        for number in 0..writer.attempted {
            let requests = taken.by_endpoint.get(&text(kind, number)).map_or(&[][..], Vec::as_slice);
            let given_up = content.failed.contains_key(&number);
            let needless = requests.len().saturating_sub(usize::from(!given_up));
            found.doubled += usize::from(needless > 0);
            for place in &requests[..needless] {
                let request = &taken.requests[*place];
                let last = &taken.requests[requests[requests.len() - 1]];
                assert_eq!(request.id, last.id, "{kind:?}: {number} came again under another request id");
                let is_planned = request.fault.as_ref().is_some_and(|fault| !is_harmless(fault));
                if is_planned {
                    injected.insert(*place)
                } else {
                    interrupted.insert(*place)
                };
            }
        }
    }
    found.injected = injected.len();
    found.interrupted = interrupted.len();
    let most = deaths * PARCELS_AT_A_TIME * Kind::ALL.iter().filter(|kind| kind.has_endpoint()).count();
    assert!(found.interrupted <= most, "{} requests were repeated without need; {deaths} deaths", found.interrupted);
    let foreign = taken.by_endpoint.keys().find(|text| {
        let is_of = |writer: &Writer| number(writer.kind, text).is_some_and(|number| number < writer.attempted);
        !writers.iter().filter(|writer| writer.kind.has_endpoint()).any(is_of)
    });
    assert_eq!(foreign, None, "the endpoint got what nobody put");
    found
}

/// Whether a request that met it was taken and answered as it should be.
fn is_harmless(fault: &Fault) -> bool {
    matches!(fault, Fault::Slow { .. })
}
