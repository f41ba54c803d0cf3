//! A cluster in memory that never changes, for measuring the pipeline: its ports answer at once, and allocate only the boxes
//! that their signatures ask for.

use std::collections::HashMap;
use std::sync::Arc;

use b3scale_middleware::bbb::{CallKind, Content, FilePart, Media, ScopedId};
use b3scale_middleware::cluster::{
    Backend, BackendId, Claim, Frontend, FrontendId, Hook, HookMade, Meeting, MeetingState, Move, NewHook, NewMeeting,
    NewTrack, RecordId, Recording, RecordingChange, RecordingCursor, RecordingPage, RecordingQuery, TextTrack,
    TrackKind,
};
use b3scale_middleware::memory::{Memory, Waiting};
use b3scale_middleware::ports::{Born, Directory, Hooks, Meetings, NewSeat, Nodes, Recordings, Seat, Seen, Settled};
use b3scale_middleware::{Body, Call, Fault, NodeRequest, Ports, Reply};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

/// The frontend `school`, two nodes, and the meetings `m1`, which is live, and `m2`, which is not yet there.
pub struct Frozen {
    memory: Memory,
    world: Arc<World>,
}

struct World {
    frontend: Arc<Frontend>,
    backends: Arc<[Arc<Backend>]>,
    meetings: HashMap<ScopedId, Arc<Meeting>>,
    claimed: Arc<Meeting>,
    reply: Reply,
    recording: Recording,
    hook: Hook,
}

impl Frozen {
    /// What every node answers: to any call, the meeting `m1` as if it had just been made.
    pub const ANSWER: &str = "<response><returncode>SUCCESS</returncode><running>true</running>\
        <internalMeetingID>internal-m1</internalMeetingID><createTime>1700000000000</createTime></response>";

    /// The parameters of its create.
    pub const CREATE: &str = "meetingID=m2&name=Lesson&record=true";

    /// A file that is put to its recording.
    const CAPTIONS: &[u8] = b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello\n";

    /// Builds it.
    pub fn school() -> Self {
        let memory = Memory::new()
            .frontend_with("school", |settings| settings.required_tags = Some(["eu"].iter().collect()))
            .backend("n1", &["eu"])
            .backend("n2", &["eu"])
            .meeting("school", "m1", "n1", MeetingState::Live)
            .meeting("school", "m2", "n2", MeetingState::Claimed)
            .recording("school", "r-1", |_| {});
        let meeting = |id| memory.meeting_named("school", id).expect("it has been put there");
        let live = meeting("m1");
        let world = World {
            frontend: memory.frontend_named("school"),
            backends: memory.ports().directory.backends(),
            claimed: meeting("m2"),
            meetings: HashMap::from([(live.id.clone(), live)]),
            reply: Reply::xml(Self::ANSWER.into()),
            recording: memory.recording_named("r-1"),
            hook: Hook {
                id: "h-1".to_owned(),
                url: "https://school.example/hook".to_owned(),
                meeting_id: None,
                events: Vec::new(),
                permanent: false,
                raw: false,
            },
        };
        Self { memory, world: Arc::new(world) }
    }

    /// The ports that reach into it.
    pub fn ports(&self) -> Ports {
        let world = &self.world;
        Ports {
            directory: Arc::clone(world) as _,
            meetings: Arc::clone(world) as _,
            recordings: Arc::clone(world) as _,
            hooks: Arc::clone(world) as _,
            nodes: Arc::clone(world) as _,
            ..self.memory.ports()
        }
    }

    /// A call that comes to a good end here, signed, as it comes in.
    pub fn call(&self, kind: CallKind) -> Call {
        let mut call = self.memory.call(kind, self.verified_call(kind).params.raw());
        if kind.takes_file() {
            call.body = Waiting::new(Media::Form, "").file("file", Self::CAPTIONS).waiting();
        }
        call
    }

    /// The same call behind `checksum-verify`.
    pub fn verified_call(&self, kind: CallKind) -> Call {
        let query = match kind {
            CallKind::Create => Self::CREATE,
            CallKind::Join => "meetingID=m1&fullName=Ada&role=VIEWER",
            CallKind::SendChatMessage => "meetingID=m1&message=Hello",
            CallKind::PublishRecordings => "recordID=r-1&publish=true",
            CallKind::UpdateRecordings => "recordID=r-1&meta_name=Lesson",
            CallKind::DeleteRecordings | CallKind::GetRecordingTextTracks => "recordID=r-1",
            CallKind::PutRecordingTextTrack => "recordID=r-1&kind=captions&lang=en&label=English",
            CallKind::HooksCreate => "callbackURL=https%3A%2F%2Fschool.example%2Fhook",
            CallKind::HooksDestroy => "hookID=h-1",
            _ => "meetingID=m1",
        };
        let mut call = self.memory.verified(kind, query);
        if kind.takes_file() {
            let file = FilePart { name: "file".to_owned(), bytes: Self::CAPTIONS.into() };
            call.body = Body::Read(Content { files: vec![file], ..Content::new(Media::Form, "") });
        }
        call
    }

    /// A call of that kind behind `request-sign`.
    pub fn signed_call(&self, kind: CallKind) -> Call {
        self.memory.signed(kind, "m1", "n1")
    }
}

impl Directory for World {
    fn frontend(&self, key: &str) -> Option<Arc<Frontend>> {
        (self.frontend.key == key).then(|| Arc::clone(&self.frontend))
    }

    fn backend(&self, id: BackendId) -> Option<Arc<Backend>> {
        self.backends.iter().find(|backend| backend.id == id).cloned()
    }

    fn backends(&self) -> Arc<[Arc<Backend>]> {
        Arc::clone(&self.backends)
    }
}

impl Meetings for World {
    fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        self.meetings.get(id).cloned()
    }

    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        ready(Ok(self.known(id.as_ref()))).boxed()
    }

    fn known_by_internal_id(&self, _: FrontendId, _: &str) -> Option<Arc<Meeting>> {
        None
    }

    fn find_by_internal_id<'a>(
        &'a self,
        _: FrontendId,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        ready(Ok(None)).boxed()
    }

    fn of_frontend(&self, _: FrontendId) -> Vec<Arc<Meeting>> {
        self.meetings.values().cloned().collect()
    }

    fn listed(&self, _: FrontendId) -> BoxFuture<'_, Vec<Bytes>> {
        ready(vec![Bytes::from_static(b"<meeting><meetingID>m1</meetingID></meeting>")]).boxed()
    }

    fn seen(&self, _: &Meeting) -> Option<Seen> {
        None
    }

    fn note_join(&self, _: &Meeting) {}

    fn take_seat<'a>(&'a self, _: NewSeat<'a>) -> BoxFuture<'a, Result<Seat, Fault>> {
        ready(Ok(Seat::Full)).boxed()
    }

    fn return_seat(&self, _: Uuid) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    fn claim<'a>(&'a self, _: NewMeeting<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        ready(Ok(Claim::Won(Arc::clone(&self.claimed)))).boxed()
    }

    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Settled, Fault>> {
        ready(Ok(self.known(meeting.id.as_ref()).map_or(Settled::Vacant, Settled::Placed))).boxed()
    }

    fn move_claim<'a>(&'a self, _: &'a Meeting, _: BackendId, _: bool) -> BoxFuture<'a, Result<Move, Fault>> {
        ready(Ok(Move::NotOurs)).boxed()
    }

    fn release<'a>(&'a self, _: &'a Meeting, _: bool) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    fn record_live<'a>(&'a self, _: &'a Meeting, _: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(true)).boxed()
    }

    fn record_ending<'a>(&'a self, _: &'a Meeting) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    fn forget<'a>(&'a self, _: &'a Meeting) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }

    fn let_go<'a>(&'a self, _: &'a Meeting) -> BoxFuture<'a, ()> {
        ready(()).boxed()
    }
}

impl Recordings for World {
    fn list<'a>(
        &'a self,
        _: FrontendId,
        _: &'a RecordingQuery,
        _: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>> {
        ready(Ok(RecordingPage { recordings: vec![self.recording.clone()], ..RecordingPage::default() })).boxed()
    }

    fn change<'a>(
        &'a self,
        _: FrontendId,
        _: &'a [RecordId],
        _: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(true)).boxed()
    }

    fn tracks<'a>(&'a self, _: FrontendId, _: &'a RecordId) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>> {
        let text = str::to_owned;
        let (kind, lang, label) = (TrackKind::Captions, text("en"), text("English"));
        let track = TextTrack { kind, lang, label, source: text("upload"), href: text("https://play.example/en.vtt") };
        ready(Ok(Some(vec![track]))).boxed()
    }

    fn put_track<'a>(&'a self, _: FrontendId, _: &'a RecordId, _: NewTrack) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(true)).boxed()
    }
}

impl Hooks for World {
    fn create<'a>(&'a self, _: &'a Frontend, _: NewHook) -> BoxFuture<'a, Result<HookMade, Fault>> {
        ready(Ok(HookMade::New(self.hook.clone()))).boxed()
    }

    fn list<'a>(&'a self, _: FrontendId, _: Option<&'a str>) -> BoxFuture<'a, Result<Vec<Hook>, Fault>> {
        ready(Ok(vec![self.hook.clone()])).boxed()
    }

    fn destroy<'a>(&'a self, _: FrontendId, _: &'a str) -> BoxFuture<'a, Result<bool, Fault>> {
        ready(Ok(true)).boxed()
    }
}

impl Nodes for World {
    fn send(&self, _: NodeRequest) -> BoxFuture<'static, Result<Reply, Fault>> {
        ready(Ok(self.reply.clone())).boxed()
    }
}

/// The shipped pipeline with so many stages in the route of join that have nothing to do.
pub fn with_idle_stages(shipped: &str, count: usize) -> String {
    const PLACE: &str = "    \"attendee-limit\",";
    let (before, after) = shipped.split_once(PLACE).expect("the route of join is what it was taken for");
    let named: String = (0..count).map(|number| format!("    \"idle-{number}\",\n")).collect();
    let made: String = (0..count).map(|number| format!("[stages.idle-{number}]\nuse = \"params-rewrite\"\n")).collect();
    format!("{before}{named}{PLACE}{after}\n{made}")
}
