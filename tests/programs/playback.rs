//! The memory of a server that plays large recordings.

use std::fs::{self, File};
use std::time::SystemTime;

use b3scale::store::{NewFormat, Rules, StoredFormat};
use b3scale_middleware::cluster::{RecordId, Recording, RecordingFormat, RecordingState, Visibility};
use b3scale_support::{Running, TestDatabase, TestFolder, new_frontend};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::b3scaled;

const RECORD: &str = "0123456789012345678901234567890123456789-1700000000000";
const SIZE: u64 = 2 << 30;

/// The most bytes by which a server may grow.
const GROWTH: u64 = 20 << 20;

/// Browsers that take nothing of their answer.
const SLOW: usize = 40;

/// A server with a recording of two gigabytes, and its address.
async fn playing(database: &TestDatabase, folder: &TestFolder) -> (Running, String) {
    let path = |name: &str| folder.path().join(name);
    let video = path("published").join("video").join(RECORD);
    fs::create_dir_all(&video).expect("it works here");
    fs::create_dir_all(path("unpublished")).expect("it works here");
    File::create(video.join("video-0.mp4")).expect("it works here").set_len(SIZE).expect("it works here");
    let frontend = database.store().frontends().record(&new_frontend("school")).await.expect("it works here").id;
    let id = RecordId::new(RECORD).expect("it works here");
    let recording = Recording {
        id,
        frontend: Some(frontend),
        meeting_id: "physics".to_owned(),
        internal_meeting_id: RECORD.to_owned(),
        name: "Physics".to_owned(),
        is_breakout: false,
        state: RecordingState::Published,
        protected: false,
        start_time: 0,
        end_time: 0,
        participants: 0,
        raw_size: 0,
        metadata: std::collections::BTreeMap::default(),
        breakout: None,
        breakout_rooms: Vec::new(),
        formats: Vec::new(),
        epoch: 0,
        created_at: SystemTime::now(),
        updated_at: SystemTime::now(),
    };
    let format = RecordingFormat {
        kind: "video".to_owned(),
        link: format!("/playback/video/{RECORD}/"),
        processing_time: 0,
        duration: 0,
        size: 0,
        images: Vec::new(),
        extensions: String::new(),
    };
    let stored = StoredFormat {
        format: "video".to_owned(),
        shelf: Some("local".to_owned()),
        place: Some("published".to_owned()),
        digest: None,
        files: 1,
    };
    let rules = Rules { visibility: Visibility::Published, ready_per_format: false, held: false };
    let new = NewFormat { recording, format, stored };
    database.store().recordings().add_format(&new, &rules).await.expect("it works here");
    let mut command = b3scaled(&["--listen", "127.0.0.1:0"]);
    command.env("B3SCALE_DB_URL", database.url()).env("B3SCALE_LOG_FORMAT", "structured");
    command.env("B3SCALE_RECORDINGS_PUBLISHED_PATH", path("published"));
    command.env("B3SCALE_RECORDINGS_UNPUBLISHED_PATH", path("unpublished"));
    let mut server = Running::logging(command);
    let line: Value = serde_json::from_str(&server.line_with("b3scaled serves").await).expect("a structured line");
    let address = line["listen"].as_str().expect("its address").to_owned();
    server.keep_reading();
    (server, address)
}

/// A connection on which the video was asked for, behind the head of the answer.
async fn asked(address: &str, range: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("it works here");
    let head =
        format!("GET /video/{RECORD}/video-0.mp4 HTTP/1.1\r\nHost: b3scale.test\r\nConnection: close\r\n{range}\r\n");
    stream.write_all(head.as_bytes()).await.expect("it works here");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("it works here"));
    }
    (stream, String::from_utf8(answer).expect("it works here"))
}

/// Takes all that comes, and counts it.
async fn taken(mut stream: TcpStream) -> u64 {
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        match stream.read(&mut buffer).await.expect("it works here") {
            0 => return bytes,
            read => bytes += read as u64,
        }
    }
}

/// Bytes of memory by a line of the system's report on a process.
fn memory(process: u32, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it works here");
    let found = status.lines().find_map(|each| each.strip_prefix(line)).expect("it works here");
    found.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse::<u64>().expect("it works here") << 10
}

/// The growth of a process at its peak during some work.
async fn growth(process: u32, work: impl Future<Output = ()>) -> u64 {
    // From here on, the peak is counted again.
    fs::write(format!("/proc/{process}/clear_refs"), "5").expect("it works here");
    let before = memory(process, "VmRSS");
    work.await;
    memory(process, "VmHWM").saturating_sub(before)
}

#[tokio::test]
async fn two_gigabytes_are_streamed_within_twenty_megabytes() {
    let (database, folder) = (TestDatabase::new().await, TestFolder::new());
    let (mut server, address) = playing(&database, &folder).await;
    let process = server.id();
    let (stream, head) = asked(&address, "Range: bytes=0-99\r\n").await;
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("bytes 0-99/2147483648"), "{head}");
    assert_eq!(taken(stream).await, 100);

    let whole = async {
        let (stream, head) = asked(&address, "").await;
        assert!(head.to_ascii_lowercase().contains("content-length: 2147483648\r\n"), "{head}");
        assert_eq!(taken(stream).await, SIZE);
    };
    let grown = growth(process, whole).await;
    assert!(grown <= GROWTH, "one viewer: {grown} bytes");

    let slow = async {
        let mut viewers = Vec::new();
        for _ in 0..SLOW {
            viewers.push(asked(&address, "").await.0);
        }
        // The others leave in the middle, and one goes on from there.
        let last = viewers.pop().expect("it works here");
        drop(viewers);
        assert_eq!(taken(last).await, SIZE);
    };
    let grown = growth(process, slow).await;
    assert!(grown <= GROWTH, "{SLOW} viewers: {grown} bytes");
    assert!(server.terminate().await);
}
