//! The whole node, from HTTP to the journal and the bucket, on a machine that loses power. `LEVADA_SIM_SEEDS` sets
//! how many seeds are run.
//!
//! With the feature `mutant-no-fdatasync` this binary must fail.

use levada_sim::run::Plan;
use levada_sim::whole::simulate;

fn seeds() -> u64 {
    std::env::var("LEVADA_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(30)
}

/// Runs so many seeds, and checks that there was something to lose: records, trouble, and shards that took over.
fn run(seeds: u64, lifecycle_of_aws: bool) {
    let (mut acknowledged, mut deaths, mut shards) = (0, 0, 0);
    for seed in 0..seeds {
        let outcome = simulate(Plan { seed, lifecycle_of_aws, ..Plan::default() }).unwrap();
        acknowledged += outcome.acknowledged as u64;
        deaths += outcome.deaths as u64;
        shards += outcome.shards as u64;
    }
    println!("{seeds} seeds: {acknowledged} records acknowledged in {shards} shards, {deaths} deaths of the node");
    assert!(acknowledged > 20 * seeds, "the clients got something done: {acknowledged} records");
    assert!(deaths > seeds, "the node had trouble: {deaths} deaths");
    assert!(shards > 6 * seeds, "streams of three shards were resharded: {shards} shards took records");
}

#[test]
fn what_was_acknowledged_is_read_and_delivered() {
    run(seeds(), false);
}

/// With AWS's time line: shards are listed long before they open, and a restart may find them anywhere between.
#[test]
fn reshards_that_take_their_time_lose_nothing() {
    run(seeds().div_ceil(4), true);
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..20).filter(|&seed| simulate(Plan { seed, lying_disk: true, ..Plan::default() }).is_err()).count();
    assert!(noticed > 10, "of twenty simulations whose syncs do nothing, {noticed} were caught");
}

#[test]
fn one_seed_twice_is_the_same_story() {
    for lifecycle_of_aws in [false, true] {
        let trace = |seed| simulate(Plan { seed, lifecycle_of_aws, ..Plan::default() }).unwrap().trace;
        assert_eq!(trace(7), trace(7));
        assert_ne!(trace(7), trace(8));
    }
}
