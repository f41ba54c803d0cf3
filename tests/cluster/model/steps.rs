//! The steps: operations on both databases, and their answers.

use std::time::{Duration, SystemTime};

use b3scale::ledger::memory::Model;
use b3scale::ledger::{
    Ingest, Ledger, MeetingCopy, NewServer, Poll, PollOutcome, Polls, Queue, QueuedJob, Release, Seats, Servers, Ticket,
};
use b3scale::store::{Store, StoreError};
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{
    BackendId, Callback, CallbackKind, Claim, FrontendId, Health, Meeting, Move, NewMeeting, NodeState, Size,
};
use b3scale_middleware::ports::Born;
use uuid::Uuid;

use super::rows::told;
use super::{agents, jobs};

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// One statement.
    Alone(Op),
    /// Statements of several sessions at once.
    Together(Vec<Op>),
    /// So many seconds pass.
    Pass(u64),
}

/// One operation. Its kind gives its numbers their meaning.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) kind: Kind,
    pub(super) meeting: usize,
    pub(super) backend: usize,
    pub(super) server: usize,
    pub(super) number: usize,
    pub(super) flag: bool,
    /// How old the belief is that it is based on.
    pub(super) age: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Claim,
    Move,
    Inherit,
    Live,
    Renew,
    Release,
    Adopt,
    Ending,
    Forget,
    LetGo,
    ForgetEnding,
    Detach,
    Attach,
    Reap,
    TakeCopy,
    RestCopy,
    ForgetCopy,
    Doom,
    Swap,
    Stray,
    Loose,
    Orphans,
    Beat,
    Leave,
    RemoveBackend,
    RemoveFrontend,
    TakePolls,
    TakePoll,
    SeizePolls,
    ReturnPoll,
    Hasten,
    RecordPoll,
    Heartbeat,
    Follow,
    Batch,
    Presence,
    TakeSeat,
    ReturnSeat,
    Enqueue,
    TakeJobs,
    RenewJob,
    CompleteJob,
    RetryJob,
    PoisonJob,
    ReleaseJobs,
    CountJobs,
    TakeDuty,
    RenewDuty,
}

impl Kind {
    /// Whether it concerns jobs or duties.
    fn is_work(self) -> bool {
        let others = [Self::Beat, Self::Leave];
        Self::OF_WORK.iter().any(|(_, kind)| *kind == self) && !others.contains(&self)
    }

    /// The life of meetings, with weights.
    pub(super) const OF_MEETINGS: &'static [(u32, Self)] = &[
        (12, Self::Claim),
        (6, Self::Move),
        (2, Self::Inherit),
        (8, Self::Live),
        (2, Self::Renew),
        (5, Self::Release),
        (4, Self::Adopt),
        (3, Self::Ending),
        (3, Self::Forget),
        (2, Self::LetGo),
        (1, Self::ForgetEnding),
        (5, Self::Detach),
        (3, Self::Attach),
        (1, Self::Reap),
        (4, Self::TakeCopy),
        (3, Self::RestCopy),
        (3, Self::ForgetCopy),
        (1, Self::Doom),
        (4, Self::Swap),
        (2, Self::Stray),
        (2, Self::Loose),
        (1, Self::Orphans),
        (2, Self::Beat),
        (1, Self::Leave),
        (1, Self::RemoveBackend),
        (1, Self::RemoveFrontend),
    ];

    /// The status of nodes, with weights.
    pub(super) const OF_NODES: &'static [(u32, Self)] = &[
        (4, Self::TakePolls),
        (3, Self::TakePoll),
        (2, Self::SeizePolls),
        (2, Self::ReturnPoll),
        (3, Self::Hasten),
        (6, Self::RecordPoll),
        (3, Self::Heartbeat),
        (3, Self::Follow),
        (2, Self::Beat),
        (1, Self::Leave),
        (1, Self::Claim),
        (1, Self::RemoveBackend),
    ];

    /// The reports of agents and the seats, with weights.
    pub(super) const OF_AGENTS: &'static [(u32, Self)] = &[
        (12, Self::Batch),
        (3, Self::Presence),
        (6, Self::TakeSeat),
        (2, Self::ReturnSeat),
        (4, Self::Claim),
        (4, Self::Live),
        (1, Self::Ending),
        (1, Self::RemoveBackend),
        (1, Self::RemoveFrontend),
    ];

    /// The work of servers, with weights.
    pub(super) const OF_WORK: &'static [(u32, Self)] = &[
        (4, Self::Enqueue),
        (6, Self::TakeJobs),
        (2, Self::RenewJob),
        (3, Self::CompleteJob),
        (3, Self::RetryJob),
        (2, Self::PoisonJob),
        (1, Self::ReleaseJobs),
        (1, Self::CountJobs),
        (3, Self::TakeDuty),
        (2, Self::RenewDuty),
        (2, Self::Beat),
        (1, Self::Leave),
    ];
}

/// The parts of the steps.
pub(super) trait Life: Ingest + Ledger + Polls + Queue + Seats + Servers {}

impl<T: Ingest + Ledger + Polls + Queue + Seats + Servers> Life for T {}

/// One of the two databases.
#[derive(Clone, Copy)]
pub(super) enum Side<'a> {
    Sql(&'a Store),
    Model(&'a Model),
}

/// The basis of an operation: earlier answers of its side.
#[derive(Clone, Default)]
pub(super) struct Belief {
    pub(super) meeting: Option<Meeting>,
    pub(super) copy: Option<MeetingCopy>,
    pub(super) poll: Option<Poll>,
    pub(super) job: Option<QueuedJob>,
    pub(super) seat: Option<Uuid>,
    /// The last batch of the agent that counts.
    pub(super) batch: u64,
}

/// The result of an operation, as a basis of later ones.
#[derive(Clone, Default)]
pub(super) struct Learned {
    pub(super) meetings: Vec<Meeting>,
    pub(super) polls: Vec<Poll>,
    pub(super) jobs: Vec<QueuedJob>,
    pub(super) seats: Vec<Uuid>,
}

/// The answer to an operation, in words that are the same on both sides.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) words: String,
    pub(super) learned: Learned,
}

pub(super) fn frontend(meeting: usize) -> FrontendId {
    FrontendId(Uuid::from_u128(if meeting == 2 { 0xf2 } else { 0xf1 }))
}

pub(super) fn backend(number: usize) -> BackendId {
    BackendId(Uuid::from_u128(0xb0 + number as u128))
}

pub(super) fn meeting_id(number: usize) -> (ScopedId, MeetingId) {
    (ScopedId::verbatim(&format!("scoped-{number}")), MeetingId::new(&format!("meeting-{number}")))
}

pub(super) fn server(number: usize) -> Uuid {
    Uuid::from_u128(0x51 + number as u128)
}

impl Op {
    /// A meeting that its node made. The numbers of tickets are far above those of versions.
    fn born(&self) -> Born {
        let create_time = 1_700_000_000_000 + 200_000 * self.number as i64;
        let internal_id = format!("internal-{}-{}", self.meeting, self.number);
        // Ends would be queued, and the model has no deliveries.
        let ready = Callback {
            name: "meta_bbb-recording-ready-url".to_owned(),
            kind: CallbackKind::Ready,
            url: format!("https://school.example/{internal_id}"),
            token: internal_id.clone(),
            address: String::new(),
        };
        let callbacks = if self.number.is_multiple_of(2) { vec![ready] } else { Vec::new() };
        Born { internal_id, create_time, entry: None, callbacks }
    }

    fn new_server(&self) -> NewServer {
        let id = server(self.server);
        let address = if self.flag { "0.0.0.0:42353".to_owned() } else { String::new() };
        NewServer { id, host: "host".to_owned(), address, version: String::new(), pipeline_hash: String::new() }
    }

    /// Runs it on one side, based on that side's rows. `number` is unique to the operation.
    pub(super) async fn perform(&self, side: Side<'_>, belief: &Belief, number: i64, now: SystemTime) -> Answer {
        let mut learned = Learned::default();
        let answered = match side {
            Side::Sql(store) => match self.by_operator(side).await {
                Some(answered) => answered,
                None => self.ask(store, belief, number, now, &mut learned).await,
            },
            Side::Model(model) => match self.by_operator(side).await {
                Some(answered) => answered,
                None => self.ask(model, belief, number, now, &mut learned).await,
            },
        };
        let words = answered.unwrap_or_else(|error| match error {
            StoreError::Refused { code, .. } => format!("refused by {code}"),
            error => format!("{error}"),
        });
        Answer { words, learned }
    }

    /// What no server does.
    async fn by_operator(&self, side: Side<'_>) -> Option<Result<String, StoreError>> {
        let removed = match (self.kind, side) {
            (Kind::RemoveBackend, Side::Sql(store)) => store.backends().remove(backend(2)).await,
            (Kind::RemoveBackend, Side::Model(model)) => model.remove_backend(backend(2)).await,
            (Kind::RemoveFrontend, Side::Sql(store)) => store.frontends().remove(frontend(2)).await,
            (Kind::RemoveFrontend, Side::Model(model)) => model.remove_frontend(frontend(2)).await,
            _ => return None,
        };
        Some(removed.map(|removed| removed.to_string()))
    }

    async fn ask(
        &self,
        db: &impl Life,
        belief: &Belief,
        number: i64,
        now: SystemTime,
        learned: &mut Learned,
    ) -> Result<String, StoreError> {
        let ticket = Ticket { server: server(self.server), number };
        let (id, name) = meeting_id(self.meeting);
        let to = backend(self.backend);
        let size = Size { hint: None, limit: None, breakout: self.flag };
        let new = NewMeeting { id: &id, meeting_id: &name, frontend: frontend(self.meeting), backend: to, size };
        let mut note = |found: Option<Meeting>| {
            learned.meetings.extend(found.clone());
            found.as_ref().map_or_else(|| "none".to_owned(), told)
        };
        let list = |mut found: Vec<String>| {
            found.sort();
            found.join("; ")
        };
        match self.kind {
            Kind::Claim => db.claim_meeting(new, ticket).await.map(|claim| match claim {
                Claim::Won(meeting) => format!("won {}", note(Some(Meeting::clone(&meeting)))),
                Claim::Taken(meeting) => format!("taken {}", note(Some(Meeting::clone(&meeting)))),
                Claim::Barred => "barred".to_owned(),
            }),
            Kind::Adopt => {
                let asked_at = now - Duration::from_secs([0, 5, 7200][self.server + usize::from(self.age > 0)]);
                db.adopt_meeting(new, &self.born(), self.age > 1, asked_at).await.map(&mut note)
            }
            Kind::ForgetEnding => {
                db.forget_ending(to).await.map(|gone| list(gone.into_iter().map(|one| note(Some(one))).collect()))
            }
            Kind::Detach => {
                db.detach_meetings(to).await.map(|lost| list(lost.into_iter().map(|one| note(Some(one))).collect()))
            }
            Kind::Reap => db.reap_claims(Duration::from_secs(60)).await.map(|reaped| {
                list(
                    reaped
                        .iter()
                        .map(|(claim, release)| format!("{} {}", told(claim), release_told(release)))
                        .collect(),
                )
            }),
            Kind::Doom => db.doom_copies(to, self.flag.then_some(&id)).await.map(|doomed| doomed.to_string()),
            Kind::Stray => db.record_stray(&id, to).await.map(|noted| noted.to_string()),
            Kind::Loose => db.load_copies().await.map(|copies| format!("{copies:?}")),
            Kind::Orphans => {
                db.orphaned_claims(server(self.server)).await.map(|found| list(found.iter().map(told).collect()))
            }
            Kind::Beat => db.beat(&self.new_server()).await.map(|time| format!("{time:?}")),
            Kind::Leave => db.leave(server(self.server)).await.map(|()| String::new()),
            Kind::Batch | Kind::Presence | Kind::TakeSeat | Kind::ReturnSeat => {
                agents::ask(self, db, belief, number, learned).await
            }
            kind if kind.is_work() => jobs::ask(self, db, belief, learned).await,
            Kind::TakeCopy | Kind::RestCopy | Kind::ForgetCopy => self.ask_of_copy(db, belief).await,
            _ => match &belief.meeting {
                Some(held) => self.ask_of_meeting(db, held, belief, ticket, learned).await,
                None => self.ask_of_node(db, belief, learned).await,
            },
        }
    }

    /// Operations on a meeting.
    async fn ask_of_meeting(
        &self,
        db: &impl Life,
        held: &Meeting,
        belief: &Belief,
        ticket: Ticket,
        learned: &mut Learned,
    ) -> Result<String, StoreError> {
        let born = self.born();
        let changed = match self.kind {
            // No server moves a claim to where it is.
            Kind::Move if held.backend == backend(self.backend) => None,
            Kind::Move => {
                return Ok(match db.move_claim(held, backend(self.backend), self.flag).await? {
                    Move::Moved(meeting) => {
                        learned.meetings.push(Meeting::clone(&meeting));
                        format!("moved {}", told(&meeting))
                    }
                    Move::Barred => "barred".to_owned(),
                    Move::NotOurs => "not ours".to_owned(),
                });
            }
            Kind::Release => {
                let release = db.release_claim(held, self.flag).await?;
                if let Release::Detached(detached) = &release {
                    learned.meetings.push(detached.clone());
                }
                return Ok(release_told(&release));
            }
            Kind::Forget => return Ok(db.forget_meeting(held).await?.to_string()),
            Kind::LetGo => return Ok(db.let_go_of_meeting(held).await?.to_string()),
            Kind::Inherit => db.inherit_claim(held, ticket).await?,
            Kind::Live => db.record_live(held, &born).await?,
            // An existing id is not created again.
            Kind::Renew if held.internal_id.as_ref() == Some(&born.internal_id) => None,
            Kind::Renew => db.renew_meeting(held, &born).await?,
            Kind::Ending => db.record_ending(held).await?,
            Kind::Attach => db.attach_meeting(held).await?,
            Kind::Swap => match &belief.copy {
                Some(copy) if held.internal_id.as_ref() != Some(&born.internal_id) => {
                    db.swap_copy(held, copy, &born).await?
                }
                _ => None,
            },
            _ => return self.ask_of_node(db, belief, learned).await,
        };
        learned.meetings.extend(changed.clone());
        Ok(changed.as_ref().map_or_else(|| "none".to_owned(), told))
    }

    /// Operations on a copy.
    async fn ask_of_copy(&self, db: &impl Life, belief: &Belief) -> Result<String, StoreError> {
        let Some(copy) = &belief.copy else { return Ok(String::new()) };
        match self.kind {
            Kind::TakeCopy => db.take_copy(copy).await.map(|taken| taken.to_string()),
            Kind::RestCopy => db.rest_copy(copy, self.flag).await.map(|()| String::new()),
            _ => {
                let settled = Duration::from_secs([0, 5, 60][self.number]);
                db.forget_copy(copy, settled).await.map(|gone| gone.to_string())
            }
        }
    }

    /// What concerns a node.
    async fn ask_of_node(&self, db: &impl Life, belief: &Belief, learned: &mut Learned) -> Result<String, StoreError> {
        let (id, server, lease) = (backend(self.backend), server(self.server), Duration::from_secs(40));
        let taken = match (self.kind, &belief.poll) {
            // All that are due: of nodes that are due at the same time, any may come first.
            (Kind::TakePolls, _) => db.take_polls(10, lease, server).await?,
            (Kind::TakePoll, _) => db.take_poll(id, lease, server).await?.into_iter().collect(),
            (Kind::SeizePolls, _) => db.seize_polls(&[id, backend(0)], lease, server).await?,
            (Kind::ReturnPoll, Some(poll)) => return db.return_poll(poll).await.map(|()| String::new()),
            (Kind::RecordPoll, Some(poll)) => {
                return db.record_poll(poll, &self.outcome(poll)).await.map(|seq| format!("{seq:?}"));
            }
            (Kind::Hasten, _) => {
                let pause = Duration::from_secs([0, 5, 60][self.number]);
                return db.hasten_poll(id, pause).await.map(|()| String::new());
            }
            (Kind::Heartbeat, _) => {
                let figures = [None, Some((0.25, 0.5)), Some((1.5, 0.0))][self.number];
                return db.record_heartbeat(id, figures).await.map(|time| format!("{time:?}"));
            }
            (Kind::Follow, _) => {
                let other = backend((self.backend + 1) % 3);
                let mut statuses = db.statuses_since(&[(id, self.number as i64), (other, 4)]).await?;
                statuses.sort_by_key(|status| status.backend);
                // In SQL an age is a number with a point.
                let round = |age: Option<Duration>| {
                    age.map(|age| Duration::from_millis((age.as_secs_f64() * 1000.0).round() as u64))
                };
                for status in &mut statuses {
                    (status.age, status.told, status.agent) = (round(status.age), round(status.told), None);
                }
                return Ok(format!("{statuses:?}"));
            }
            _ => return Ok(String::new()),
        };
        let mut words: Vec<_> = taken
            .iter()
            .map(|poll| format!("{} {:?} {:?} {:?}", poll.backend, poll.health, poll.asked_at, poll.digest))
            .collect();
        words.sort();
        learned.polls.extend(taken);
        Ok(words.join("; "))
    }

    fn outcome(&self, poll: &Poll) -> PollOutcome<'static> {
        let state = [NodeState::Ready, NodeState::Error, NodeState::Degraded][self.number];
        let health = match state {
            NodeState::Error => Health { state, misses: poll.health.misses + 1, answers: 0, unlisted: 0 },
            _ => Health { state, misses: 0, answers: poll.health.answers + 1, unlisted: 0 },
        };
        let report = self.flag.then_some((&b"<response/>"[..], &b"digest"[..]));
        let last_error = (state == NodeState::Error).then_some("timeout");
        let next = Duration::from_secs([1, 5, 20][self.backend]);
        PollOutcome { health, last_error, latency: Duration::from_micros(1500), attendees: 7, report, next }
    }
}

fn release_told(release: &Release) -> String {
    match release {
        Release::Gone => "gone".to_owned(),
        Release::Detached(meeting) => format!("detached {}", told(meeting)),
        Release::NotOurs => "not ours".to_owned(),
    }
}
