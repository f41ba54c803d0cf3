//! Meetings that are too young for any report of their nodes: a list shows what their nodes say when they are asked.

use std::sync::Arc;
use std::time::Duration;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Meeting};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listing::{Asker, Info};
use crate::view::View;

/// How long a list waits for nodes. Until they have answered, a meeting is listed as its create made it.
const LIMIT: Duration = Duration::from_secs(1);

/// How many meetings a node is asked for at once, however many lists there are.
const AT_ONCE: usize = 16;

/// Asks the nodes of young meetings, each once.
pub(super) struct YoungMeetings {
    view: Arc<View>,
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

impl YoungMeetings {
    pub(super) fn new(view: Arc<View>, asker: Asker) -> Self {
        Self { view, asker, questions: DashMap::new(), turns: DashMap::new() }
    }

    /// Asks the nodes of those meetings that no report has yet.
    pub(super) async fn ask(&self, meetings: &[Arc<Meeting>]) {
        let roster = self.view.roster().clone();
        let young = meetings.iter().filter(|meeting| self.view.report_of(meeting).is_none());
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
        if self.view.firsthand.is_answered(meeting) {
            return None;
        }
        let turns = Arc::clone(&self.turns.entry(backend.id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        let (view, asker) = (Arc::clone(&self.view), self.asker.clone());
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
