//! Time limits of a connection that the HTTP library lacks: slow heads but long rests, and readers that stall.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::budget::Room;

/// How long a client may go on sending to a connection that we have closed.
const LINGER: Duration = Duration::from_secs(2);

/// Counts the starts and ends of calls on one connection: odd while one is being answered.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

impl Pulse {
    /// Marks a call until the guard is dropped.
    pub(super) fn call(self: &Arc<Self>) -> InCall {
        self.0.fetch_add(1, Relaxed);
        InCall(Arc::clone(self))
    }

    /// Whether no call has begun yet.
    pub(super) fn is_unused(&self) -> bool {
        self.count() == 0
    }

    /// Whether one is being answered.
    pub(super) fn is_in_call(&self) -> bool {
        !self.count().is_multiple_of(2)
    }

    fn count(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// See [`Pulse::call`].
pub(super) struct InCall(Arc<Pulse>);

impl Drop for InCall {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Relaxed);
    }
}

/// The room that a connection has in any case. Most heads need no more.
const SHORT_HEAD: usize = 8 << 10;

/// A connection that fails when a head takes too long or there is no room for it, or an answer is not taken.
pub(super) struct Paced<T> {
    io: T,
    pulse: Arc<Pulse>,
    /// Of a head that is not short, until its call has ended.
    room: Room,
    head: Duration,
    write: Duration,
    /// When the head now coming began, and behind which count.
    began: Option<(u64, Instant)>,
    /// How many bytes have come of it.
    length: usize,
    reading: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<T> Paced<T> {
    pub(super) fn new(io: T, pulse: Arc<Pulse>, room: Room, head: Duration, write: Duration) -> Self {
        Self { io, pulse, room, head, write, began: None, length: 0, reading: None, writing: None, lingering: None }
    }

    /// Fails when the head that has begun takes too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let count = self.pulse.count();
        if self.began.is_some_and(|(begun, _)| count >= begun + 2) {
            self.room.shrink_to(0);
        }
        let Some((_, since)) = self.began.filter(|(begun, _)| *begun == count && count.is_multiple_of(2)) else {
            self.reading = None;
            return Poll::Pending;
        };
        let timer = self.reading.get_or_insert_with(|| Box::pin(sleep_until(since + self.head)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the head of a call came too slowly")))
    }

    /// Counts received bytes, and fails when a head is too long.
    fn note_bytes(&mut self, bytes: usize) -> io::Result<()> {
        let count = self.pulse.count();
        if !count.is_multiple_of(2) {
            return Ok(());
        }
        if self.began.is_none_or(|(begun, _)| begun != count) {
            self.began = Some((count, Instant::now()));
            self.length = 0;
            self.reading = None;
            self.room.shrink_to(0);
        }
        let counted = self.length.max(SHORT_HEAD);
        self.length += bytes;
        let more = self.length.saturating_sub(counted);
        // The HTTP library makes up to twice as much room.
        if more == 0 { Ok(()) } else { self.room.grow(more * 2).map_err(io::Error::other) }
    }

    /// Passes a write on, and fails when writes have been refused for too long.
    fn paced(&mut self, cx: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if write.is_ready() {
            self.writing = None;
            return write;
        }
        let timer = self.writing.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + self.write)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(too_slow("the client does not take its answer")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.io).poll_read(cx, buf) {
            Poll::Pending => this.poll_head(cx),
            done @ Poll::Ready(_) => {
                let more = buf.filled().len() - before;
                if more == 0 { done } else { Poll::Ready(this.note_bytes(more)) }
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.io).poll_write(cx, buf);
        this.paced(cx, write)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let write = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.paced(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    /// Closes our side, and takes in for a while what still comes from the other. A connection that is closed over unread bytes
    /// is reset, and the client would lose the answer to a call with an unread body.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.io).poll_shutdown(cx))?;
        let timer = this.lingering.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        let mut scratch = [0; 8192];
        while timer.as_mut().poll(cx).is_pending() {
            let mut buf = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut this.io).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn too_slow(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
