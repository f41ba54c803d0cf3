use super::*;
use crate::bbb::{Algorithm, sign};
use crate::checksum_verify::ChecksumVerify;
use crate::memory::Memory;

const HOOK: &str = "callbackURL=https%3A%2F%2Fcb.example%2Fhook%3Fa%3D1%26b%3D2";

fn school() -> Memory {
    Memory::new().frontend("school", "frontend-secret")
}

async fn ask(cluster: &Memory, kind: CallKind, query: &str) -> Result<String, Fault> {
    let reply = cluster.ask(HookRegistry {}, cluster.verified(kind, query)).await?;
    Ok(String::from_utf8(reply.body.to_vec()).unwrap())
}

/// The message key and the message of a refusal.
async fn refusal(cluster: &Memory, kind: CallKind, query: &str) -> (&'static str, String) {
    let fault = ask(cluster, kind, query).await.unwrap_err();
    (fault.message_key(kind), fault.message(kind).into_owned())
}

#[tokio::test]
async fn answers_are_those_of_bbb_webhooks() {
    let cluster = school();
    let query = format!("{HOOK}&meetingID=abc123&eventID=User-Joined,%20user-left,,&getRaw=no");
    assert_eq!(
        ask(&cluster, CallKind::HooksCreate, &query).await.unwrap(),
        "<response><returncode>SUCCESS</returncode><hookID>hook-1</hookID><permanentHook>false</permanentHook>\
         <rawData>false</rawData></response>"
    );
    assert_eq!(
        ask(&cluster, CallKind::HooksCreate, &query).await.unwrap(),
        "<response><returncode>SUCCESS</returncode><hookID>hook-1</hookID><messageKey>duplicateWarning</messageKey>\
         <message>There is already a hook for this callback URL.</message></response>"
    );
    assert_eq!(
        ask(&cluster, CallKind::HooksList, "").await.unwrap(),
        "<response><returncode>SUCCESS</returncode><hooks><hook><hookID>hook-1</hookID>\
         <callbackURL><![CDATA[https://cb.example/hook?a=1&b=2]]></callbackURL><meetingID><![CDATA[abc123]]></meetingID>\
         <eventID>user-joined,user-left</eventID><permanentHook>false</permanentHook><rawData>false</rawData></hook></hooks>\
         </response>"
    );
    assert_eq!(
        ask(&cluster, CallKind::HooksDestroy, "hookID=hook-1").await.unwrap(),
        "<response><returncode>SUCCESS</returncode><removed>true</removed></response>"
    );
    let none = "<response><returncode>SUCCESS</returncode><hooks></hooks></response>";
    assert_eq!(ask(&cluster, CallKind::HooksList, "meetingID=abc123").await.unwrap(), none);
}

#[tokio::test]
async fn refusals_have_the_keys_and_texts_of_bbb_webhooks() {
    let cluster = school().permanent_hook("school", "for-ever", "https://cb.example/for-ever");
    for (kind, query, key, text) in [
        (
            CallKind::HooksCreate,
            "meetingID=m",
            "missingParamCallbackURL",
            "You must specify a callbackURL in the parameters.",
        ),
        (CallKind::HooksDestroy, "", "missingParamHookID", "You must specify a hookID in the parameters."),
        (CallKind::HooksDestroy, "hookID=no", "destroyMissingHook", "The hook informed was not found."),
        (CallKind::HooksDestroy, "hookID=for-ever", "destroyMissingHook", "The hook informed was not found."),
    ] {
        assert_eq!(refusal(&cluster, kind, query).await, (key, text.to_owned()), "{query}");
    }
    assert!(ask(&cluster, CallKind::HooksList, "").await.unwrap().contains("<permanentHook>true</permanentHook>"));
}

#[tokio::test]
async fn a_hook_that_cannot_be_had_is_refused_with_the_reason() {
    let cluster = Memory::new().frontend_with("school", |settings| {
        settings.webhooks = Some(crate::cluster::WebhookSettings { most: Some(1), ..Default::default() });
    });
    let many = vec!["e"; MOST_EVENTS + 1].join(",");
    for (query, reason) in [
        ("callbackURL=ftp%3A%2F%2Fcb.example".to_owned(), "no http(s) URL"),
        ("callbackURL=http%3A%2F%2F127.0.0.1%2F".to_owned(), "inside this service's network"),
        (format!("callbackURL=https%3A%2F%2Fcb.example%2F{}", "x".repeat(LONGEST_URL)), "more than 8192 bytes"),
        (format!("{HOOK}&getRaw=TRUE"), "getRaw is not allowed"),
        (format!("{HOOK}&meetingID={}", "x".repeat(257)), "more than 256 characters"),
        (format!("{HOOK}&eventID={many}"), "more than 100 events"),
        (format!("{HOOK}&eventID={}", "e".repeat(LONGEST_EVENT + 1)), "more than 64 bytes"),
    ] {
        let (key, message) = refusal(&cluster, CallKind::HooksCreate, &query).await;
        assert_eq!(key, "createHookError");
        assert!(message.contains(reason), "{message}");
    }
    ask(&cluster, CallKind::HooksCreate, HOOK).await.unwrap();
    let (_, message) = refusal(&cluster, CallKind::HooksCreate, &format!("{HOOK}&meetingID=m1")).await;
    assert!(message.contains("as many hooks"), "{message}");
}

#[tokio::test]
async fn both_forms_of_the_checksum_hold_and_a_bare_name_does_not() {
    let cluster = school();
    let secret = cluster.frontend_named("school").secrets.current().clone();
    for (name, holds) in [("hooks/create", true), ("hooks/create/", true), ("create", false), ("hooks/list", false)] {
        let checksum = sign(Algorithm::Sha256, name, HOOK, &secret);
        let call = cluster.resolved(CallKind::HooksCreate, &format!("{HOOK}&checksum={checksum}"));
        let (_, reply) = cluster.through(ChecksumVerify::default(), call).await;
        let refused = matches!(reply, Err(Fault::ChecksumMismatch(_)));
        assert_eq!(refused, !holds, "{name}");
    }
}
