//! How single values are written for people.

use b3scale_base::rest::without_database;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The replacement of a covered secret.
const VEIL: &str = "***";

/// A duration as Go writes it: `1.487181ms`.
pub(super) fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let whole = nanoseconds.unsigned_abs();
    let (unit, name) = match whole {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let digits = unit.to_string().len() - 1;
    let fraction = format!("{:0digits$}", whole % unit);
    let fraction = if digits == 0 { "" } else { fraction.trim_end_matches('0') };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}{name}", whole / unit)
}

/// A time span for people: `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d`.
pub(super) fn age(seconds: f64) -> String {
    match seconds {
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => format!("{:.0} h", seconds / 3_600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// So many meetings.
pub(super) fn meetings(count: u32) -> String {
    if count == 1 { "1 meeting".to_owned() } else { format!("{count} meetings") }
}

/// So many people.
pub(super) fn people(count: impl Into<i64>) -> String {
    match count.into() {
        1 => "1 person".to_owned(),
        count => format!("{count} people"),
    }
}

/// The warning that the database cannot be used, and why.
pub(super) fn warning(why: &str) -> String {
    format!("WARNING: {}", without_database(why))
}

/// The head of a report for people: the warning, if the database cannot be used.
pub(super) fn warned(why: Option<&str>) -> String {
    why.map_or_else(String::new, |why| format!("{}\n\n", warning(why)))
}

/// A moment, in RFC 3339, to the second.
pub(super) fn moment(time: OffsetDateTime) -> String {
    time.truncate_to_second().format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// Covers a secret, unless it is shown. A missing secret needs no cover.
pub(super) fn veil(secret: &mut String, shown: bool) {
    if !shown && !secret.is_empty() {
        VEIL.clone_into(secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let written = [0, 1, 1_500, 1_487_181, 20_000_000, 2_147_483_647, 3_000_000_000].map(go_duration);
        assert_eq!(written, ["0s", "1ns", "1.5µs", "1.487181ms", "20ms", "2.147483647s", "3s"]);
    }

    #[test]
    fn ages_have_the_unit_that_people_would_choose() {
        let written = [0.42, 12.3, 119.0, 300.0, 7_300.0, 400_000.0].map(age);
        assert_eq!(written, ["0.4 s", "12 s", "119 s", "5 min", "2 h", "5 d"]);
    }
}
