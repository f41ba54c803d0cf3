//! Recordings in memory.

use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use super::{Memory, State};
use crate::cluster::{
    FrontendId, NewTrack, RecordId, Recording, RecordingChange, RecordingCursor, RecordingFormat, RecordingPage,
    RecordingQuery, RecordingState, TextTrack, TrackKind,
};
use crate::fault::Fault;
use crate::ports::Recordings;

/// How many recordings a page of a list without a limit has.
pub const RECORDINGS_OF_A_PAGE: usize = 10;

/// Recordings and their tracks.
#[derive(Debug, Default)]
pub(super) struct Archive {
    recordings: Vec<Recording>,
    tracks: Vec<(RecordId, NewTrack)>,
}

impl Memory {
    /// Adds a published recording of the meeting `m-<id>` in one format, an hour younger than the one before.
    ///
    /// # Panics
    /// It is not the id of a recording.
    pub fn recording(self, key: &str, id: &str, change: impl FnOnce(&mut Recording)) -> Self {
        let frontend = self.frontend_named(key).id;
        let id = RecordId::new(id).unwrap_or_else(|| panic!("`{id}` is not the id of a recording"));
        let mut state = self.state();
        let hours = i64::try_from(state.archive.recordings.len()).unwrap_or(i64::MAX);
        let mut recording = recorded(id, frontend, 1_700_000_000_000 + hours * 3_600_000);
        change(&mut recording);
        state.archive.recordings.push(recording);
        drop(state);
        self
    }

    /// A recording by its id.
    pub fn recording_named(&self, id: &str) -> Recording {
        let found = self.state().archive.recordings.iter().find(|recording| recording.id.as_str() == id).cloned();
        found.unwrap_or_else(|| panic!("there is no recording {id}"))
    }

    /// A text track of a recording.
    pub fn track(&self, id: &str, kind: TrackKind, lang: &str) -> Option<NewTrack> {
        let state = self.state();
        let mut tracks =
            state.archive.tracks.iter().filter(|(record, _)| record.as_str() == id).map(|(_, track)| track);
        tracks.find(|track| track.kind == kind && track.lang == lang).cloned()
    }
}

fn recorded(id: RecordId, frontend: FrontendId, start_time: i64) -> Recording {
    let made = SystemTime::UNIX_EPOCH + Duration::from_millis(start_time.unsigned_abs());
    let format = RecordingFormat {
        kind: "presentation".to_owned(),
        link: format!("https://play.example/playback/presentation/2.3/{id}"),
        processing_time: 42_000,
        duration: 3_600_000,
        size: 1_024_000,
        images: Vec::new(),
        extensions: String::new(),
    };
    Recording {
        frontend: Some(frontend),
        meeting_id: format!("m-{id}"),
        internal_meeting_id: id.to_string(),
        name: "Lesson".to_owned(),
        is_breakout: false,
        state: RecordingState::Published,
        protected: false,
        start_time,
        end_time: start_time + 3_600_000,
        participants: 2,
        raw_size: 4_096_000,
        metadata: [("meetingId".to_owned(), format!("m-{id}"))].into(),
        breakout: None,
        breakout_rooms: Vec::new(),
        formats: vec![format],
        epoch: 0,
        created_at: made,
        updated_at: made,
        id,
    }
}

impl Recordings for Memory {
    fn list<'a>(
        &'a self,
        frontend: FrontendId,
        query: &'a RecordingQuery,
        from: Option<&'a RecordingCursor>,
    ) -> BoxFuture<'a, Result<RecordingPage, Fault>> {
        let state = self.state();
        let own = state.archive.recordings.iter().filter(|recording| recording.frontend == Some(frontend));
        let mut wanted: Vec<&Recording> = own.filter(|recording| is_wanted(recording, query)).collect();
        wanted.sort_by(|one, other| (other.start_time, &other.id).cmp(&(one.start_time, &one.id)));
        let total = query.limit.map(|_| wanted.len() as u64);
        let behind = match from {
            Some(RecordingCursor { start_time, id }) => {
                wanted.retain(|recording| (recording.start_time, &recording.id) < (*start_time, id));
                0
            }
            None => usize::try_from(query.offset).unwrap_or(usize::MAX),
        };
        let size = query.limit.map_or(RECORDINGS_OF_A_PAGE, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let mut rest = wanted.into_iter().skip(behind).cloned();
        let recordings: Vec<Recording> = rest.by_ref().take(size).collect();
        let last = recordings.last().filter(|_| query.limit.is_none() && rest.next().is_some());
        let next = last.map(|last| RecordingCursor { start_time: last.start_time, id: last.id.clone() });
        ready(Ok(RecordingPage { recordings, total, next })).boxed()
    }

    fn change<'a>(
        &'a self,
        frontend: FrontendId,
        ids: &'a [RecordId],
        change: RecordingChange,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        let mut state = self.state();
        let mut known = state.known(frontend).filter(|recording| ids.contains(&recording.id)).peekable();
        let is_any_known = known.peek().is_some();
        known.for_each(|recording| apply(recording, &change));
        ready(Ok(is_any_known)).boxed()
    }

    fn tracks<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
    ) -> BoxFuture<'a, Result<Option<Vec<TextTrack>>, Fault>> {
        let mut state = self.state();
        let is_known = state.known(frontend).any(|recording| recording.id == *id);
        let own = state.archive.tracks.iter().filter(|(record, _)| record == id);
        let shown = own.map(|(_, track)| TextTrack {
            kind: track.kind,
            lang: track.lang.clone(),
            label: track.label.clone(),
            source: "upload".to_owned(),
            href: format!("https://play.example/{id}/{}_{}.vtt", track.kind.name(), track.lang),
        });
        let mut tracks: Vec<TextTrack> = shown.collect();
        tracks.sort_by(|one, other| (one.kind, &one.lang).cmp(&(other.kind, &other.lang)));
        ready(Ok(is_known.then_some(tracks))).boxed()
    }

    fn put_track<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a RecordId,
        new: NewTrack,
    ) -> BoxFuture<'a, Result<bool, Fault>> {
        let mut state = self.state();
        let is_known = state.known(frontend).any(|recording| recording.id == *id);
        if is_known {
            let is_same = |track: &NewTrack| (track.kind, &track.lang) == (new.kind, &new.lang);
            state.archive.tracks.retain(|(record, track)| record != id || !is_same(track));
            state.archive.tracks.push((id.clone(), new));
        }
        ready(Ok(is_known)).boxed()
    }
}

impl State {
    /// The recordings of a frontend that are not deleted.
    fn known(&mut self, frontend: FrontendId) -> impl Iterator<Item = &mut Recording> {
        let own = self.archive.recordings.iter_mut().filter(move |recording| recording.frontend == Some(frontend));
        own.filter(|recording| recording.state != RecordingState::Deleted)
    }
}

fn is_wanted(recording: &Recording, query: &RecordingQuery) -> bool {
    let RecordingQuery { record_ids, meeting_ids, states, metadata, protected, .. } = query;
    let is_named = record_ids.is_empty() || record_ids.iter().any(|start| recording.id.as_str().starts_with(start));
    let is_of_meeting = meeting_ids.is_empty() || meeting_ids.contains(&recording.meeting_id);
    let has = |name: &String, pattern: &str| recording.metadata.get(name).is_some_and(|value| is_alike(value, pattern));
    is_named
        && is_of_meeting
        && states.contains(&recording.state)
        && metadata.iter().all(|(name, pattern)| has(name, pattern))
        && protected.is_none_or(|protected| recording.protected == protected)
}

/// Whether a value matches a pattern with `%` for any text at either end.
fn is_alike(value: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('%'), pattern.strip_suffix('%')) {
        (Some(end), None) => value.ends_with(end),
        (None, Some(start)) => value.starts_with(start),
        (Some(behind), Some(_)) => value.contains(behind.strip_suffix('%').unwrap_or_default()),
        (None, None) => value == pattern,
    }
}

fn apply(recording: &mut Recording, change: &RecordingChange) {
    let before = (recording.state, recording.protected);
    match change {
        RecordingChange::Publish(true) => recording.state = RecordingState::Published,
        RecordingChange::Publish(false) => recording.state = RecordingState::Unpublished,
        RecordingChange::Delete => recording.state = RecordingState::Deleted,
        RecordingChange::Update { metadata, protect } => {
            for (name, value) in metadata {
                if value.is_empty() {
                    recording.metadata.remove(name);
                } else {
                    recording.metadata.insert(name.clone(), value.clone());
                }
            }
            recording.protected = protect.unwrap_or(recording.protected);
        }
    }
    recording.epoch += i32::from(before != (recording.state, recording.protected));
}
