use proptest::prelude::*;

use super::*;

fn pairs(params: &Params) -> Vec<(&str, &str)> {
    params.iter().collect()
}

#[test]
fn plus_and_percent_twenty_are_the_same_value() {
    let params = Params::parse("name=Test+Meeting&other=Test%20Meeting&plus=%2B&u=%C3%BC");
    assert_eq!(pairs(&params), [("name", "Test Meeting"), ("other", "Test Meeting"), ("plus", "+"), ("u", "ü")]);
}

#[test]
fn empty_items_are_no_parameters() {
    let params = Params::parse("&a=1&&b=&c&");
    assert_eq!(pairs(&params), [("a", "1"), ("b", ""), ("c", "")]);
    assert_eq!(params.raw(), "&a=1&&b=&c&");
    assert_eq!(pairs(&Params::parse("")), []);
}

#[test]
fn a_percent_sign_that_begins_no_escape_is_text_and_is_sent_encoded() {
    let params = Params::parse("ok=%41&welcome=Hi+%%CONFNAME%%&zz=%zz&end=100%&cut=%4&u=%C3%&100%=x&twice=%2541");
    let read = ["A", "Hi %%CONFNAME%%", "%zz", "100%", "%4", "\u{fffd}%", "x", "%41"];
    assert!(params.iter().map(|(_, value)| value).eq(read));
    let sent =
        "ok=%41&welcome=Hi%20%25%25CONFNAME%25%25&zz=%25zz&end=100%25&cut=%254&u=%EF%BF%BD%25&100%25=x&twice=%2541";
    assert_eq!(params.encode(), sent, "what is sound stays as it came");
    assert!(Params::parse(sent).iter().eq(params.iter()));
}

#[test]
fn invalid_utf_8_is_replaced() {
    assert_eq!(Params::parse("x=%FF").first("x"), Some("\u{fffd}"));
}

#[test]
fn a_value_of_the_query_comes_before_one_of_the_form() {
    let mut params = Params::parse("role=VIEWER");
    params.merge_form("role=MODERATOR&name=a+b");
    assert_eq!(pairs(&params), [("role", "VIEWER"), ("name", "a b")]);
    assert_eq!(params.encode(), "role=VIEWER&name=a+b");
    assert_eq!(params.raw(), "role=VIEWER");
}

#[test]
fn parameters_are_bounded_in_number() {
    let many: String = (1..MAX_PARAMS).map(|at| format!("a{at}&")).collect();
    let mut params = Params::parse(&many);
    params.merge_form("b&c");
    assert_eq!(params.iter().count(), MAX_PARAMS);
    assert_eq!((params.first("b"), params.first("c")), (Some(""), None));
}

#[test]
fn what_is_said_twice_is_decided_as_bbb_decides_it() {
    let decided = |query: &str| Params::parse(query).encode();
    assert_eq!(decided("role=VIEWER&role=MODERATOR&%72ole=x"), "role=VIEWER");
    assert_eq!(decided("ROLE=MODERATOR&role=VIEWER&role[]=x&role%20=y&Role=z"), "role=VIEWER");
    assert_eq!(decided("userdata-a=1&userdata-A=2&new=1&New=2"), "userdata-a=1&userdata-A=2&new=1&New=2");
    assert_eq!(decided("meta_a=1&meta_A=2&b=3&meta_a=4"), "meta_A=2&b=3", "the last spelling of metadata");
    assert_eq!(Params::parse("meta_Server-Tag=gpu").first("meta_server-tag"), Some("gpu"));
}

#[test]
fn what_no_checksum_covers_says_nothing_about_rights_and_replaces_nothing() {
    let mut params = Params::parse("meetingID=m1&meta_a=1");
    params.merge_uncovered("role=MODERATOR&password=x&PASSWORD=x&userID=admin&meetingID=m2&meta_A=2&welcome=hi");
    assert_eq!(pairs(&params), [("meetingID", "m1"), ("meta_a", "1"), ("welcome", "hi")]);
    assert_eq!((params.covered("meetingID"), params.covered("welcome")), (Some("m1"), None));
}

#[test]
fn what_no_checksum_covers_sets_no_address_no_script_and_no_recording() {
    let mut params = Params::parse("meetingID=m1");
    params.merge_uncovered(
        "pluginManifests=[]&clientSettingsOverrideJsonUrl=u&meetingEndedURL=u&logoutURL=u&meta_endCallbackUrl=u&record=true\
         &meta_bbb-recording-ready-url=u&voiceBridge=1&preUploadedPresentation=u&welcome=hi&meta_course=1",
    );
    assert_eq!(params.encode(), "meetingID=m1&preUploadedPresentation=u&welcome=hi&meta_course=1");
}

#[test]
fn setting_keeps_the_place_and_takes_every_other_spelling_away() {
    let mut params = Params::parse("a=1&b=2&A=3&c=4&a[]=5&a%09=6&a=7");
    params.set("a", "x");
    params.set("d", "y");
    assert_eq!(pairs(&params), [("a", "x"), ("b", "2"), ("c", "4"), ("d", "y")]);
    params.remove("B");
    assert_eq!(pairs(&params), [("a", "x"), ("c", "4"), ("d", "y")]);
}

#[test]
fn a_default_does_not_replace_an_empty_value() {
    let mut params = Params::parse("password=");
    assert!(!params.set_default("password", "secret"));
    assert!(params.set_default("role", "VIEWER"));
    assert_eq!(pairs(&params), [("password", ""), ("role", "VIEWER")]);
}

#[test]
fn what_was_not_changed_is_sent_byte_for_byte() {
    let came = "name=a+b%20c%2b~!*'():/?@,;$%C3%bC&welcome=%0Ax&c&checksum=abc&%6Deta_x=1";
    let mut params = Params::parse(came);
    params.set("c", "a b*/ü");
    let sent = "name=a+b%20c%2b~!*'():/?@,;$%C3%bC&welcome=%0Ax&c=a%20b%2A%2F%C3%BC&%6Deta_x=1";
    assert_eq!(params.encode(), sent);
}

#[test]
fn what_cannot_stand_in_a_url_is_encoded_all_the_same() {
    assert_eq!(Params::parse("name=a[1]|ü\"").encode(), "name=a%5B1%5D%7C%C3%BC%22");
    let mut params = Params::default();
    params.merge_form("name=a b#c\n");
    assert_eq!(params.encode(), "name=a%20b%23c%0A");
}

#[test]
fn the_largest_parameters_go_into_the_form_and_one_stays_in_the_query() {
    let params = Params::parse("meetingID=m1&welcome=xxxxxxxxxx&name=yyyy&password=zzzzzzzzzzzzzzz");
    assert_eq!(params.split(1000), (params.encode(), String::new()));
    let (query, form) = params.split(50);
    assert_eq!(
        (query.as_str(), form.as_str()),
        ("meetingID=m1&name=yyyy&password=zzzzzzzzzzzzzzz", "welcome=xxxxxxxxxx")
    );
    let (query, form) = params.split(1);
    assert_eq!(
        (query.as_str(), form.as_str()),
        ("meetingID=m1&password=zzzzzzzzzzzzzzz", "welcome=xxxxxxxxxx&name=yyyy")
    );
    assert_eq!(Params::parse("a=1&b=2").split(0).0.len(), 3, "a query is never empty");
    assert_eq!(Params::default().split(0), Default::default());
}

#[test]
fn names_that_cannot_be_elements_are_left_out() {
    let mut params = Params::parse(
        "userdata-x+y=1&userdataZ-x%20y=1&meta_a:b=2&meta_=3&meta_1=4&meta_ok-1.x=5&userdata-%C3%BC=6&1=7",
    );
    params.set("userdata-<", "x");
    assert!(!params.set_default("meta_<", "x"));
    assert_eq!(params.unwritable(), ["userdata-x y", "userdataZ-x y", "meta_a:b", "meta_", "meta_1"]);
    assert_eq!(params.encode(), "meta_ok-1.x=5&userdata-%C3%BC=6&1=7");
}

#[test]
fn values_are_read_as_bbb_reads_them() {
    assert_eq!(clean(" \tm\u{0}1\r\n "), "m1");
    assert!(matches!(clean(" m 1 "), Cow::Borrowed("m 1")));
    let says_true = |query: &str| Params::parse(query).says_true("isBreakout");
    assert!(says_true("isBreakout=%09TRUE%20%00") && says_true("isBreakout=t%00rue"));
    for query in ["isBreakout=true%C2%A0", "isBreakout=1", "isBreakout=", "IsBreakout=true", "isBreakout[]=true"] {
        assert!(!says_true(query), "{query}");
    }
}

proptest! {
    #[test]
    fn what_was_set_is_read_back(pairs in prop::collection::vec((".*", ".*"), 0..8)) {
        let mut params = Params::default();
        for (name, value) in pairs.iter().filter(|(name, _)| !names::is_misspelt(name)) {
            params.set(name, value);
        }
        params.remove("checksum");
        let query = params.encode();
        let back = Params::parse(&query);
        prop_assert!(back.iter().eq(params.iter()));
        prop_assert_eq!(back.encode(), query);
    }

    #[test]
    fn any_query_is_read(raw in ".*", limit in 0..40_usize) {
        let params = Params::parse(&raw);
        prop_assert_eq!(params.raw(), &raw);
        let again = Params::parse(&params.encode());
        prop_assert!(again.iter().eq(params.iter().filter(|(name, _)| *name != "checksum")));
        let (query, form) = params.split(limit);
        let mut parts = Params::parse(&query);
        parts.merge_form(&form);
        prop_assert_eq!(parts.iter().count(), again.iter().count());
    }
}
