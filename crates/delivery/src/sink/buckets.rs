//! The node's buckets: which store a bucket's name means.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use levada_core::engine::BoxFuture;
use levada_core::env::Disk;

use super::escape::escape;
use super::{DirectoryBucket, Object, Sink, SinkError};
use crate::blocking::Blocking;

/// `[buckets]` of the configuration: mapped names, and a directory for all others unless that is refused.
#[derive(Default)]
pub struct Buckets {
    mapped: HashMap<String, Arc<dyn Sink>>,
    unmapped: Option<Unmapped>,
}

struct Unmapped {
    disk: Arc<dyn Disk>,
    blocking: Blocking,
    root: PathBuf,
    opened: Mutex<HashMap<String, Arc<DirectoryBucket>>>,
}

impl Buckets {
    /// No bucket at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `bucket` mean this store.
    pub fn map(&mut self, bucket: impl Into<String>, store: Arc<dyn Sink>) {
        self.mapped.insert(bucket.into(), store);
    }

    /// Lets each bucket that is not mapped be the directory of its name in `root`.
    pub fn unmapped_in(&mut self, disk: Arc<dyn Disk>, blocking: Blocking, root: PathBuf) {
        self.unmapped = Some(Unmapped { disk, blocking, root, opened: Mutex::new(HashMap::new()) });
    }

    /// Whether this bucket is a directory for want of a mapping.
    #[must_use]
    pub fn is_unmapped(&self, bucket: &str) -> bool {
        self.unmapped.is_some() && !self.mapped.contains_key(bucket)
    }

    /// Whether objects can be put into this bucket; if not, its use is refused when a delivery stream is created.
    #[must_use]
    pub fn knows(&self, bucket: &str) -> bool {
        self.unmapped.is_some() || self.mapped.contains_key(bucket)
    }

    fn store(&self, bucket: &str) -> Option<Arc<dyn Sink>> {
        if let Some(store) = self.mapped.get(bucket) {
            return Some(Arc::clone(store));
        }
        let unmapped = self.unmapped.as_ref()?;
        let mut opened = unmapped.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let store = opened.entry(bucket.to_owned()).or_insert_with(|| {
            let dir = directory_names(bucket).iter().fold(unmapped.root.clone(), |dir, name| dir.join(name));
            Arc::new(DirectoryBucket::new(Arc::clone(&unmapped.disk), unmapped.blocking, dir))
        });
        Some(Arc::clone(store) as Arc<dyn Sink>)
    }
}

/// A bucket's name as directories below the root, one unless it is very long. AWS's model allows `.` and `..` in an
/// ARN.
fn directory_names(bucket: &str) -> Vec<String> {
    let mut names = escape(&format!("{bucket}/"));
    names.pop();
    names
}

impl Sink for Buckets {
    fn put(&self, object: Object) -> BoxFuture<'_, Result<(), SinkError>> {
        let Some(store) = self.store(&object.bucket) else {
            let reason = format!("the bucket {} is not configured", object.bucket);
            return Box::pin(std::future::ready(Err(SinkError::Refused(reason))));
        };
        Box::pin(async move { store.put(object).await })
    }

    fn place(&self, bucket: &str) -> String {
        self.store(bucket).map_or_else(String::new, |store| store.place(bucket))
    }
}
