//! The node's own XML writer: no declaration, one element a line, every value escaped.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// A `<response>` under construction.
pub(super) struct Xml(String);

impl Xml {
    /// Begins a response with its return code.
    pub(super) fn response(returncode: &str) -> Xml {
        let mut xml = Xml(String::new());
        xml.open("response").leaf("returncode", returncode);
        xml
    }

    pub(super) fn open(&mut self, name: &str) -> &mut Xml {
        self.line(format_args!("<{name}>"))
    }

    pub(super) fn close(&mut self, name: &str) -> &mut Xml {
        self.line(format_args!("</{name}>"))
    }

    /// The short form of an element without content.
    pub(super) fn empty(&mut self, name: &str) -> &mut Xml {
        self.line(format_args!("<{name}/>"))
    }

    pub(super) fn leaf(&mut self, name: &str, value: impl Display) -> &mut Xml {
        self.line(format_args!("<{name}>{}</{name}>", escaped(&value.to_string())))
    }

    /// Keys as element names.
    pub(super) fn map(&mut self, name: &str, items: &BTreeMap<String, String>) -> &mut Xml {
        self.open(name);
        for (key, value) in items {
            self.leaf(key, value);
        }
        self.close(name)
    }

    /// Ends the response.
    pub(super) fn finish(mut self) -> String {
        self.close("response");
        self.0
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> &mut Xml {
        let _ = writeln!(self.0, "{line}");
        self
    }
}

/// Epoch milliseconds in the form of Java's `Date.toString()`, in UTC.
pub(super) fn java_date(epoch_ms: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = epoch_ms / 1000;
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (name, month) = (DAYS[days as usize % 7], MONTHS[month]);
    format!("{name} {month} {day:02} {:02}:{:02}:{:02} UTC {year}", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Year, month from 0 and day from 1 of a day counted from 1 January 1970.
fn civil(days: u64) -> (u64, usize, u64) {
    let (mut year, mut rest) = (1970, days);
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while rest >= 365 + u64::from(leap(year)) {
        rest -= 365 + u64::from(leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while rest >= months[month] {
        rest -= months[month];
        month += 1;
    }
    (year, month, rest + 1)
}

/// A value as it may stand in XML.
pub(super) fn escaped(value: &str) -> String {
    value.chars().fold(String::with_capacity(value.len()), |mut text, letter| {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&apos;"),
            other => text.push(other),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_java_writes_them() {
        assert_eq!(java_date(1_700_000_000_000), "Tue Nov 14 22:13:20 UTC 2023");
        assert_eq!(java_date(0), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(java_date(1_709_164_800_000), "Thu Feb 29 00:00:00 UTC 2024");
        assert_eq!(java_date(1_735_689_599_000), "Tue Dec 31 23:59:59 UTC 2024");
    }

    #[test]
    fn values_are_escaped_and_there_is_no_declaration() {
        let mut xml = Xml::response("SUCCESS");
        xml.leaf("name", "Ada & <Co>").empty("meetings");
        let expected = "<response>\n<returncode>SUCCESS</returncode>\n<name>Ada &amp; &lt;Co&gt;</name>\n<meetings/>\n</response>\n";
        assert_eq!(xml.finish(), expected);
    }
}
