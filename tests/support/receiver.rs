//! A receiver of callbacks: it keeps its requests byte for byte, and answers as a frontend may.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

use crate::within;

/// What a receiver does with a request.
pub enum Reaction {
    /// Answers with a status.
    Status(u16),
    /// Answers with a status and a line of the head, such as `Location: /elsewhere`.
    With(u16, String),
    /// Answers with these bytes, and closes.
    Raw(Vec<u8>),
    /// Answers with the status that it is told.
    Told(oneshot::Receiver<u16>),
    /// Does not answer.
    Hang,
    /// Closes the connection.
    Close,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Its lines down to the empty one, as they came.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Heard {
    /// Its method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    /// Its path and query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// The value of a header that is spelt exactly so.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[derive(Default)]
struct State {
    reactions: Mutex<VecDeque<Reaction>>,
    heard: Mutex<Vec<Heard>>,
    news: Notify,
}

/// The receiver. It ends when this is dropped.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Starts it. It answers 200 for ever.
    pub async fn start() -> Self {
        Self::reacting([]).await
    }

    /// Starts it. It reacts in turn to requests so, and answers 200 to all further ones.
    pub async fn reacting(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        state.reactions.lock().unwrap().extend(reactions);
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, serving }
    }

    /// The URL of a path there.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Reacts in turn to the next requests so.
    pub fn react(&self, reactions: impl IntoIterator<Item = Reaction>) {
        self.state.reactions.lock().unwrap().extend(reactions);
    }

    /// All requests so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.state.heard.lock().unwrap().clone()
    }

    /// Waits for a number of requests in all. Gives those there are.
    pub async fn hears(&self, count: usize) -> Vec<Heard> {
        let heard = async {
            loop {
                let news = self.state.news.notified();
                let heard = self.heard();
                if heard.len() >= count {
                    return heard;
                }
                news.await;
            }
        };
        within("requests come to the receiver", heard).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(converse(client, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers requests until the client hangs up.
async fn converse(mut client: TcpStream, state: Arc<State>) {
    while let Some(heard) = read(&mut client).await {
        state.heard.lock().unwrap().push(heard);
        state.news.notify_waiters();
        let reaction = state.reactions.lock().unwrap().pop_front().unwrap_or(Reaction::Status(200));
        let answer = match reaction {
            Reaction::Status(status) => written(status, ""),
            Reaction::With(status, line) => written(status, &format!("{line}\r\n")),
            Reaction::Told(told) => written(told.await.unwrap(), ""),
            Reaction::Hang => std::future::pending().await,
            Reaction::Close => return,
            Reaction::Raw(bytes) => {
                // A client that leaves early has seen enough.
                let _ = client.write_all(&bytes).await;
                return;
            }
        };
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn written(status: u16, lines: &str) -> String {
    format!("HTTP/1.1 {status} Status\r\n{lines}Content-Length: 0\r\n\r\n")
}

/// Reads a request. `None`: the client has hung up.
async fn read(client: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).unwrap();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    while body.len() < length.unwrap_or(0) {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Heard { head, body: String::from_utf8(body).unwrap() })
}
