//! What receivers answer, and what follows.

use b3scale::store::{Retried, StoreError};
use b3scale_middleware::cluster::{CallbackKind, DeliveryState, Frontend, Secrets};
use b3scale_support::{Heard, Reaction};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::Value;

use super::rig::Outbox;
use crate::fixture::secret;

/// The claims of a recording that is ready, if that secret signed them.
fn claims(heard: &Heard, secret: &str) -> Option<Value> {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    let token = heard.body.strip_prefix("signed_parameters=").expect("a form");
    Some(decode(token, &DecodingKey::from_secret(secret.as_bytes()), &rules).ok()?.claims)
}

async fn change_secret(outbox: &Outbox) {
    let changed = outbox.fixture.store.frontends().change::<StoreError>(outbox.fixture.frontend, |frontend, _| {
        let secrets = Secrets::new(frontend.secrets.current().clone(), Some(secret("n3xt")));
        Ok(Frontend { secrets, ..frontend.clone() })
    });
    changed.await.expect("it is changed").expect("it is there");
}

#[tokio::test]
async fn the_next_secret_signs_first_and_then_the_current_one() {
    let outbox = Outbox::new(1, [Reaction::Status(401)]).await;
    change_secret(&outbox).await;
    let callback = outbox.callback("a", CallbackKind::Ready, "/ready").await;
    outbox.queue(callback, CallbackKind::Ready, None).await;
    let entry = outbox.settled().await;
    assert_eq!((entry.state, entry.attempts, entry.status), (DeliveryState::Delivered, 1, Some(200)));
    let heard = outbox.receiver.heard();
    let expected = serde_json::json!({"meeting_id": "a", "record_id": "rec-1"});
    assert_eq!(claims(&heard[0], "n3xt"), Some(expected.clone()));
    assert_eq!(claims(&heard[1], "s3cret"), Some(expected));
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].header("Webhook-Id"), heard[1].header("Webhook-Id"));
}

#[tokio::test]
async fn gone_ends_it_and_unauthorized_slows_it() {
    let outbox = Outbox::new(1, [Reaction::Status(410)]).await;
    outbox.end("a", "/end").await;
    let gone = outbox.settled().await;
    assert_eq!((gone.state, gone.status, gone.attempts), (DeliveryState::Refused, Some(410), 1));
    assert_eq!(gone.problem.as_deref(), Some("the receiver answers 410"));

    let outbox = Outbox::new(1, [401, 403, 400].map(Reaction::Status)).await;
    outbox.end("a", "/end").await;
    for (tries, seconds) in [(1, 60), (2, 600), (3, 3600)] {
        let entry = outbox.failed(tries).await;
        assert_eq!((entry.state, outbox.pause().await), (DeliveryState::Waiting, seconds));
        outbox.pass_pauses().await;
    }
    assert_eq!(outbox.settled().await.state, DeliveryState::Delivered);
    assert_eq!(outbox.receiver.heard().len(), 4, "an end has no signature that could be another");
}

#[tokio::test]
async fn an_outage_of_hours_is_survived_and_one_of_days_is_not() {
    let outbox = Outbox::new(1, [Reaction::Close, Reaction::Status(503), Reaction::Status(500)]).await;
    outbox.end("a", "/end").await;
    for (tries, seconds) in [(1, 10), (2, 20), (3, 40)] {
        outbox.failed(tries).await;
        assert_eq!(outbox.pause().await, seconds);
        outbox.execute("UPDATE deliveries SET since = since - interval '20 hours'").await;
        outbox.pass_pauses().await;
    }
    assert_eq!(outbox.settled().await.state, DeliveryState::Delivered);

    let outbox = Outbox::new(1, [Reaction::Status(500), Reaction::Status(500)]).await;
    outbox.end("a", "/end").await;
    outbox.failed(1).await;
    outbox.execute("UPDATE deliveries SET since = since - interval '3 days'").await;
    outbox.pass_pauses().await;
    let dead = outbox.settled().await;
    assert_eq!((dead.state, dead.attempts), (DeliveryState::Dead, 2));

    for _ in 0..2 {
        assert_eq!(outbox.fixture.store.deliveries().retry(dead.id).await.expect("an answer"), Retried::Due);
    }
    outbox.wake();
    assert_eq!(outbox.settled().await.state, DeliveryState::Delivered, "an operator's try has three days again");
    let heard = outbox.receiver.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|one| one.header("Webhook-Id") == Some(&*dead.id.to_string())));
}

#[tokio::test]
async fn a_receiver_that_knows_no_such_path_is_believed_after_four_tries() {
    let outbox = Outbox::new(1, [405, 404, 302, 406].map(Reaction::Status)).await;
    outbox.end("a", "/end").await;
    for tries in 1..4 {
        outbox.failed(tries).await;
        assert_eq!(outbox.pause().await, 60);
        outbox.pass_pauses().await;
    }
    let refused = outbox.settled().await;
    assert_eq!((refused.state, refused.attempts, refused.status), (DeliveryState::Refused, 4, Some(406)));
}

#[tokio::test]
async fn redirects_of_a_post_are_no_delivery_and_those_of_a_get_stay_at_their_host() {
    let login = Reaction::With(302, "Location: /login".to_owned());
    let outbox = Outbox::new(1, [login]).await;
    let callback = outbox.callback("a", CallbackKind::Ready, "/ready").await;
    outbox.queue(callback, CallbackKind::Ready, None).await;
    let entry = outbox.failed(1).await;
    assert_eq!((entry.status, outbox.receiver.heard().len()), (Some(302), 1));

    let moved = Reaction::With(301, "Location: /moved".to_owned());
    let elsewhere = Reaction::With(302, "Location: http://127.0.0.2/".to_owned());
    let outbox = Outbox::new(1, [moved, elsewhere]).await;
    outbox.end("a", "/end").await;
    assert_eq!(outbox.failed(1).await.status, Some(302));
    let paths: Vec<_> = outbox.receiver.heard().iter().map(|heard| heard.path().to_owned()).collect();
    assert_eq!(paths, ["/end?recordingmarks=false&meetingID=a", "/moved"]);

    let circle = (0..4).map(|_| Reaction::With(307, "Location: /end".to_owned()));
    let outbox = Outbox::new(1, circle).await;
    outbox.end("a", "/end").await;
    assert_eq!(outbox.failed(1).await.status, Some(307));
    assert_eq!(outbox.receiver.heard().len(), 4, "three redirects are followed");
}

/// As a Moodle answers.
#[tokio::test]
async fn an_answer_of_http_1_0_with_a_long_reason_and_no_body_is_one() {
    let answer = format!("HTTP/1.0 202 {}\r\nX-Powered-By: PHP\r\n\r\n", "Accepted. ".repeat(50));
    let outbox = Outbox::new(1, [Reaction::Raw(answer.into_bytes())]).await;
    outbox.end("a", "/bbb_broker.php?action=x&salt=%242y%2410%24a%2Fb.").await;
    assert_eq!(outbox.settled().await.status, Some(202));
    let heard = outbox.receiver.heard();
    let path = "/bbb_broker.php?action=x&salt=%242y%2410%24a%2Fb.&recordingmarks=false&meetingID=a";
    assert_eq!((heard[0].method(), heard[0].path()), ("GET", path));
    assert!(heard[0].head.contains("\r\nHost: 127.0.0.1:"), "{}", heard[0].head);
}

#[tokio::test]
async fn an_address_inside_is_refused_at_once() {
    let outbox = Outbox::new(1, []).await;
    let callback = outbox.callback("a", CallbackKind::End, "/end").await;
    for (url, problem) in [
        ("http://10.0.0.1/secret", "`10.0.0.1` is inside this network; B3SCALE_EGRESS_ALLOW would open it"),
        ("gopher://a.example/secret", "the URL is no http or https URL without a user"),
    ] {
        outbox.execute(&format!("DELETE FROM deliveries; UPDATE meeting_callbacks SET url = '{url}'")).await;
        outbox.queue(callback, CallbackKind::End, Some(false)).await;
        let refused = outbox.settled().await;
        assert_eq!((refused.state, refused.problem.as_deref()), (DeliveryState::Refused, Some(problem)));
    }
}
