//! How much a server takes, and for how long.

use std::time::Duration;

/// Limits of the server. A client that stays within them is never cut off.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// How long a connection may rest between two calls.
    pub idle: Duration,
    /// How long the head of a call may take from its first byte on.
    pub head: Duration,
    /// How long a body may pause.
    pub body_pause: Duration,
    /// How long a body may take in all.
    pub body: Duration,
    /// How long a form may take in all.
    pub form: Duration,
    /// How long a client may leave an answer untaken.
    pub write_pause: Duration,
    /// How long a call may take, its body apart.
    pub call: Duration,
    /// The same for a create, which may try several nodes.
    pub create: Duration,
    /// The largest body, in bytes.
    pub largest_body: usize,
    /// The largest form, in bytes.
    pub largest_form: usize,
    /// The largest form that carries the checksum itself, in bytes: it is read before anything is proved.
    pub largest_unproved: usize,
    /// How long such a form may take in all.
    pub unproved: Duration,
    /// How many of these forms are read at a time. Past that, a newcomer takes the place of the form that has waited longest.
    pub strangers: usize,
    /// The same of one address.
    pub strangers_of_one: usize,
    /// The calls in flight with a valid checksum.
    pub calls: u32,
    /// The most connections, more than `calls`. Past that, a newcomer takes the place of one without a call.
    pub connections: usize,
    /// The same of one address on which nothing was proved. Trusted proxies may have as many as there are.
    pub connections_of_one: usize,
    /// How long the server goes on taking connections after it has said that it is not ready.
    pub drain_delay: Duration,
    /// How long calls in flight may then take.
    pub grace: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            idle: seconds(120),
            head: seconds(5),
            body_pause: seconds(30),
            body: seconds(120),
            form: seconds(15),
            write_pause: seconds(30),
            call: seconds(60),
            create: seconds(200),
            largest_body: 50 << 20,
            largest_form: 2 << 20,
            largest_unproved: 128 << 10,
            unproved: seconds(5),
            strangers: 128,
            strangers_of_one: 32,
            calls: 10_000,
            connections: 12_000,
            connections_of_one: 4096,
            drain_delay: seconds(5),
            grace: seconds(30),
        }
    }
}
