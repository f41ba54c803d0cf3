//! The wanted part of a file.

use std::time::SystemTime;

use http::{HeaderMap, header};

use super::super::shelf::Part;

/// The part of a file that a browser wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// A part, which is not empty.
    Part(Part),
    /// A part beyond its end.
    Nothing,
}

/// The wanted part of a file of that size. Of several parts the first is meant: the answer says which part it is.
pub(super) fn wanted(headers: &HeaderMap, size: u64, tag: &str, modified: SystemTime) -> Wanted {
    let Some(range) = headers.get(header::RANGE).and_then(|range| range.to_str().ok()) else { return Wanted::Whole };
    if !headers.get(header::IF_RANGE).is_none_or(|seen| seen.to_str().is_ok_and(|seen| is_same(seen, tag, modified))) {
        return Wanted::Whole;
    }
    let first = range.strip_prefix("bytes=").and_then(|parts| parts.split(',').next());
    first
        .and_then(|part| part.trim().split_once('-'))
        .and_then(|(from, to)| part(from, to, size))
        .unwrap_or(Wanted::Whole)
}

/// `None`: these are no numbers, and a header without sense counts as none.
fn part(from: &str, to: &str, size: u64) -> Option<Wanted> {
    let part = match (number(from), number(to)) {
        (None, Some(last)) if from.is_empty() => size.saturating_sub(last)..size,
        (Some(from), None) if to.is_empty() => from..size,
        (Some(from), Some(to)) if from <= to => from..size.min(to.saturating_add(1)),
        _ => return None,
    };
    Some(if part.is_empty() { Wanted::Nothing } else { Wanted::Part(part) })
}

/// A number, however large.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Whether the content is still the one of an earlier answer.
fn is_same(seen: &str, tag: &str, modified: SystemTime) -> bool {
    seen == tag
        || httpdate::parse_http_date(seen)
            .is_ok_and(|seen| httpdate::fmt_http_date(seen) == httpdate::fmt_http_date(modified))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn modified() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500)
    }

    fn of(range: &str, size: u64) -> Wanted {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        wanted(&headers, size, "\"a\"", modified())
    }

    #[test]
    fn a_part_is_cut_to_the_file() {
        for (range, part) in [
            ("bytes=0-", 0..10),
            ("bytes=0-1", 0..2),
            ("bytes=0-0", 0..1),
            ("bytes=9-", 9..10),
            ("bytes=5-100", 5..10),
            ("bytes=-3", 7..10),
            ("bytes=-500", 0..10),
            ("bytes=3-99999999999999999999999", 3..10),
            ("bytes= 2-3 ,5-6", 2..4),
        ] {
            assert_eq!(of(range, 10), Wanted::Part(part), "{range}");
        }
    }

    #[test]
    fn a_part_beyond_the_end_is_nothing_and_a_senseless_one_is_none() {
        for range in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(of(range, 10), Wanted::Nothing, "{range}");
        }
        for range in ["bytes=0-", "bytes=-1"] {
            assert_eq!(of(range, 0), Wanted::Nothing, "{range} of an empty file");
        }
        for range in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-",
            "bytes=3-1",
            "bytes=1",
            "pages=0-1",
            "bytes=+1-2",
            "bytes=1--2",
        ] {
            assert_eq!(of(range, 10), Wanted::Whole, "{range}");
        }
    }

    #[test]
    fn a_part_of_an_earlier_content_is_the_whole_of_the_new_one() {
        let of = |seen: &str| {
            let headers = [(header::RANGE, "bytes=1-2".parse().unwrap()), (header::IF_RANGE, seen.parse().unwrap())];
            wanted(&HeaderMap::from_iter(headers), 10, "\"a\"", modified())
        };
        for seen in ["\"a\"", "Tue, 14 Nov 2023 22:13:20 GMT"] {
            assert_eq!(of(seen), Wanted::Part(1..3), "{seen}");
        }
        for seen in ["\"b\"", "W/\"a\"", "Tue, 14 Nov 2023 22:13:21 GMT", "Tue, 14 Nov 2023 22:13:19 GMT", "yesterday"]
        {
            assert_eq!(of(seen), Wanted::Whole, "{seen}");
        }
    }
}
