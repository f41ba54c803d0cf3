//! Where a file of an archive belongs: `<format>/<record id>/…`, as scalelite's archives have it.

use b3scale_middleware::cluster::{RecordId, is_format};

use super::ArchiveError;
use crate::recordings::shelf::FormatKey;

/// The most bytes of a path.
const LONGEST: usize = 1024;
/// The most bytes of a segment, which file systems bound.
const LONGEST_SEGMENT: usize = 255;
/// Folders that may stand before the format.
const PUBLISHED: &str = "published";
const UNPUBLISHED: &str = "unpublished";

/// The place of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder above all formats.
    Above,
    /// In a format.
    In {
        /// The format.
        key: FormatKey,
        /// The path there. `None`: the folder of the format itself.
        path: Option<String>,
        /// Whether it comes from among unpublished recordings.
        is_unpublished: bool,
    },
}

/// The place that a path names.
pub(super) fn place(path: &str) -> Result<Place, ArchiveError> {
    let refused = |problem| Err(ArchiveError::unsafe_path(path, problem));
    if path.len() > LONGEST {
        return refused("is too long");
    }
    if path.starts_with('/') {
        return refused("is an absolute path");
    }
    if path.contains(|letter: char| letter.is_control() || letter == '\\') {
        return refused("has a character that is not allowed");
    }
    let mut segments: Vec<&str> = path.split('/').filter(|segment| !matches!(*segment, "" | ".")).collect();
    if segments.contains(&"..") {
        return refused("leads out of the archive");
    }
    if segments.iter().any(|segment| segment.len() > LONGEST_SEGMENT) {
        return refused("has a name that is too long");
    }
    let is_unpublished = segments.first() == Some(&UNPUBLISHED);
    if is_unpublished || segments.first() == Some(&PUBLISHED) {
        segments.remove(0);
    }
    match &segments[..] {
        [] => Ok(Place::Above),
        [format] if is_format(format) => Ok(Place::Above),
        [format, record, rest @ ..] if is_format(format) => {
            let key = RecordId::new(record).and_then(|record| FormatKey::new(&record, format));
            let Some(key) = key else { return refused("has no id of a recording in it") };
            let path = (!rest.is_empty()).then(|| rest.join("/"));
            Ok(Place::In { key, path, is_unpublished })
        }
        _ => refused("does not begin with the name of a format"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> String {
        match place(path) {
            Ok(Place::Above) => "above".to_owned(),
            Ok(Place::In { key, path, is_unpublished }) => {
                let tree = if is_unpublished { "unpublished " } else { "" };
                format!("{tree}{} of {}: {}", key.format(), key.record(), path.unwrap_or_default())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_path_names_format_record_and_file() {
        assert_eq!(at("video/a-1/css/x y.css"), "video of a-1: css/x y.css");
        assert_eq!(at("./published//video/a-1/./é.vtt"), "video of a-1: é.vtt");
        assert_eq!(at("unpublished/video/a-1/"), "unpublished video of a-1: ");
        assert_eq!(["", "./", "published/", "published/video/", "video"].map(at), ["above"; 5]);
    }

    #[test]
    fn other_paths_are_refused() {
        let long = |length| "x".repeat(length);
        for (path, problem) in [
            ("/video/a/x".to_owned(), "is an absolute path"),
            ("video/../../x".to_owned(), "leads out of the archive"),
            ("video/a/..".to_owned(), "leads out of the archive"),
            ("video/a b/x".to_owned(), "has no id of a recording in it"),
            ("vi deo/a/x".to_owned(), "does not begin with the name of a format"),
            ("etc.d/passwd".to_owned(), "does not begin with the name of a format"),
            ("video/a/x\ny".to_owned(), "has a character that is not allowed"),
            ("video/a/x\\y".to_owned(), "has a character that is not allowed"),
            (format!("video/a/{}", long(256)), "has a name that is too long"),
            (format!("video/a{}", "/a".repeat(1000)), "is too long"),
        ] {
            assert!(at(&path).contains(problem), "{}", at(&path));
        }
    }
}
