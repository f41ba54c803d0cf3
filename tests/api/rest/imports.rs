//! The original's import: a posted `metadata.xml`, and files in a shared folder.

use std::fs;

use b3scale_middleware::cluster::{RecordId, Recording, RecordingState};
use b3scale_support::{
    Answer, ClusterOptions, PublishedFolder, Recorded, RecordingFolders, TestCluster, Tool, eventually, new_frontend,
    publish,
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{has_keys, message};

/// What `curl -d` says of a body.
const FORM: &str = "application/x-www-form-urlencoded";

/// A cluster with recordings.
struct Rig {
    cluster: TestCluster,
    folders: RecordingFolders,
}

impl Rig {
    async fn new() -> Self {
        Self::without(&[]).await
    }

    /// One without some of the variables.
    async fn without(variables: &[&str]) -> Self {
        let folders = RecordingFolders::new();
        let mut environment = folders.environment();
        environment.retain(|(name, _)| !variables.contains(name));
        let cluster = TestCluster::with(ClusterOptions { environment, ..ClusterOptions::default() }).await;
        Self { cluster, folders }
    }

    /// A recording of a meeting of the frontend `school` that ended some days ago.
    async fn recorded(&self, number: u64, days: u32) -> Recorded {
        let recorded = Recorded::new(number, "lesson");
        let sql = format!(
            "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id, ended_at)
             SELECT 'scoped-{0}', '{0}', id, '{1}', gen_random_uuid(), now() - interval '{days} days'
             FROM frontends WHERE key = 'school'",
            recorded.id, recorded.meeting_id
        );
        self.cluster.database.execute(&sql).await;
        recorded
    }

    fn node(&self) -> Tool<'_> {
        self.cluster.agent("node-1")
    }

    /// Posts a document as the original's script does it: `curl -d @file` drops line breaks.
    async fn post(&self, query: &str, document: &str) -> Answer {
        let stripped = document.replace(['\r', '\n'], "");
        self.node().send(Method::POST, &format!("/recordings-import{query}"), FORM, &stripped).await
    }

    async fn imported(&self, recorded: &Recorded, format: &str) -> Value {
        let answer = self.post("", &recorded.metadata(format)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_str(&answer.text).unwrap()
    }

    async fn find(&self, recorded: &Recorded) -> Option<Recording> {
        let id = RecordId::new(&recorded.id).expect("it is an id");
        self.cluster.database.store().recordings().find(&id).await.expect("the tables answer")
    }

    fn exists(&self, tree: &str, recorded: &Recorded, format: &str) -> bool {
        self.folders.path(tree).join(format).join(&recorded.id).exists()
    }
}

#[tokio::test]
async fn a_posted_document_is_a_bare_recording_and_its_files_move_to_their_tree() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 0).await;
    publish(&rig.folders.path("inbox"), &recorded, "presentation");
    let recording = rig.imported(&recorded, "presentation").await;
    has_keys(
        &recording,
        &[
            "XMLName",
            "RecordID",
            "MeetingID",
            "InternalMeetingID",
            "Name",
            "IsBreakout",
            "Published",
            "State",
            "StartTime",
            "EndTime",
            "Participants",
            "Metadata",
            "Formats",
        ],
    );
    assert_eq!((&recording["RecordID"], &recording["MeetingID"]), (&json!(recorded.id), &json!("lesson")));
    assert_eq!((&recording["State"], &recording["Published"]), (&json!("published"), &json!(true)));
    assert_eq!(
        (&recording["Formats"][0]["Type"], &recording["Formats"][0]["Length"]),
        (&json!("presentation"), &json!(60))
    );
    rig.folders.hold("published", &recorded, "presentation");
    assert!(!rig.exists("inbox", &recorded, "presentation"));
}

#[tokio::test]
async fn files_may_be_missing() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 0).await;
    rig.imported(&recorded, "presentation").await;
    assert_eq!(rig.find(&recorded).await.expect("it is listed").formats.len(), 1);
    publish(&rig.folders.path("inbox"), &recorded, "presentation");
    rig.imported(&recorded, "presentation").await;
    rig.folders.hold("published", &recorded, "presentation");
}

/// Defect 43 of the original: formats that it did not know yet stayed in the inbox.
#[tokio::test]
async fn all_formats_of_the_recording_leave_the_inbox() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 0).await;
    let inbox = rig.folders.path("inbox");
    PublishedFolder::FORMATS.iter().for_each(|format| drop(publish(&inbox, &recorded, format)));
    fs::create_dir_all(inbox.join("raw").join(&recorded.id)).unwrap();
    let recording = rig.imported(&recorded, "presentation").await;
    assert_eq!(recording["Formats"].as_array().unwrap().len(), PublishedFolder::FORMATS.len());
    for format in PublishedFolder::FORMATS {
        rig.folders.hold("published", &recorded, format);
        assert!(!rig.exists("inbox", &recorded, format));
    }
    assert!(rig.exists("inbox", &recorded, "raw"), "it is no format");
}

/// Defect 42 of the original: a recording that was processed again never replaced the old one.
#[tokio::test]
async fn files_that_come_again_replace_the_old_ones() {
    let rig = Rig::new().await;
    let mut recorded = rig.recorded(1, 0).await;
    for take in 1..3 {
        recorded.take = take;
        publish(&rig.folders.path("inbox"), &recorded, "podcast");
        rig.imported(&recorded, "podcast").await;
        rig.folders.hold("published", &recorded, "podcast");
    }
}

/// Defect 43 of the original: broken documents were an internal error or stopped the server, so that scripts could not tell.
#[tokio::test]
async fn documents_that_cannot_be_used_are_refused_with_words() {
    let rig = Rig::new().await;
    for (document, said) in [
        ("", "metadata.xml: XML ends too early (at byte 0)"),
        ("<recording><id>a-1", "metadata.xml: XML ends too early (at byte 18)"),
        ("<recording/>", "metadata.xml: `id` is missing or empty"),
        ("<html/>", "metadata.xml: its root is `html`, and `recording` is wanted"),
        (
            "<recording><id>../a</id></recording>",
            "metadata.xml: `id` is `../a`: letters, digits, `-` and `_` are wanted",
        ),
        (
            "<recording><id>a</id><playback><size>big</size></playback></recording>",
            "metadata.xml: `playback/size` is `big`, and a whole number is wanted",
        ),
    ] {
        let answer = rig.post("", document).await;
        assert_eq!((answer.status, answer.text.trim()), (StatusCode::BAD_REQUEST, &*message(said)), "{document}");
    }
    let bare = rig.post("", "<recording><id>a-1</id></recording>").await;
    assert_eq!(bare.status, StatusCode::CONFLICT);
    assert!(bare.text.contains("has no `playback`, and the inbox has no format of the recording"), "{}", bare.text);
    let large = rig.post("", &" ".repeat(5 << 20)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// Defect 19 of the original: it forgot meetings after a week, so that late recordings were refused.
#[tokio::test]
async fn a_meeting_is_known_for_long_after_its_end() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 300).await;
    rig.imported(&recorded, "presentation").await;
    assert!(rig.find(&recorded).await.expect("it is listed").frontend.is_some());
}

#[tokio::test]
async fn a_recording_of_an_unknown_meeting_has_no_frontend_and_is_unpublished() {
    let rig = Rig::new().await;
    let unknown = Recorded::new(1, "unknown");
    publish(&rig.folders.path("inbox"), &unknown, "presentation");
    let recording = rig.imported(&unknown, "presentation").await;
    assert_eq!((&recording["State"], &recording["Published"]), (&json!("unpublished"), &json!(false)));
    assert_eq!(rig.find(&unknown).await.expect("it is listed").frontend, None);
    rig.folders.hold("unpublished", &unknown, "presentation");
}

#[tokio::test]
async fn an_override_names_frontend_and_meeting() {
    let rig = Rig::new().await;
    let other = rig.cluster.database.store().frontends().record(&new_frontend("other")).await.unwrap();
    let unknown = Recorded::new(1, "unknown");
    let query = "?override_frontend_key=other&override_original_meeting_id=room%201";
    let answer = rig.post(query, &unknown.metadata("presentation")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let recording = rig.find(&unknown).await.expect("it is listed");
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(other.id), "room 1"));
    assert_eq!(recording.state, RecordingState::Published);
    assert_eq!(recording.metadata["meetingId"], "room 1");

    let nobody = rig.post("?override_frontend_key=x", &unknown.metadata("presentation")).await;
    let said = message("override_frontend_key: A frontend with key 'x' could not be found.");
    assert_eq!((nobody.status, nobody.text.trim()), (StatusCode::NOT_FOUND, &*said));
}

/// Defect 40 of the original: an override of a known recording changed nothing, and the answer was 200.
#[tokio::test]
async fn an_override_moves_a_known_recording() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 0).await;
    rig.imported(&recorded, "presentation").await;
    let other = rig.cluster.database.store().frontends().record(&new_frontend("other")).await.unwrap();
    let query = "?override_frontend_key=other&override_original_meeting_id=room";
    let answer = rig.post(query, &recorded.metadata("presentation")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let recording = rig.find(&recorded).await.expect("it is listed");
    assert_eq!((recording.frontend, &*recording.meeting_id), (Some(other.id), "room"));
    rig.imported(&recorded, "presentation").await;
    assert_eq!(rig.find(&recorded).await.expect("it is listed").frontend, Some(other.id), "it stays there");
}

/// As by default: nodes publish into the very folder from which recordings are served.
#[tokio::test]
async fn the_inbox_may_be_the_tree_of_published_recordings() {
    let rig = Rig::without(&["B3SCALE_RECORDINGS_INBOX_PATH"]).await;
    let recorded = rig.recorded(1, 0).await;
    publish(&rig.folders.path("published"), &recorded, "presentation");
    rig.imported(&recorded, "presentation").await;
    rig.folders.hold("published", &recorded, "presentation");
    let unknown = Recorded::new(2, "unknown");
    publish(&rig.folders.path("published"), &unknown, "presentation");
    rig.imported(&unknown, "presentation").await;
    // A web server would serve it.
    eventually("it leaves the published ones", async || !rig.exists("published", &unknown, "presentation")).await;
    rig.folders.hold("unpublished", &unknown, "presentation");
}

#[tokio::test]
async fn operators_and_nodes_import_and_others_do_not() {
    let rig = Rig::new().await;
    let recorded = rig.recorded(1, 0).await;
    let post = async |tool: Tool<'_>| {
        tool.send(Method::POST, "/recordings-import", "text/xml", &recorded.metadata("podcast")).await.status
    };
    assert_eq!(post(rig.cluster.stranger()).await, StatusCode::UNAUTHORIZED);
    assert_eq!(post(rig.cluster.tool("customer", "b3scale")).await, StatusCode::FORBIDDEN);
    assert!(rig.find(&recorded).await.is_none());
    assert_eq!(post(rig.cluster.operator()).await, StatusCode::OK);
}

#[tokio::test]
async fn without_folders_imports_are_off() {
    let cluster = TestCluster::start().await;
    let document = Recorded::new(1, "lesson").metadata("podcast");
    let answer = cluster.operator().send(Method::POST, "/recordings-import", FORM, &document).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("recordings are off"), "{}", answer.text);
}
