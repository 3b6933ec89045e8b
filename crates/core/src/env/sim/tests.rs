use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::*;
use crate::env::{Disk, DiskFile, Open};

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A disk with the durable directory `/d`.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(path("/d")).unwrap();
    disk.sync_dir(path("/")).unwrap();
    disk
}

fn create(disk: &SimDisk, name: &str) -> Arc<dyn DiskFile> {
    let file = disk.open(path(name), Open::CreateNew).unwrap();
    disk.sync_dir(path(name).parent().unwrap()).unwrap();
    file
}

fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(path(name), Open::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

#[test]
fn clock_and_random_do_what_they_are_told() {
    let clock = SimClock::at(1_000);
    let same = clock.clone();
    clock.advance(5);
    clock.jump_wall(10);
    clock.advance(1);
    assert_eq!((same.now_ms(), same.monotonic()), (11, Duration::from_millis(6)));

    // The first outputs for the seed 0, as published with the reference implementation of SplitMix64.
    let random = SimRandom::new(0);
    assert_eq!([random.next_u64(), random.next_u64()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
    assert!((0..1_000).all(|_| random.below(3) < 3));
    let hits = (0..1_000).filter(|_| random.percent(20)).count();
    assert!((100..300).contains(&hits), "{hits} of 1000 at 20 %");
}

#[test]
fn synced_content_survives_and_unsynced_sectors_meet_every_fate() {
    let mut kept_of_tail = BTreeSet::new();
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk();
        let file = create(&disk, "/d/f");
        file.write_all_at(&[1; 8192], 0).unwrap();
        file.sync().unwrap();
        file.write_all_at(&[2; 2048], 8192).unwrap();
        file.write_all_at(&[3; 512], 512).unwrap();
        assert_eq!(content(&disk, "/d/f").unwrap()[512], 3, "visible at once");
        let bytes = content(&disk.crash(&SimRandom::new(seed)), "/d/f").unwrap();
        assert!(bytes[..512].iter().all(|&b| b == 1) && bytes[1024..8192].iter().all(|&b| b == 1));
        assert!(bytes[512..1024].iter().all(|&b| b == 1) || bytes[512..1024].iter().all(|&b| b == 3));
        assert!(bytes[8192..].iter().all(|&b| b == 2 || b == 0));
        lengths.insert(bytes.len());
        kept_of_tail.insert((bytes[512], bytes[8192..].iter().filter(|&&b| b == 2).count()));
    }
    assert_eq!(lengths, [8192, 10240].into(), "the length is the old or the new");
    assert!(kept_of_tail.contains(&(1, 2048)), "the later write lost, the earlier kept");
    assert!(kept_of_tail.contains(&(3, 0)), "the earlier lost, the later kept");
    assert!(kept_of_tail.iter().any(|&(_, kept)| kept > 0 && kept < 2048), "torn");
}

#[test]
fn a_cut_that_is_not_synced_is_whole_or_not_at_all() {
    let mut found = BTreeSet::new();
    for seed in 0..50 {
        let disk = disk();
        let file = create(&disk, "/d/f");
        file.write_all_at(&[7; 5000], 0).unwrap();
        file.sync().unwrap();
        file.set_len(100).unwrap();
        let bytes = content(&disk.crash(&SimRandom::new(seed)), "/d/f").unwrap();
        assert!(bytes.iter().all(|&b| b == 7));
        found.insert(bytes.len());
    }
    assert_eq!(found, [100, 5000].into());

    let disk = disk();
    let file = create(&disk, "/d/f");
    file.write_all_at(&[7; 5000], 0).unwrap();
    file.set_len(100).unwrap();
    file.set_len(200).unwrap();
    file.sync().unwrap();
    let expected = [vec![7; 100], vec![0; 100]].concat();
    assert_eq!(content(&disk.crash(&SimRandom::new(0)), "/d/f").unwrap(), expected, "regrown with zeros");
}

#[test]
fn names_survive_only_in_order_and_only_when_their_directory_is_synced() {
    let mut found = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk();
        let old = create(&disk, "/d/old");
        old.write_all_at(b"old", 0).unwrap();
        old.sync().unwrap();
        let new = disk.open(path("/d/tmp"), Open::CreateNew).unwrap();
        new.write_all_at(b"new", 0).unwrap();
        new.sync().unwrap();
        disk.rename(path("/d/tmp"), path("/d/old")).unwrap();
        disk.open(path("/d/last"), Open::CreateNew).unwrap();
        let after = disk.crash(&SimRandom::new(seed));
        let names: Vec<String> = after.list(path("/d")).unwrap().into_iter().map(|entry| entry.name).collect();
        found.insert((names, content(&after, "/d/old").unwrap()));
    }
    let row = |names: &[&str], bytes: &[u8]| (names.iter().map(|n| (*n).to_owned()).collect(), bytes.to_vec());
    let rows =
        [row(&["old"], b"old"), row(&["old", "tmp"], b"old"), row(&["old"], b"new"), row(&["last", "old"], b"new")];
    assert_eq!(found, rows.into());
}

#[test]
fn a_directory_needs_a_durable_name_too() {
    let lost = (0..20).filter(|&seed| {
        let disk = SimDisk::new();
        disk.create_dir_all(path("/a/b")).unwrap();
        create(&disk, "/a/b/f").sync().unwrap();
        content(&disk.crash(&SimRandom::new(seed)), "/a/b/f").is_none()
    });
    assert!((1..20).contains(&lost.count()));

    for seed in 0..20 {
        let disk = SimDisk::new();
        disk.create_dir_all(path("/a/b")).unwrap();
        create(&disk, "/a/b/f");
        disk.sync_dir(path("/a")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        assert!(content(&disk.crash(&SimRandom::new(seed)), "/a/b/f").is_some());
    }
}

#[test]
fn a_move_between_directories_is_atomic() {
    for seed in 0..100 {
        let disk = disk();
        disk.create_dir_all(path("/e")).unwrap();
        disk.sync_dir(path("/")).unwrap();
        create(&disk, "/d/f");
        disk.open(path("/e/before"), Open::CreateNew).unwrap();
        disk.rename(path("/d/f"), path("/e/f")).unwrap();
        disk.open(path("/d/after"), Open::CreateNew).unwrap();
        if seed % 2 == 1 {
            disk.sync_dir(path("/d")).unwrap();
        }
        let after = disk.crash(&SimRandom::new(seed));
        let [from, to, before, later] =
            ["/d/f", "/e/f", "/e/before", "/d/after"].map(|name| content(&after, name).is_some());
        assert!(from != to, "in exactly one place");
        assert!(before || !to, "the names of each directory in order");
        assert!(to || !later);
        assert!(seed % 2 == 0 || (to && later), "synced");
    }
}

#[test]
fn kill_keeps_all_releases_locks_and_stops_the_old_process() {
    let disk = disk();
    let lock = disk.lock(path("/d/lock")).unwrap();
    assert_eq!(disk.lock(path("/d/lock")).err().unwrap().kind(), ErrorKind::WouldBlock);
    let file = create(&disk, "/d/f");
    file.write_all_at(b"unsynced", 0).unwrap();
    let after = disk.kill();
    let _again = after.lock(path("/d/lock")).unwrap();
    drop(lock);
    assert!(after.lock(path("/d/lock")).is_err(), "the old process frees nothing");
    assert_eq!(content(&after, "/d/f").unwrap(), b"unsynced");
    assert!(file.write_all_at(b"late", 0).is_err() && file.sync().is_err() && file.len().is_err());
    assert!(disk.open(path("/d/f"), Open::Read).is_err());
    let lost = (0..20).filter(|&seed| {
        let again = after.kill();
        content(&again.crash(&SimRandom::new(seed)), "/d/f").is_none_or(|bytes| bytes != b"unsynced")
    });
    assert!(lost.count() > 0, "what a kill keeps is still not durable");
}

#[test]
fn injected_faults() {
    let disk = disk();
    let file = create(&disk, "/d/f");
    let fault = |call, after| Fault { call, path: "/f".into(), after, times: 1, kind: ErrorKind::TimedOut };
    disk.fail(fault(DiskCall::Write, 1));
    disk.fail(fault(DiskCall::Open, 0));
    file.write_all_at(b"1234", 0).unwrap();
    assert_eq!(file.write_all_at(b"abcd", 0).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(disk.open(path("/d/f"), Open::Read).err().unwrap().kind(), ErrorKind::TimedOut);
    assert_eq!(content(&disk, "/d/f").unwrap(), b"ab34", "a prefix was written");
    file.write_all_at(b"ABCD", 0).unwrap();
    let stats = disk.stats(path("/d/f")).unwrap();
    assert_eq!(stats, FileStats { writes: 3, written_bytes: 10, syncs: 0 });
}

#[test]
fn after_a_failed_sync_no_later_one_saves_what_it_dropped() {
    let lost = (0..20).filter(|&seed| {
        let disk = disk();
        let file = create(&disk, "/d/f");
        for round in 0..seed {
            file.write_all_at(&[9], round).unwrap();
            file.sync().unwrap();
        }
        disk.fail(Fault { call: DiskCall::Sync, path: String::new(), after: 0, times: 2, kind: ErrorKind::Other });
        file.write_all_at(&[1; 4096], 4096).unwrap();
        file.sync().unwrap_err();
        file.write_all_at(&[1; 4096], 8192).unwrap();
        file.sync().unwrap_err();
        file.write_all_at(&[2; 10], 20_000).unwrap();
        file.sync().unwrap();
        assert_eq!(content(&disk, "/d/f").unwrap()[4096], 1);
        let bytes = content(&disk.crash(&SimRandom::new(seed)), "/d/f").unwrap();
        assert_eq!(bytes[20_000..], [2; 10]);
        bytes[4096..12288] != [1; 8192]
    });
    assert!(lost.count() > 0);
}

#[test]
fn a_full_disk_and_its_recovery() {
    let disk = disk();
    let file = create(&disk, "/d/f");
    disk.set_capacity(6000);
    file.write_all_at(&[1; 4096], 0).unwrap();
    assert_eq!(disk.free_bytes(path("/d")).unwrap(), 6000 - 4096);
    assert_eq!(file.write_all_at(&[1; 4096], 4096).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.set_len(6001).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_all_at(&[2; 4096], 0).unwrap();
    create(&disk, "/d/other").set_len(1000).unwrap();
    disk.remove(path("/d/other")).unwrap();
    disk.sync_dir(path("/d")).unwrap();
    assert_eq!(disk.free_bytes(path("/d")).unwrap(), 6000 - 4096, "a removed file's space is free");
}

#[test]
fn a_lying_disk_loses_synced_writes_and_a_flipped_bit_stays_flipped() {
    let lost = (0..20).filter(|&seed| {
        let disk = disk();
        let file = create(&disk, "/d/f");
        disk.set_lies(true);
        file.write_all_at(&[1; 4096], 0).unwrap();
        file.sync().unwrap();
        content(&disk.crash(&SimRandom::new(seed)), "/d/f").unwrap() != [1; 4096]
    });
    assert!(lost.count() > 0);

    let disk = disk();
    let file = create(&disk, "/d/f");
    file.write_all_at(&[0; 10], 0).unwrap();
    file.sync().unwrap();
    disk.flip_bit(path("/d/f"), 3, 7).unwrap();
    assert_eq!(content(&disk, "/d/f").unwrap()[3], 0x80);
    assert_eq!(content(&disk.crash(&SimRandom::new(1)), "/d/f").unwrap()[3], 0x80);
}

#[test]
fn power_can_be_cut_before_any_call() {
    for calls in 0..=4 {
        let disk = disk();
        disk.cut_power_after(calls);
        let steps = || -> std::io::Result<()> {
            let file = disk.open(path("/d/f"), Open::CreateNew)?;
            disk.sync_dir(path("/d"))?;
            file.write_all_at(b"x", 0)?;
            file.sync()
        };
        assert_eq!((steps().is_ok(), disk.is_powerless()), (calls == 4, calls < 4));
        let after = disk.crash(&SimRandom::new(0));
        assert!(calls < 2 || content(&after, "/d/f").is_some());
        assert!(!after.is_powerless());
        assert!(after.calls() >= calls, "the count goes on");
    }
}

#[test]
#[should_panic(expected = "direct write")]
fn a_misaligned_direct_write_is_a_bug() {
    let disk = disk();
    create(&disk, "/d/f");
    let _ = disk.open(path("/d/f"), Open::WriteDirect).unwrap().write_all_at(&[0; 512], 0);
}

#[test]
fn a_held_sync_waits_for_release_or_for_the_power_to_go() {
    let disk = disk();
    let file = create(&disk, "/d/f");
    for crash in [false, true] {
        disk.hold_syncs(true);
        std::thread::scope(|scope| {
            let syncing = scope.spawn(|| file.sync());
            for _ in 0..100 {
                std::thread::yield_now();
                assert!(!syncing.is_finished());
            }
            if crash {
                let _after = disk.crash(&SimRandom::new(0));
            } else {
                assert_eq!(disk.stats(path("/d/f")).unwrap().syncs, 0);
                disk.hold_syncs(false);
            }
            assert_eq!(syncing.join().unwrap().is_err(), crash);
        });
    }
}

#[test]
fn one_seed_twice_gives_the_same_bytes() {
    let run = |seed| {
        let random = SimRandom::new(seed);
        let mut disk = disk();
        for round in 0..20 {
            for file in 0..4 {
                let name = format!("/d/{round}-{file}");
                let handle = disk.open(path(&name), Open::CreateNew).unwrap();
                let mut bytes = vec![0; random.below(20_000) as usize];
                random.fill(&mut bytes);
                handle.write_all_at(&bytes, random.below(10_000)).unwrap();
                if random.percent(50) {
                    handle.sync().unwrap();
                }
            }
            if random.percent(50) {
                disk.sync_dir(path("/d")).unwrap();
            }
            disk = disk.crash(&random);
        }
        disk.files().iter().map(|name| (name.clone(), content(&disk, name.to_str().unwrap()))).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!(!run(1).is_empty());
}
