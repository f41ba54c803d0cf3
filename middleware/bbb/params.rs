//! The parameters of a call: the raw query, which the checksum covers, and its meaning.
//!
//! The meaning of a call is decided here, once, as BBB decides it: of one name the first value counts, a name of BBB's in another
//! spelling is ignored, and values are read without control characters and surrounding blanks. Metadata and user data with
//! names that cannot be elements are left out, since nodes write them into their documents unchanged. Unchanged text
//! goes to the node byte for byte as it came.
//!
//! A `%` that begins no escape is text, as in `%%CONFNAME%%`. Servlet containers differ in that, so such a parameter is encoded
//! again: every node reads the same value.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::names;

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Characters that cannot stand in the query of a URL, by RFC 3986.
const UNFIT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What Java's `URLEncoder` encodes, but for the space.
const JAVA_RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// How many parameters are read, as in the servlet container of a node. Those behind are passed over.
const MAX_PARAMS: usize = 10_000;

/// The ordered parameters of a call, each once.
///
/// Changes touch the decoded parameters only. [`raw`](Self::raw) stays as the client sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    raw: Arc<str>,
    /// Shared until it is changed: a call is cloned for each node that is tried.
    items: Arc<Vec<Item>>,
    unwritable: Vec<String>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    name: String,
    /// As BBB reads it: see [`clean`].
    value: String,
    /// How it came, still encoded: a part of that text. `None`: it was set here.
    came: Option<(Arc<str>, Range<usize>)>,
    /// Whether the call's checksum covers it, if it has one.
    covered: bool,
}

impl Params {
    /// Reads a query as it came, without the leading `?`. Never fails.
    pub fn parse(raw: &str) -> Self {
        let raw: Arc<str> = raw.into();
        let mut params = Self { raw: Arc::clone(&raw), ..Self::default() };
        params.append(&raw, true);
        params
    }

    /// Adds the parameters of a form body behind those of the query, so that a query's value comes first.
    pub fn merge_form(&mut self, body: &str) {
        self.append(&body.into(), true);
    }

    /// Adds the parameters of a form that the checksum does not cover: texts, slides and the like. Parameters that identify the
    /// meeting, an attendee or rights are left out, as are addresses, scripts and recording.
    pub fn merge_uncovered(&mut self, body: &str) {
        self.append(&body.into(), false);
    }

    /// The query as it was received. It holds neither form parameters nor changes.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The names that were left out, since they cannot be those of elements.
    pub fn unwritable(&self) -> &[String] {
        &self.unwritable
    }

    /// The value that counts, as BBB reads it: see [`clean`].
    pub fn first(&self, name: &str) -> Option<&str> {
        self.item(name).map(|item| item.value.as_str())
    }

    /// The same, unless it came in a form that the checksum does not cover.
    pub fn covered(&self, name: &str) -> Option<&str> {
        self.item(name).filter(|item| item.covered).map(|item| item.value.as_str())
    }

    /// Whether BBB reads the parameter as true. Only the word is, so `1` is false.
    pub fn says_true(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The items of a list with commas. Blanks around an item do not count, and neither do empty ones.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        let items = self.first(name).unwrap_or_default().split(',');
        items.map(str::trim).filter(|item| !item.is_empty())
    }

    /// Names and values of the metadata. BBB keeps the names in lower case.
    pub fn metadata(&self) -> impl Iterator<Item = (String, &str)> {
        self.iter().filter_map(|(name, value)| Some((name.strip_prefix("meta_")?.to_ascii_lowercase(), value)))
    }

    /// Whether a join's answer is a redirect. Of given values, only `true` means so.
    pub fn wants_redirect(&self) -> bool {
        self.first("redirect").is_none_or(str::is_empty) || self.says_true("redirect")
    }

    /// Every name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.items.iter().map(|item| (item.name.as_str(), item.value.as_str()))
    }

    /// Gives a parameter this one value, in the place it has or at the end, under the name by which BBB reads it. Every other
    /// spelling of the name is taken away.
    pub fn set(&mut self, name: &str, value: &str) {
        let name = names::as_bbb_spells(name);
        let mut new = (!names::is_unwritable(name)).then(|| Item::set(name, value));
        let items = Arc::make_mut(&mut self.items);
        items.retain_mut(|item| {
            if !names::are_alike(&item.name, name) {
                return true;
            }
            new.take().map(|new| *item = new).is_some()
        });
        items.extend(new);
    }

    /// Sets a parameter the call does not have and says whether it did. An empty value counts as had.
    pub fn set_default(&mut self, name: &str, value: &str) -> bool {
        let name = names::as_bbb_spells(name);
        let absent = self.first(name).is_none() && !names::is_unwritable(name);
        if absent {
            Arc::make_mut(&mut self.items).push(Item::set(name, value));
        }
        absent
    }

    /// Removes a parameter, in every spelling of its name.
    pub fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.items).retain(|item| !names::are_alike(&item.name, name));
    }

    /// The most bytes that the call's texts may take in each list of a node.
    pub fn listed_len(&self) -> usize {
        let escaped = |byte| match byte {
            b'&' => "&amp;".len(),
            b'<' | b'>' => "&lt;".len(),
            b'"' | b'\'' => "&quot;".len(),
            _ => 1,
        };
        let listed = self.iter().filter(|(name, _)| names::is_listed(name));
        listed.map(|(name, value)| 2 * name.len() + value.bytes().map(escaped).sum::<usize>()).sum()
    }

    /// The parameters as they are signed and sent: unchanged ones as they came, changed ones with all but unreserved
    /// characters encoded. A `checksum` is never part of it.
    pub fn encode(&self) -> String {
        let mut query = String::new();
        self.encode_onto(&mut query);
        query
    }

    /// Puts [`encode`](Self::encode) behind a text.
    pub fn encode_onto(&self, text: &mut String) {
        // Enough unless more has to be escaped than the client escaped.
        let plain: usize = self.sent().map(|item| item.name.len() + item.value.len() + 2).sum();
        text.reserve(plain.max(self.raw.len()));
        join(text, self.sent());
    }

    /// The parameters as a query of at most `limit` bytes, if possible, and a form of the rest: the
    /// largest ones. The query keeps ids of the meeting and of people, and their rights, and is never empty.
    pub fn split(&self, limit: usize) -> (String, String) {
        let sent: Vec<(&Item, usize)> = self.sent().map(|item| (item, item.encoded_len() + 1)).collect();
        let mut length: usize = sent.iter().map(|(_, length)| length).sum();
        let mut movable: Vec<usize> = (0..sent.len()).filter(|at| !names::is_trusted(&sent[*at].0.name)).collect();
        movable.sort_by_key(|at| std::cmp::Reverse(sent[*at].1));
        movable.truncate(movable.len().min(sent.len().saturating_sub(1)));
        let mut posted = vec![false; sent.len()];
        for at in movable {
            // The last one has no separator behind.
            if length <= limit + 1 {
                break;
            }
            posted[at] = true;
            length -= sent[at].1;
        }
        let part = |wanted: bool| {
            let mut text = String::new();
            join(
                &mut text,
                sent.iter().zip(&posted).filter(|(_, posted)| **posted == wanted).map(|((item, _), _)| *item),
            );
            text
        };
        (part(false), part(true))
    }

    /// The one parameter of that name. Names of metadata are one in any case.
    fn item(&self, name: &str) -> Option<&Item> {
        self.items.iter().find(|item| names::are_one(&item.name, name))
    }

    fn sent(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.name != "checksum")
    }

    fn append(&mut self, text: &Arc<str>, covered: bool) {
        let items = Arc::make_mut(&mut self.items);
        let mut start = 0;
        let mut room = MAX_PARAMS.saturating_sub(items.len());
        for part in text.split('&') {
            let place = start..start + part.len();
            start = place.end + 1;
            if part.is_empty() {
                continue;
            }
            if room == 0 {
                break;
            }
            room -= 1;
            let (raw_name, raw_value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(raw_name).into_owned();
            let is_sound = is_well_encoded(part);
            if names::is_unwritable(&name) {
                self.unwritable.push(name);
            } else if !names::is_misspelt(&name) && (covered || !names::needs_proof(&name)) {
                let value = clean(&decode(raw_value)).into_owned();
                items.push(Item { name, value, came: is_sound.then(|| (Arc::clone(text), place)), covered });
            }
        }
        decide(items);
    }
}

impl Item {
    fn set(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: clean(value).into_owned(), came: None, covered: true }
    }

    fn encode_onto(&self, text: &mut String) {
        match &self.came {
            Some((came, place)) => text.extend(utf8_percent_encode(&came[place.clone()], UNFIT)),
            None => {
                text.extend(utf8_percent_encode(&self.name, RESERVED));
                text.push('=');
                text.extend(utf8_percent_encode(&self.value, RESERVED));
            }
        }
    }

    fn encoded_len(&self) -> usize {
        let length = |text, set| utf8_percent_encode(text, set).map(str::len).sum::<usize>();
        match &self.came {
            Some((came, place)) => length(&came[place.clone()], UNFIT),
            None => length(&self.name, RESERVED) + 1 + length(&self.value, RESERVED),
        }
    }
}

fn join<'a>(text: &mut String, items: impl Iterator<Item = &'a Item>) {
    let mut is_first = true;
    for item in items {
        if !std::mem::replace(&mut is_first, false) {
            text.push('&');
        }
        item.encode_onto(text);
    }
}

/// Keeps, of repeated parameters, BBB's choice: the first of equal names, the last of different spellings.
/// Among the latter a covered parameter wins over others.
fn decide(items: &mut Vec<Item>) {
    let mut seen = HashSet::with_capacity(items.len());
    let is_first: Vec<bool> = items.iter().map(|item| seen.insert(item.name.as_str())).collect();
    keep(items, &is_first);
    let mut last: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let place = last.entry(names::key(&item.name)).or_insert(at);
        if item.covered || !items[*place].covered {
            *place = at;
        }
    }
    if last.len() < items.len() {
        let mut is_last = vec![false; items.len()];
        last.into_values().for_each(|at| is_last[at] = true);
        keep(items, &is_last);
    }
}

fn keep(items: &mut Vec<Item>, which: &[bool]) {
    let mut which = which.iter();
    items.retain(|_| which.next() == Some(&true));
}

/// Removes control characters and surrounding blanks, as BBB does before it looks at a value.
pub fn clean(value: &str) -> Cow<'_, str> {
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        let kept: String = value.chars().filter(|char| !char.is_ascii_control()).collect();
        Cow::Owned(kept.trim_matches(' ').to_owned())
    } else {
        Cow::Borrowed(value.trim_matches(' '))
    }
}

/// The parameters of a query or a form body, still encoded and at most [`MAX_PARAMS`]. Empty items are none.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split('&').filter(|item| !item.is_empty()).take(MAX_PARAMS)
}

/// Decodes a name or a value, leniently: a `+` is a space, a broken escape is text, bad UTF-8 is replaced.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// Encodes a value as Java's `URLEncoder` does: a space becomes a `+`.
pub fn java_encode(text: &str) -> String {
    utf8_percent_encode(text, JAVA_RESERVED).to_string().replace(' ', "+")
}

fn is_well_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let bytes = rest.as_bytes();
        bytes.len() >= 2 && bytes[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

#[cfg(test)]
mod tests;
