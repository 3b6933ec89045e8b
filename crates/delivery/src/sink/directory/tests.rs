use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use levada_core::env::sim::{DiskCall, Fault, SimDisk, SimRandom};
use levada_core::env::{DirEntry, Disk, DiskFile, Open};

use super::{DirectoryBucket, PIECE_BYTES};
use crate::blocking::Blocking;
use crate::sink::escape::unescape;
use crate::sink::{Attempt, Buckets, Object, Sink, SinkError};

const DIR: &str = "/data/buckets/lake";
const RUN: u64 = 7;

fn bucket(disk: &SimDisk) -> DirectoryBucket {
    DirectoryBucket::new(Arc::new(disk.clone()), Blocking::Inline, PathBuf::from(DIR))
}

/// An object as the run `RUN` of the process puts it.
fn object(key: &str, body: &str) -> Object {
    Object {
        attempt: Attempt { run: RUN, number: 1 },
        bucket: "lake".into(),
        key: key.into(),
        content_encoding: None,
        body: Bytes::from(body.to_owned().into_bytes()),
    }
}

/// Keys and contents below `dir`; `None` as a key is what is no object.
fn contents(disk: &SimDisk, dir: &str) -> BTreeMap<Option<String>, String> {
    let mut found = BTreeMap::new();
    for path in disk.files() {
        let Ok(below) = path.strip_prefix(dir) else { continue };
        let key = unescape(below.components().map(|part| part.as_os_str().to_str().unwrap()));
        let file = disk.open(&path, Open::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        found.insert(key, String::from_utf8_lossy(&bytes).into_owned());
    }
    found
}

#[tokio::test]
async fn the_power_may_go_at_any_call() {
    for call in 0.. {
        for seed in 0..20 {
            let random = SimRandom::new(call * 1_000 + seed);
            let disk = SimDisk::new();
            bucket(&disk).put(object("2026/a", "first")).await.unwrap();
            disk.cut_power_after(call);
            let body = "x".repeat(10_000);
            let put = bucket(&disk).put(object("2026/07/b", &body)).await;
            let cut = disk.is_powerless();
            let disk = disk.crash(&random);
            let found = contents(&disk, DIR);
            assert_eq!(found.get(&Some("2026/a".into())).map(String::as_str), Some("first"), "call {call}");
            let second = found.get(&Some("2026/07/b".into()));
            assert!(second.is_none_or(|text| *text == body), "in part, after call {call}");
            assert!(put.is_err() || second.is_some(), "acknowledged but gone, after call {call}");
            let attempt = Attempt { run: RUN + 1, number: 1 };
            bucket(&disk).put(Object { attempt, ..object("2026/07/b", &body) }).await.unwrap();
            let found = contents(&disk, DIR);
            assert_eq!(found.len(), 2, "unfinished files go: {:?}", found.keys());
            if !cut {
                assert!(call > 5, "the procedure has more calls than {call}");
                return;
            }
        }
    }
}

#[tokio::test]
async fn each_call_may_fail_once() {
    use DiskCall::{CreateDir, Open, Rename, Sync, SyncDir, Write};
    for call in [CreateDir, Open, Write, Sync, Rename, SyncDir] {
        for after in 0..4 {
            let disk = SimDisk::new();
            let bucket = bucket(&disk);
            let kind = std::io::ErrorKind::StorageFull;
            disk.fail(Fault { call, path: String::new(), after, times: 1, kind });
            let mut failed = 0;
            for n in 0..3 {
                let key = format!("2026/{n}");
                while let Err(error) = bucket.put(object(&key, "text")).await {
                    let SinkError::Unavailable(why) = error else { panic!("{error}") };
                    assert!(why.starts_with("/data/buckets/lake: "), "{why}");
                    failed += 1;
                }
            }
            assert!(failed <= 1, "{call:?} {after}");
            disk.clear_faults();
            let keys = (0..3).map(|n| (Some(format!("2026/{n}")), "text".to_owned())).collect();
            assert_eq!(contents(&disk, DIR), keys, "{call:?} {after}");
        }
    }
}

#[tokio::test]
async fn odd_keys_stay_in_the_bucket_and_do_not_block_each_other() {
    let long = "long".repeat(250);
    let keys =
        ["a/b", "a", "a/", "/a", "//", "", ".", "..", "../x", "a/../b", "%2E%2E/x", ".%tmp/0", "\0", long.as_str()];
    for reversed in [false, true] {
        let disk = SimDisk::new();
        let bucket = bucket(&disk);
        let mut order = keys.to_vec();
        if reversed {
            order.reverse();
        }
        for key in &order {
            bucket.put(object(key, key)).await.unwrap();
        }
        let wanted = keys.iter().map(|key| (Some((*key).to_owned()), (*key).to_owned())).collect();
        assert_eq!(contents(&disk, DIR), wanted);
        assert!(disk.files().iter().all(|path| path.starts_with(DIR)));
    }
}

#[tokio::test]
async fn an_object_is_replaced() {
    let disk = SimDisk::new();
    let bucket = bucket(&disk);
    bucket.put(object("d/a", "old")).await.unwrap();
    bucket.put(object("d/a", "new")).await.unwrap();
    assert_eq!(contents(&disk, DIR), [(Some("d/a".into()), "new".to_owned())].into());
}

#[tokio::test]
async fn buckets_are_mapped_or_directories_or_refused() {
    let disk = SimDisk::new();
    let mut buckets = Buckets::new();
    assert!(!buckets.knows("lake"));
    let refused = buckets.put(object("k", "v")).await;
    assert_eq!(refused, Err(SinkError::Refused("the bucket lake is not configured".into())));
    let mapped = DirectoryBucket::new(Arc::new(disk.clone()), Blocking::Inline, PathBuf::from("/else"));
    buckets.map("mapped", Arc::new(mapped));
    assert!(buckets.knows("mapped") && !buckets.knows("lake"));
    buckets.unmapped_in(Arc::new(disk.clone()), Blocking::Inline, PathBuf::from("/data/buckets"));
    assert!(buckets.knows("lake"));
    for name in ["mapped", "lake", "..", "."] {
        buckets.put(Object { bucket: name.into(), ..object("k", name) }).await.unwrap();
    }
    let paths: Vec<_> = ["/else/k%o", "/data/buckets/lake/k%o", "/data/buckets/.%2E/k%o", "/data/buckets/%2E/k%o"]
        .iter()
        .map(Path::new)
        .filter(|path| disk.files().iter().any(|file| file == path))
        .collect();
    assert_eq!(paths.len(), 4, "{:?}", disk.files());
    assert_eq!(disk.files().len(), 4);
}

#[tokio::test]
async fn buckets_that_share_a_directory_leave_each_others_files_alone() {
    let disk = SimDisk::new();
    let [first, second] = [bucket(&disk), bucket(&disk)];
    first.put(object("a", "first")).await.unwrap();
    // An attempt of this run that is still writing, and one that an earlier run has left.
    let tmp = Path::new(DIR).join(".%tmp");
    let (mine, left) = (tmp.join(format!("{RUN:016x}-{:016x}", 9)), tmp.join("0"));
    for path in [&mine, &left] {
        disk.open(path, Open::CreateNew).unwrap().write_all_at(b"half", 0).unwrap();
    }
    disk.create_dir_all(&tmp.join("not ours")).unwrap();
    second.put(object("b", "second")).await.unwrap();
    assert!(disk.files().contains(&mine), "still being written");
    assert!(!disk.files().contains(&left), "left over");
    // Whoever finds its name taken removes nothing.
    let attempt = Attempt { run: RUN, number: 9 };
    assert!(second.put(Object { attempt, ..object("c", "third") }).await.is_err());
    assert!(disk.files().contains(&mine));
}

/// A file system that hangs in its third write.
struct Hanging {
    disk: SimDisk,
    writes: AtomicUsize,
    hangs: mpsc::SyncSender<()>,
}

struct HangingFile(Arc<dyn DiskFile>, Arc<Hanging>);

impl DiskFile for HangingFile {
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.1.writes.fetch_add(1, Ordering::SeqCst) == 2 {
            // The first is taken by the channel, the second when somebody receives.
            let _ = self.1.hangs.send(());
            let _ = self.1.hangs.send(());
        }
        self.0.write_all_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(into, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

struct HangingDisk(Arc<Hanging>);

impl Disk for HangingDisk {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(HangingFile(self.0.disk.open(path, how)?, Arc::clone(&self.0))))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.disk.create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.disk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.0.disk.lock(path)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        self.0.disk.free_bytes(path)
    }
}

/// Says when it is gone.
struct Body(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_write_that_hangs_holds_no_object_that_nobody_waits_for() {
    let (hangs, hung) = mpsc::sync_channel(1);
    let (disk, gone) = (SimDisk::new(), Arc::new(AtomicUsize::new(0)));
    let hanging = HangingDisk(Arc::new(Hanging { disk: disk.clone(), writes: AtomicUsize::new(0), hangs }));
    let bucket = DirectoryBucket::new(Arc::new(hanging), Blocking::Pool, PathBuf::from(DIR));
    let body = || Bytes::from_owner(Body((0..5 * PIECE_BYTES + 1).map(|n| n as u8).collect(), Arc::clone(&gone)));
    let put = tokio::time::timeout(Duration::from_secs(1), bucket.put(Object { body: body(), ..object("a", "") }));
    assert!(put.await.is_err(), "it hangs");
    assert_eq!(gone.load(Ordering::SeqCst), 1);
    // It goes on, but not to the end.
    let released = tokio::task::spawn_blocking(move || (hung.recv(), hung.recv()));
    assert_eq!(released.await.unwrap(), (Ok(()), Ok(())));
    let attempt = Attempt { run: RUN, number: 2 };
    bucket.put(Object { body: body(), attempt, ..object("b", "") }).await.unwrap();
    while disk.files().len() > 1 {
        tokio::task::yield_now().await;
    }
    let file = disk.open(&Path::new(DIR).join("b%o"), Open::Read).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, *body(), "in pieces, and whole");
}
