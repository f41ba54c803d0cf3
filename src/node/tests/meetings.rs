//! The calls about meetings, with the documents of the reference.

use super::{DEMO, INTERNAL, NOW, get, node, node_with, post};
use crate::{DocumentSource, Media, Role};

const TAKEN: &str = "A meeting already exists with that meeting ID.  Please use a different meeting ID.";

fn created(key: &str, message: &str) -> String {
    format!(
        "<response>
        <returncode>SUCCESS</returncode>
        <meetingID>abc123</meetingID>
        <internalMeetingID>{INTERNAL}</internalMeetingID>
        <parentMeetingID>bbb-none</parentMeetingID>
        <attendeePW>ap</attendeePW>
        <moderatorPW>mp</moderatorPW>
        <createTime>1700000000000</createTime>
        <voiceBridge>71234</voiceBridge>
        <dialNumber>613-555-1234</dialNumber>
        <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate>
        <hasUserJoined>false</hasUserJoined>
        <duration>0</duration>
        <hasBeenForciblyEnded>false</hasBeenForciblyEnded>
        <messageKey>{key}</messageKey>
        <message>{message}</message>
        </response>"
    )
}

/// The meeting of two attendees and one breakout.
fn lively(ada: &str, phone: &str, room: &str) -> String {
    format!(
        "<response>
        <returncode>SUCCESS</returncode>
        <meetingName>Demo room</meetingName>
        <meetingID>abc123</meetingID>
        <internalMeetingID>{INTERNAL}</internalMeetingID>
        <createTime>1700000000000</createTime>
        <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate>
        <voiceBridge>71234</voiceBridge>
        <dialNumber>613-555-1234</dialNumber>
        <attendeePW>ap</attendeePW>
        <moderatorPW>mp</moderatorPW>
        <running>true</running>
        <duration>0</duration>
        <hasUserJoined>true</hasUserJoined>
        <recording>true</recording>
        <hasBeenForciblyEnded>false</hasBeenForciblyEnded>
        <startTime>1700000000045</startTime>
        <endTime>0</endTime>
        <participantCount>2</participantCount>
        <listenerCount>1</listenerCount>
        <voiceParticipantCount>1</voiceParticipantCount>
        <videoCount>1</videoCount>
        <maxUsers>0</maxUsers>
        <moderatorCount>1</moderatorCount>
        <attendees>
        <attendee>
        <userID>{ada}</userID>
        <fullName>Ada &amp; Co</fullName>
        <role>MODERATOR</role>
        <isPresenter>true</isPresenter>
        <isListeningOnly>false</isListeningOnly>
        <hasJoinedVoice>true</hasJoinedVoice>
        <hasVideo>true</hasVideo>
        <clientType>HTML5</clientType>
        </attendee>
        <attendee>
        <userID>{phone}</userID>
        <fullName>613-555-xxxx</fullName>
        <role>DIAL-IN-USER</role>
        <isPresenter>false</isPresenter>
        <isListeningOnly>true</isListeningOnly>
        <hasJoinedVoice>false</hasJoinedVoice>
        <hasVideo>false</hasVideo>
        <clientType>DIAL-IN</clientType>
        </attendee>
        </attendees>
        <metadata>
        <bbb-origin>Greenlight</bbb-origin>
        <endcallbackurl>https://gl.example/e?m=1</endcallbackurl>
        </metadata>
        <isBreakout>false</isBreakout>
        <breakoutRooms><breakout>{room}</breakout></breakoutRooms>
        </response>"
    )
}

#[tokio::test]
async fn create_answers_as_the_reference_does() {
    let node = node().await;
    get(&node, "create", DEMO).await.is(&created("", ""));
    let warning = "This conference was already in existence and may currently be in progress.";
    let again = created("duplicateWarning", warning);
    get(&node, "create", DEMO).await.is(&again);
    get(&node, "create", "name=Other&meetingID=abc123").await.is(&again);
    for passwords in ["attendeePW=ap", "attendeePW=ap&moderatorPW=other", "moderatorPW=mp"] {
        let query = format!("name=Other&meetingID=abc123&{passwords}");
        get(&node, "create", &query).await.refuses("idNotUnique", TAKEN);
    }
    assert_eq!(node.meeting("abc123").expect("created").name, "Demo room");
}

#[tokio::test]
async fn a_taken_voice_bridge_is_an_errors_list() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    get(&node, "create", "name=Other&meetingID=other&voiceBridge=71234")
        .await
        .is("<response><returncode>FAILED</returncode><errors><error><key>nonUniqueVoiceBridge</key>
        <message>The selected voice bridge is already in use.</message></error></errors></response>");
}

#[tokio::test]
async fn passwords_and_voice_bridge_are_drawn_when_not_given() {
    let node = node().await;
    let answer = get(&node, "create", "name=Demo&meetingID=abc123&attendeePW=").await;
    for password in ["attendeePW", "moderatorPW"] {
        let password = answer.text(password).expect("drawn");
        assert!(password.len() == 8 && password.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{password}");
    }
    assert_eq!(answer.text("voiceBridge").map(str::len), Some(9));
}

#[tokio::test]
async fn create_says_what_is_wrong() {
    let node = node().await;
    let long = "x".repeat(257);
    let cases = [
        ("meetingID=ab", "validationError", "You must provide a meeting name"),
        ("meetingID=ab&name=", "validationError", "You must provide a meeting name"),
        ("meetingID=ab&name=x", "sizeError", "Meeting name must be between 2 and 256 characters"),
        ("name=Demo", "validationError", "Invalid meeting ID"),
        ("name=Demo&meetingID=+", "missingParamMeetingID", "You must provide a meeting ID"),
        ("name=Demo&meetingID=x", "sizeError", "Meeting ID must be between 2 and 256 characters"),
        (&format!("name=Demo&meetingID={long}"), "sizeError", "Meeting ID must be between 2 and 256 characters"),
        ("name=Demo&meetingID=a,b", "validationError", "Meeting ID cannot contain &apos;,&apos;"),
        ("name=Demo&meetingID=ab&voiceBridge=1x", "validationError", "Voice bridge must be an integral value"),
        ("name=Demo&meetingID=ab&attendeePW=x", "invalidPassword", "Invalid password"),
        ("name=Demo&meetingID=ab&record=yes", "validationError", "Record must be a boolean value (true or false)"),
    ];
    for (query, key, message) in cases {
        get(&node, "create", query).await.refuses(key, message);
    }
    assert!(node.meetings().is_empty());
}

#[tokio::test]
async fn a_body_brings_documents_and_none_brings_the_default() {
    let node = node().await;
    let body = br#"<modules><module name="presentation"><document url="https://f.example/a.pdf"/></module></modules>"#;
    post(&node, "create", DEMO, "application/xml", body).await.is(&created("", ""));
    let documents = node.meeting("abc123").expect("created").documents;
    assert_eq!(documents[0].source, DocumentSource::Url("https://f.example/a.pdf".to_owned()));
    assert!(documents[0].current);
    get(&node, "create", "name=Bare&meetingID=bare").await;
    assert_eq!(node.meeting("bare").expect("created").documents[0].source, DocumentSource::Default);
}

#[tokio::test]
async fn a_broken_body_fails_after_the_meeting_was_created() {
    let node = node().await;
    assert_eq!(post(&node, "create", DEMO, "text/xml", b"<modules>").await.status, 500);
    assert!(node.meeting("abc123").is_some());
    let again = post(&node, "create", DEMO, "text/xml", b"<modules>").await;
    assert_eq!(again.text("messageKey"), Some("duplicateWarning"), "a second create's documents are not looked at");
    let insert = async |id: &str| post(&node, "insertDocument", &format!("meetingID={id}"), "text/xml", b" ").await;
    assert_eq!(insert("abc123").await.status, 500);
    assert_eq!(insert("none").await.text("message"), Some("Meeting with id [none] not found."));
}

#[tokio::test]
async fn end_takes_effect_a_little_later() {
    let node = node().await;
    let unknown = "A meeting with that ID does not exist";
    get(&node, "end", "meetingID=abc123").await.refuses("notFound", unknown);
    get(&node, "create", DEMO).await;
    let wrong = "The supplied moderator password is incorrect";
    get(&node, "end", "meetingID=abc123&password=ap").await.refuses("invalidPassword", wrong);
    get(&node, "end", "meetingID=abc123").await.is(
        "<response><returncode>SUCCESS</returncode><messageKey>sentEndMeetingRequest</messageKey>
        <message>A request to end the meeting was sent.  Please wait a few seconds, and then use the getMeetingInfo \
or isMeetingRunning API calls to verify that it was ended.</message></response>",
    );
    assert_eq!(get(&node, "getMeetingInfo", "meetingID=abc123").await.text("hasBeenForciblyEnded"), Some("true"));
    tokio::time::pause();
    node.wait_until(|state| state.meetings().is_empty()).await;
    tokio::time::resume();
    get(&node, "getMeetingInfo", "meetingID=abc123").await.refuses("notFound", unknown);
}

#[tokio::test]
async fn an_id_can_be_used_again_while_its_meeting_ends() {
    let node = node().await;
    let query = format!("{DEMO}&meetingExpireIfNoUserJoinedInMinutes=0");
    get(&node, "create", &query).await;
    get(&node, "end", "meetingID=abc123").await;
    assert_eq!(get(&node, "create", &query).await.text("createTime"), Some("1700000000001"));
    assert_eq!(node.meetings().len(), 2);
    tokio::time::pause();
    node.wait_until(|state| state.meetings().len() == 1).await;
    assert_eq!(node.meeting("abc123").expect("the new one").create_time, 1_700_000_000_001);
}

#[tokio::test]
async fn running_means_that_someone_is_there() {
    let node = node().await;
    let running = async || get(&node, "isMeetingRunning", "meetingID=abc123").await.text("running").map(str::to_owned);
    assert_eq!(running().await.as_deref(), Some("false"));
    get(&node, "create", DEMO).await;
    assert_eq!(running().await.as_deref(), Some("false"));
    let user = node.control().join("abc123", "Ada", Role::Moderator).expect("a meeting");
    assert_eq!(running().await.as_deref(), Some("true"));
    assert!(node.control().leave("abc123", &user));
    assert_eq!(running().await.as_deref(), Some("false"));
}

#[tokio::test]
async fn meeting_info_answers_as_the_reference_does() {
    let node = node().await;
    let extra = "record=true&meta_bbb-origin=Greenlight&meta_endCallbackUrl=https%3A%2F%2Fgl.example%2Fe%3Fm%3D1";
    get(&node, "create", &format!("{DEMO}&{extra}")).await;
    let control = node.control();
    let ada = control.join("abc123", "Ada & Co", Role::Moderator).expect("a meeting");
    control.media("abc123", &ada, Media { listening_only: false, voice: true, video: true });
    let phone = control.join("abc123", "613-555-xxxx", Role::DialIn).expect("a meeting");
    control.media("abc123", &phone, Media { listening_only: true, ..Media::default() });
    let room = control.breakout("abc123", "Room 1").expect("a parent");
    get(&node, "getMeetingInfo", "meetingID=abc123").await.is(&lively(&ada, &phone, &room));
    let info = get(&node, "getMeetingInfo", &format!("meetingID={room}")).await;
    let tail = format!(
        "<isBreakout>true</isBreakout>\n<parentMeetingID>{INTERNAL}</parentMeetingID>\n<sequence>1</sequence>\n\
         <freeJoin>false</freeJoin>\n</response>\n"
    );
    assert!(info.body.ends_with(&tail), "{}", info.body);
    assert_eq!(info.text("bbb-origin"), Some("Greenlight"));
}

#[tokio::test]
async fn meetings_answer_as_the_reference_does() {
    let node = node_with(|options| options.group_numbers = true).await;
    get(&node, "getMeetings", "")
        .await
        .is("<response><returncode>SUCCESS</returncode><meetings/><messageKey>noMeetings</messageKey>
        <message>no meetings were found on this server</message></response>");
    get(&node, "create", &format!("{DEMO}&maxParticipants=1000")).await;
    get(&node, "getMeetings", "").await.is(&format!(
        "<response>
        <returncode>SUCCESS</returncode>
        <meetings>
        <meeting>
        <meetingName>Demo room</meetingName>
        <meetingID>abc123</meetingID>
        <internalMeetingID>{INTERNAL}</internalMeetingID>
        <createTime>1700000000000</createTime>
        <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate>
        <voiceBridge>71234</voiceBridge>
        <dialNumber>613-555-1234</dialNumber>
        <attendeePW>ap</attendeePW>
        <moderatorPW>mp</moderatorPW>
        <running>false</running>
        <duration>0</duration>
        <hasUserJoined>false</hasUserJoined>
        <recording>false</recording>
        <hasBeenForciblyEnded>false</hasBeenForciblyEnded>
        <startTime>1700000000045</startTime>
        <endTime>0</endTime>
        <participantCount>0</participantCount>
        <listenerCount>0</listenerCount>
        <voiceParticipantCount>0</voiceParticipantCount>
        <videoCount>0</videoCount>
        <maxUsers>1,000</maxUsers>
        <moderatorCount>0</moderatorCount>
        <attendees>
        </attendees>
        <metadata>
        </metadata>
        <isBreakout>false</isBreakout>
        </meeting>
        </meetings>
        </response>"
    ));
}

#[tokio::test]
async fn sessions_answer_as_the_reference_does() {
    let node = node().await;
    get(&node, "getSessions", "")
        .await
        .is("<response><returncode>SUCCESS</returncode><sessions/><messageKey>noSessions</messageKey>
        <message>no sessions were found on this serverr</message></response>");
    get(&node, "create", DEMO).await;
    node.control().join("abc123", "Grace", Role::Viewer);
    get(&node, "getSessions", "").await.is(&format!(
        "<response><returncode>SUCCESS</returncode><sessions><meeting><meetingID>{INTERNAL}</meetingID>
        <meetingName>Demo room</meetingName><userName>Grace</userName></meeting></sessions></response>"
    ));
}

#[tokio::test]
async fn documents_can_be_inserted() {
    let node = node().await;
    let body = br#"<modules><module name="presentation"><document name="b.pdf">QUJD</document></module></modules>"#;
    let insert = async || post(&node, "insertDocument", "meetingID=abc123", "application/xml", body).await;
    insert().await.is(
        "<response><returncode>FAILED</returncode><message>Meeting with id [abc123] not found.</message></response>",
    );
    get(&node, "create", DEMO).await;
    insert()
        .await
        .is("<response><returncode>SUCCESS</returncode><message>Presentation is being uploaded</message></response>");
    let documents = node.meeting("abc123").expect("created").documents;
    assert_eq!((documents.len(), documents[1].name.as_str(), documents[1].current), (2, "b.pdf", false));
}

#[tokio::test]
async fn chat_messages_arrive() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    get(&node, "sendChatMessage", "meetingID=abc123&message=Hello")
        .await
        .is("<response><returncode>SUCCESS</returncode><messageKey></messageKey><message></message></response>");
    let chat = node.meeting("abc123").expect("created").chat;
    assert_eq!((chat[0].user_name.as_str(), chat[0].text.as_str()), ("System", "Hello"));
    for (query, message) in [("", "1 and 500"), ("&message=", "1 and 500"), ("&message=x&userName=", "")] {
        let answer = get(&node, "sendChatMessage", &format!("meetingID=abc123{query}")).await;
        assert_eq!(answer.text("returncode"), Some(if message.is_empty() { "SUCCESS" } else { "FAILED" }), "{query}");
        assert!(answer.body.contains(message), "{query}");
    }
}

#[tokio::test]
async fn a_chat_message_to_no_meeting_that_goes_on_reaches_nobody() {
    let node = node().await;
    let send = async || get(&node, "sendChatMessage", "meetingID=abc123&message=Hello").await;
    send().await.refuses("meetingNotFound", "Meeting not found or not active");
    get(&node, "create", DEMO).await;
    get(&node, "end", "meetingID=abc123").await;
    send().await.refuses("meetingNotFound", "Meeting not found or not active");
    assert!(node.meeting("abc123").expect("it ends").chat.is_empty());
}

#[tokio::test]
async fn a_meeting_without_presentations_looks_at_no_documents() {
    let node = node().await;
    let slides = b"<modules><module name='presentation'><document url='https://f.example/a.pdf'/></module></modules>";
    let by_url = "preUploadedPresentation=https%3A%2F%2Ff.example%2Fb.pdf&preUploadedPresentationOverrideDefault=false";
    for (id, body) in [("m1", slides.as_slice()), ("m2", b"<modules>"), ("m3", b"")] {
        let query = format!("name=Demo&meetingID={id}&disabledFeatures=chat,+presentation&{by_url}");
        let created = post(&node, "create", &query, "application/xml", body).await;
        assert_eq!((created.status, created.text("returncode")), (200, Some("SUCCESS")), "{id}");
        let inserted = post(&node, "insertDocument", &format!("meetingID={id}"), "text/xml", body).await;
        assert_eq!(inserted.text("message"), Some("Presentation feature is disabled, ignoring."), "{id}");
        assert_eq!(node.meeting(id).expect("created").documents, [], "{id}");
    }
}

#[tokio::test]
async fn a_document_is_called_as_where_it_comes_from_unless_it_is_named() {
    let node = node().await;
    let urls =
        "<document url='https://f.example/Erste%20Schritte.pdf?v=1'/><document url='https://f.example/download?id=7'/>";
    let body = format!("<modules><module name='Presentation'>{urls}</module></modules>");
    let by_url = "preUploadedPresentation=https%3A%2F%2Ff.example%2Fx%2F%25C3%25BC.odp";
    post(&node, "create", &format!("{DEMO}&{by_url}"), "application/xml", body.as_bytes()).await;
    let names: Vec<_> = node.meeting("abc123").expect("created").documents.into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["Erste Schritte.pdf", "ü.odp"], "a node reads nothing without an extension");
}

#[tokio::test]
async fn breakouts_end_with_their_parent() {
    let node = node().await;
    get(&node, "create", DEMO).await;
    node.control().breakout("abc123", "Room 1");
    get(&node, "create", "name=Room+2&meetingID=two&isBreakout=true&parentMeetingID=abc123&sequence=2").await;
    assert_eq!(node.meetings().len(), 3);
    get(&node, "end", "meetingID=abc123").await;
    tokio::time::pause();
    node.wait_until(|state| state.meetings().is_empty()).await;
}

#[tokio::test]
async fn a_node_whose_redis_is_away_goes_on() {
    let node = node_with(|options| options.redis = Some("redis://127.0.0.1:1".to_owned())).await;
    let control = node.control();
    assert!(control.create("lesson").ends_with(&NOW.to_string()));
    let ada = control.join("lesson", "Ada", Role::Moderator).expect("a meeting");
    let alan = control.join("lesson", "Alan", Role::Viewer).expect("a meeting");
    assert!(control.present("lesson", &alan) && control.role("lesson", &alan, Role::Moderator));
    assert!(control.record("lesson", true) && control.leave("lesson", &ada) && control.expire("lesson"));
    assert!(!control.record("lesson", false) && !control.present("lesson", &alan));
}
