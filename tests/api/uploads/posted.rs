//! The original's way in: a hook posts `metadata.xml`, and the files lie in a folder that servers and nodes share.

use b3scale_support::token;

use super::*;

const IMPORT: &str = "/api/v1/recordings-import";

/// Posts as the original's hook does: as a form, and without line feeds.
async fn post(rig: &Rig, scope: &str, query: &str, metadata: &str) -> Answer {
    let bearer = format!("Bearer {}", token("agent-1", scope));
    let headers = [("authorization", &*bearer), ("content-type", "application/x-www-form-urlencoded")];
    rig.cluster.request(Method::POST, &format!("{IMPORT}{query}"), &headers, &metadata.replace('\n', "")).await
}

#[tokio::test]
async fn a_posted_document_takes_the_formats_of_the_inbox_in() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    for format in ["presentation", "podcast"] {
        b3scale_support::publish(&rig.folders.path("inbox"), &recorded, format);
    }
    let overrides = "?override_frontend_key=school&override_original_meeting_id=algebra";
    let answer = post(&rig, "b3scale:node", overrides, &recorded.metadata("presentation")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let recording = document(&answer);
    assert_eq!((&recording["RecordID"], &recording["MeetingID"]), (&json!(recorded.id), &json!("algebra")));
    assert_eq!(recording["Formats"].as_array().unwrap().len(), 2, "{recording}");
    for format in ["presentation", "podcast"] {
        rig.folders.hold("published", &recorded, format);
    }
}

/// Defect 43: of an unknown meeting and of a broken document the original says an internal error.
#[tokio::test]
async fn a_document_without_files_is_listed_and_a_broken_one_says_why() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let answer = post(&rig, "b3scale:admin", "", &recorded.metadata("video")).await;
    assert_eq!((answer.status, &document(&answer)["RecordID"]), (StatusCode::OK, &json!(recorded.id)));
    let unknown = post(&rig, "b3scale:node", "?override_frontend_key=nobody", &recorded.metadata("video")).await;
    let words = "override_frontend_key: A frontend with key 'nobody' could not be found.";
    assert_eq!((unknown.status, &document(&unknown)["message"]), (StatusCode::NOT_FOUND, &json!(words)));
    for broken in ["", "no xml", "<recording>", "<recording><id>../x</id></recording>", "<other/>"] {
        let answer = post(&rig, "b3scale:node", "", broken).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{broken}: {answer:?}");
        assert!(!document(&answer)["message"].as_str().unwrap().is_empty());
    }
    let user = post(&rig, "b3scale", "", &recorded.metadata("video")).await;
    assert_eq!(user.status, StatusCode::FORBIDDEN);
}
