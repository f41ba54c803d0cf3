//! Recordings as rows of the tables, without files.

use std::time::SystemTime;

use b3scale::store::{NewFormat, Rules, StoredFormat};
use b3scale_middleware::cluster::{
    FrontendId, PreviewImage, RecordId, Recording, RecordingFormat, RecordingState, Visibility,
};

/// The start of the first recording of a test, in milliseconds since 1970.
const START: i64 = 1_700_000_000_000;

/// A recording is published, and announced once.
pub const RULES: Rules = Rules { visibility: Visibility::Published, held: false, ready_per_format: false };

/// The id of a recording in the form of BBB's. Those of higher numbers began later.
pub fn record_id(number: u32) -> RecordId {
    RecordId::new(&format!("{number:040x}-{}", START + i64::from(number))).unwrap()
}

/// A format of a recording, with no files here.
pub fn new_format(number: u32, frontend: Option<FrontendId>, meeting: &str, kind: &str) -> NewFormat {
    let (id, start_time) = (record_id(number), START + i64::from(number));
    let image = PreviewImage {
        link: format!("/presentation/{id}/presentation/d2/thumbnails/thumb-1.png"),
        alt: "Welcome".to_owned(),
        width: "176".to_owned(),
        height: "136".to_owned(),
    };
    let format = RecordingFormat {
        kind: kind.to_owned(),
        link: format!("/playback/{kind}/2.3/{id}"),
        processing_time: 5_000,
        duration: 600_000,
        size: 1_000,
        images: vec![image],
        extensions: String::new(),
    };
    let metadata = [("meetingName", "Biology"), ("meetingId", meeting), ("isBreakout", "false")];
    let recording = Recording {
        internal_meeting_id: id.to_string(),
        id,
        frontend,
        meeting_id: meeting.to_owned(),
        name: "Biology".to_owned(),
        is_breakout: false,
        state: RecordingState::Published,
        protected: false,
        start_time,
        end_time: start_time + 600_000,
        participants: 3,
        raw_size: 2_000,
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        breakout: None,
        breakout_rooms: Vec::new(),
        formats: Vec::new(),
        epoch: 0,
        created_at: SystemTime::UNIX_EPOCH,
        updated_at: SystemTime::UNIX_EPOCH,
    };
    let stored = StoredFormat { format: kind.to_owned(), shelf: None, place: None, digest: None, files: 0 };
    NewFormat { recording, format, stored }
}

/// Makes 100,000 recordings of the school, a tenth of them deleted. `VACUUM ANALYZE` should follow.
pub const MANY_RECORDINGS: &str = "WITH made AS (
        INSERT INTO recordings (record_id, frontend_id, meeting_id, internal_meeting_id, name, state, start_time, end_time, metadata)
        SELECT ids.id, frontends.id, 'lesson-' || number % 5000, ids.id, 'Biology',
            CASE WHEN number % 10 = 0 THEN 'deleted' ELSE 'published' END,
            1700000000000 + number, 1700000600000 + number, '{\"meetingName\": \"Biology\"}'
        FROM frontends, generate_series(1, 100000) AS number,
            LATERAL (SELECT lpad(to_hex(number), 40, '0') || '-' || 1700000000000 + number AS id) AS ids
        WHERE key = 'school' RETURNING record_id)
    INSERT INTO recording_formats (record_id, format, link) SELECT record_id, 'presentation', '/playback' FROM made";
