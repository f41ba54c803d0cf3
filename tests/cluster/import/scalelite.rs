//! From the Redis of scalelite.

use b3scale::rest::StateDocument;
use b3scale_ctl::import::scalelite::{NAMESPACE, SingleTenant, Source, read};
use b3scale_ctl::import::{ImportError, Imported};
use b3scale_middleware::bbb::{self, Algorithm, CallKind, Secret};
use b3scale_middleware::cluster::{RecordId, Visibility};
use b3scale_middleware::ports::Meetings as _;
use b3scale_support::{ClusterOptions, SECRET, TestCluster, TestDatabase, TestRedis};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::bring_over;

fn source(redis: &TestRedis) -> Source {
    Source { redis: redis.url().to_owned(), namespace: NAMESPACE.to_owned(), postgres: None, single: None }
}

async fn enter(redis: &TestRedis, commands: &[&str]) {
    for command in commands {
        redis.run(&command.split_whitespace().collect::<Vec<_>>()).await;
    }
}

const SERVERS: [&str; 9] = [
    "SADD scalelite:servers 00000000-0000-0000-0000-0000000000a1 n2.example n3.example n4.example n5.example",
    "HSET scalelite:server:00000000-0000-0000-0000-0000000000a1 url https://n1.example/bigbluebutton/api secret n1 \
        state enabled load_multiplier 2.5 online true",
    "HSET scalelite:server:n2.example url https://n2.example/bigbluebutton/api/ secret n2 state cordoned load_multiplier 0",
    "HSET scalelite:server:n3.example url https://n3.example/bigbluebutton/api secret n3 state disabled load_multiplier x",
    "HSET scalelite:server:n4.example url https://n4.example/bigbluebutton/api secret n4",
    "SADD scalelite:server_enabled n4.example",
    "HSET scalelite:server:n5.example url n5.example secret n5 state enabled",
    "SADD scalelite:meetings class gone stray",
    "HSET scalelite:meeting:class server_id n4.example moderator_pw x voice_bridge 1",
];

const TENANTS: [&str; 14] = [
    "SADD scalelite:tenants 00000000-0000-0000-0000-0000000000c1 c2 c3",
    "HSET scalelite:tenant:00000000-0000-0000-0000-0000000000c1 name school secrets one:two:three lrs_endpoint https://lrs/",
    "HSET scalelite:tenant:c2 name academy secrets four",
    "HSET scalelite:tenant:c3 name academy secrets five",
    "HSET scalelite:tenant_name:school id 00000000-0000-0000-0000-0000000000c1",
    "HSET scalelite:tenant_name:academy id c3",
    "SADD scalelite:tenant_settings:c3 s1 s2",
    "HSET scalelite:tenant_setting:s1 param logo value https://logo/ override false",
    "HSET scalelite:tenant_setting:s2 param record value false override true",
    "HSET scalelite:server:n4.example tag gpu",
    "HSET scalelite:meeting:class tenant_id c3",
    "SADD scalelite:meetings lost",
    "HSET scalelite:meeting:stray server_id n4.example tenant_id c9",
    "HSET scalelite:meeting:lost server_id n9.example tenant_id c3",
];

/// The note that is always there.
const ENVIRONMENT: &str = "What scalelite has in its environment is not read";

fn notes(imported: &Imported) -> Vec<&str> {
    imported.notes.iter().map(String::as_str).filter(|note| !note.starts_with(ENVIRONMENT)).collect()
}

#[tokio::test]
async fn servers_tenants_and_meetings_are_read() {
    let redis = TestRedis::start().await;
    enter(&redis, &SERVERS).await;
    enter(&redis, &TENANTS).await;
    let imported = read(&source(&redis)).await.unwrap();
    let choice = json!({"meta_server-tag": "none!"});
    let expected = json!({
        "version": 1,
        "frontends": [
            {"key": "school", "secret": "one", "next_secret": "two", "id": "00000000-0000-0000-0000-0000000000c1",
                "settings": {"create_default_params": choice}},
            {"key": "academy", "secret": "five", "settings": {
                "create_default_params": {"logo": "https://logo/", "meta_server-tag": "none!"},
                "join_default_params": {"logo": "https://logo/"},
                "create_override_params": {"record": "false"}, "join_override_params": {"record": "false"}}}
        ],
        "backends": [
            {"host": "https://n1.example/bigbluebutton/api/", "secret": "n1", "load_factor": 2.5,
                "id": "00000000-0000-0000-0000-0000000000a1"},
            {"host": "https://n2.example/bigbluebutton/api/", "secret": "n2", "admin_state": "stopped"},
            {"host": "https://n3.example/bigbluebutton/api/", "secret": "n3", "admin_state": "stopped"},
            {"host": "https://n4.example/bigbluebutton/api/", "secret": "n4", "tags": ["gpu"]}
        ],
        "meetings": [
            {"id": "class", "meeting_id": "class", "frontend": "academy", "backend": "https://n4.example/bigbluebutton/api/"}
        ]
    });
    assert_eq!(imported.document, serde_json::from_value::<StateDocument>(expected).unwrap());
    let expected = [
        "The server `n5.example` was left out: its URL `n5.example` cannot be used, or it has no secret.",
        "The tenant `school` has 3 secrets: only the first two are valid here.",
        "The learning record store of the tenant `school` was left out.",
        "The tenant `c2` was left out: another one is known by its name `academy`.",
        "Some servers have a tag. So that meetings without one stay away from them, every frontend has the default \
            `meta_server-tag=none!` of create.",
        "Left out: 1 meeting without a frontend that comes over.",
        "Left out: 1 meeting without a server that comes over, or with an id that BBB refuses.",
    ];
    assert_eq!(notes(&imported), expected);

    let database = TestDatabase::new().await;
    assert_eq!(bring_over(database.store(), &imported).await.changes.len(), 2 + 4 + 1);
    let again = read(&source(&redis)).await.unwrap();
    assert_eq!(again, imported);
    assert_eq!(bring_over(database.store(), &again).await.changes, []);
}

#[tokio::test]
async fn without_tenants_there_is_one_frontend_whose_secret_is_given() {
    let redis = TestRedis::start().await;
    enter(&redis, &SERVERS).await;
    let imported = read(&source(&redis)).await.unwrap();
    assert!(imported.document.frontends.is_empty() && imported.document.meetings.is_empty());
    let advice = "No frontend was made, since scalelite has no tenants: give a key for it and the LOADBALANCER_SECRET";
    assert!(notes(&imported).iter().any(|note| note.starts_with(advice)), "{:?}", imported.notes);

    let single = SingleTenant { key: "school".to_owned(), secrets: "one:two".to_owned() };
    let imported = read(&Source { single: Some(single), ..source(&redis) }).await.unwrap();
    let frontends: Vec<_> =
        imported.document.frontends.iter().map(|one| (one.key.as_str(), one.secret.as_str())).collect();
    assert_eq!(frontends, [("school", "one")]);
    let meetings: Vec<_> =
        imported.document.meetings.iter().map(|one| (one.id.as_str(), one.frontend.as_str())).collect();
    assert_eq!(meetings, [("class", "school")]);
}

/// More than go into one batch.
#[tokio::test]
async fn any_number_of_meetings_is_read() {
    let redis = TestRedis::start().await;
    enter(&redis, &SERVERS[..5]).await;
    let fill = "for i = 1, 2500 do
        redis.call('SADD', 'scalelite:meetings', 'm' .. i)
        redis.call('HSET', 'scalelite:meeting:m' .. i, 'server_id', 'n4.example')
    end";
    redis.run(&["EVAL", fill, "0"]).await;
    let single = Some(SingleTenant { key: "school".to_owned(), secrets: "s".to_owned() });
    let imported = read(&Source { single, ..source(&redis) }).await.unwrap();
    assert_eq!(imported.document.meetings.len(), 2500);
}

const RECORDINGS: &str = "
    CREATE TABLE recordings (id bigserial PRIMARY KEY, record_id varchar, meeting_id varchar, name varchar, published boolean,
        participants integer, state varchar, starttime timestamp, endtime timestamp, deleted_at timestamp, protected boolean);
    CREATE TABLE metadata (id bigserial, recording_id bigint, key varchar, value varchar);
    CREATE TABLE playback_formats (id bigserial, recording_id bigint, format varchar, url varchar, length integer,
        processing_time integer);
    CREATE TABLE thumbnails (id bigserial, playback_format_id bigint, width integer, height integer, alt varchar, url varchar,
        sequence integer);
    INSERT INTO recordings (record_id, meeting_id, name, published, participants, state, starttime, endtime, protected) VALUES
        ('a-1', 'lesson', 'Biology', true, 3, 'published', '2024-07-01 12:00:00', '2024-07-01 13:00:00', true),
        ('b-1', 'lesson', 'Deleted', false, 3, 'deleted', '2024-07-01 12:00:00', '2024-07-01 13:00:00', NULL),
        ('c-1', 'other', NULL, false, NULL, NULL, NULL, NULL, NULL),
        ('d-1', 'other', NULL, true, NULL, 'published', NULL, NULL, NULL);
    INSERT INTO metadata (recording_id, key, value) VALUES (1, 'tenant-id', 'c3'), (1, 'gl-listed', 'false'), (3, 'tenant-id', 'c3'),
        (4, 'tenant-id', 'c9');
    INSERT INTO playback_formats (recording_id, format, url, length, processing_time) VALUES
        (1, 'video', '/playback/video/a-1/', 60, NULL), (1, 'presentation', '/playback/presentation/2.3/a-1', 60, 5000);
    INSERT INTO thumbnails (playback_format_id, width, height, alt, url, sequence) VALUES
        (2, 176, 136, 'Second', '/presentation/a-1/presentation/d2/thumbnails/thumb-2.png', 1),
        (2, 176, 136, 'First', '/presentation/a-1/presentation/d2/thumbnails/thumb-1.png', 0);";

#[tokio::test]
async fn recordings_come_from_the_database_that_scalelite_has_them_in() {
    let (redis, foreign, database) = (TestRedis::start().await, TestDatabase::empty().await, TestDatabase::new().await);
    enter(&redis, &SERVERS).await;
    enter(&redis, &TENANTS).await;
    let with_postgres = Source { postgres: Some(foreign.url().to_owned()), ..source(&redis) };
    let error = read(&with_postgres).await.expect_err("that is no database of scalelite").to_string();
    assert!(error.ends_with("is not scalelite's: it has no table `recordings`"), "{error}");
    foreign.execute(RECORDINGS).await;
    let imported = read(&with_postgres).await.unwrap();
    let left_out = "Left out: 1 recording without a tenant that comes over.";
    assert!(imported.notes.iter().any(|note| note == left_out), "{:?}", imported.notes);
    let store = database.store();
    bring_over(store, &imported).await;
    let find = async |id: &str| store.recordings().find(&RecordId::new(id).unwrap()).await.unwrap();
    let lesson = find("a-1").await.expect("it came over");
    assert_eq!((&*lesson.meeting_id, lesson.visibility(), lesson.participants), ("lesson", Visibility::Protected, 3));
    assert_eq!((lesson.start_time, lesson.end_time), (1_719_835_200_000, 1_719_838_800_000));
    let kinds: Vec<_> = lesson.formats.iter().map(|format| (&*format.kind, format.duration)).collect();
    assert_eq!(kinds, [("presentation", 3_600_000), ("video", 3_600_000)]);
    let images: Vec<_> = lesson.formats[0].images.iter().map(|image| (&*image.alt, &*image.width)).collect();
    assert_eq!(images, [("First", "176"), ("Second", "176")]);
    assert!(!lesson.metadata.contains_key("tenant-id"));
    assert_eq!(find("c-1").await.expect("it came over").visibility(), Visibility::Unpublished);
    assert!(find("b-1").await.is_none() && find("d-1").await.is_none());
    assert_eq!(bring_over(store, &read(&with_postgres).await.unwrap()).await.changes, []);
    // Old versions of scalelite protect nothing.
    foreign.execute("ALTER TABLE recordings DROP COLUMN protected").await;
    let old = read(&with_postgres).await.unwrap();
    let lesson = old.document.recordings.iter().find(|one| one.record_id == "a-1").expect("it is read");
    assert_eq!(lesson.visibility, Visibility::Published);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_in_a_line() {
    let redis = TestRedis::with_password("hunter2").await;
    let locked = read(&source(&redis)).await.expect_err("it wants a password");
    assert!(
        locked.to_string().ends_with("it wants another password; the URL has it between `redis://:` and `@HOST`"),
        "{locked}"
    );
    let wrong = Source { redis: format!("{}?pass=wrong", redis.url()), ..source(&redis) };
    assert_eq!(read(&wrong).await.expect_err("it is wrong").to_string(), locked.to_string());
    let right = Source { redis: format!("{}?pass=hunter2", redis.url()), ..source(&redis) };
    let error = read(&right).await.expect_err("it is empty");
    assert!(matches!(error, ImportError::Stranger { .. }), "{error}");
    assert!(error.to_string().contains("it has no keys `scalelite:servers` and `scalelite:tenants`"), "{error}");
    redis.run(&["SET", "scalelite:servers", "text"]).await;
    let error = read(&right).await.expect_err("it is no set");
    assert!(error.to_string().contains("the key `scalelite:servers` cannot be read: "), "{error}");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    for url in [
        format!("redis://:hunter2@127.0.0.1:{port}"),
        format!("rediss://:hunter2@127.0.0.1:{port}"),
        "http://x".to_owned(),
    ] {
        let error = read(&Source { redis: url, ..source(&redis) }).await.expect_err("nobody listens there");
        assert!(matches!(error, ImportError::Redis { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2") && error.to_string().lines().count() == 1, "{error}");
        let refused = error.to_string().contains("Connection refused");
        assert!(refused || error.to_string().contains("a URL is redis://HOST"), "{error}");
    }
}

/// One odd key must not keep the others from coming over.
#[tokio::test]
async fn what_scalelite_lists_and_cannot_be_read_is_left_out_by_name() {
    let redis = TestRedis::start().await;
    enter(&redis, &SERVERS).await;
    enter(&redis, &["SADD scalelite:servers bare odd text", "SET scalelite:server:text x"]).await;
    redis.run(&["EVAL", "redis.call('HSET', 'scalelite:server:odd', 'secret', '\\255')", "0"]).await;
    enter(&redis, &["SADD scalelite:tenants c9"]).await;
    let imported = read(&source(&redis)).await.unwrap();
    assert_eq!(imported.document.backends.len(), 4);
    let notes = notes(&imported);
    for expected in [
        "Left out: the key `scalelite:server:odd` cannot be read: it holds text that is not UTF-8.",
        "The server `bare` was left out: its key `server:bare` is missing or cannot be read.",
        "The server `odd` was left out: its key `server:odd` is missing or cannot be read.",
        "The tenant `c9` was left out: its key `tenant:c9` is missing or cannot be read.",
    ] {
        assert!(notes.contains(&expected), "{expected}: {notes:?}");
    }
    let wrong_type =
        |note: &&str| note.starts_with("Left out: the key `scalelite:server:text` ") && note.contains("WRONGTYPE");
    assert!(notes.iter().any(wrong_type), "{notes:?}");
}

#[tokio::test]
async fn a_key_that_cannot_be_made_or_is_a_tenants_is_an_error() {
    let redis = TestRedis::start().await;
    enter(&redis, &SERVERS).await;
    enter(&redis, &TENANTS).await;
    for (key, expected) in [
        ("a/b", "the frontend of --key `a/b` cannot be made: `key` should"),
        ("school", "the frontend of --key `school` cannot be made: scalelite has a tenant of that name"),
    ] {
        let single = Some(SingleTenant { key: key.to_owned(), secrets: "s".to_owned() });
        let error = read(&Source { single, ..source(&redis) }).await.expect_err("it cannot be made");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_port_where_no_redis_answers_is_named_in_a_line() {
    let web = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = web.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        loop {
            let (mut client, _) = web.accept().await.unwrap();
            let _ = client.read(&mut [0; 1024]).await;
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let redis = TestRedis::start().await;
    let failed = async |scheme: &str| {
        let wrong = Source { redis: format!("{scheme}://{address}"), ..source(&redis) };
        let error = read(&wrong).await.expect_err("that is no Redis").to_string();
        assert!(error.lines().count() == 1 && error.contains("; check host and port"), "{error}");
        error
    };
    let said = failed("redis").await;
    assert!(said.ends_with("what answers there is no Redis; check host and port"), "{said}");
    let said = failed("rediss").await;
    assert!(said.ends_with("and whether it speaks TLS: a URL without is redis://HOST"), "{said}");
    answering.abort();
}

/// A class that runs when its school moves in goes on where it is.
#[tokio::test]
async fn a_meeting_that_runs_is_found_by_every_call_after_the_import() {
    let cluster = TestCluster::with(ClusterOptions { nodes: 3, ..ClusterOptions::default() }).await;
    let redis = TestRedis::start().await;
    for (number, node) in cluster.nodes.iter().enumerate() {
        let url = node.url();
        let server = format!(
            "HSET scalelite:server:n{number} url {} secret {} state enabled",
            url.trim_end_matches('/'),
            node.secret()
        );
        enter(&redis, &[&format!("SADD scalelite:servers n{number}"), &server]).await;
    }
    let tenant = format!("HSET scalelite:tenant:c1 name school secrets {SECRET}");
    let meeting = "HSET scalelite:meeting:class server_id n1 tenant_id c1";
    enter(&redis, &["SADD scalelite:tenants c1", &tenant, "SADD scalelite:meetings class", meeting]).await;

    let home = &cluster.nodes[1];
    let query = "meetingID=class&name=Class&moderatorPW=mp&attendeePW=ap";
    let secret = Secret::new(home.secret()).unwrap();
    let checksum = bbb::sign(Algorithm::Sha256, "create", query, &secret);
    let path = format!("/bigbluebutton/api/create?{query}&checksum={checksum}");
    cluster.fetch_from(&home.address().to_string(), &path).await.success();
    let internal_id = home.meeting("class").expect("it runs").internal_id;

    let imported = read(&source(&redis)).await.unwrap();
    let changes = bring_over(cluster.database.store(), &imported).await;
    assert_eq!(changes.changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["class"]);
    cluster.until("the server knows the meeting", || cluster.cluster.known("class").is_some()).await;
    cluster.cluster.catch_up().await;

    let created = cluster.call(CallKind::Create, query).await.success();
    assert_eq!(created.field("internalMeetingID"), internal_id);
    assert_eq!((cluster.homes("Class"), created.field("meetingID")), (vec![1], "class".to_owned()));
    let join = cluster.call(CallKind::Join, "meetingID=class&fullName=Ada&password=ap").await;
    assert!(join.location().starts_with(&home.url()), "{join:?}");
    let info = cluster.call(CallKind::GetMeetingInfo, "meetingID=class").await.success();
    assert_eq!(info.field("internalMeetingID"), internal_id);
    assert!(cluster.call(CallKind::GetMeetings, "").await.success().text.contains("<meetingID>class</meetingID>"));
    cluster.call(CallKind::End, "meetingID=class&password=mp").await.success();
    cluster.until_node(1, "the meeting ends", |node| node.meetings().is_empty()).await;

    cluster.cluster.catch_up().await;
    cluster.until("its end is seen", || cluster.cluster.known("class").is_none()).await;
    assert!(cluster.spread().values().all(|meetings| *meetings == 0));
}
