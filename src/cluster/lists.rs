//! Lists of a frontend's meetings.
//!
//! For meetings too young for a report, a list shows their nodes' answers to a request.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, FrontendId, Meeting, MeetingState};
use bytes::Bytes;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listing::{Asker, Info};
use super::replica::Replica;
use crate::view::View;

/// How long a list waits for the database to tell of claims.
const CLAIMS_LIMIT: Duration = Duration::from_secs(1);

/// How long a list waits for nodes. Until they have answered, a meeting is listed as its create made it.
const LIMIT: Duration = Duration::from_secs(1);

/// How many meetings a node is asked for at once, however many lists there are.
const AT_ONCE: usize = 16;

/// Makes lists. Nodes of young meetings are asked once for all lists that want the same.
pub(super) struct Lists {
    replica: Arc<Replica>,
    asker: Asker,
    /// The questions under way. If all lists that wait for the answer are gone, so is the question.
    questions: DashMap<ScopedId, Asked>,
    /// How much more each node may be asked at once.
    turns: DashMap<BackendId, Arc<Semaphore>>,
}

struct Asked {
    internal_id: Option<String>,
    question: WeakShared<BoxFuture<'static, ()>>,
}

/// Shared by the lists that want the same meeting.
type Question = Shared<BoxFuture<'static, ()>>;

impl Lists {
    pub(super) fn new(replica: Arc<Replica>, asker: Asker) -> Self {
        Self { replica, asker, questions: DashMap::new(), turns: DashMap::new() }
    }

    /// The entries of a frontend's running meetings.
    pub(super) async fn list(&self, frontend: FrontendId) -> Vec<Bytes> {
        let view = &self.replica.view;
        let of = move |state| move |one: &Meeting| one.frontend == frontend && one.state == state;
        // Results are not announced, and a frontend must see its recent creates at another server.
        let claims = view.meetings.filtered(of(MeetingState::Claimed));
        if !claims.is_empty() && !self.replica.trust().is_away() {
            let claims: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
            let _ = timeout(CLAIMS_LIMIT, self.replica.read_meetings(&claims)).await;
        }
        let roster = view.roster().clone();
        let is_lost = |one: &Meeting| roster.backend(one.backend).is_none_or(|backend| backend.is_lost());
        let mut own = view.meetings.filtered(of(MeetingState::Live));
        own.retain(|meeting| !is_lost(meeting));
        own.sort_unstable_by(|one, other| (one.placed_at, &one.id).cmp(&(other.placed_at, &other.id)));
        self.ask_for_young(&own).await;
        view.list(&own)
    }

    /// Asks the nodes of those meetings that no report has yet.
    async fn ask_for_young(&self, meetings: &[Arc<Meeting>]) {
        let view = &self.replica.view;
        let roster = view.roster().clone();
        let young = meetings.iter().filter(|meeting| view.reports.about(meeting).is_none());
        let questions = young.filter_map(|meeting| {
            let backend = roster.backend(meeting.backend).filter(|backend| backend.is_up())?;
            self.question(backend, meeting)
        });
        join_all(questions).await;
    }

    /// Drops questions that no list waits for, and turns at nodes that are not being asked.
    pub(super) fn forget_old(&self) {
        self.questions.retain(|_, asked| asked.question.upgrade().is_some_and(|question| question.peek().is_none()));
        self.turns.retain(|_, turns| Arc::strong_count(turns) > 1);
    }

    /// The question about a meeting, which may be under way. `None`: it has been answered.
    fn question(&self, backend: &Arc<Backend>, meeting: &Arc<Meeting>) -> Option<Question> {
        // While the place is locked, a question under way cannot end between the two looks.
        let place = self.questions.entry(meeting.id.clone());
        if let Place::Occupied(there) = &place
            && there.get().internal_id == meeting.internal_id
            && let Some(question) = there.get().question.upgrade().filter(|question| question.peek().is_none())
        {
            return Some(question);
        }
        if self.replica.view.firsthand.is_answered(meeting) {
            return None;
        }
        let turns = Arc::clone(&self.turns.entry(backend.id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        let (view, asker) = (Arc::clone(&self.replica.view), self.asker.clone());
        let question = put(view, asker, Arc::clone(backend), Arc::clone(meeting), turns).boxed().shared();
        place.insert(Asked { internal_id: meeting.internal_id.clone(), question: question.downgrade()? });
        Some(question)
    }
}

/// Asks a node for a meeting when it is its turn, and records the answer. No later list waits for a node that was too slow.
async fn put(view: Arc<View>, asker: Asker, backend: Arc<Backend>, meeting: Arc<Meeting>, turns: Arc<Semaphore>) {
    let answer = async {
        let _turn = turns.acquire().await.ok()?;
        match asker.info(&backend, &meeting.id).await {
            Info::Runs(reported, _) => Some(reported),
            Info::Gone | Info::Open => None,
        }
    };
    let said = timeout(LIMIT, answer).await.ok().flatten();
    view.firsthand.record(&meeting, said);
}
