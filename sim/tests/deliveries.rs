//! Delivery streams of every kind on a machine that loses power, with destinations that misbehave. `LEVADA_SIM_SEEDS`
//! sets how many seeds are run.

use levada_sim::deliveries::simulate;
use levada_sim::run::Plan;

fn seeds() -> u64 {
    std::env::var("LEVADA_SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(60)
}

#[test]
fn what_was_acknowledged_is_delivered_or_kept_as_error_output() {
    let seeds = seeds();
    let (mut acknowledged, mut deaths, mut filled, mut updates, mut doubled, mut injected) = (0, 0, 0, 0, 0, 0);
    for seed in 0..seeds {
        let outcome = simulate(Plan { seed, ..Plan::default() }).unwrap();
        acknowledged += outcome.acknowledged as u64;
        deaths += outcome.deaths as u64;
        filled += outcome.filled as u64;
        updates += outcome.updates as u64;
        doubled += outcome.doubled;
        injected += outcome.injected;
    }
    println!(
        "{seeds} seeds: {acknowledged} records acknowledged, {updates} updates, {deaths} deaths, {filled} times a full \
         disk; the endpoint took {doubled} records more than once, and {injected} while it said otherwise"
    );
    assert!(acknowledged > 50 * seeds, "the clients got something done: {acknowledged} records");
    assert!(deaths > seeds, "the node had trouble: {deaths} deaths");
    assert!(filled > seeds, "the disk was full: {filled} times");
    assert!(updates > 2 * seeds, "destinations were updated: {updates} times");
}

#[test]
fn one_seed_twice_is_the_same_story() {
    let run = |seed| simulate(Plan { seed, ..Plan::default() }).unwrap();
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).trace, run(4).trace);
}
