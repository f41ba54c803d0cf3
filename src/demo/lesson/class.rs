//! A class that goes on while things break: people join, and their frontend asks. None of them is to notice.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::super::report::Mismatch;
use super::super::scene::SERVERS;
use super::{Lesson, Meeting, Outcome};

/// Between two turns. In each turn every server gets a call.
const PAUSE: Duration = Duration::from_millis(20);
/// So many calls ask whether a meeting runs for each that joins one.
const ASKS_PER_JOIN: usize = 24;
/// Who joins, and as what.
const LATECOMER: (&str, &str) = ("Katherine Johnson", "VIEWER");

/// The calls of a class, counted.
#[derive(Default)]
pub(super) struct Class {
    calls: usize,
    failed: usize,
    first: Option<Mismatch>,
}

impl Class {
    /// Does `work`, and lets the people of `meetings` go on until it is done.
    pub(super) async fn during<T>(
        &mut self,
        lesson: &Lesson<'_>,
        meetings: &[&Meeting<'_>],
        work: impl Future<Output = T>,
    ) -> T {
        let over = Cell::new(false);
        let work = async {
            let done = work.await;
            over.set(true);
            done
        };
        let class = async {
            while !over.get() {
                self.turn(lesson, meetings).await;
                sleep(PAUSE).await;
            }
        };
        join(work, class).await.0
    }

    async fn turn(&mut self, lesson: &Lesson<'_>, meetings: &[&Meeting<'_>]) {
        let called = meetings.iter().cycle().zip(self.calls..).skip(self.calls % meetings.len().max(1)).take(SERVERS);
        for outcome in join_all(called.map(|(meeting, number)| attend(lesson, meeting, number))).await {
            self.calls += 1;
            if let Err(mismatch) = outcome {
                self.failed += 1;
                self.first.get_or_insert(mismatch);
            }
        }
    }

    /// The outcome of all calls.
    pub(super) fn outcome(self) -> Outcome {
        let Self { calls, failed, first } = self;
        match first {
            None => Ok(format!("{calls} calls of users, none failed")),
            Some(Mismatch { expected, came }) => {
                let came = format!("{failed} of {calls} failed, the first: expected {expected}, came {came}");
                Err(Mismatch { expected: "no call of a user to fail".to_owned(), came })
            }
        }
    }
}

/// A call of the class.
async fn attend(lesson: &Lesson<'_>, meeting: &Meeting<'_>, number: usize) -> Result<(), Mismatch> {
    if !number.is_multiple_of(ASKS_PER_JOIN + 1) {
        return lesson.runs(meeting).await;
    }
    let (place, _) = lesson.only_place(meeting)?;
    let (name, role) = LATECOMER;
    lesson.send_to_node(meeting, place, name, role).await
}
