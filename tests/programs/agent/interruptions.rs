//! Redis, the server, the token and the backend, each gone for a while.

use std::fs;

use b3scale_node::Misbehaviour;
use b3scale_support::TestRedis;

use super::desk::{Desk, Fate};
use super::{Agent, Site, TOKEN};

#[tokio::test]
async fn a_batch_whose_answer_is_lost_is_sent_again_as_it_was() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let _agent = site.agent(&[]);
    site.until_followed().await;
    site.desk.known().fates.extend([Fate::AnswerLost, Fate::Refused(503), Fate::AnswerLost]);
    let people = site.join("lesson", 40);
    assert!(site.node.control().leave("lesson", &people[0]));
    site.until_known("who came").await;
    site.desk.until("answers", |known| known.fates.is_empty()).await;
    let seen = site.desk.known().batches.len();
    site.desk.until("one more", |known| known.batches.len() > seen).await;
    let known = site.desk.known();
    let again: Vec<_> = known.batches.windows(2).filter(|pair| pair[0].seq == pair[1].seq).collect();
    assert!(again.len() >= 3 && again.iter().all(|pair| pair[0] == pair[1]), "{again:?}");
}

#[tokio::test]
async fn a_batch_that_cannot_be_used_is_followed_by_a_picture() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let agent = site.agent(&[]);
    site.until_followed().await;
    site.desk.known().fates.push_back(Fate::Refused(413));
    site.join("lesson", 3);
    site.until_known("who came").await;
    agent.log.line_with("The server refused a batch").await;
}

#[tokio::test]
async fn what_happens_while_redis_is_away_is_made_good() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let people = site.join("lesson", 3);
    let agent = site.agent(&[]);
    site.until_followed().await;
    site.relay.cut();
    site.desk
        .until("an agent without Redis", |known| known.batches.last().is_some_and(|batch| !batch.redis_connected))
        .await;
    agent.log.line_with("Listening to Redis failed").await;
    assert!(site.node.control().leave("lesson", &people[0]));
    site.node.control().create("another");
    site.join("another", 2);
    site.relay.heal();
    site.desk
        .until("an agent with Redis", |known| known.batches.last().is_some_and(|batch| batch.redis_connected))
        .await;
    site.until_known("what was missed").await;
    site.join("another", 1);
    site.until_known("who came afterwards").await;
}

#[tokio::test]
async fn a_wrong_password_of_redis_is_told_and_the_node_is_asked_instead() {
    let redis = TestRedis::with_password("right").await;
    let site = Site::with(redis, Desk::start(TOKEN, true).await, "redisPassword=wrong").await;
    site.node.control().create("lesson");
    site.join("lesson", 1);
    let agent = site.agent(&[]);
    let line = agent.log.line_with("Listening to Redis failed").await;
    assert!(line.contains("it wants another password than redisPassword"), "{line}");
    site.until_known("what the node says").await;
    assert!(site.desk.known().batches.iter().all(|batch| !batch.redis_connected));
}

#[tokio::test]
async fn a_port_where_no_redis_answers_is_said_to_be_wrong_in_one_line() {
    let desk = Desk::start(TOKEN, true).await;
    let port = desk.url().rsplit(':').next().unwrap().to_owned();
    let site = Site::with(TestRedis::start().await, desk, &format!("redisPort={port}")).await;
    let agent = site.agent(&[]);
    let line = agent.log.line_with("Listening to Redis failed").await;
    let expected = "what answers there is no Redis; check redisHost and redisPort in the settings of bbb-web";
    assert!(line.contains(expected), "{line}");
}

#[tokio::test]
async fn a_node_that_does_not_say_which_meetings_run_is_asked_again() {
    let asked_again = async |flaw: Misbehaviour| {
        let site = Site::start().await;
        site.node.control().create("lesson");
        site.node.misbehave_on("getMeetings", flaw);
        let agent = site.agent(&[]);
        agent.log.line_with("Listing the node's meetings failed").await;
        site.node.behave();
        site.until_known("a snapshot").await;
    };
    tokio::join!(asked_again(Misbehaviour::Html), asked_again(Misbehaviour::WrongChecksum));
}

#[tokio::test]
async fn a_server_that_is_away_misses_nothing() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let agent = site.agent(&[]);
    site.until_followed().await;
    for _ in 0..2 {
        site.desk.away().await;
        let people = site.join("lesson", 700);
        people.iter().take(300).for_each(|one| assert!(site.node.control().leave("lesson", one)));
        agent.log.line_with("Reporting failed").await;
        site.desk.back().await;
        site.until_known("all of them").await;
    }
    let known = site.desk.known();
    assert!(known.batches.iter().all(|batch| batch.events.len() <= 500));
}

#[tokio::test]
async fn a_token_that_is_refused_after_the_start_is_read_again() {
    let site = Site::start().await;
    let file = site.folder.path().join("jwt");
    fs::write(&file, TOKEN).unwrap();
    let mut command = site.command(&[]);
    command.env_remove("B3SCALE_API_ACCESS_TOKEN").env("B3SCALE_API_TOKEN_FILE", &file);
    let agent = Agent::start(command);
    site.until_followed().await;
    "d.e.f".clone_into(&mut site.desk.known().token);
    agent.log.line_with("not authorized (401)").await;
    site.desk.known().batches.clear();
    fs::write(&file, "B3SCALE_API_ACCESS_TOKEN=d.e.f\n").unwrap();
    site.desk.until("a report", |known| !known.batches.is_empty()).await;
}

#[tokio::test]
async fn a_backend_that_was_removed_is_registered_again_only_if_that_is_wanted() {
    let site = Site::start().await;
    site.node.control().create("lesson");
    let agent = site.agent(&["--register"]);
    site.until_known("a snapshot").await;
    site.desk.known().backend = None;
    site.desk.known().picture.clear();
    site.desk.until("registration", |known| known.backend.is_some()).await;
    site.until_known("another picture").await;
    drop(agent);

    let agent = site.agent(&[]);
    agent.log.line_with("Reporting for this node").await;
    site.desk.known().backend = None;
    agent.log.line_with("does not know this node").await;
    assert!(site.desk.known().backend.is_none());
}
