//! Names that are safe as parts of paths.

use std::fmt;

use b3scale_middleware::cluster::{RecordId, is_format};

/// The longest path of a file, in bytes, and the deepest.
const LONGEST_PATH: usize = 1024;
const DEEPEST_PATH: usize = 16;

/// The longest name of a file, as file systems have it.
const LONGEST_NAME: usize = 255;

/// One format of one recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormatKey {
    record: RecordId,
    format: Box<str>,
}

impl FormatKey {
    /// The format of that name, if a format may have it.
    pub fn new(record: &RecordId, format: &str) -> Option<Self> {
        is_format(format).then(|| Self { record: record.clone(), format: format.into() })
    }

    /// The recording.
    pub fn record(&self) -> &RecordId {
        &self.record
    }

    /// The format.
    pub fn format(&self) -> &str {
        &self.format
    }
}

impl fmt::Display for FormatKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.format, self.record)
    }
}

/// The path of a file inside its format. It leads nowhere else: no segment is empty, `.` or `..`, none begins or ends with a dot or a
/// space, and none has a sign that a file system or a proxy reads in its own way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(Box<str>);

impl FilePath {
    /// The path, if it is safe.
    pub fn new(path: &str) -> Option<Self> {
        let is_short = path.len() <= LONGEST_PATH && path.split('/').count() <= DEEPEST_PATH;
        (is_short && path.split('/').all(is_safe)).then(|| Self(path.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The extension of the last segment, without its dot. Empty: there is none.
    pub fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn is_safe(segment: &str) -> bool {
    let is_edge = |letter: char| letter == '.' || letter.is_whitespace();
    let is_foreign = |letter: char| letter.is_control() || matches!(letter, '\\' | ':' | '%');
    !segment.is_empty()
        && segment.len() <= LONGEST_NAME
        && !segment.starts_with(is_edge)
        && !segment.ends_with(is_edge)
        && !segment.contains(is_foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_plain_word() {
        let record = RecordId::new("a-1").unwrap();
        for format in ["presentation", "video", "podcast_2", "A-b", &"x".repeat(64)] {
            assert!(FormatKey::new(&record, format).is_some(), "{format}");
        }
        for format in ["", ".", "..", "a/b", "a b", "vidéo", "a.b", &"x".repeat(65)] {
            assert!(FormatKey::new(&record, format).is_none(), "{format}");
        }
    }

    #[test]
    fn a_path_leads_to_a_file_inside() {
        for path in
            ["metadata.xml", "video/webcams.webm", "presentation/a-1/slide 1.png", "caption_zh-TW.vtt", "ä/é.txt"]
        {
            assert_eq!(FilePath::new(path).unwrap().as_str(), path);
        }
        let path = FilePath::new("presentation/a.b/slide-1.PNG").unwrap();
        assert_eq!((path.name(), path.extension()), ("slide-1.PNG", "PNG"));
        assert_eq!(FilePath::new("a.b/c").unwrap().extension(), "");
    }

    #[test]
    fn a_path_that_leads_elsewhere_or_is_read_in_two_ways_is_none() {
        let (long, deep) = ("x".repeat(256), "a/".repeat(16) + "a");
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/.", "a/..", "../a", "a/../b", ".hidden", "a/.b", "a.", "a. ",
            " a", "a\\b", "c:", "a\0", "a\n", "a%2fb", "a\u{85}", &long, &deep,
        ] {
            assert!(FilePath::new(path).is_none(), "{path:?}");
        }
    }
}
