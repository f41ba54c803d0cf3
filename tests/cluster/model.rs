//! The model of the database in memory is held to the SQL: the same steps give the same answers, rows and announcements.
//!
//! Both run on one clock, which stands still but for the steps that set it forward. Of steps that overlap, the second waits
//! for rows that the first has locked, and every outcome must be one that some order of the model's statements gives.

mod agents;
mod jobs;
mod rig;
mod rows;
mod steps;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use rig::Rig;
use steps::{Kind, Op, Step};

/// Histories that are tried of each kind, as part of those that `PROPTEST_CASES` says.
const PART: u32 = 32;

/// Steps of a history.
const STEPS: usize = 30;

/// Pauses around all bounds of the statements, in seconds.
const PAUSES: [u64; 9] = [1, 4, 6, 9, 11, 41, 61, 601, 3601];

fn op(kinds: &'static [(u32, Kind)]) -> impl Strategy<Value = Op> {
    let kind = prop::strategy::Union::new_weighted(kinds.iter().map(|(weight, kind)| (*weight, Just(*kind))).collect());
    let age = prop_oneof![5 => Just(0_usize), 1 => 1_usize..3];
    (kind, 0_usize..3, 0_usize..3, 0_usize..2, 0_usize..3, any::<bool>(), age).prop_map(
        |(kind, meeting, backend, server, number, flag, age)| Op { kind, meeting, backend, server, number, flag, age },
    )
}

fn pass() -> impl Strategy<Value = Step> {
    prop::sample::select(&PAUSES[..]).prop_map(Step::Pass)
}

/// Runs histories of such steps on both sides.
fn hold(steps: impl Strategy<Value = Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rig = runtime.block_on(Rig::new());
    let histories = prop::collection::vec(steps, STEPS);
    let config = Config::default();
    let config = Config { cases: config.cases / PART, max_shrink_iters: 40, failure_persistence: None, ..config };
    let held = TestRunner::new(config)
        .run(&histories, |history| runtime.block_on(rig.replay(&history)).map_err(TestCaseError::fail));
    if let Err(error) = held {
        panic!("{error}");
    }
}

#[test]
fn the_model_does_with_meetings_what_the_sql_does() {
    hold(prop_oneof![8 => op(Kind::OF_MEETINGS).prop_map(Step::Alone), 1 => pass()]);
}

#[test]
fn the_model_leases_polls_as_the_sql_does() {
    hold(prop_oneof![6 => op(Kind::OF_NODES).prop_map(Step::Alone), 1 => pass()]);
}

#[test]
fn the_model_takes_batches_and_seats_as_the_sql_does() {
    hold(prop_oneof![8 => op(Kind::OF_AGENTS).prop_map(Step::Alone), 1 => pass()]);
}

#[test]
fn the_model_leases_jobs_and_duties_as_the_sql_does() {
    hold(prop_oneof![6 => op(Kind::OF_WORK).prop_map(Step::Alone), 1 => pass()]);
}

#[test]
fn sessions_that_overlap_come_to_nothing_that_the_model_does_not_allow() {
    let together = prop::collection::vec(op(Kind::OF_MEETINGS), 2..=3).prop_map(Step::Together);
    hold(prop_oneof![4 => op(Kind::OF_MEETINGS).prop_map(Step::Alone), 4 => together, 1 => pass()]);
}
