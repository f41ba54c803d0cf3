//! Listening to BBB's Redis. It has no replay: events while the connection is lost are missed.

use std::time::Duration;

use b3scale_base::rest::Wants;
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, Msg, RedisConnectionInfo, RedisError};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::message::{self, Heard, Read};
use super::said::Said;
use super::settings::RedisPlace;
use super::tell;
use super::trouble::Trouble;

/// Where everything is told that meetings and people do. Its namesakes hold chat, slides and requests.
const CHANNEL: &str = "from-akka-apps-redis-channel";
/// What webhooks hear of besides.
const TOLD: [&str; 3] = ["from-akka-apps-chat-redis-channel", "from-akka-apps-pres-redis-channel", PROGRESS];
/// What the scripts of recordings do.
const PROGRESS: &str = "bigbluebutton:from-rap";
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// BBB says something every 10 s. After a longer silence Redis is asked whether it is there.
const QUIET: Duration = Duration::from_secs(15);
const PING: Duration = Duration::from_secs(5);

/// A message of the feed.
#[derive(Debug)]
pub(super) enum News {
    /// From now on nothing is missed.
    Listening,
    /// Something was said.
    Heard(Heard),
    /// From now on webhooks want events, or none.
    Tells(bool),
    /// Something was said that webhooks hear of.
    Said(Said),
    /// From now on everything is missed.
    Disconnected,
}

/// The connection to Redis, which is opened again whenever it is lost.
pub(super) struct Feed {
    place: RedisPlace,
    news: mpsc::Sender<News>,
    wanted: watch::Receiver<Wants>,
    /// Whether webhooks want events, and their channels are subscribed to.
    tells: bool,
    trouble: Trouble,
    misunderstood: u64,
}

/// The connection to Redis was lost, or does not answer.
struct Lost;

impl Feed {
    pub(super) fn new(place: RedisPlace, news: mpsc::Sender<News>, wanted: watch::Receiver<Wants>) -> Self {
        let trouble = Trouble::new(Duration::from_millis(250), Duration::from_secs(10));
        Self { place, news, wanted, tells: false, trouble, misunderstood: 0 }
    }

    /// Listens until the receiver is dropped.
    pub(super) async fn run(mut self) {
        while !self.news.is_closed() {
            match self.subscribed().await {
                Ok((redis, messages)) => {
                    self.trouble.over();
                    info!(redis.place = %self.place, "Listening to the events of BBB");
                    if self.listen(redis, messages).await.is_none() {
                        return;
                    }
                    self.met("the connection was lost");
                }
                Err(why) => self.met(&why),
            }
            sleep(self.trouble.pause()).await;
        }
    }

    fn met(&mut self, why: &str) {
        if self.trouble.met(why) {
            warn!(redis.place = %self.place, "Listening to Redis failed: {why}");
        }
    }

    async fn subscribed(&self) -> Result<(PubSubSink, PubSubStream), String> {
        let subscribing = async {
            let mut login = RedisConnectionInfo::default();
            if let Some(password) = &self.place.password {
                login = login.set_password(password.expose());
            }
            let address = ConnectionAddr::Tcp(self.place.host.clone(), self.place.port);
            let client = Client::open(address.into_connection_info()?.set_redis_settings(login))?;
            let mut listening = client.get_async_pubsub().await?;
            listening.subscribe(CHANNEL).await?;
            Ok(listening.split())
        };
        let subscribed = timeout(CONNECT, subscribing).await;
        subscribed
            .map_err(|_| {
                format!(
                    "no answer within {} s; check redisHost and redisPort in the settings of bbb-web",
                    CONNECT.as_secs()
                )
            })?
            .map_err(|error| reason(&error))
    }

    /// Sends messages until Redis is gone. `None`: the receiver is dropped.
    async fn listen(&mut self, mut redis: PubSubSink, mut messages: PubSubStream) -> Option<()> {
        self.news.send(News::Listening).await.ok()?;
        self.tells = false;
        let mut is_there = self.follow_wants(&mut redis).await?;
        while is_there.is_ok() {
            tokio::select! {
                Ok(()) = self.wanted.changed() => is_there = self.follow_wants(&mut redis).await?,
                heard = timeout(QUIET, messages.next()) => match heard {
                    Ok(Some(message)) => self.pass(&message).await?,
                    Err(_) if matches!(timeout(PING, redis.ping::<redis::Value>()).await, Ok(Ok(_))) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
        self.news.send(News::Disconnected).await.ok()
    }

    /// Subscribes to what webhooks want.
    async fn follow_wants(&mut self, redis: &mut PubSubSink) -> Option<Result<(), Lost>> {
        let tells = self.wanted.borrow_and_update().told;
        if tells != self.tells {
            let subscribing =
                async { if tells { redis.subscribe(&TOLD).await } else { redis.unsubscribe(&TOLD).await } };
            if !matches!(timeout(PING, subscribing).await, Ok(Ok(()))) {
                return Some(Err(Lost));
            }
        }
        self.tells = tells;
        self.news.send(News::Tells(tells)).await.ok()?;
        Some(Ok(()))
    }

    async fn pass(&mut self, message: &Msg) -> Option<()> {
        let Read { heard, said } = self.understood(message);
        if let Some(said) = said {
            self.news.send(News::Said(said)).await.ok()?;
        }
        if let Some(heard) = heard {
            self.news.send(News::Heard(heard)).await.ok()?;
        }
        Some(())
    }

    fn understood(&mut self, message: &Msg) -> Read {
        let (channel, message) = (message.get_channel_name(), message.get_payload_bytes());
        if channel == PROGRESS {
            return Read { heard: None, said: tell::read_progress(message) };
        }
        match message::read(message, self.tells) {
            Ok(read) => read,
            Err(error) => {
                self.misunderstood += 1;
                let count = self.misunderstood;
                if count == 1 {
                    warn!(%error, "Skipping an unreadable message of BBB; further ones are logged at level debug");
                } else {
                    debug!(%error, count, "Skipping an unreadable message of BBB");
                }
                Read::default()
            }
        }
    }
}

fn reason(error: &RedisError) -> String {
    let wants_password = error.kind() == ErrorKind::AuthenticationFailed
        || error.code().is_some_and(|code| matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM"));
    if wants_password {
        return "it wants another password than redisPassword in the settings of bbb-web".to_owned();
    }
    let why = match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => "what answers there is no Redis".to_owned(),
        _ => error.to_string(),
    };
    format!("{why}; check redisHost and redisPort in the settings of bbb-web")
}
