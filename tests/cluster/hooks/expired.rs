//! Hooks of single meetings, once these have ended.

use b3scale::hooks::ExpiredHooks;
use b3scale::work::Duty;
use b3scale_middleware::bbb::{MeetingId, ScopedId};
use b3scale_middleware::cluster::NewHook;
use b3scale_support::{TestDatabase, new_frontend};

#[tokio::test]
async fn a_hook_goes_a_week_after_its_meeting() {
    let database = TestDatabase::new().await;
    let store = database.store();
    let school = store.frontends().record(&new_frontend("school")).await.expect("it is recorded").id;
    for meeting in ["long-gone", "just-gone", "again", "running", "never"] {
        let new = NewHook {
            url: "https://cb.example/hook".to_owned(),
            meeting_id: Some(meeting.to_owned()),
            events: Vec::new(),
            raw: false,
        };
        store.hooks().create(school, &new, 10).await.expect("it is created");
    }
    for (meeting, internal_id, ended) in [
        ("long-gone", "a", "now() - interval '8 days'"),
        ("just-gone", "b", "now() - interval '6 days'"),
        ("again", "c", "now() - interval '8 days'"),
        ("again", "d", "now() - interval '1 day'"),
        ("running", "e", "NULL"),
    ] {
        let scoped = ScopedId::new("school", &MeetingId::new(meeting));
        let past = format!(
            "INSERT INTO meeting_history (id, internal_id, frontend_id, meeting_id, ended_at)
            VALUES ('{scoped}', '{internal_id}', '{}', '{meeting}', {ended})",
            school.0
        );
        database.execute(&past).await;
    }
    let left = "SELECT coalesce(string_agg(meeting_id, ' ' ORDER BY meeting_id), '') FROM hooks";
    ExpiredHooks(store.clone()).run().await.expect("it runs");
    assert_eq!(database.text(left).await, "again just-gone long-gone never running", "young hooks stay");
    database.execute("UPDATE hooks SET created_at = now() - interval '9 days'").await;
    ExpiredHooks(store.clone()).run().await.expect("it runs");
    assert_eq!(database.text(left).await, "again just-gone never running");
}
