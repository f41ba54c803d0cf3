//! The vectors of the reference.

use super::*;

const SECRET: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";
const ENDED: &str = r#"{"data":{"type":"event","id":"meeting-ended","attributes":{"meeting":{"internal-meeting-id":"6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000","external-meeting-id":"abc123"}},"event":{"ts":1700003600123}}}"#;
const JOINED: &str = r#"{"data":{"type":"event","id":"user-joined","attributes":{"meeting":{"internal-meeting-id":"6367c48dd193d56ea7b0baad25b19455e529f5ee-1700000000000","external-meeting-id":"abc123"},"user":{"internal-user-id":"w_abc1","external-user-id":"u~1","name":"Zoë (A*B) 'x'!","role":"VIEWER","presenter":false}},"event":{"ts":1700000100456}}}"#;
const URLS: [&str; 2] = ["https://cb.example/hook", "https://cb.example/hook?t=1"];

fn secret(text: &str) -> Secret {
    Secret::new(text).expect("it is not empty")
}

fn ended() -> String {
    body("bbb.example", ENDED, 1_700_003_600_200)
}

fn joined() -> String {
    body("bbb.example", JOINED, 1_700_000_100_500)
}

#[test]
fn a_body_is_bbbs_to_the_byte() {
    let expected = concat!(
        "domain=bbb.example&event=%5B%7B%22data%22%3A%7B%22type%22%3A%22event%22%2C%22id%22%3A%22meeting-ended%22%2C%22",
        "attributes%22%3A%7B%22meeting%22%3A%7B%22internal-meeting-id%22%3A%226367c48dd193d56ea7b0baad25b19455e529f5ee-",
        "1700000000000%22%2C%22external-meeting-id%22%3A%22abc123%22%7D%7D%2C%22event%22%3A%7B%22ts%22%3A1700003600123",
        "%7D%7D%7D%5D&timestamp=1700003600200",
    );
    assert_eq!((ended().as_str(), ended().len()), (expected, 365));
    let joined = joined();
    assert_eq!(joined.len(), 566);
    for part in ["Zo%C3%AB+%28A*B%29+%27x%27%21", "u%7E1"] {
        assert!(joined.contains(part), "{part}");
    }
}

#[test]
fn a_checksum_is_that_of_bbb_webhooks_3_4() {
    let (ended, joined) = (ended(), joined());
    for (body, url, sha1, sha256) in [
        (
            &ended,
            URLS[0],
            "d2d77a74d916026b84f4a8389788511e2cd12a8b",
            "655195f73f5a1736deb8be3e26e7e7fe0e889b3b29bdd8844cc7173096dc0e22",
        ),
        (
            &ended,
            URLS[1],
            "3553931a4619457271a473c0c232a8e7ccd6c8a4",
            "6643f1761b968ecaed61a2423bc391400a451ac27e85a90382383fe82c26a8e7",
        ),
        (
            &joined,
            URLS[0],
            "8fc2f3ba522dd3c1900f86be742fb6ca5438db76",
            "228c72c76f727a9e83f2cfc09a770f69ca05dfa0918a15b6d43146ed8f70ef96",
        ),
        (
            &joined,
            URLS[1],
            "bf83318663ee6124220aaa90d78d74e917a7ed9d",
            "ff04a61e6d5c40af027dcde43e5341d9481a19138345ca95a565f09260e55094",
        ),
    ] {
        let mark = if url.contains('?') { '&' } else { '?' };
        for (algorithm, checksum) in [(Algorithm::Sha1, sha1), (Algorithm::Sha256, sha256)] {
            let expected = format!("{url}{mark}checksum={checksum}");
            assert_eq!(address(algorithm, url, body, &secret(SECRET)), expected);
        }
    }
}

#[test]
fn a_signature_is_that_of_standard_webhooks() {
    let secrets = Secrets::new(secret(SECRET), None);
    let expected = "v1,t9NcUfzg2Fo8hf+LyEPRnOv9P8rqz5yA7BS1KLX9IQc=";
    assert_eq!(signatures(&secrets, "7d1f2c0e.7", 1_700_003_600, "a=1"), expected);
}

#[test]
fn while_secrets_change_both_sign_and_checksums_take_turns() {
    let changing = Secrets::new(secret("current"), Some(secret("next")));
    let words: Vec<_> = (1..=4).map(|number| of_try(&changing, number).expose()).collect();
    assert_eq!(words, ["next", "current", "next", "current"]);
    let both = signatures(&changing, "h.1", 1, "a=1");
    let each = |word| signatures(&Secrets::new(secret(word), None), "h.1", 1, "a=1");
    assert_eq!(both, format!("{} {}", each("next"), each("current")));
    assert_eq!(of_try(&Secrets::new(secret("only"), None), 1).expose(), "only");
}
