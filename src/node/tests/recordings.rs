//! Recordings that meetings leave.

use std::fs;

use super::*;

#[tokio::test]
async fn a_recorded_meeting_leaves_a_recording_of_two_formats_and_another_one_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = node_with(|options| options.recordings = Some(folder.path().to_owned())).await;
    get(&node, "create", "name=Tea+%26+cake&meetingID=tea&record=true&meta_course=a%3Cb").await;
    get(&node, "create", "name=Chat&meetingID=chat").await;
    let id = node.meeting("tea").expect("it runs").internal_id;
    assert!(node.control().expire("tea") && node.control().expire("chat"));
    node.wait_until(|state| !state.published().is_empty()).await;
    node.wait_until(|state| *state.published() == [id.clone()]).await;
    let document = |format: &str| {
        let file = folder.path().join(format).join(&id).join("metadata.xml");
        fs::read_to_string(file).expect("every format has its document")
    };
    for format in ["presentation", "video"] {
        let text = document(format);
        let document = roxmltree::Document::parse(&text).expect("it is XML");
        let text_of = |name: &str| document.descendants().find(|node| node.has_tag_name(name))?.text();
        assert_eq!([text_of("id"), text_of("format")], [Some(&*id), Some(format)]);
        assert_eq!([text_of("meetingName"), text_of("course")], [Some("Tea & cake"), Some("a<b")]);
        assert_eq!(document.descendants().any(|node| node.has_tag_name("meeting")), format == "presentation");
    }
    let film = fs::read(folder.path().join("presentation").join(&id).join("video/webcams.webm")).expect("a film");
    assert!(film.starts_with(b"\x1aE\xdf\xa3"), "a browser can play it");
}
