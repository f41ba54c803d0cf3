//! The slides of a presentation, from its `shapes.svg`.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::super::shelf::FilePath;

/// The most bytes of `shapes.svg` that are read: annotations of long sessions are larger, and go without slides here.
pub(super) const LARGEST_SHAPES: u64 = 32 << 20;

/// The most slides.
const MOST: usize = 2000;

/// A slide and a time at which it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slide {
    /// Its picture, inside the recording.
    pub(super) path: String,
    /// When it was shown, in milliseconds from the start.
    pub(super) at: u64,
}

/// The slides in the order in which they were shown. An unreadable rest is passed over.
pub(super) fn slides(shapes: &[u8]) -> Vec<Slide> {
    let mut reader = Reader::from_reader(shapes);
    let mut found = Vec::new();
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) | Event::Empty(element) if element.local_name().as_ref() == "image" => {
                found.extend(shown(&element).unwrap_or_default());
            }
            Event::Eof => break,
            _ => {}
        }
        if found.len() > MOST {
            break;
        }
    }
    found.truncate(MOST);
    found.sort_by_key(|slide| slide.at);
    found
}

/// A picture once for each time at which it was shown.
fn shown(image: &BytesStart<'_>) -> Option<Vec<Slide>> {
    let (mut path, mut times) = (None, String::new());
    for attribute in image.attributes().flatten() {
        let value = || attribute.value.clone().into_owned();
        match attribute.key.local_name().as_ref() {
            "href" => path = Some(value()).filter(|path| FilePath::new(path).is_some()),
            "in" => times = value(),
            _ => {}
        }
    }
    // A shared screen without a slide has an empty picture of its own.
    let path = path.filter(|path| path.starts_with("presentation/"))?;
    let seconds = times.split_ascii_whitespace().filter_map(|time| time.parse::<f64>().ok());
    let at = |seconds: f64| Slide { path: path.clone(), at: (seconds.max(0.0) * 1000.0) as u64 };
    Some(seconds.take(MOST).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_come_in_the_order_of_their_times() {
        let shapes = br#"<svg xmlns:xlink="http://www.w3.org/1999/xlink">
            <image id="image1" class="slide" in="0.0 62.5" out="10.2 70" xlink:href="presentation/abc-1/slide-1.png" text="x"/>
            <image in="10.2" out="62.5" xlink:href="presentation/abc-1/slide-2.png"></image>
            <image in="70" xlink:href="presentation/../../etc/passwd"/>
            <image in="70" xlink:href="https://example.org/slide.png"/>
            <image in="71" xlink:href="presentation/deskshare.png"/>
            <g><image in="x -3" xlink:href="presentation/abc-1/slide-3.png"/></g><unclosed"#;
        let found = slides(shapes);
        let found: Vec<_> = found.iter().map(|slide| (&*slide.path, slide.at)).collect();
        let (one, two, three) =
            ("presentation/abc-1/slide-1.png", "presentation/abc-1/slide-2.png", "presentation/abc-1/slide-3.png");
        assert_eq!(found, [(one, 0), (three, 0), (two, 10_200), (one, 62_500), ("presentation/deskshare.png", 71_000)]);
    }

    #[test]
    fn no_document_gives_more_slides_than_a_page_shows() {
        let many =
            format!("<svg>{}</svg>", "<image in=\"1 2 3 4 5 6 7 8 9\" href=\"presentation/a/b.png\"/>".repeat(5000));
        assert_eq!(slides(many.as_bytes()).len(), MOST);
        assert_eq!(slides(b"\xff\xfe<a"), []);
    }
}
