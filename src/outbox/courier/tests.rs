use super::*;

#[test]
fn a_parcel_shows_its_host_and_no_more_of_its_url() {
    let parcel = Parcel {
        method: Method::POST,
        url: "https://a.example/secret?token=1".to_owned(),
        headers: Vec::new(),
        body: Bytes::from_static(b"signed"),
        patience: Patience::Quick,
    };
    assert_eq!(format!("{parcel:?}"), r#"Parcel { method: POST, host: Some("a.example"), .. }"#);
}

#[test]
fn a_pause_that_is_asked_for_is_seconds_or_a_time() {
    let asked = |text: &str| {
        let value = text.parse().expect("a header");
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    };
    assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
    assert!(asked("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|pause| pause > Duration::from_hours(24)));
    assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), None, "it is past");
    assert_eq!(asked("soon"), None);
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

/// Names that come to mean another address meanwhile, and redirects inward, are the subject of `egress`.
#[tokio::test]
async fn no_address_inside_is_called_however_it_is_written() {
    let courier = Courier::new(&EgressSettings::default()).expect("a courier");
    for host in [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:10.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "2130706433",
        "0x7f000001",
        "127.1",
    ] {
        let parcel = Parcel {
            method: Method::GET,
            url: format!("http://{host}:9/secret"),
            headers: Vec::new(),
            body: Bytes::new(),
            patience: Patience::Quick,
        };
        let outcome = courier.send(&parcel).await;
        assert!(matches!(outcome, Err(Unsent::Inward(_) | Unsent::Unreachable(_))), "{host}: {outcome:?}");
        let told = outcome.map_err(|unsent| unsent.to_string());
        assert!(told.is_err_and(|text| !text.contains("secret")), "{host}");
    }
}
