//! Recordings, for operators. Defects of the original have their numbers.

use b3scale::store::Rules;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::{FrontendId, Visibility};
use b3scale_middleware::ports::Directory as _;
use b3scale_support::{RULES, SECRET, TestCluster, new_format, new_frontend, record_id};
use http::Method;
use serde_json::{Value, json};

use super::{has_keys, message, validation};

const JSON: &str = "application/json";

/// Recordings 1 to 3 of the school, in two formats the first, and 4 of an unknown meeting.
async fn filled() -> (TestCluster, FrontendId) {
    let cluster = TestCluster::start().await;
    let school = cluster.cluster.frontend("school").expect("it is there").id;
    for number in 1..=4 {
        let frontend = (number != 4).then_some(school);
        add(&cluster, number, frontend, "presentation").await;
    }
    add(&cluster, 1, Some(school), "video").await;
    (cluster, school)
}

async fn add(cluster: &TestCluster, number: u32, frontend: Option<FrontendId>, kind: &str) {
    let new = new_format(number, frontend, "lesson", kind);
    cluster.database.store().recordings().add_format(&new, &RULES).await.expect("it is added");
}

fn path(number: u32) -> String {
    format!("/recordings/{}", record_id(number))
}

async fn listed(cluster: &TestCluster, query: &str) -> Vec<String> {
    let list = cluster.operator().fetch(&format!("/recordings{query}")).await.granted();
    list.as_array().expect("a list").iter().map(|one| one["record_id"].as_str().expect("an id").to_owned()).collect()
}

fn ids(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| record_id(number).to_string()).collect()
}

#[tokio::test]
async fn a_recording_has_the_fields_of_the_original_and_ours() {
    let (cluster, school) = filled().await;
    let shown = cluster.operator().fetch(&path(1)).await.granted();
    let fields = [
        "record_id",
        "recording",
        "meeting_id",
        "internal_meeting_id",
        "frontend_id",
        "created_at",
        "updated_at",
        "synced_at",
        "visibility",
        "size",
    ];
    has_keys(&shown, &fields);
    assert_eq!(shown["frontend_id"], school.0.to_string());
    assert_eq!((&shown["visibility"], &shown["size"]), (&json!("published"), &json!(2000)));
    // Defect 41: these were never read.
    for time in ["created_at", "updated_at", "synced_at"] {
        assert!(!shown[time].as_str().expect("a time").starts_with("0001-"), "{shown}");
    }
    let recording = &shown["recording"];
    let fields = [
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
    ];
    has_keys(recording, &fields);
    assert_eq!(recording["StartTime"], json!(1_700_000_000_001_i64));
    let metadata = json!({"meetingName": "Biology", "meetingId": "lesson", "isBreakout": "false", "gl-listed": "false",
        "protect": "false"});
    assert_eq!(recording["Metadata"], metadata);
    let [presentation, video] = &recording["Formats"].as_array().expect("a list")[..] else { panic!("{recording}") };
    has_keys(presentation, &["XMLName", "Type", "URL", "ProcessingTime", "Length", "Preview"]);
    assert_eq!((&presentation["Type"], &video["Type"]), (&json!("presentation"), &json!("video")));
    assert_eq!(presentation["Length"], 10);
    let url = presentation["URL"].as_str().expect("a URL");
    assert!(
        url.starts_with("http://") && url.ends_with(&format!("/playback/presentation/2.3/{}", record_id(1))),
        "{url}"
    );
    let image = &presentation["Preview"]["Images"]["All"][0];
    has_keys(image, &["XMLName", "Alt", "Height", "Width", "URL"]);
    assert_eq!((&image["Width"], &image["XMLName"]), (&json!(176), &json!({"Space": "", "Local": ""})));
}

#[tokio::test]
async fn recordings_are_listed_newest_first_by_frontend_page_and_state() {
    let (cluster, school) = filled().await;
    assert_eq!(listed(&cluster, "").await, ids([4, 3, 2, 1]));
    assert_eq!(listed(&cluster, "?frontend_key=school").await, ids([3, 2, 1]));
    assert_eq!(listed(&cluster, &format!("?frontend_id={}&frontend_key=other", school.0)).await, ids([3, 2, 1]));
    assert_eq!(listed(&cluster, "?unassigned=yes").await, ids([4]));
    assert_eq!(listed(&cluster, "?limit=2").await, ids([4, 3]));
    assert_eq!(listed(&cluster, &format!("?limit=2&after={}", record_id(3))).await, ids([2, 1]));
    cluster.operator().delete(&path(2)).await.granted();
    assert_eq!(listed(&cluster, "?frontend_key=school").await, ids([3, 1]));
    assert_eq!(listed(&cluster, "?frontend_key=school&deleted=1").await, ids([3, 2, 1]));
}

/// Defect 45: each of these was an internal error.
#[tokio::test]
async fn a_list_that_cannot_be_is_refused_with_a_reason() {
    let (cluster, _) = filled().await;
    let unknown = uuid::Uuid::nil();
    for query in ["frontend_key=other", "frontend_id=none", &format!("frontend_id={unknown}")] {
        let refused = cluster.operator().fetch(&format!("/recordings?{query}")).await;
        assert_eq!(refused.refused(), (404, &*message("Not Found")), "{query}");
    }
    let limits = json!({"limit": ["should be from 1 to 1000"]});
    for limit in ["0", "1001"] {
        let refused = cluster.operator().fetch(&format!("/recordings?limit={limit}")).await;
        assert_eq!(refused.refused(), (400, &*validation(&limits)));
    }
    assert_eq!(cluster.operator().fetch("/recordings?limit=many").await.status, 400);
    let after = json!({"after": ["there is no such recording"]});
    for id in ["r-1", "r%2F1"] {
        let refused = cluster.operator().fetch(&format!("/recordings?after={id}")).await;
        assert_eq!(refused.refused(), (400, &*validation(&after)));
    }
}

#[tokio::test]
async fn a_recording_that_is_not_there_is_not_found() {
    let (cluster, _) = filled().await;
    let body = json!({"frontend_key": "school"});
    for id in ["r-1", "r%2e1", "%00", &"1".repeat(300)] {
        let operator = cluster.operator();
        let found = [
            operator.fetch(&format!("/recordings/{id}")).await,
            operator.delete(&format!("/recordings/{id}")).await,
            operator.post(&format!("/recordings/{id}/assign"), &body).await,
            operator.post(&format!("/recordings/{id}/ready"), &Value::Null).await,
        ];
        assert_eq!(found.map(|answer| answer.status.as_u16()), [404; 4], "{id}");
    }
}

#[tokio::test]
async fn only_operators_see_and_change_recordings() {
    let (cluster, _) = filled().await;
    let (id, visibility) = (path(1), json!({"record_id": record_id(1).as_str(), "visibility": "public"}));
    let requests = [
        (Method::GET, "/recordings", Value::Null),
        (Method::GET, &*id, Value::Null),
        (Method::DELETE, &*id, Value::Null),
        (Method::POST, &*format!("{id}/assign"), json!({"frontend_key": "school"})),
        (Method::POST, &*format!("{id}/ready"), Value::Null),
        (Method::POST, "/recordings-visibility", visibility),
    ];
    for (method, path, body) in requests {
        for tool in [cluster.tool("customer", "b3scale"), cluster.agent("node-1")] {
            let refused = tool.send(method.clone(), path, JSON, &body.to_string()).await;
            let why = message("b3scale:admin scope required");
            assert_eq!(refused.refused(), (403, &*why), "{method} {path}");
        }
        assert_eq!(
            cluster.stranger().send(method.clone(), path, JSON, &body.to_string()).await.status,
            401,
            "{method} {path}"
        );
    }
    assert_eq!(listed(&cluster, "").await, ids([4, 3, 2, 1]));
}

#[tokio::test]
async fn each_visibility_is_shown_as_it_was_set() {
    let (cluster, _) = filled().await;
    for (visibility, state, listed, protected) in [
        ("unpublished", "unpublished", "false", "false"),
        ("published", "published", "false", "false"),
        ("protected", "published", "false", "true"),
        ("public", "published", "true", "false"),
        ("public_protected", "published", "true", "true"),
    ] {
        let wish = json!({"record_id": record_id(1).as_str(), "visibility": visibility});
        let set = cluster.operator().post("/recordings-visibility", &wish).await.granted();
        assert_eq!(set["visibility"], visibility);
        let recording = &set["recording"];
        assert_eq!((&recording["State"], &recording["Published"]), (&json!(state), &json!(state == "published")));
        let metadata = &recording["Metadata"];
        assert_eq!((&metadata["gl-listed"], &metadata["protect"]), (&json!(listed), &json!(protected)), "{visibility}");
        let url = recording["Formats"][0]["URL"].as_str().expect("a URL");
        assert_eq!(url.contains("/playback/ticket/"), protected == "true", "{url}");
        assert_eq!(cluster.operator().fetch(&path(1)).await.granted()["visibility"], visibility);
    }
}

#[tokio::test]
async fn a_wish_for_a_visibility_that_says_too_little_changes_nothing() {
    let (cluster, _) = filled().await;
    let id = record_id(1);
    let wanted = |field: &str, why: &str| validation(&json!({ field: [why] }));
    for (wish, expected) in [
        // Defect 45: a missing id was an internal error.
        (json!({"visibility": "public"}), wanted("record_id", "this field is required")),
        // Defect 46: a missing visibility unpublished the recording.
        (json!({"record_id": id.as_str()}), wanted("visibility", "this field is required")),
        (json!({"record_id": id.as_str(), "visibility": null}), wanted("visibility", "this field is required")),
        (json!({"record_id": "r-1", "visibility": "public"}), wanted("record_id", "there is no such recording")),
        (json!({"record_id": id.as_str(), "visibility": "bogus"}), message("unknown recording visibility: 'bogus'")),
    ] {
        let refused = cluster.operator().post("/recordings-visibility", &wish).await;
        assert_eq!(refused.refused(), (400, &*expected), "{wish}");
    }
    let number = json!({"record_id": id.as_str(), "visibility": 1});
    assert_eq!(cluster.operator().post("/recordings-visibility", &number).await.status, 400);
    assert_eq!(cluster.operator().fetch(&path(1)).await.granted()["visibility"], "published");
}

/// Defect 40: an override for an existing recording changed nothing, and said otherwise.
#[tokio::test]
async fn a_recording_of_an_unknown_meeting_is_given_to_a_frontend_once() {
    let (cluster, _) = filled().await;
    let settings = json!({"recordings": {"visibility_override": "protected"}});
    let body = json!({"bbb": {"key": "academy", "secret": SECRET}, "settings": settings});
    cluster.operator().post("/frontends", &body).await.granted();
    let assign = async |body: Value| cluster.operator().post(&format!("{}/assign", path(4)), &body).await;
    for (body, field, why) in [
        (json!({}), "frontend_key", "this field is required"),
        (json!({"frontend_key": "other"}), "frontend_key", "there is no such frontend"),
    ] {
        let refused = assign(body).await;
        assert_eq!(refused.refused(), (400, &*validation(&json!({field: [why]}))));
    }
    let given = assign(json!({"frontend_key": "academy", "meeting_id": "history"})).await.granted();
    assert_eq!((&given["meeting_id"], &given["visibility"]), (&json!("history"), &json!("protected")));
    assert_eq!(listed(&cluster, "?frontend_key=academy").await, ids([4]));
    assert_eq!(listed(&cluster, "?unassigned=true").await, ids([]));
    let announced = format!("SELECT count(*) FROM recordings_ready WHERE record_id = '{}'", record_id(4));
    assert_eq!(cluster.database.count(&announced).await, 1);
    let refused = assign(json!({"frontend_key": "school"})).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.json()["message"], "the recording belongs to another frontend");
}

#[tokio::test]
async fn an_assigned_recording_is_as_visible_as_its_meeting_and_its_node_wish() {
    let (cluster, _) = filled().await;
    for (key, forced) in [("academy", None), ("college", Some("public"))] {
        let settings = json!({"recordings": {"visibility_override": forced}});
        let body = json!({"bbb": {"key": key, "secret": SECRET}, "settings": settings});
        cluster.operator().post("/frontends", &body).await.granted();
    }
    for (number, held, wish, key, visibility) in [
        (5, true, None, "academy", "published"),
        (6, true, Some("protect"), "academy", "protected"),
        (7, true, Some("gl-listed"), "academy", "public"),
        (8, true, Some("protect"), "college", "public"),
        // Its node does not publish it.
        (9, false, None, "academy", "unpublished"),
        (10, false, None, "college", "unpublished"),
    ] {
        let mut new = new_format(number, None, "lesson", "presentation");
        new.recording.metadata.extend(wish.map(|name| (name.to_owned(), "true".to_owned())));
        let rules = Rules { visibility: Visibility::Unpublished, held, ..RULES };
        cluster.database.store().recordings().add_format(&new, &rules).await.expect("it is added");
        let assign = format!("{}/assign", path(number));
        let given = cluster.operator().post(&assign, &json!({"frontend_key": key})).await.granted();
        assert_eq!(given["visibility"], visibility, "recording {number}");
    }
    let wish = json!({"record_id": record_id(5).as_str(), "visibility": "unpublished"});
    cluster.operator().post("/recordings-visibility", &wish).await.granted();
    let again = json!({"frontend_key": "academy", "meeting_id": "history"});
    let given = cluster.operator().post(&format!("{}/assign", path(5)), &again).await.granted();
    assert_eq!((&given["meeting_id"], &given["visibility"]), (&json!("history"), &json!("unpublished")));
}

#[tokio::test]
async fn an_assigned_recording_has_the_ids_of_its_frontend() {
    let (cluster, _) = filled().await;
    let scoped = ScopedId::new("gone", &MeetingId::new("biology"));
    let mut new = new_format(5, None, scoped.as_ref(), "presentation");
    let metadata = &mut new.recording.metadata;
    metadata.insert("url".to_owned(), format!("https://tenant.example/{}", scoped.as_ref()));
    metadata.insert("endcallbackurl".to_owned(), "https://gone.example/end".to_owned());
    cluster.database.store().recordings().add_format(&new, &RULES).await.expect("it is added");
    let given =
        cluster.operator().post(&format!("{}/assign", path(5)), &json!({"frontend_key": "school"})).await.granted();
    assert_eq!(given["meeting_id"], "biology");
    let metadata = &given["recording"]["Metadata"];
    assert_eq!(
        (&metadata["meetingId"], &metadata["url"]),
        (&json!("biology"), &json!("https://tenant.example/biology"))
    );
    assert_eq!(metadata.get("endcallbackurl"), None, "that is the URL of the frontend before");
}

#[tokio::test]
async fn a_recording_is_announced_again_unless_no_frontend_can_see_it() {
    let (cluster, _) = filled().await;
    let last = "SELECT max(seq) FROM recordings_ready";
    let before = cluster.database.count(last).await;
    cluster.operator().post(&format!("{}/ready", path(1)), &Value::Null).await.granted();
    assert!(cluster.database.count(last).await > before);
    cluster.operator().delete(&path(2)).await.granted();
    for number in [2, 4] {
        assert_eq!(cluster.operator().post(&format!("{}/ready", path(number)), &Value::Null).await.status, 409);
    }
}

#[tokio::test]
async fn a_deleted_recording_comes_back_only_on_purpose() {
    let (cluster, school) = filled().await;
    let deleted = cluster.operator().delete(&path(1)).await.granted();
    assert_eq!(deleted["recording"]["State"], "deleted");
    assert_eq!(cluster.operator().delete(&path(1)).await.status, 404);
    add(&cluster, 1, Some(school), "podcast").await;
    let shown = cluster.operator().fetch(&path(1)).await.granted();
    assert_eq!(shown["recording"]["State"], "deleted");
    let wish = json!({"record_id": record_id(1).as_str(), "visibility": "unpublished"});
    let back = cluster.operator().post("/recordings-visibility", &wish).await.granted();
    assert_eq!(back["recording"]["State"], "unpublished");
}

#[tokio::test]
async fn recordings_of_a_removed_frontend_stay_for_operators() {
    let (cluster, school) = filled().await;
    let other = cluster.database.store().frontends().record(&new_frontend("academy")).await.expect("a frontend").id;
    add(&cluster, 5, Some(other), "presentation").await;
    cluster.operator().delete(&format!("/frontends/{}", school.0)).await.granted();
    assert_eq!(listed(&cluster, "?unassigned=true").await, ids([4, 3, 2, 1]));
    assert_eq!(listed(&cluster, "?frontend_key=academy").await, ids([5]));
    let given = cluster.operator().post(&format!("{}/assign", path(1)), &json!({"frontend_key": "academy"})).await;
    assert_eq!(given.granted()["meeting_id"], "lesson");
}
