use proptest::prelude::*;

use super::*;

fn read(xml: &str) -> Result<String, XmlError> {
    let mut seen = String::new();
    let mut events = Events::new(xml.as_bytes())?;
    while let Some(event) = events.next()? {
        match event {
            Event::Open => seen.push('('),
            Event::Text(text) => seen.push_str(&text),
            Event::Close => {
                seen.push_str(events.path().last());
                seen.push(')');
            }
        }
    }
    Ok(seen)
}

fn problem(xml: &str) -> Problem {
    read(xml).expect_err(xml).problem().clone()
}

#[test]
fn events_come_in_order() {
    assert_eq!(read("<a>1<b/>2<c>3</c></a>").expect("well-formed"), "(1(b)2(3c)a)");
    assert_eq!(read("\u{feff}<?xml version='1.0'?><!-- x --><a><?p i?></a >\n").expect("well-formed"), "(a)");
}

#[test]
fn entities_and_cdata_are_text() {
    let xml = "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;<![CDATA[<&amp;>]]></a>";
    assert_eq!(read(xml).expect("well-formed"), "(<>&\"'A😀<&amp;>a)");
}

#[test]
fn names_made_of_metadata_are_taken() {
    assert_eq!(read("<a><bbb-origin.x_1/><ü/><1/></a>").expect("read"), "((bbb-origin.x_1)(ü)(1)a)");
}

#[test]
fn what_is_not_well_formed_is_refused() {
    let malformed = [
        "<a></b>",
        "</a>",
        "<a><b></a></b>",
        "<a/><b/>",
        "x<a/>",
        "<a/>x",
        "<a/><![CDATA[x]]>",
        "<a/>&amp;",
        "<a>&amp</a>",
        "<a>&</a>",
        "<a b></a>",
        "<a b=1></a>",
        "<a b='1' b='2'/>",
        "<a b='&x;'/>",
        "<a b='<'/>",
        "<>x</>",
        "<a<b/>",
        "<a><!-- -- --></a>",
        "<a><!x></a>",
    ];
    for xml in malformed {
        assert!(matches!(problem(xml), Problem::Malformed(_)), "{xml}: {:?}", problem(xml));
    }
    for xml in ["", " ", "<a>", "<a", "<a><b/>", "<a><![CDATA[x</a>", "<a><!-- </a>", "<a b='></a>", "<!-- x -->"] {
        assert_eq!(problem(xml), Problem::Truncated, "{xml}");
    }
}

#[test]
fn a_doctype_is_refused() {
    assert_eq!(problem("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), Problem::DocType);
    assert_eq!(problem("<!doctype html><html/>"), Problem::DocType);
}

#[test]
fn an_unknown_entity_is_refused() {
    assert_eq!(problem("<a>&nbsp;</a>"), Problem::Entity("nbsp".to_owned()));
    assert_eq!(problem("<a>&#0;</a>"), Problem::Entity("#0".to_owned()));
    assert_eq!(problem("<a>&#x110000;</a>"), Problem::Entity("#x110000".to_owned()));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    read(&nested(MAX_DEPTH)).expect("deep enough for everybody");
    assert_eq!(problem(&nested(MAX_DEPTH + 1)), Problem::TooDeep);
    assert_eq!(problem(&"<a>".repeat(100_000)), Problem::TooDeep);
}

#[test]
fn attributes_are_bounded_in_number() {
    let with = |count: usize| format!("<a{}/>", (0..count).map(|name| format!(" a{name}=''")).collect::<String>());
    read(&with(MAX_ATTRIBUTES)).expect("enough for everybody");
    assert!(matches!(problem(&with(MAX_ATTRIBUTES + 1)), Problem::Malformed(_)));
}

#[test]
fn an_error_says_where() {
    assert_eq!(read("<a>&amp;<b></c></a>").expect_err("mismatch").position(), 11);
    assert_eq!(read("\u{feff}<a>&x;</a>").expect_err("entity").position(), 6);
    let error = Events::new(b"<a>\xff</a>").err().expect("not UTF-8");
    assert_eq!((error.problem(), error.position()), (&Problem::NotUtf8, 3));
    assert_eq!(error.to_string(), "XML is not UTF-8 (at byte 3)");
}

#[test]
fn byte_order_marks_do_not_shift_spans() {
    for xml in ["\u{feff}\u{feff}<ü>x</ü>", "\u{feff}<ü a='ü'/>"] {
        let mut events = Events::new(xml.as_bytes()).expect("UTF-8");
        events.next().expect("well-formed");
        assert!(xml[events.span()].starts_with("<ü"), "{xml}");
    }
}

#[test]
fn an_attribute_is_decoded() {
    let mut events = Events::new(b"<a b='1' name = \"x&amp;/\"/>").expect("UTF-8");
    events.next().expect("well-formed");
    assert_eq!(events.attribute("name").as_deref(), Some("x&/"));
    assert_eq!(events.attribute("c"), None);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(xml in "[<>/a&;#x!\\[\\]\\-?'\"= CDATü\u{feff}]{0,40}") {
        let _ = read(&xml);
        let _ = read(&format!("<a>{xml}</a>"));
        let mut events = Events::new(xml.as_bytes()).expect("UTF-8");
        while let Ok(Some(_)) = events.next() {
            prop_assert!(events.span().end <= xml.len());
        }
    }
}
