use proptest::prelude::*;

use super::*;

const SECRET: &str = "639259d4-9dd8-4b25-bf01-95f9567eaf4b";
const CREATE: &str = "name=Test+Meeting&meetingID=abc123&attendeePW=111222&moderatorPW=333444";
const HOOK: &str = "callbackURL=https%3A%2F%2Fcb.example%2Fhook";
const HOOK_OF_ONE: &str = "callbackURL=https%3A%2F%2Fcb.example%2Fhook&meetingID=abc123";
const SORTED: &str = "attendeePW=111222&meetingID=abc123&moderatorPW=333444&name=Test+Meeting";

fn secret() -> Secret {
    Secret::new(SECRET).expect("not empty")
}

const ANY: Accepted = Accepted { algorithms: Algorithms::ALL, constant: true };

/// What [`super::verify`] says is covered.
fn verify(call: &str, signed: Signed<'_>, secrets: [&Secret; 2], accepted: Accepted) -> Result<Covered, ChecksumError> {
    super::verify(call, signed, secrets, accepted).map(|(_, covered)| covered)
}

fn check(call: &str, query: &str, form: Option<&str>) -> Result<(), ChecksumError> {
    covered(call, query, form).map(drop)
}

fn covered(call: &str, query: &str, form: Option<&str>) -> Result<Covered, ChecksumError> {
    verify(call, Signed { query, form }, [&secret(); 2], ANY)
}

fn sha1(call: &str, text: &str) -> String {
    sign(Algorithm::Sha1, call, text, &secret())
}

#[test]
fn the_known_vectors_come_out() {
    let vectors = [
        ("create", CREATE, "1fcbb0c4fc1f039f73aa6d697d2db9ba7f803f17"),
        ("create", CREATE, "da9185f7f333cfdfcd6eeac32dca3777510c4c436020d8b887ba5515bd1d189e"),
        (
            "create",
            CREATE,
            "891ac633df39d0a1b4f8d597f3e190833216c4b29c4fb51ea3ca72757eeb958d6e7b49a845cf29f5c6019c7d29d029d1",
        ),
        (
            "create",
            CREATE,
            "de73ad61d11a5c801b68d4bd6ec5248546085cefb0b25c85f3c46249ea93a3a4\
             b120f92c0a8a58d7512cb77821884951a3b01245f3435dbbef49fff3cc3988b4",
        ),
        ("create", &CREATE.replace('+', "%20"), "f1ae295e2cb9a9225152334d12c9db97d2bfee5b"),
        ("create", "", "8a21c9b7e3b18541974c9e78c0d0bfa790c665eb"),
        ("create", "", "272c9555258496a3f19c5ad8f599af2a4ebec031381ff1e37b34842c42c12284"),
        ("create", SORTED, "0b89c2ebcfefb76772cbcf19386c33561f66f6ae"),
        ("getMeetings", "", "2027baa7771026e9e93392f55031535d1444c41f"),
        ("getMeetings", "", "a5370c5f3d97d56d53b435684cdbc429c2898a3bf9f435518b4279e1e0dbfc8c"),
        ("isMeetingRunning", "meetingID=0", "0aa492233c7b0b947bb84d4245214e5c20de799d"),
        ("isMeetingRunning", "meetingID=abc123", "8478733ccb8695b8aaaff48b3c1e281a75a6f046"),
        ("isMeetingRunning", "meetingID=abc123&", "f7852c67c1eecaa5348da05d5e8395b17f445f44"),
        ("hooks/create", "callbackURL=https%3A%2F%2Fcb.example%2Fx", "854eda86f15e5c55b3cda6c8bc97c3291b49f8ed"),
        ("hooks/create", HOOK, "fa86db0eb9a9004aded55ce814aa84209c1ce717"),
        ("hooks/create", HOOK, "306d2f8dabc5baab917a047a0befa82c6b9b8c11d09a23e58fb6bb940fa1a4ae"),
        ("hooks/create", HOOK_OF_ONE, "cd6bc25c5c3d03733a3b6964e02114f1a0766b85"),
        ("hooks/create", HOOK_OF_ONE, "793e437f73299bb52d79907d2cbca6bbf5933dc516d45a5cdc7765f9be706993"),
        ("hooks/create/", HOOK_OF_ONE, "c25bb06b64a7091a5af7c775d68d718577cc00b1"),
        ("hooks/create/", HOOK_OF_ONE, "bdf37941f88ab359952953056f967b0e1f88a74c42841b4ae56341dced2f685c"),
        ("hooks/list", "", "15e0d31c1b67ccc0bc9af5d714c6557f02b62cc5"),
        ("hooks/list", "", "bad2823988b7bfd7f907736d9c2fd17c938f0183580fa428ce0cd54205779b3a"),
        ("hooks/list", "meetingID=abc123", "b273a4808ed67c28f5402490a17ff9638bcf7c61"),
        ("hooks/list", "meetingID=abc123", "00e13ef916e614d1cc63d3f6af2b6a2f8f31e59c1affb4779ec1d22915599895"),
        ("hooks/destroy", "hookID=3", "dea92f6cca23f3dc9342551b7373327938522bb2"),
        ("hooks/destroy", "hookID=3", "b3227662da374ad615138b2b05b757e08d58f25b0ab997629d746a94be864a5d"),
    ];
    for (call, query, checksum) in vectors {
        let algorithm = Algorithm::of_length(checksum.len()).expect("a known length");
        assert_eq!(sign(algorithm, call, query, &secret()), checksum, "{call}?{query}");
        assert_eq!(check(call, &format!("{query}&checksum={checksum}"), None), Ok(()), "{call}?{query}");
    }
}

#[test]
fn a_checksum_is_cut_out_wherever_it_stands() {
    let cases = [
        ("a=1&checksum=X", "a=1"),
        ("checksum=X&a=1", "a=1"),
        ("a=1&checksum=X&b=2", "a=1&b=2"),
        ("checksum=X", ""),
        ("&checksum=X", ""),
        ("a=1&checksum=X&", "a=1&"),
        ("a=1&&checksum=X", "a=1&"),
        ("xchecksum=X&checksums=X", "xchecksum=X&checksums=X"),
    ];
    for (query, hashed) in cases {
        assert_eq!(without_checksum(query).concat(), hashed, "{query}");
    }
}

#[test]
fn every_shape_seen_on_the_wire_verifies() {
    let shapes = [
        ("", "checksum=X"),
        ("getMeetings", "checksum=X"),
        ("getMeetings", "&checksum=X"),
        ("", "&checksum=X"),
        ("getRecordings", "checksum=X&state=deleted"),
        ("getRecordings", "meetingID=&recordID=&checksum=X"),
        ("getMeetings", "random=random&checksum=X"),
        ("getMeetings", "meetingID=getMeetings&checksum=X"),
        ("isMeetingRunning", "meetingID=m1&api_name=isMeetingRunning&checksum=X"),
        ("create", "name=a+b&checksum=X"),
        ("create", "name=a%20b%2B%C3%BC&checksum=X"),
        ("create", "record=False&maxParticipants=-1&meta=&checksum=X"),
        ("create", "welcome=a b|[c]ü&checksum=X"),
    ];
    for (call, shape) in shapes {
        let checksum = sha1(call, &without_checksum(shape).concat());
        assert_eq!(check(call, &shape.replace("=X", &format!("={checksum}")), None), Ok(()), "{call}?{shape}");
    }
}

#[test]
fn a_form_is_signed_in_any_of_three_ways() {
    let body = "name=Test+Meeting&meetingID=abc123&moderatorPW=333444&attendeePW=111222";
    for checksum in [sha1("create", ""), sha1("create", SORTED), sha1("create", body)] {
        assert_eq!(check("create", "", Some(&format!("{body}&checksum={checksum}"))), Ok(()));
        assert_eq!(check("create", &format!("checksum={checksum}"), Some(body)), Ok(()));
    }
    assert_eq!(
        check("create", "", Some(&format!("{body}&checksum={}", sha1("create", "x")))),
        Err(ChecksumError::Mismatch)
    );
}

#[test]
fn a_form_is_sorted_as_java_does_it() {
    let body = "b=2&a=x%20y&checksum=Q&b=1&%C3%BC=%C3%BC*-._~&e";
    assert_eq!(sorted_form(body).as_deref(), Some("a=x+y&b=2&b=1&e=&ü=%C3%BC*-._%7E"));
}

#[test]
fn a_signed_query_cannot_be_replayed_as_a_form_whose_parameters_are_hidden_in_a_name() {
    let checksum = sha1("create", SORTED);
    assert_eq!(check("create", &format!("{SORTED}&checksum={checksum}"), None), Ok(()));
    let hidden = "attendeePW%3D111222%26meetingID%3Dabc123%26moderatorPW%3D333444%26name=Test+Meeting";
    for form in [hidden.to_owned(), format!("{hidden}&checksum={checksum}")] {
        let query = if form == hidden { format!("checksum={checksum}") } else { String::new() };
        assert_eq!(check("create", &query, Some(&form)), Err(ChecksumError::Mismatch), "{form}");
    }
    for name in ["a%3Db", "a%26b", "a%25b", "a%2Bb", "%63hecksum%3D"] {
        let text = format!("{}=1", params::decode(name));
        let form = format!("{name}=1&checksum={}", sha1("create", &text));
        assert_eq!(check("create", "", Some(&form)), Err(ChecksumError::Mismatch), "{name}");
    }
}

#[test]
fn whatever_has_one_checksum_says_the_same() {
    let (text, other) = ("meta_A=2&meta_a=1", "meta_a=1&meta_A=2");
    let checksum = sha1("create", text);
    let query = params::Params::parse(&format!("{text}&checksum={checksum}"));
    let Ok(Covered::Form(signed)) = covered("create", &format!("checksum={checksum}"), Some(other)) else {
        panic!("the sorted form is signed")
    };
    assert!(params::Params::parse(&signed).iter().eq(query.iter().filter(|(name, _)| *name != "checksum")));
}

#[test]
fn the_checksum_that_covers_no_parameter_can_be_switched_off() {
    let form = format!("{SORTED}&checksum={}", sha1("create", ""));
    assert_eq!(covered("create", "", Some(&form)), Ok(Covered::Nothing));
    let strict = Accepted { constant: false, ..ANY };
    let check = |form: &str| verify("create", Signed { query: "", form: Some(form) }, [&secret(); 2], strict);
    assert_eq!(check(&form), Err(ChecksumError::Constant));
    assert_eq!(check(&format!("{SORTED}&checksum={}", sha1("create", SORTED))), Ok(Covered::Form(SORTED.to_owned())));
    assert!(check(&format!("checksum={}", sha1("create", ""))).is_ok(), "a form without parameters hides none");
}

#[test]
fn a_refusal_hashes_the_same_for_every_frontend() {
    let other = Secret::new("639259d4-9dd8-4b25-bf01-95f9567eaf40").expect("not empty");
    let strong = Accepted { algorithms: [Algorithm::Sha512].into_iter().collect(), ..ANY };
    let wrong = "0".repeat(40);
    let long = "x".repeat(60_000);
    for (query, form) in [
        (format!("name={long}&checksum={wrong}"), None),
        (String::new(), Some(format!("name={long}&a=1&checksum={wrong}"))),
        (format!("a=1&checksum={wrong}"), Some(format!("name={long}"))),
    ] {
        let signed = Signed { query: &query, form: form.as_deref() };
        let hashed = |secrets: [&Secret; 2], accepted| {
            algorithm::tally::take();
            assert_eq!(verify("create", signed, secrets, accepted), Err(ChecksumError::Mismatch));
            algorithm::tally::take()
        };
        let one = hashed([&secret(); 2], ANY);
        assert!(one.0 > 0 && one.1 > 0);
        assert_eq!(hashed([&secret(), &other], ANY), one, "a second secret shows");
        assert_eq!(hashed([&secret(); 2], strong), one, "the accepted algorithms show");
        assert_eq!(hashed([&other; 2], ANY), one, "an unknown key shows");
    }
}

#[test]
fn next_to_a_query_the_form_does_not_count() {
    let by_query = sha1("create", "meetingID=abc123");
    assert_eq!(check("create", "meetingID=abc123", Some(&format!("name=x&checksum={by_query}"))), Ok(()));
    for text in ["", "name=x"] {
        let form = format!("name=x&checksum={}", sha1("create", text));
        assert_eq!(check("create", "meetingID=abc123", Some(&form)), Err(ChecksumError::Mismatch));
    }
}

#[test]
fn an_empty_query_without_a_form_is_signed_as_nothing_only() {
    assert_eq!(check("create", &format!("checksum={}", sha1("create", "a=1")), None), Err(ChecksumError::Mismatch));
}

#[test]
fn no_checksum_or_an_empty_one_is_missing() {
    for query in ["", "a=1", "a=1&CHECKSUM=X", "a=1&checksum=", "checksum", "checksum=%20", "a=1&amp;checksum=X"] {
        assert_eq!(check("create", query, None), Err(ChecksumError::Missing), "{query}");
    }
    assert_eq!(check("create", "", Some("a=1")), Err(ChecksumError::Missing));
}

#[test]
fn more_than_one_checksum_is_refused() {
    let good = sha1("create", "a=1");
    assert_eq!(check("create", &format!("a=1&checksum={good}&checksum={good}"), None), Err(ChecksumError::Ambiguous));
    assert_eq!(check("create", &format!("a=1&checksum={good}&checksum="), None), Err(ChecksumError::Ambiguous));
    let form = format!("checksum={good}");
    assert_eq!(check("create", &format!("a=1&checksum={good}"), Some(&form)), Err(ChecksumError::Ambiguous));
}

#[test]
fn what_no_algorithm_gives_is_no_checksum() {
    for text in ["00", "x", &"g".repeat(40), &"0".repeat(41), "%%%"] {
        assert_eq!(check("create", &format!("a=1&checksum={text}"), None), Err(ChecksumError::Unreadable), "{text}");
    }
}

#[test]
fn hex_of_either_case_and_percent_encoded_hex_verify() {
    let good = sha1("create", "a=1");
    assert_eq!(check("create", &format!("a=1&checksum={}", good.to_uppercase()), None), Ok(()));
    let encoded: String = good.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(check("create", &format!("a=1&checksum={encoded}"), None), Ok(()));
}

#[test]
fn an_algorithm_that_is_not_allowed_is_named() {
    let strong = Accepted { algorithms: [Algorithm::Sha256, Algorithm::Sha512].into_iter().collect(), ..ANY };
    let query = format!("a=1&checksum={}", sha1("create", "a=1"));
    let signed = Signed { query: &query, form: None };
    assert_eq!(verify("create", signed, [&secret(); 2], strong), Err(ChecksumError::NotAllowed(Algorithm::Sha1)));
    let wrong = format!("a=2&checksum={}", sha1("create", "a=1"));
    let signed = Signed { query: &wrong, form: None };
    assert_eq!(
        verify("create", signed, [&secret(); 2], strong),
        Err(ChecksumError::Mismatch),
        "it would not hold either"
    );
    let query = format!("a=1&checksum={}", sign(Algorithm::Sha256, "create", "a=1", &secret()));
    let signed = Signed { query: &query, form: None };
    assert_eq!(verify("create", signed, [&secret(); 2], strong), Ok(Covered::Query));
}

#[test]
fn either_secret_will_do() {
    let other = Secret::new("other").expect("not empty");
    let query = format!("a=1&checksum={}", sha1("create", "a=1"));
    let signed = Signed { query: &query, form: None };
    assert_eq!(verify("create", signed, [&other, &secret()], ANY), Ok(Covered::Query));
    assert_eq!(verify("create", signed, [&other; 2], ANY), Err(ChecksumError::Mismatch));
}

proptest! {
    #[test]
    fn cutting_by_position_is_cutting_by_replacement(
        items in prop::collection::vec("[a-z]{0,3}(=[a-z0-9%+]{0,4})?", 0..5),
        place in 0..6_usize,
        value in "[0-9a-f]{40}",
    ) {
        let mut items = items;
        items.insert(place.min(items.len()), format!("checksum={value}"));
        let query = items.join("&");
        let replaced = query
            .replace(&format!("&checksum={value}"), "")
            .replace(&format!("checksum={value}&"), "")
            .replace(&format!("checksum={value}"), "");
        prop_assert_eq!(without_checksum(&query).concat(), replaced);
    }

    #[test]
    fn what_was_signed_verifies_and_nothing_else(query in "[a-z=&%+0-9]{0,40}", algorithm in 0..4_usize, flip in 0..40_usize) {
        prop_assume!(params::items(&query).all(|item| !is_checksum(&item)));
        let checksum = sign(Algorithm::ALL[algorithm], "join", &query, &secret());
        prop_assert_eq!(check("join", &format!("{query}&checksum={checksum}"), None), Ok(()));
        prop_assert_eq!(check("end", &format!("{query}&checksum={checksum}"), None), Err(ChecksumError::Mismatch));
        let mut wrong = checksum.into_bytes();
        wrong[flip] ^= 1;
        let wrong = String::from_utf8_lossy(&wrong).into_owned();
        let altered = check("join", &format!("{query}&checksum={wrong}"), None);
        prop_assert!(altered.is_err(), "{:?}", altered);
    }
}
