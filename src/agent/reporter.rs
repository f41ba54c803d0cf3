//! The agent's loop: it listens to its node, and reports to the server.
//!
//! The server has a snapshot of the node, and events on top. Whenever one of these was missed, by us or by the server, the
//! node is asked for its meetings, and the next batch carries a new snapshot. Nothing here waits: listening, asking and reporting
//! run at the same time.

use std::pin::Pin;
use std::time::Duration;

use b3scale_base::rest::{Batch, Receipt, SnapshotMeeting, Wants};
use time::OffsetDateTime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::feed::News;
use super::figures::Gauge;
use super::outbox::{Load, Outbox};
use super::roster::Roster;
use super::said::Said;
use super::survey::Surveyor;
use super::tell::Teller;
use super::trouble::Trouble;
use super::uplink::Delivered;

/// The pause between lists while attendees are unidentified, and while Redis is away.
const UNSURE: Duration = Duration::from_secs(10);
/// The pause otherwise, just to be sure.
const SURE: Duration = Duration::from_secs(300);

type Survey = Pin<Box<dyn Future<Output = Result<Vec<SnapshotMeeting>, String>> + Send>>;

/// An agent at work.
pub(super) struct Reporter {
    boot: Uuid,
    /// Of the latest batch.
    seq: u64,
    roster: Roster,
    outbox: Outbox,
    /// What webhooks want, by the server's last word.
    wants: watch::Sender<Wants>,
    /// Is there while they want events.
    teller: Option<Teller>,
    gauge: Gauge,
    surveyor: Surveyor,
    survey: Option<Survey>,
    /// When the node is asked next.
    look_at: Instant,
    trouble: Trouble,
    /// Whether the node's events are heard.
    redis_connected: bool,
    /// The server lacks a valid snapshot of this node.
    stale: bool,
    /// A new snapshot waits to be sent.
    picture: bool,
    /// A batch is on its way.
    on_its_way: bool,
    /// The last batch held a picture.
    sent_whole: bool,
}

impl Reporter {
    pub(super) fn new(surveyor: Surveyor, gauge: Gauge, wants: watch::Sender<Wants>) -> Self {
        Self {
            boot: Uuid::new_v4(),
            seq: 0,
            roster: Roster::default(),
            outbox: Outbox::default(),
            wants,
            teller: None,
            gauge,
            surveyor,
            survey: None,
            look_at: Instant::now(),
            trouble: Trouble::new(Duration::from_millis(250), UNSURE),
            redis_connected: false,
            stale: true,
            picture: false,
            on_its_way: false,
            sent_whole: false,
        }
    }

    /// Works until one of its parts has ended.
    pub(super) async fn run(
        mut self,
        mut news: mpsc::Receiver<News>,
        batches: mpsc::Sender<Batch>,
        mut delivered: mpsc::Receiver<Delivered>,
    ) {
        loop {
            let now = Instant::now();
            if self.survey.is_none() && self.look_at <= now {
                self.ask(now);
            }
            if self.due().is_some_and(|due| due <= now) && batches.try_send(self.batch(now)).is_err() {
                return;
            }
            let wakes_at = self.wakes_at(now);
            tokio::select! {
                said = news.recv() => match said {
                    Some(said) => self.hear(said),
                    None => return,
                },
                outcome = delivered.recv() => match outcome {
                    Some(outcome) => self.learn(&outcome),
                    None => return,
                },
                listed = answer(&mut self.survey) => self.listed(listed),
                () = sleep_until(wakes_at) => {}
            }
        }
    }

    /// When the next batch is due. `None`: one is in flight, or the node has not answered yet.
    fn due(&self) -> Option<Instant> {
        if self.on_its_way { None } else { self.outbox.due(self.picture || !self.stale && self.outbox.has_told()) }
    }

    fn wakes_at(&self, now: Instant) -> Instant {
        let looks = self.survey.is_none().then_some(self.look_at);
        self.due().into_iter().chain(looks).min().unwrap_or(now + SURE)
    }

    fn hear(&mut self, news: News) {
        let now = Instant::now();
        match news {
            News::Heard(heard) => {
                let puzzled = self.roster.is_puzzled();
                let event = self.roster.hear(heard, now);
                if !puzzled && self.roster.is_puzzled() {
                    self.look_at = self.look_at.min(now + UNSURE);
                }
                // Until there is a new picture, the server has nothing that events could be put on.
                let Some(event) = event.filter(|_| !self.stale) else { return };
                if !self.outbox.push(event) {
                    warn!("Too many events for the outbox; sending a snapshot instead");
                    self.look_again(now);
                }
            }
            News::Said(said) => self.tell(said),
            News::Tells(true) => {
                self.teller.get_or_insert_default().meet(&self.roster);
                self.outbox.tell(true);
            }
            News::Tells(false) => {
                self.teller = None;
                self.outbox.tell(false);
            }
            News::Listening => {
                (self.redis_connected, self.survey) = (true, None);
                self.roster.doubt();
                self.look_again(now);
            }
            News::Disconnected => {
                self.redis_connected = false;
                self.roster.doubt();
                self.look_at = self.look_at.min(now + UNSURE);
            }
        }
    }

    fn tell(&mut self, said: Said) {
        let Some(teller) = &mut self.teller else { return };
        let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let raw = self.wants.borrow().raw;
        teller.tell(said, now as i64, raw).into_iter().for_each(|event| self.outbox.push_told(event));
    }

    /// The server has no true picture: the node is asked for one.
    fn look_again(&mut self, at: Instant) {
        (self.stale, self.picture, self.look_at) = (true, false, at);
        self.outbox.clear();
    }

    fn ask(&mut self, now: Instant) {
        self.roster.asking(now);
        self.survey = Some(Box::pin(self.surveyor.clone().meetings()));
    }

    fn listed(&mut self, listed: Result<Vec<SnapshotMeeting>, String>) {
        let now = Instant::now();
        self.survey = None;
        match listed {
            Ok(meetings) => {
                if self.trouble.over() {
                    info!("The node lists its meetings again");
                }
                let before = (!self.stale).then(|| self.roster.picture());
                if self.roster.told(meetings).is_err() {
                    debug!("Too many events while the node was asked for its meetings");
                    self.look_at = now + self.trouble.pause();
                    return;
                }
                if let Some(teller) = &mut self.teller {
                    teller.meet(&self.roster);
                }
                self.picture |= before.is_none_or(|before| before != self.roster.picture());
                self.look_at = now + if !self.redis_connected || self.roster.is_unsure() { UNSURE } else { SURE };
            }
            Err(why) => {
                if self.trouble.met(&why) {
                    warn!("Listing the node's meetings failed: {why}");
                }
                self.look_at = now + self.trouble.pause();
            }
        }
        self.outbox.open(now);
    }

    fn batch(&mut self, now: Instant) -> Batch {
        self.seq += 1;
        (self.on_its_way, self.sent_whole) = (true, self.picture);
        let snapshot = std::mem::take(&mut self.picture).then(|| {
            // It holds what these events did.
            self.outbox.clear();
            self.stale = false;
            self.roster.picture()
        });
        let Load { events, mapped } = self.outbox.take(now, !self.stale);
        Batch {
            boot: self.boot,
            seq: self.seq,
            snapshot,
            redis_connected: self.redis_connected && !self.stale,
            events,
            mapped,
            node: self.gauge.figures(self.roster.meetings(), self.roster.attendees()),
        }
    }

    fn learn(&mut self, outcome: &Delivered) {
        self.on_its_way = false;
        let counts = match *outcome {
            Delivered::Answered(Receipt { seq, snapshot, wants }) => {
                let is_known = seq >= self.seq;
                self.outbox.settle(is_known);
                self.wants.send_if_modified(|known| std::mem::replace(known, wants) != wants);
                self.seq = self.seq.max(seq);
                is_known && !snapshot
            }
            Delivered::Lost => {
                // Sent again, they could be refused for ever.
                self.outbox.settle(true);
                false
            }
        };
        // The answer to a batch without a snapshot says nothing about the snapshot in the making.
        if counts || self.stale {
            return;
        }
        let now = Instant::now();
        if !self.sent_whole {
            debug!(batch.seq = self.seq, "Server requested a snapshot");
            return self.look_again(now);
        }
        if let Delivered::Answered(_) = outcome {
            warn!("Server refused this node's snapshot; does another agent report for the node?");
        }
        self.look_again(now + UNSURE);
    }
}

/// The node's list, if it is being asked.
async fn answer(survey: &mut Option<Survey>) -> Result<Vec<SnapshotMeeting>, String> {
    match survey {
        Some(survey) => survey.await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::Secret;
    use std::num::NonZeroUsize;
    use tokio::time::advance;

    use b3scale_base::net::nodes::UpstreamSettings;
    use b3scale_base::rest::{NodeMeeting, SnapshotMeeting};

    use super::super::message::Heard;
    use super::super::outbox::MOST;
    use super::super::settings::{Node, RedisPlace};
    use super::*;

    fn reporter() -> Reporter {
        let node = Node {
            url: "http://127.0.0.1:1/bigbluebutton/api/".to_owned(),
            secret: Secret::new("secret").unwrap(),
            redis: RedisPlace { host: "127.0.0.1".to_owned(), port: 1, password: None },
            bbb_version: String::new(),
        };
        let surveyor = Surveyor::new(&node, UpstreamSettings::default()).unwrap();
        Reporter::new(surveyor, Gauge::new(String::new(), NonZeroUsize::MIN), watch::Sender::default())
    }

    fn meeting() -> NodeMeeting {
        NodeMeeting { internal_id: "m-1".to_owned(), id: "abc".to_owned(), ..NodeMeeting::default() }
    }

    fn recording(on: bool) -> News {
        News::Heard(Heard::Recording { meeting: "m-1".to_owned(), on })
    }

    impl Reporter {
        /// The node is asked and says what runs.
        fn look(&mut self, meetings: &[NodeMeeting]) {
            self.roster.asking(Instant::now());
            let listed =
                meetings.iter().map(|meeting| SnapshotMeeting { meeting: meeting.clone(), attendees: Vec::new() });
            self.listed(Ok(listed.collect()));
        }

        /// A batch is sent, and counts.
        fn send(&mut self) -> Batch {
            let batch = self.batch(Instant::now());
            self.learn(&Delivered::Answered(Receipt::new(batch.seq, false)));
            batch
        }
    }

    #[tokio::test(start_paused = true)]
    async fn events_are_put_on_a_picture_and_a_picture_in_place_of_too_many() {
        let mut reporter = reporter();
        assert_eq!(reporter.due(), None, "nobody has seen the node yet");
        reporter.hear(News::Listening);
        reporter.hear(News::Heard(Heard::Created(meeting())));
        reporter.look(&[]);
        let first = reporter.send();
        assert_eq!(
            (first.seq, first.snapshot.map(|picture| picture.meetings.len()), first.events.len()),
            (1, Some(1), 0)
        );
        reporter.hear(recording(true));
        let second = reporter.send();
        assert_eq!((second.seq, second.snapshot, second.events.len()), (2, None, 1));

        (0..=MOST).for_each(|number| reporter.hear(recording(number % 2 == 1)));
        let nothing = reporter.send();
        assert_eq!((nothing.snapshot, nothing.events.len()), (None, 0));
        assert!(reporter.look_at <= Instant::now(), "the node is to be asked");
        reporter.look(&[meeting()]);
        assert_eq!(reporter.send().snapshot, None, "too much was heard in this moment for any list to be put in order");
        advance(Duration::from_secs(6)).await;
        reporter.look(&[meeting()]);
        let picture = reporter.send().snapshot.unwrap();
        assert!(!picture.meetings[0].meeting.recording, "the last word counts");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_says_of_the_last_batch_decides_what_the_next_holds() {
        let mut reporter = reporter();
        reporter.hear(News::Listening);
        reporter.look(&[meeting()]);
        reporter.send();
        // A refused batch is lost with its events; its number is skipped.
        reporter.hear(recording(true));
        reporter.batch(Instant::now());
        reporter.learn(&Delivered::Answered(Receipt::new(7, true)));
        assert!(reporter.stale && reporter.look_at <= Instant::now());
        reporter.look(&[meeting()]);
        let next = reporter.send();
        assert_eq!((next.seq, next.snapshot.is_some()), (8, true));
        reporter.batch(Instant::now());
        reporter.learn(&Delivered::Lost);
        assert!(reporter.stale && reporter.look_at <= Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_that_is_not_taken_is_not_made_anew_at_once() {
        for outcome in [Delivered::Lost, Delivered::Answered(Receipt::new(0, true))] {
            let mut reporter = reporter();
            reporter.hear(News::Listening);
            reporter.look(&[meeting()]);
            assert!(reporter.batch(Instant::now()).snapshot.is_some());
            reporter.learn(&outcome);
            assert!(reporter.stale && reporter.look_at > Instant::now() + Duration::from_secs(5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_says_the_same_is_not_passed_on() {
        let mut reporter = reporter();
        reporter.hear(News::Listening);
        reporter.look(&[meeting()]);
        reporter.send();
        reporter.look(&[meeting()]);
        assert_eq!(reporter.send().snapshot, None);
        advance(Duration::from_secs(60)).await;
        reporter.look(&[]);
        assert_eq!(reporter.send().snapshot.map(|picture| picture.meetings.len()), Some(0));
    }
}
