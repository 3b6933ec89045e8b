//! The whole node, from HTTP to the journal and the bucket, on a machine that loses power. `LEVADA_SIM_SEEDS` sets
//! how many seeds are run.
//!
//! With the feature `mutant-no-fdatasync` this binary must fail.

use levada_sim::run::Plan;
use levada_sim::whole::simulate;

fn seeds() -> u64 {
    std::env::var("LEVADA_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(30)
}

#[test]
fn what_was_acknowledged_is_read_and_delivered() {
    let (mut acknowledged, mut deaths) = (0, 0);
    for seed in 0..seeds() {
        let outcome = simulate(Plan { seed, ..Plan::default() }).unwrap();
        acknowledged += outcome.acknowledged;
        deaths += outcome.deaths;
    }
    println!("{} seeds: {acknowledged} records acknowledged, {deaths} deaths of the node", seeds());
    assert!(acknowledged as u64 > 20 * seeds(), "the clients got something done: {acknowledged} records");
    assert!(deaths as u64 > seeds(), "the node had trouble: {deaths} deaths");
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let noticed = (0..20).filter(|&seed| simulate(Plan { seed, lying_disk: true }).is_err()).count();
    assert!(noticed > 10, "of twenty simulations whose syncs do nothing, {noticed} were caught");
}

#[test]
fn one_seed_twice_is_the_same_story() {
    let trace = |seed| simulate(Plan { seed, ..Plan::default() }).unwrap().trace;
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
