//! Captions: SubRip files become WebVTT, which is all that players read.

/// The first word of a WebVTT file.
const MAGIC: &str = "WEBVTT";

/// Stands between the times of a cue.
const ARROW: &str = "-->";

/// The tags of SubRip that mean the same in WebVTT.
const SHARED_TAGS: [&str; 6] = ["<b>", "</b>", "<i>", "</i>", "<u>", "</u>"];

/// Why a file cannot be used as captions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptionsError {
    /// It is not text in UTF-8.
    #[error("it is not text in UTF-8")]
    NotText,
    /// It is in another format.
    #[error("it is neither WebVTT, which begins with the word WEBVTT, nor SubRip")]
    UnknownFormat,
    /// A line with an arrow has no two times.
    #[error("line {line} should have two times, such as 00:00:01.000 --> 00:00:02.500")]
    BadTimes {
        /// Its number. The first line is 1.
        line: usize,
    },
    /// There is not a single cue.
    #[error("it has no cues")]
    NoCues,
}

/// Reads WebVTT or SubRip and writes WebVTT: UTF-8 without a byte order mark, with line feeds, and with times in one form.
///
/// # Errors
/// The file is neither, or a time in it is wrong.
pub fn webvtt(file: &[u8]) -> Result<String, CaptionsError> {
    let text = std::str::from_utf8(file).map_err(|_| CaptionsError::NotText)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    let after = text.strip_prefix(MAGIC).filter(|after| after.is_empty() || after.starts_with([' ', '\t', '\n']));
    if after.is_some() { checked(&text) } else { from_subrip(&text) }
}

/// WebVTT with its times checked.
fn checked(text: &str) -> Result<String, CaptionsError> {
    let mut out = String::with_capacity(text.len() + 1);
    let mut has_cues = false;
    for (line, number) in text.lines().zip(1..) {
        if number > 1 && line.contains(ARROW) {
            let (times, settings) = times(line).ok_or(CaptionsError::BadTimes { line: number })?;
            out.push_str(&times);
            if !settings.is_empty() {
                out.extend([" ", settings]);
            }
            has_cues = true;
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    if has_cues { Ok(out) } else { Err(CaptionsError::NoCues) }
}

/// SubRip as WebVTT. A line of times begins a cue, and the number of a cue stands on the line before.
fn from_subrip(text: &str) -> Result<String, CaptionsError> {
    let mut out = format!("{MAGIC}\n");
    let mut has_cues = false;
    let mut lines = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if !line.contains(ARROW) {
            lines.push(line);
            continue;
        }
        let (times, _) = times(line).ok_or(CaptionsError::BadTimes { line: number })?;
        drop_number(&mut lines);
        if !has_cues && !are_blank(&lines) {
            return Err(CaptionsError::UnknownFormat);
        }
        put_text(&mut out, &lines);
        out.extend(["\n", &times, "\n"]);
        lines.clear();
        has_cues = true;
    }
    if !has_cues {
        return Err(if are_blank(&lines) { CaptionsError::NoCues } else { CaptionsError::UnknownFormat });
    }
    put_text(&mut out, &lines);
    Ok(out)
}

/// Drops the number of a cue from the end, if a blank line or nothing stands before it: else it is text.
fn drop_number(lines: &mut Vec<&str>) {
    let is_number = |line: &str| !line.trim().is_empty() && line.trim().bytes().all(|byte| byte.is_ascii_digit());
    match lines[..] {
        [.., before, last] if is_number(last) && before.trim().is_empty() => {}
        [only] if is_number(only) => {}
        _ => return,
    }
    lines.pop();
}

fn are_blank(lines: &[&str]) -> bool {
    lines.iter().all(|line| line.trim().is_empty())
}

/// Writes the text of a cue. A blank line would end it.
fn put_text(out: &mut String, lines: &[&str]) {
    for text in lines.iter().map(|line| marked_up(line)) {
        if !text.trim().is_empty() {
            out.extend([text.trim(), "\n"]);
        }
    }
}

/// A line of SubRip with the marks of WebVTT.
fn marked_up(line: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some(at) = rest.find(['<', '>', '&', '{']) {
        let (mark, behind) = mark(&rest[at..]);
        out.extend([&rest[..at], mark]);
        rest = behind;
    }
    out + rest
}

/// Reads the mark at the beginning of a text: as WebVTT has it, and the text behind. Fonts and places are left out.
fn mark(text: &str) -> (&'static str, &str) {
    let begins = |start: &str| text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
    if let Some(tag) = SHARED_TAGS.into_iter().find(|tag| begins(tag)) {
        return (tag, &text[tag.len()..]);
    }
    let left_out = [("<font", '>'), ("</font", '>'), ("{\\", '}')].into_iter().find(|(start, _)| begins(start));
    if let Some((_, behind)) = left_out.and_then(|(_, end)| text.split_once(end)) {
        return ("", behind);
    }
    let escaped = match text.as_bytes().first() {
        Some(b'<') => "&lt;",
        Some(b'>') => "&gt;",
        Some(b'&') => "&amp;",
        _ => "{",
    };
    (escaped, &text[1..])
}

/// The times of a cue as WebVTT writes them, and the settings behind them.
fn times(line: &str) -> Option<(String, &str)> {
    let (from, rest) = line.split_once(ARROW)?;
    let rest = rest.trim();
    let (to, settings) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Some((format!("{} {ARROW} {}", time(from.trim())?, time(to)?), settings.trim()))
}

/// A time in hours, minutes, seconds and a fraction. WebVTT may leave the hours out, and SubRip has a comma.
fn time(text: &str) -> Option<String> {
    let (clock, fraction) = text.split_once([',', '.'])?;
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| !text.starts_with('+'));
    let mut parts = clock.rsplit(':').map(number);
    let (seconds, minutes, hours) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let is_fraction = (1..=3).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = seconds < 60 && minutes < 60 && parts.next().is_none() && is_fraction;
    is_time.then(|| format!("{hours:02}:{minutes:02}:{seconds:02}.{fraction:0<3}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, CaptionsError> {
        webvtt(text.as_bytes())
    }

    #[test]
    fn subrip_becomes_webvtt() {
        let file = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\nHello <i>you</i> & <font color=\"red\">all</font>\r\n\
            {\\an8}1 < 2\r\n\r\n2\r\n0:01:00,5 --> 01:00:00,000  X1:40 X2:600 Y1:20 Y2:50\r\n{a}\r\n";
        let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello <i>you</i> &amp; all\n1 &lt; 2\n\n\
            00:01:00.500 --> 01:00:00.000\n{a}\n";
        assert_eq!(read(file).as_deref(), Ok(expected));
    }

    #[test]
    fn a_number_in_a_text_stays_and_a_blank_line_ends_no_text() {
        let file = "00:00:01.000 --> 00:00:02.000\n42\n\n<font x></font>\nand more\n7\n00:00:03.000 --> 00:00:04.000\n";
        let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n42\nand more\n7\n\n00:00:03.000 --> 00:00:04.000\n";
        assert_eq!(read(file).as_deref(), Ok(expected));
    }

    #[test]
    fn webvtt_stays_but_for_line_ends_and_times() {
        let file = "\u{feff}WEBVTT - Title\r\n\r\nNOTE a & b\r\n\r\nfirst\r\n01:02.003 --> 1:01:02.003\talign:start\r\n\
            <v Ada>Hi &amp; \0</v>";
        let expected = "WEBVTT - Title\n\nNOTE a & b\n\nfirst\n00:01:02.003 --> 01:01:02.003 align:start\n\
            <v Ada>Hi &amp; \u{fffd}</v>\n";
        assert_eq!(read(file).as_deref(), Ok(expected));
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        use CaptionsError::{BadTimes, NoCues, NotText, UnknownFormat};

        assert_eq!(webvtt(b"WEBVTT\xff"), Err(NotText));
        assert_eq!(webvtt(b"\xff\xfeW\0E\0B\0V\0T\0T\0"), Err(NotText));
        let refused = [
            ("", NoCues),
            ("\n \n", NoCues),
            ("WEBVTT", NoCues),
            ("WEBVTT\n\nNOTE nothing", NoCues),
            ("WEBVTTX\n", UnknownFormat),
            ("<tt xmlns=\"http://www.w3.org/ns/ttml\"/>", UnknownFormat),
            ("[Script Info]\n1\n00:00:01,000 --> 00:00:02,000\nx", UnknownFormat),
            ("1\n00:00:01,000 --> 00:61:02,000\nx", BadTimes { line: 2 }),
            ("WEBVTT\n\n00:01 --> 00:02\nx", BadTimes { line: 3 }),
            ("WEBVTT\n\n00:01.0000 --> 00:02.000\nx", BadTimes { line: 3 }),
            ("WEBVTT\n\n00:01.000 -->\nx", BadTimes { line: 3 }),
            ("WEBVTT\n\n1:2:3:4.000 --> 00:02.000\nx", BadTimes { line: 3 }),
            ("WEBVTT\n\n+0:01.000 --> 00:02.000\nx", BadTimes { line: 3 }),
        ];
        for (file, error) in refused {
            assert_eq!(read(file), Err(error), "{file:?}");
        }
    }

    proptest! {
        #[test]
        fn the_result_is_webvtt_that_stays_as_it_is(file in "(WEBVTT\n\n)?(1?\n0:00:0[1-9][,.]5 --> 00:1[0-9].[0-9]{1,3}.{0,3}\n[-<>&{}\\a\n/fontb ]{0,12}\n){0,4}") {
            if let Ok(vtt) = read(&file) {
                prop_assert_eq!(read(&vtt), Ok(vtt.clone()));
            }
        }
    }
}
