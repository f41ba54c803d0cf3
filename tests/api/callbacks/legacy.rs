//! Tokens of the server that this one replaces, which nodes keep for days after a move.

use b3scale_support::JWT_SECRET;

use super::*;

const URL: &str = "http://127.0.0.1:9/moved?salt=%242y";

fn token(frontend: &str, scope: &str, secret: &str) -> String {
    let claims = json!({"scope": scope, "sub": frontend, "aud": [URL]});
    format!("/api/v1/callbacks/proxy/{}", jwt(Algorithm::HS384, &claims, secret))
}

/// A meeting without callbacks of its own.
async fn moved() -> (Called, String) {
    let called = Called::start().await;
    called.cluster.database.execute("DELETE FROM meeting_callbacks").await;
    let school = called.cluster.cluster.frontend("school").unwrap().id.0.to_string();
    (called, school)
}

#[tokio::test]
async fn a_token_of_the_original_is_honoured() {
    let (called, school) = moved().await;
    let path = token(&school, "b3scale:callback", JWT_SECRET);
    let scoped = called.scoped.replace('=', "%3D");
    for _ in 0..2 {
        assert_eq!(called.get(&path, &format!("recordingmarks=true&meetingID={scoped}")).await, 200);
    }
    called.lose().await;
    let kept = format!("marks AND callback_id IN (SELECT id FROM meeting_callbacks WHERE url = '{URL}')");
    assert_eq!(called.deliveries("end", &kept).await, 1);
}

/// A frontend may name the same URL for all its meetings, and hold one of them again and again.
#[tokio::test]
async fn a_token_that_meetings_share_tells_each_end() {
    let (called, school) = moved().await;
    called.cluster.call(CallKind::Create, "name=Biology&meetingID=biology").await.success();
    let path = token(&school, "b3scale:callback", JWT_SECRET);
    for meeting in ["algebra", "biology"] {
        let scoped = ScopedId::new("school", &MeetingId::new(meeting)).to_string().replace('=', "%3D");
        for _ in 0..2 {
            assert_eq!(called.get(&path, &format!("recordingmarks=true&meetingID={scoped}")).await, 200);
        }
    }
    let later = "WITH later AS (UPDATE meetings SET internal_id = 'later-' || meeting_id RETURNING *)
        INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, backend_id)
        SELECT id, internal_id, frontend_id, meeting_id, backend_id FROM later";
    called.cluster.database.execute(later).await;
    assert_eq!(called.deliveries("end", "marks").await, 2);
    let scoped = called.scoped.replace('=', "%3D");
    assert_eq!(called.get(&path, &format!("recordingmarks=false&meetingID={scoped}")).await, 200);
    called.cluster.database.execute("DELETE FROM meetings").await;
    assert_eq!(called.deliveries("end", "NOT marks").await, 1, "of the later session");
}

#[tokio::test]
async fn a_recording_of_a_meeting_before_the_move_is_told() {
    let (called, school) = moved().await;
    called.cluster.database.execute("DELETE FROM meetings").await;
    called
        .cluster
        .database
        .execute("UPDATE meeting_history SET internal_id = '', backend_id = NULL, ended_at = now()")
        .await;
    let path = token(&school, "b3scale:callback", JWT_SECRET);
    let claims = json!({"meeting_id": called.scoped, "record_id": called.internal_id});
    assert_eq!(called.ready(&path, &claims, "guessed").await, 401);
    assert_eq!(called.ready(&path, &claims, called.secret()).await, 200);
    assert_eq!(called.deliveries("ready", &format!("record_id = '{}'", called.internal_id)).await, 1);
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_refused() {
    let (called, school) = moved().await;
    called.cluster.frontend("college", |_| {}).await;
    let college = called.cluster.cluster.frontend("college").unwrap().id.0.to_string();
    let query = format!("recordingmarks=true&meetingID={}", called.scoped.replace('=', "%3D"));
    for (path, what) in [
        (token(&school, "b3scale:callback", "other"), "another secret"),
        (token(&school, "b3scale:admin", JWT_SECRET), "another scope"),
        (token(&college, "b3scale:callback", JWT_SECRET), "another frontend"),
    ] {
        assert_eq!(called.get(&path, &query).await, 404, "{what}");
    }
    assert_eq!(called.cluster.database.count("SELECT count(*) FROM deliveries").await, 0);
}
