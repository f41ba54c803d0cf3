//! Meetings that are too young for any report of their nodes: a list shows what their nodes say when they are asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Meeting};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Place;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join_all};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Cluster;
use super::listing::Info;
use super::report::Reported;

/// How long a list waits for nodes. Until they have answered, a meeting is listed as its create made it.
const LIMIT: Duration = Duration::from_secs(1);

/// How many meetings a node is asked for at once, however many lists there are.
const AT_ONCE: usize = 16;

/// By then a node has reported.
const LASTS: Duration = Duration::from_secs(60);

/// The answers of nodes about young meetings.
#[derive(Default)]
pub(super) struct Firsthand {
    answers: DashMap<ScopedId, Answer>,
    /// How much more each node may be asked at once.
    turns: DashMap<BackendId, Arc<Semaphore>>,
}

struct Answer {
    internal_id: Option<String>,
    at: Instant,
    state: State,
}

enum State {
    /// Lists wait for the answer. If all of them are gone, so is the question.
    Asked(WeakShared<BoxFuture<'static, ()>>),
    /// `None`: the node said nothing of use, and is not asked again.
    Said(Option<Arc<Reported>>),
}

/// Shared by the lists that want the same meeting.
type Question = Shared<BoxFuture<'static, ()>>;

impl Firsthand {
    /// The answer about this very meeting.
    pub(super) fn said(&self, meeting: &Meeting) -> Option<Arc<Reported>> {
        let answer = self.answers.get(&meeting.id).filter(|answer| answer.internal_id == meeting.internal_id)?;
        match &answer.state {
            State::Said(said) => said.clone(),
            State::Asked(_) => None,
        }
    }

    pub(super) fn forget_old(&self) {
        self.answers.retain(|_, answer| answer.at.elapsed() < LASTS);
        self.turns.retain(|_, turns| Arc::strong_count(turns) > 1);
    }

    /// The question about a meeting, which may be under way. `None`: it has been answered.
    fn question(&self, cluster: &Cluster, backend: &Arc<Backend>, meeting: &Arc<Meeting>) -> Option<Question> {
        let place = self.answers.entry(meeting.id.clone());
        if let Place::Occupied(there) = &place
            && there.get().internal_id == meeting.internal_id
        {
            match &there.get().state {
                State::Said(_) => return None,
                State::Asked(question) => {
                    if let Some(question) = question.upgrade() {
                        return Some(question);
                    }
                }
            }
        }
        let turns = Arc::clone(&self.turns.entry(backend.id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))));
        let question = put(cluster.clone(), Arc::clone(backend), Arc::clone(meeting), turns).boxed().shared();
        let state = State::Asked(question.downgrade()?);
        place.insert(Answer { internal_id: meeting.internal_id.clone(), at: Instant::now(), state });
        Some(question)
    }

    fn note(&self, meeting: &Meeting, said: Option<Arc<Reported>>) {
        let said = said.filter(|said| Some(&said.born.internal_id) == meeting.internal_id.as_ref());
        let asked = self.answers.get_mut(&meeting.id).filter(|asked| asked.internal_id == meeting.internal_id);
        if let Some(mut asked) = asked {
            asked.state = State::Said(said);
        }
    }
}

/// Asks the nodes of those meetings that no report has yet, each once.
pub(super) async fn ask(cluster: &Cluster, meetings: &[Arc<Meeting>]) {
    let view = &cluster.0.view;
    let roster = view.roster().clone();
    let young = meetings.iter().filter(|meeting| view.report_of(meeting).is_none());
    let questions = young.filter_map(|meeting| {
        let backend = roster.backend(meeting.backend).filter(|backend| backend.is_up())?;
        view.firsthand.question(cluster, backend, meeting)
    });
    join_all(questions).await;
}

/// Asks a node for a meeting when it is its turn, and notes the answer. No later list waits for a node that was too slow.
async fn put(cluster: Cluster, backend: Arc<Backend>, meeting: Arc<Meeting>, turns: Arc<Semaphore>) {
    let answer = async {
        let _turn = turns.acquire().await.ok()?;
        match cluster.asker().info(&backend, &meeting.id).await {
            Info::Runs(reported, _) => Some(reported),
            Info::Gone | Info::Open => None,
        }
    };
    let said = timeout(LIMIT, answer).await.ok().flatten();
    cluster.0.view.firsthand.note(&meeting, said);
}
