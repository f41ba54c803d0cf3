//! The ways in which a node can go wrong.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;

use super::answers::{self, Failure, Reply};

/// Between two bytes of an answer that trickles.
const TRICKLE: Duration = Duration::from_millis(20);

/// A fault of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Never answers, and does nothing.
    Stall,
    /// Carries out the call and never answers.
    StallAfter,
    /// Carries out the call, sends the head of the answer and never its body.
    HeadOnly,
    /// Carries out the call and sends a byte of an answer now and then, for ever.
    Trickle,
    /// Answers with this HTTP status and a page, as nginx does without its server behind. Does nothing.
    Status(u16),
    /// Closes the connection instead of an answer, and does nothing.
    CutConnection,
    /// Carries out the call, then closes the connection instead of an answer.
    CutAfter,
    /// Carries out the call and closes the connection in the middle of the answer.
    HalfBody,
    /// Carries out the call and sends a complete answer with truncated XML.
    BrokenXml,
    /// Answers 200 with an HTML page. Does nothing.
    Html,
    /// Answers 200 with nothing. Does nothing.
    Empty,
    /// Answers with a well-begun document that never ends. Does nothing.
    EndlessXml,
    /// Answers every call with the version document. Does nothing.
    Version,
    /// Says that the checksum is wrong. Does nothing.
    WrongChecksum,
    /// Refuses the call with this message key. Does nothing.
    Refuse(&'static str),
    /// Waits so long, then carries out the call and answers well.
    Slow(Duration),
    /// Carries out the call and compresses the answer, even for a caller that cannot read it.
    Gzip,
}

/// The connection is cut on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the node cuts the connection, as it was told to")]
pub(super) struct Cut;

/// A body that may never end, or end too early.
pub(super) type Body = UnsyncBoxBody<Bytes, Cut>;

/// Answers with the set fault. `carry_out` carries out the call and returns the right answer.
pub(super) async fn play(how: Option<Misbehaviour>, carry_out: impl FnOnce() -> Reply) -> Result<Response<Body>, Cut> {
    let reply = match how {
        None => carry_out(),
        Some(Misbehaviour::Slow(wait)) => {
            tokio::time::sleep(wait).await;
            carry_out()
        }
        Some(Misbehaviour::Stall) => std::future::pending().await,
        Some(Misbehaviour::StallAfter) => {
            carry_out();
            std::future::pending().await
        }
        Some(Misbehaviour::CutConnection) => return Err(Cut),
        Some(Misbehaviour::CutAfter) => {
            carry_out();
            return Err(Cut);
        }
        Some(Misbehaviour::HalfBody) => return Ok(half(carry_out())),
        Some(Misbehaviour::HeadOnly) => {
            carry_out();
            return Ok(streamed(stream::pending()));
        }
        Some(Misbehaviour::Trickle) => {
            carry_out();
            return Ok(streamed(trickle()));
        }
        Some(Misbehaviour::EndlessXml) => return Ok(endless()),
        Some(Misbehaviour::Status(code)) => {
            answers::html(StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY), "Misbehaving")
        }
        Some(Misbehaviour::BrokenXml) => carry_out().map(|body| body.slice(..body.len() / 2)),
        Some(Misbehaviour::Html) => answers::html(StatusCode::OK, "Welcome to nginx!"),
        Some(Misbehaviour::Empty) => answers::reply(StatusCode::OK, "text/xml;charset=utf-8", ""),
        Some(Misbehaviour::Version) => answers::index(""),
        Some(Misbehaviour::Refuse(key)) => Failure::key(key, "This node refuses the call.").reply(),
        Some(Misbehaviour::WrongChecksum) => Failure::key("checksumError", "Checksums do not match").reply(),
        Some(Misbehaviour::Gzip) => compressed(carry_out()),
    };
    Ok(whole(reply))
}

/// An answer as it is.
pub(super) fn whole(reply: Reply) -> Response<Body> {
    reply.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())
}

fn half(reply: Reply) -> Response<Body> {
    let length = reply.body().len();
    let mut reply = reply.map(|body| {
        let first = body.slice(..length / 2);
        BodyExt::boxed_unsync(StreamBody::new(stream::unfold(Some(first), |rest| async move {
            match rest {
                Some(part) if !part.is_empty() => Some((Ok(Frame::data(part)), Some(Bytes::new()))),
                // Written bytes are flushed while this task yields.
                Some(_) => {
                    tokio::task::yield_now().await;
                    Some((Err(Cut), None))
                }
                None => None,
            }
        })))
    });
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length.max(1)));
    reply
}

/// Bounded by the reader: a part is made when the one before is gone.
fn endless() -> Response<Body> {
    let part = Bytes::from("<meeting><meetingName>Endless</meetingName></meeting>\n".repeat(150));
    let begin = Bytes::from_static(b"<response>\n<returncode>SUCCESS</returncode>\n<meetings>\n");
    let parts = stream::unfold(Some(begin), move |begin| {
        let next = begin.unwrap_or_else(|| part.clone());
        async move {
            tokio::task::yield_now().await;
            Some((Ok(Frame::data(next)), None))
        }
    });
    streamed(parts)
}

fn trickle() -> impl Stream<Item = Result<Frame<Bytes>, Cut>> {
    stream::unfold((), |()| async {
        tokio::time::sleep(TRICKLE).await;
        Some((Ok(Frame::data(Bytes::from_static(b" "))), ()))
    })
}

fn streamed(parts: impl Stream<Item = Result<Frame<Bytes>, Cut>> + Send + 'static) -> Response<Body> {
    answers::reply(StatusCode::OK, "text/xml;charset=utf-8", "").map(|_| BodyExt::boxed_unsync(StreamBody::new(parts)))
}

fn compressed(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reply.map(|body| gzip(&body))
}

/// RFC 1952 around stored blocks of RFC 1951: valid, and no smaller than before.
fn gzip(plain: &[u8]) -> Bytes {
    let mut out = BytesMut::from(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..]);
    for block in plain.chunks(usize::from(u16::MAX)) {
        let length = block.len() as u16;
        out.put_u8(0);
        out.put_u16_le(length);
        out.put_u16_le(!length);
        out.put_slice(block);
    }
    out.put_slice(&[1, 0, 0, 0xff, 0xff]);
    out.put_u32_le(crc32(plain));
    out.put_u32_le(plain.len() as u32);
    out.freeze()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_crc_is_met() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
