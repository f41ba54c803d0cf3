use uuid::Uuid;

use super::*;

const ID: &str = "00000000-0000-0000-0000-000000000007";

fn delivery(kind: CallbackKind, url: &str) -> Delivery {
    Delivery {
        id: Uuid::from_u128(7),
        callback: Uuid::from_u128(8),
        kind,
        url: url.to_owned(),
        meeting_id: "Kurs 1/ä".to_owned(),
        record: None,
        marks: None,
        method: "POST".to_owned(),
        media: None,
        query: None,
        body: Bytes::new(),
        bearer: None,
        holds: false,
        attempts: 1,
        age: Duration::ZERO,
    }
}

fn made(delivery: &Delivery) -> Parcel {
    parcel(delivery, &Secret::new(&"0123456789abcdef".repeat(4)).expect("a secret")).expect("a request")
}

fn header(parcel: &Parcel, name: &HeaderName) -> Option<String> {
    let found = parcel.headers.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| value.to_str().expect("it is text").to_owned())
}

#[test]
fn an_end_is_a_get_with_bbbs_parameters_behind_the_url_as_it_is() {
    for (url, marks, called) in [
        ("http://a.example/end", None, "http://a.example/end?recordingmarks=false&meetingID=Kurs+1%2F%C3%A4"),
        ("http://a.example/end?", Some(true), "http://a.example/end?&recordingmarks=true&meetingID=Kurs+1%2F%C3%A4"),
        (
            "http://a.example/end?salt=%24a%2Fb.&meetingID=x#part",
            Some(false),
            "http://a.example/end?salt=%24a%2Fb.&meetingID=x&recordingmarks=false&meetingID=Kurs+1%2F%C3%A4",
        ),
    ] {
        let made = made(&Delivery { marks, ..delivery(CallbackKind::End, url) });
        assert_eq!((made.method.clone(), &*made.url), (Method::GET, called));
        assert!(made.body.is_empty());
        assert_eq!(header(&made, &WEBHOOK_ID).as_deref(), Some(ID));
        assert_eq!(header(&made, &AUTHORIZATION), None);
    }
    let ended = made(&delivery(CallbackKind::Ended, "http://a.example/ended?x"));
    assert_eq!((ended.method, &*ended.url), (Method::GET, "http://a.example/ended?x"));
}

#[test]
fn a_ready_recording_is_a_form_with_a_token() {
    let made = made(&Delivery {
        record: Some("6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000".to_owned()),
        meeting_id: "abc123".to_owned(),
        ..delivery(CallbackKind::Ready, "http://a.example/ready")
    });
    assert_eq!((made.method.clone(), &*made.url), (Method::POST, "http://a.example/ready"));
    assert_eq!(header(&made, &CONTENT_TYPE).as_deref(), Some("application/x-www-form-urlencoded"));
    assert!(
        made.body
            .starts_with(b"signed_parameters=eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJtZWV0aW5nX2lkIjoiYWJjMTIzIiw")
    );
    assert!(made.body.ends_with(b".solwFOMB68Su3lAbiTj-KHP0o2-Wwk90Xp_Fl1X2L1I"));
}

#[test]
fn analytics_are_json_with_a_bearer_token() {
    let analytics = delivery(CallbackKind::Analytics, "http://a.example/analytics");
    let made = made(&Delivery { body: Bytes::from_static(b"{}"), ..analytics });
    assert_eq!(header(&made, &CONTENT_TYPE).as_deref(), Some("application/json"));
    assert_eq!(header(&made, &USER_AGENT).as_deref(), Some("BigBlueButton Analytics Callback"));
    let authorization = header(&made, &AUTHORIZATION).expect("it is signed");
    assert!(authorization.starts_with("Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9.eyJleHAiOjE"), "{authorization}");
    assert_eq!(made.body, Bytes::from_static(b"{}"));
}

#[test]
fn any_other_callback_is_passed_on_as_the_node_made_it() {
    let other = delivery(CallbackKind::Other, "http://a.example/other?a=1");
    let get = Delivery { method: "GET".to_owned(), query: Some("b=2".to_owned()), ..other };
    let made_get = made(&get);
    assert_eq!((made_get.method.clone(), &*made_get.url), (Method::GET, "http://a.example/other?a=1&b=2"));
    assert_eq!(header(&made_get, &AUTHORIZATION), None);
    assert!(!is_signed(&get));

    let post = Delivery {
        media: Some("text/plain".to_owned()),
        bearer: Some("HS384".to_owned()),
        body: Bytes::from_static(b"hello"),
        ..delivery(CallbackKind::Other, "http://a.example/other")
    };
    let made_post = made(&post);
    assert_eq!((made_post.method.clone(), &*made_post.url), (Method::POST, "http://a.example/other"));
    assert_eq!(header(&made_post, &CONTENT_TYPE).as_deref(), Some("text/plain"));
    assert!(
        header(&made_post, &AUTHORIZATION)
            .is_some_and(|token| token.starts_with("Bearer eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzM4NCJ9."))
    );
    assert!(is_signed(&post));
}
