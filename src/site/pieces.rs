//! The body of an answer, piece by piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use b3scale_middleware::call::Room;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body of pieces that lie in memory. They are sent as they are: a list of thousands of meetings is never put together.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: VecDeque<Bytes>,
    left: u64,
}

/// A piece, and the memory that is set aside for it and those before it.
struct Last {
    piece: Bytes,
    _room: Room,
}

/// A piece that keeps memory until it has been sent.
pub(crate) fn kept(piece: Bytes, room: Room) -> Bytes {
    Bytes::from_owner(Last { piece, _room: room })
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Pieces {
    /// The last piece keeps the room until it has been sent. The HTTP library drops a body once it has taken over the pieces, long
    /// before a slow client has read them.
    pub(crate) fn new(first: Bytes, rest: Vec<Bytes>, room: Room) -> Self {
        let mut pieces = VecDeque::from(rest);
        pieces.push_front(first);
        pieces.retain(|piece| !piece.is_empty());
        let left = pieces.iter().map(|piece| piece.len() as u64).sum();
        if let Some(piece) = pieces.pop_back() {
            pieces.push_back(kept(piece, room));
        }
        Self { pieces, left }
    }
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self::new(whole, Vec::new(), Room::default())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_last_piece_keeps_the_room() {
        let kept = Arc::new(());
        let room = Room::of(Arc::clone(&kept));
        let mut body = Pieces::new("<a>".into(), vec!["</a>".into()], room);
        let pieces = [body.frame().await, body.frame().await];
        drop(body);
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(pieces);
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[tokio::test]
    async fn what_is_left_is_known_to_the_byte() {
        let piece = Bytes::from_static;
        let mut body = Pieces::new(piece(b"<a>"), vec![piece(b""), piece(b"<b/>"), piece(b"</a>")], Room::default());
        assert_eq!(body.size_hint().exact(), Some(11));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((&first[..], body.size_hint().exact()), (&b"<a>"[..], Some(8)));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "<b/></a>");
        assert!(Pieces::new(Bytes::new(), Vec::new(), Room::default()).is_end_stream());
    }
}
