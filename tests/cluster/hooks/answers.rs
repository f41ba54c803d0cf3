//! What a receiver gets and answers, and what follows.

use b3scale::store::StoreError;
use b3scale_middleware::bbb::{Algorithm, sign};
use b3scale_middleware::cluster::{Frontend, Secrets, WebhookSettings};
use b3scale_support::{Heard, Reaction};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::rig::{Hooks, Standing, event, field, numbers};
use crate::fixture::secret;

/// Whether a receiver that knows that secret takes a post by the checksum of bbb-webhooks.
fn checks(hooks: &Hooks, heard: &Heard, algorithm: Algorithm, known: &str) -> bool {
    let (path, checksum) = heard.path().split_once("?checksum=").expect("a checksum");
    sign(algorithm, &hooks.receiver.url(path), &heard.body, &secret(known)) == checksum
}

/// Whether it takes a post by Standard Webhooks.
fn verifies(heard: &Heard, known: &str) -> bool {
    let header = |name| heard.header(name).expect("a header");
    let signed = format!("{}.{}.{}", header("Webhook-Id"), header("Webhook-Timestamp"), heard.body);
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, known.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes())));
    header("Webhook-Signature").split(' ').any(|signature| signature == expected)
}

async fn change(hooks: &Hooks, change: impl Fn(&Frontend) -> Frontend + Sync) {
    let frontends = hooks.fixture.store.frontends();
    let changed = frontends.change::<StoreError>(hooks.fixture.frontend, |frontend, _| Ok(change(frontend))).await;
    changed.expect("it is changed").expect("it is there");
}

#[tokio::test]
async fn an_event_arrives_in_bbbs_form_with_both_signatures() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "").await;
    hooks.tell(1).await;
    hooks.done().await;
    let heard = hooks.receiver.heard().remove(0);
    assert_eq!(heard.method(), "POST");
    assert_eq!(heard.header("Content-Type"), Some("application/x-www-form-urlencoded;charset=UTF-8"));
    assert_eq!(heard.header("Webhook-Id"), Some("h1.1"));
    assert_eq!(heard.header("X-B3scale-Sequence"), Some("1"));
    assert!(checks(&hooks, &heard, Algorithm::Sha1, "s3cret") && verifies(&heard, "s3cret"));
    assert_eq!(field(&heard, "domain"), "bbb.example");
    assert!(field(&heard, "timestamp").parse::<i64>().is_ok_and(|milliseconds| milliseconds > 1_700_000_000_000));
    assert_eq!(
        event(&heard),
        json!({
            "data": {"type": "event", "id": "user-joined", "attributes": {
                "meeting": {"internal-meeting-id": "internal-a", "external-meeting-id": "a"},
                "user": {"internal-user-id": "w_1", "name": "Ada Lovelace"}}},
            "event": {"ts": 1_700_000_000_001_i64},
        })
    );
}

#[tokio::test]
async fn while_secrets_change_either_receiver_takes_the_post() {
    let hooks = Hooks::new(1, [500, 500].map(Reaction::Status)).await;
    change(&hooks, |frontend| {
        let mut changed = frontend.clone();
        changed.secrets = Secrets::new(frontend.secrets.current().clone(), Some(secret("n3xt")));
        let algorithm = Some(Algorithm::Sha256);
        let domain = Some("school.example".to_owned());
        changed.settings.webhooks = Some(WebhookSettings { algorithm, domain, ..WebhookSettings::default() });
        changed
    })
    .await;
    hooks.hook("h1", "").await;
    hooks.tell(1).await;
    hooks.done().await;
    let heard = hooks.receiver.heard();
    assert_eq!(heard.len(), 3);
    for (heard, signer) in heard.iter().zip(["n3xt", "s3cret", "n3xt"]) {
        assert!(checks(&hooks, heard, Algorithm::Sha256, signer), "{signer}");
        assert!(verifies(heard, "n3xt") && verifies(heard, "s3cret"));
        assert_eq!(field(heard, "domain"), "school.example");
        assert_eq!(heard.header("Webhook-Id"), Some("h1.1"));
        assert_eq!(heard.body, hooks.receiver.heard()[0].body, "the time is that of the first try");
    }
}

#[tokio::test]
async fn a_401_is_a_delivery_and_no_redirect_is() {
    let login = Reaction::With(302, "Location: /login".to_owned());
    let hooks = Hooks::new(1, [Reaction::Status(401), login]).await;
    hooks.hook("h1", "").await;
    hooks.tell(2).await;
    hooks.done().await;
    assert_eq!(numbers(&hooks.receiver.heard()), [1, 2, 2]);
    let expected = Standing { cursor: 2, tries: 0, is_paused: false, delivered: 2, lost: 0 };
    assert_eq!(hooks.standing("h1").await, expected);
}

#[tokio::test]
async fn an_outage_pauses_the_hook_and_it_goes_on_where_it_was() {
    let hooks = Hooks::new(1, (0..13).map(|_| Reaction::Status(503))).await;
    hooks.hook("h1", "").await;
    hooks.tell(3).await;
    for (tries, seconds) in [(5, 4), (6, 8), (7, 10), (8, 30), (9, 60), (10, 60), (11, 60), (12, 60)] {
        let pause = hooks.put_off(tries).await;
        assert!((seconds - 1..=seconds).contains(&pause), "{tries}: {pause}");
        hooks.pass_pauses().await;
    }
    hooks.done().await;
    let expected = Standing { cursor: 0, tries: 13, is_paused: true, delivered: 0, lost: 0 };
    assert_eq!(hooks.standing("h1").await, expected);
    hooks.tell(1).await;
    hooks.mend().await;
    assert_eq!(hooks.count("SELECT count(*) FROM jobs").await, 0, "it hears nothing");

    assert!(hooks.fixture.store.hooks().resume("h1").await.expect("it is resumed"));
    hooks.wake();
    hooks.done().await;
    assert_eq!(numbers(&hooks.receiver.heard()[13..]), [1, 2, 3, 1]);
    assert_eq!(hooks.standing("h1").await.delivered, 4);
    let ids: Vec<_> =
        hooks.receiver.heard()[..14].iter().map(|one| one.header("Webhook-Id").map(str::to_owned)).collect();
    assert!(ids.iter().all(|id| id.as_deref() == Some("h1.1")), "{ids:?}");
}

#[tokio::test]
async fn a_permanent_hook_is_never_paused() {
    let hooks = Hooks::new(1, [Reaction::Close]).await;
    hooks.hook("h1", "permanent = true, tries = 40").await;
    hooks.tell(1).await;
    let pause = hooks.put_off(41).await;
    assert!((59..=60).contains(&pause), "{pause}");
    hooks.pass_pauses().await;
    hooks.done().await;
    assert_eq!(hooks.standing("h1").await.delivered, 1);
}

#[tokio::test]
async fn an_address_inside_is_never_called() {
    let hooks = Hooks::new(1, []).await;
    hooks.hook("h1", "url = 'http://10.0.0.1/', tries = 12").await;
    hooks.tell(1).await;
    hooks.done().await;
    assert!(hooks.standing("h1").await.is_paused);
    let told = "SELECT count(*) FROM hooks WHERE problem = '`10.0.0.1` is inside this network; B3SCALE_EGRESS_ALLOW would open it'";
    assert_eq!(hooks.count(told).await, 1);
}

#[tokio::test]
async fn a_raw_hook_gets_bbbs_message_and_without_one_the_event() {
    let hooks = Hooks::new(1, []).await;
    hooks.execute(r#"UPDATE frontends SET settings = '{"webhooks": {"raw": true}}'"#).await;
    hooks.hook("h1", "raw = true").await;
    let mut raw = hooks.event("user-joined", 1);
    raw["raw"] = json!({"envelope": {"name": "UserJoinedMeetingEvtMsg"}});
    hooks.tell_of(json!([raw, hooks.event("meeting-ended", 2)])).await;
    hooks.done().await;
    let heard = hooks.receiver.heard();
    assert_eq!(event(&heard[0]), json!({"envelope": {"name": "UserJoinedMeetingEvtMsg"}}));
    assert_eq!(event(&heard[1])["data"]["id"], "meeting-ended");
}
