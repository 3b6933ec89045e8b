//! The embedded engine on a machine that loses power. `LEVADA_SIM_SEEDS` sets how many seeds are run.
//!
//! With the feature `mutant-no-fdatasync` this binary must fail.

use levada_sim::run::{Plan, simulate};

fn seeds() -> u64 {
    std::env::var("LEVADA_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(60)
}

#[test]
fn what_was_acknowledged_or_read_survives() {
    let (mut acknowledged, mut deaths) = (0, 0);
    for seed in 0..seeds() {
        let outcome = simulate(Plan { seed, ..Plan::default() }).unwrap();
        acknowledged += outcome.acknowledged;
        deaths += outcome.deaths;
    }
    println!("{} seeds: {acknowledged} batches acknowledged, {deaths} deaths of the node", seeds());
    assert!(acknowledged as u64 > 50 * seeds(), "the clients got something done: {acknowledged} batches");
    assert!(deaths as u64 > 2 * seeds(), "the node had trouble: {deaths} deaths");
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..20).filter(|&seed| simulate(Plan { seed, lying_disk: true, ..Plan::default() }).is_err()).count();
    assert!(noticed > 10, "of twenty simulations whose syncs do nothing, {noticed} were caught");
}

#[test]
fn one_seed_twice_is_the_same_story() {
    for seed in [7, 8] {
        let plan = Plan { seed, ..Plan::default() };
        assert_eq!(simulate(plan).unwrap(), simulate(plan).unwrap(), "seed {seed}");
    }
    let trace = |seed| simulate(Plan { seed, ..Plan::default() }).unwrap().trace;
    assert_ne!(trace(7), trace(8));
}
