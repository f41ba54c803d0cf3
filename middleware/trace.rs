//! W3C trace context: which trace of its frontend's a call belongs to. <https://www.w3.org/TR/trace-context/>

use http::{HeaderMap, HeaderValue};

/// The header that names the trace.
pub const PARENT: &str = "traceparent";
/// The header for other vendors' data. Passed on as it came.
pub const STATE: &str = "tracestate";

/// The most bytes of others' state that are passed on.
const LONGEST_STATE: usize = 512;

/// The trace of a call, and its place as the parent of its own requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Of the whole trace.
    pub trace_id: u128,
    /// Of what called us.
    pub caller: u64,
    /// Of what this call's own calls are below: itself if it is recorded, else what called us.
    pub span_id: u64,
    /// Whether the trace is recorded, and what else later versions may say.
    pub flags: u8,
    state: Option<HeaderValue>,
}

impl Trace {
    /// Reads a client's headers. `None`: there are none, or unreadable ones, which do not count.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let (trace_id, caller, flags) = parent(headers.get(PARENT)?.to_str().ok()?)?;
        let states: Vec<&[u8]> = headers.get_all(STATE).iter().map(HeaderValue::as_bytes).collect();
        // Several lines count as one. What does not fit is left out, as the standard allows.
        let state = Some(states.join(&b","[..])).filter(|state| (1..=LONGEST_STATE).contains(&state.len()));
        let state = state.and_then(|state| HeaderValue::from_bytes(&state).ok());
        Some(Self { trace_id, caller, span_id: caller, flags, state })
    }

    /// The place of a call in an existing trace: that of its client, or a new one.
    pub fn below(client: Option<&Self>, trace_id: u128, span_id: u64, flags: u8) -> Self {
        let caller = client.map_or(0, |client| client.caller);
        Self { trace_id, caller, span_id, flags, state: client.and_then(|client| client.state.clone()) }
    }

    /// The header for a node and its value, with our own place as the caller's.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, HeaderValue)> {
        let parent = HeaderValue::try_from(format!("00-{}-{:016x}-{:02x}", self.name(), self.span_id, self.flags & 1));
        parent.ok().map(|parent| (PARENT, parent)).into_iter().chain(self.state.clone().map(|state| (STATE, state)))
    }

    /// The trace, as logs name it.
    pub fn name(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

/// Trace, caller and flags of a `traceparent`. Of later versions the same part counts.
fn parent(text: &str) -> Option<(u128, u64, u8)> {
    let (version, rest) = text.split_at_checked(2)?;
    let (id, rest) = rest.strip_prefix('-')?.split_at_checked(32)?;
    let (caller, rest) = rest.strip_prefix('-')?.split_at_checked(16)?;
    let (flags, rest) = rest.strip_prefix('-')?.split_at_checked(2)?;
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-'));
    if !ends || version == "ff" || ![version, id, caller, flags].into_iter().all(is_hex) {
        return None;
    }
    let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
    let caller = u64::from_str_radix(caller, 16).ok().filter(|caller| *caller != 0)?;
    Some((id, caller, u8::from_str_radix(flags, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(parent: &str) -> Option<Trace> {
        let value = HeaderValue::from_str(parent).unwrap();
        Trace::read(&HeaderMap::from_iter([(PARENT.parse().unwrap(), value)]))
    }

    #[test]
    fn what_nobody_records_is_passed_on_as_it_came() {
        let trace = read(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!((trace.caller, trace.name().as_str()), (0x00f0_67aa_0ba9_02b7, TRACE));
        let told: Vec<_> = trace.headers().collect();
        let [(PARENT, parent)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(parent.to_str().unwrap(), format!("00-{TRACE}-00f067aa0ba902b7-01"));
    }

    #[test]
    fn what_is_recorded_stands_between_its_caller_and_what_it_calls() {
        let client = read(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        let own = Trace::below(Some(&client), client.trace_id, 0xb7ad_6b71_6920_3331, 1);
        let told: Vec<_> = own.headers().collect();
        assert_eq!(told[0].1.to_str().unwrap(), format!("00-{TRACE}-b7ad6b7169203331-01"));
    }

    #[test]
    fn the_state_of_others_is_passed_on_as_it_came() {
        let mut headers = HeaderMap::new();
        headers.insert(PARENT, HeaderValue::from_str(&format!("00-{TRACE}-00f067aa0ba902b7-00")).unwrap());
        headers.insert(STATE, HeaderValue::from_static("congo=t61rcWkgMzE"));
        let told: Vec<_> = Trace::read(&headers).unwrap().headers().collect();
        assert_eq!(told[1], (STATE, HeaderValue::from_static("congo=t61rcWkgMzE")));
        headers.append(STATE, HeaderValue::from_static("more=1"));
        let told: Vec<_> = Trace::read(&headers).unwrap().headers().collect();
        assert_eq!(told[1], (STATE, HeaderValue::from_static("congo=t61rcWkgMzE,more=1")));
        headers.append(STATE, HeaderValue::try_from(format!("more={}", "x".repeat(LONGEST_STATE))).unwrap());
        assert_eq!(Trace::read(&headers).unwrap().headers().count(), 1);
    }

    #[test]
    fn of_a_later_version_the_part_that_is_known_counts() {
        assert!(read(&format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like")).is_some());
        assert!(read(&format!("00-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like")).is_none());
    }

    #[test]
    fn what_names_no_trace_counts_as_nothing() {
        let zero = "0".repeat(32);
        for parent in [
            "",
            "00",
            "00-é",
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            &format!("00-{zero}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{TRACE}-00f067aa0ba902b7-0"),
            &format!("00-{TRACE}-00f067aa0ba902b7-01."),
        ] {
            assert_eq!(read(parent), None, "{parent}");
        }
    }
}
