use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use levada_core::env::Random;
use levada_core::env::sim::SimRandom;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Shares of 4, 4 and 8 MiB, once the reasons have theirs; a place gets 2 MiB of slow memory.
const BYTES: u64 = 16 * MIB * 16 / 15;

fn memory() -> Arc<Memory> {
    Arc::new(Memory::new(BYTES, 16 * MIB))
}

fn assert_all_is_back(memory: &Memory) {
    for pool in [&memory.uploads, &memory.processing] {
        for share in [&pool.small, &pool.large, &pool.slow] {
            assert_eq!(share.free.available_permits(), share.units as usize);
            assert_eq!(share.waiting.load(Ordering::SeqCst), 0);
        }
    }
}

/// Attempts at a place that never answers, one after the other.
async fn hang(memory: Arc<Memory>, place: String, bytes: u64) {
    loop {
        let loan = memory.acquire(&place, bytes).await.unwrap();
        loan.attempt(pending::<()>()).await;
    }
}

/// How long somebody who answers at once waits for memory.
async fn waits(memory: &Memory, bytes: u64) -> Duration {
    let began = Instant::now();
    let loan = memory.acquire("well", bytes).await.unwrap();
    let waited = began.elapsed();
    assert_eq!(loan.attempt(async { 7 }).await, Some(7));
    waited
}

#[tokio::test(start_paused = true)]
async fn whatever_hangs_keeps_others_waiting_for_seconds_once_and_never_again() {
    for seed in 0..40 {
        let dice = SimRandom::new(seed);
        let (memory, mut hanging) = (memory(), JoinSet::new());
        let places = 1 + dice.below(3);
        for n in 0..1 + dice.below(80) {
            // Up to twice all that there is.
            let bytes = 1 + dice.next_u64() % (KIB << (1 + dice.below(15)));
            hanging.spawn(hang(Arc::clone(&memory), format!("dead {}", n % places), bytes));
        }
        tokio::time::sleep(Duration::from_millis(dice.below(6_000))).await;
        let (mut small, mut large) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            small.push(waits(&memory, 1 + dice.below(2 * MIB)).await);
            large.push(waits(&memory, 2 * MIB + 1 + dice.below(30 * MIB)).await);
            tokio::time::sleep(Duration::from_millis(dice.below(60_000))).await;
        }
        let seconds = |n| Duration::from_secs(n);
        assert!(small[0] <= seconds(4) * places as u32, "seed {seed}: {small:?}");
        assert!(large[0] <= seconds(6) * places as u32, "seed {seed}: {large:?}");
        let later = small[1..].iter().chain(&large[1..]).max().unwrap();
        assert!(*later < seconds(2), "seed {seed}: {small:?} {large:?}");
        hanging.shutdown().await;
        assert_all_is_back(&memory);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_place_gets_no_more_than_its_part_of_the_slow_memory() {
    let (memory, mut hanging) = (memory(), JoinSet::new());
    for _ in 0..50 {
        hanging.spawn(hang(Arc::clone(&memory), "dead".into(), MIB));
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let slow = &memory.uploads.slow;
    waits(&memory, 2 * MIB).await;
    waits(&memory, 4 * MIB).await;
    assert!(slow.free.available_permits() as u64 * MEMORY_UNIT >= 6 * MIB);
    // Another slow one, which answers in the end.
    let (began, mut took) = (Instant::now(), Vec::new());
    for _ in 0..3 {
        let loan = memory.acquire("slow", MIB).await.unwrap();
        assert_eq!(loan.attempt(tokio::time::sleep(Duration::from_secs(100))).await, Some(()));
        took.push(began.elapsed().as_secs());
    }
    assert_eq!(took, [100, 200, 300], "it waits for nobody");
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_is_left_alone_while_nobody_needs_its_memory() {
    let memory = memory();
    let mut slow = JoinSet::new();
    // More than the slow memory of a place.
    for n in 0..4 {
        let memory = Arc::clone(&memory);
        slow.spawn(async move {
            let loan = memory.acquire("slow", MIB).await.unwrap();
            (n, loan.attempt(tokio::time::sleep(Duration::from_secs(100 + n))).await)
        });
    }
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(memory.uploads.small.free.available_permits(), 0);
    // Somebody wants half of it: two of them have room elsewhere.
    let waited = waits(&memory, 2 * MIB).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    // All of it: the others give way.
    let held = memory.acquire("well", 2 * MIB).await;
    let waited = waits(&memory, 2 * MIB).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    drop(held);
    let mut ended = slow.join_all().await;
    ended.sort_unstable();
    assert_eq!(ended, [(0, Some(())), (1, Some(())), (2, None), (3, None)]);
    assert_all_is_back(&memory);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_may_take_its_time_the_next_time() {
    let (memory, mut others) = (memory(), JoinSet::new());
    // Somebody wants all quick memory, now and then.
    let wants = Arc::clone(&memory);
    others.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(4)).await;
            let [first, second] = [wants.acquire("well", 2 * MIB).await, wants.acquire("well", 2 * MIB).await];
            drop((first, second));
        }
    });
    for _ in 0..3 {
        let memory = Arc::clone(&memory);
        others.spawn(async move {
            loop {
                let loan = memory.acquire("slow", MIB).await.unwrap();
                loan.attempt(tokio::time::sleep(Duration::from_secs(20))).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    for _ in 0..10 {
        let mut attempts = 0;
        loop {
            let loan = memory.acquire("slow", MIB).await.unwrap();
            attempts += 1;
            if loan.attempt(tokio::time::sleep(Duration::from_secs(20))).await.is_some() {
                break;
            }
        }
        assert!(attempts <= 2, "{attempts} attempts");
    }
    others.shutdown().await;
    assert_all_is_back(&memory);
}

#[tokio::test(start_paused = true)]
async fn who_waits_among_the_slow_stops_when_its_place_answers_again() {
    let (memory, mut hanging) = (memory(), JoinSet::new());
    // All slow memory, and the half of the quick one that slow places may take.
    for n in 0..8 {
        hanging.spawn(hang(Arc::clone(&memory), format!("dead {n}"), 2 * MIB));
    }
    let first = memory.acquire("mended", KIB).await.unwrap();
    let answer = tokio::spawn(async move { first.attempt(tokio::time::sleep(Duration::from_secs(4))).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(answer.await.unwrap(), Some(()));
    let began = Instant::now();
    let (again, memory_of_it) = (memory.acquire("mended", 2 * MIB), Arc::clone(&memory));
    let mends = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        memory_of_it.uploads.places.get("mended").set_slow(false);
    });
    drop(again.await);
    assert!(began.elapsed() <= Duration::from_secs(11), "{:?}", began.elapsed());
    mends.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn work_that_waits_for_nobody_is_not_given_up() {
    let memory = memory();
    let loan = memory.acquire_processing(None, 4 * MIB).await.unwrap();
    let waiting = Arc::clone(&memory);
    let other = tokio::spawn(async move { waiting.acquire_processing(None, 4 * MIB).await.is_some() });
    assert_eq!(loan.attempt(tokio::time::sleep(Duration::from_secs(100))).await, Some(()));
    drop(loan);
    assert!(other.await.unwrap());
    assert_all_is_back(&memory);
}

#[tokio::test(start_paused = true)]
async fn a_body_holds_what_it_needs_until_its_last_clone_is_gone() {
    let memory = memory();
    let turn = Arc::new(Semaphore::new(1));
    let loan = memory.acquire("lake", 2 * MIB).await.unwrap();
    let hold = Hold::new(loan, Arc::clone(&turn).try_acquire_owned().unwrap(), 10_000);
    let body = hold.by(vec![7; 10_000]);
    drop(hold);
    let small = &memory.uploads.small;
    assert_eq!(small.units as usize - small.free.available_permits(), 10);
    let part = body.slice(5..6);
    drop(body);
    assert_eq!((small.units as usize - small.free.available_permits(), turn.available_permits()), (10, 0));
    drop(part);
    assert_eq!(turn.available_permits(), 1);
    assert_all_is_back(&memory);
}

#[test]
fn places_are_forgotten_but_for_those_that_somebody_waits_for() {
    let places = Places::new(1);
    let kept = places.get("kept");
    kept.set_slow(true);
    places.get("slow").set_slow(true);
    for n in 0..10_000 {
        places.get(&n.to_string());
    }
    assert!(places.get("kept").is_slow() && places.get("slow").is_slow());
    for n in 0..10_000 {
        places.get(&n.to_string()).set_slow(true);
    }
    assert!(Arc::ptr_eq(&kept, &places.get("kept")));
    assert!(!places.get("slow").is_slow());
}
