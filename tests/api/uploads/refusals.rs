//! Requests that are refused: unsigned, signed wrongly, for foreign uploads, without sense, without room.

use std::time::{Duration, SystemTime};

use b3scale::signature::Signed;
use b3scale_middleware::bbb::Secret;
use b3scale_middleware::cluster::{AdminState, Backend};
use b3scale_support::{Recorded, token};
use http::{Method, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::{CHUNK, Rig, UPLOADS, announcement, chunks, document, long_podcast, podcast};

#[tokio::test]
async fn only_an_enabled_node_by_its_signature_and_an_operator_may_upload() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let body = announcement(&recorded, "podcast", &podcast(&recorded));
    let (url, secret) = (rig.cluster.nodes[0].url().to_owned(), rig.cluster.nodes[0].secret().to_owned());
    let unproved = Backend {
        admin_state: AdminState::Init,
        ..Backend::new(Uuid::now_v7(), "https://new.example/bigbluebutton/api/", Secret::new("its secret").unwrap())
    };
    rig.cluster.database.store().backends().record(&unproved).await.unwrap();
    let signed = |method: &str, path: &str, body: &str, age: i64| {
        let now = SystemTime::now();
        let age = Duration::from_secs(age.unsigned_abs());
        (Signed::new(method, path, body.as_bytes(), now - age), Signed::new(method, path, body.as_bytes(), now + age))
    };
    let now = signed("POST", UPLOADS, &body, 0).0;
    let refused = async |token: &str| {
        let answer = rig.send(token, Method::POST, UPLOADS, &body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        document(&answer)["message"].as_str().unwrap().to_owned()
    };
    let unknown = "this node is unknown or not enabled, or its signature is wrong";
    for token in [
        "nonsense".to_owned(),
        now.token(&url, "another secret").unwrap(),
        now.token("https://unknown.example/bigbluebutton/api/", &secret).unwrap(),
        now.token("https://unknown.example/bigbluebutton/api/", "unknown").unwrap(),
        now.token(&unproved.url, "its secret").unwrap(),
        signed("POST", UPLOADS, &body, 3600).0.token("https://unknown.example/bigbluebutton/api/", "unknown").unwrap(),
        token("node", "b3scale:node"),
        token("customer", "b3scale"),
    ] {
        assert_eq!(refused(&token).await, unknown);
    }
    let another = "the signature is that of another request";
    assert_eq!(refused(&signed("PUT", UPLOADS, &body, 0).0.token(&url, &secret).unwrap()).await, another);
    let elsewhere = signed("POST", &format!("{UPLOADS}/1/finish"), &body, 0).0;
    assert_eq!(refused(&elsewhere.token(&url, &secret).unwrap()).await, another);
    let (old, early) = signed("POST", UPLOADS, &body, 3600);
    for clock in [old, early] {
        let said = refused(&clock.token(&url, &secret).unwrap()).await;
        assert!(said.starts_with("the clocks of the node and of this server differ by "), "{said}");
    }
    let damaged = rig.send(&now.token(&url, &secret).unwrap(), Method::POST, UPLOADS, &format!("{body} ")).await;
    assert_eq!(damaged.status, StatusCode::BAD_REQUEST);
    let operator = rig.send(&token("operator", "b3scale:admin"), Method::POST, UPLOADS, &body).await;
    assert_eq!(operator.status, StatusCode::CREATED);
    assert_eq!(rig.ask(0, Method::POST, UPLOADS, &body).await.status, StatusCode::CREATED, "an upload of its own");
}

#[tokio::test]
async fn the_upload_of_another_node_does_not_exist() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = podcast(&recorded);
    let path = rig.upload(0, &recorded, "podcast", &archive).await;
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::HEAD, path.clone()),
        (Method::PUT, format!("{path}/0")),
        (Method::POST, format!("{path}/finish")),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{UPLOADS}/{}", Uuid::nil())),
        (Method::GET, format!("{UPLOADS}/x")),
    ] {
        assert_eq!(rig.ask(1, method.clone(), &path, "").await.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    assert_eq!(rig.ask(0, Method::HEAD, &path, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn announcements_without_sense_are_refused_with_the_field() {
    let rig = Rig::new().await;
    let good = json!({ "record_id": "a-1", "format": "video", "length": 4096, "sha256": "0".repeat(64) });
    for (field, value, problem) in [
        ("record_id", json!("../a"), "record_id is no id of a recording"),
        ("format", json!("a/b"), "format is no name of a format"),
        ("sha256", json!("xyz"), "sha256 is not 64 hexadecimal digits in lower case"),
        ("length", json!(0), "length is 0, and an archive has bytes"),
        ("length", json!("many"), "the body is no announcement of an archive: invalid type: string"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let answer = rig.ask(0, Method::POST, UPLOADS, &wrong.to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(document(&answer)["message"].as_str().unwrap().starts_with(problem), "{answer:?}");
    }
    let mut huge = good.clone();
    huge["length"] = json!(1_u64 << 40);
    assert_eq!(rig.ask(0, Method::POST, UPLOADS, &huge.to_string()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = rig.ask(0, Method::POST, UPLOADS, &" ".repeat(70_000)).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_chunk_has_its_number_its_size_and_its_time() {
    let rig = Rig::new().await;
    let recorded = Recorded::new(1, "lesson");
    let archive = long_podcast(&recorded);
    let path = rig.upload(0, &recorded, "podcast", &archive).await;
    for (number, body, status) in [
        ("3", "x".to_owned(), StatusCode::NOT_FOUND),
        ("-1", "x".to_owned(), StatusCode::NOT_FOUND),
        ("0", "x".repeat(CHUNK - 1), StatusCode::BAD_REQUEST),
        ("2", "x".repeat(CHUNK), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = rig.ask(0, Method::PUT, &format!("{path}/{number}"), &body).await;
        assert_eq!(answer.status, status, "{number}: {answer:?}");
    }
    let first = chunks(&archive).next().unwrap();
    assert_eq!(rig.ask(0, Method::PUT, &format!("{path}/0"), first).await.status, StatusCode::NO_CONTENT, "again");
    rig.ask(0, Method::POST, &format!("{path}/finish"), "").await;
    assert_eq!(rig.ask(0, Method::PUT, &format!("{path}/0"), first).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn without_room_uploads_are_refused_before_they_are_read() {
    let rig = Rig::with(&[("B3SCALE_RECORDINGS_KEEP_FREE", "4000000000")]).await;
    let recorded = Recorded::new(1, "lesson");
    let answer = rig.announce(0, &recorded, "podcast", &podcast(&recorded)).await;
    assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(answer.headers["retry-after"], "60");
    assert_eq!(document(&answer)["message"], "no room is left for recordings; try again later");
}

#[tokio::test]
async fn a_node_has_some_open_uploads_at_most() {
    let rig = Rig::new().await;
    for number in 0..32 {
        let recorded = Recorded::new(number, "lesson");
        let answer = rig.announce(0, &recorded, "podcast", &podcast(&recorded)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    let recorded = Recorded::new(99, "lesson");
    let archive = podcast(&recorded);
    assert_eq!(rig.announce(0, &recorded, "podcast", &archive).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rig.announce(1, &recorded, "podcast", &archive).await.status, StatusCode::CREATED);
}
