//! Text is compressed on its way: the slides of a long session are tens of megabytes of SVG.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, header};

/// The memory of a compression.
pub(super) const MEMORY: usize = 256 << 10;

/// Files below this size are sent as they are.
pub(super) const LEAST: u64 = 512;

/// Whether a browser takes compressed answers.
pub(super) fn is_taken(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    let mut codings = lists.flat_map(|list| list.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// The compressed content, piece by piece.
pub(super) fn compressed<E: From<io::Error>>(
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> impl Stream<Item = Result<Bytes, E>> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    stream::try_unfold((content, Some(encoder)), async |(mut content, encoder)| {
        let Some(mut encoder) = encoder else { return Ok(None) };
        loop {
            let Some(piece) = content.next().await.transpose()? else {
                let last = encoder.finish()?;
                return Ok(Some((Bytes::from(last), (content, None))));
            };
            encoder.write_all(&piece)?;
            let written = std::mem::take(encoder.get_mut());
            if !written.is_empty() {
                return Ok(Some((Bytes::from(written), (content, Some(encoder)))));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use futures_util::TryStreamExt;

    use super::*;

    #[test]
    fn a_browser_says_what_it_takes() {
        let taken = |list: &str| is_taken(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, list.parse().unwrap())]));
        for list in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5", "deflate,gzip;q=1"] {
            assert!(taken(list), "{list}");
        }
        for list in ["", "br", "gzip;q=0", "identity, gzip;q=0.0", "xgzip"] {
            assert!(!taken(list), "{list}");
        }
        assert!(!is_taken(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn all_pieces_come_out_again() {
        for pieces in [vec![], vec!["<svg>"], vec!["<svg>", "", "</svg>"]] {
            let content =
                stream::iter(pieces.clone()).map(|piece| Ok::<_, io::Error>(Bytes::from_static(piece.as_bytes())));
            let packed = compressed(content).try_collect::<Vec<_>>().await.unwrap().concat();
            let mut text = String::new();
            GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text, pieces.concat());
        }
    }

    #[tokio::test]
    async fn large_text_shrinks_on_its_way() {
        let line = Bytes::from_static(b"<image x=\"0\" y=\"0\" href=\"presentation/a/slide-1.png\"/>\n");
        let content = stream::iter(std::iter::repeat_n(line.clone(), 100_000)).map(Ok::<_, io::Error>);
        let packed: Vec<_> = compressed(content).try_collect().await.unwrap();
        assert!(packed.len() > 2, "it does not wait for the end");
        assert!(packed.iter().map(Bytes::len).sum::<usize>() < line.len() * 100_000 / 20);
    }
}
