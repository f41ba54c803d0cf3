//! The links of a `metadata.xml`. Their host is that of the node, or of its playback: only path and query count.

/// The most bytes of a link.
const LONGEST: usize = 2048;

/// Path and query of a link, with one slash at its beginning. Empty: there is none.
///
/// # Errors
///
/// The problem of the link.
pub(super) fn path_of(text: &str) -> Result<String, String> {
    // Old scripts broke the line in the middle.
    let text: String = text.trim().chars().filter(|letter| !letter.is_control()).collect();
    if text.is_empty() {
        return Ok(text);
    }
    if text.len() > LONGEST {
        return Err(format!("has more than {LONGEST} bytes"));
    }
    let path = match text.split_once("://") {
        Some((scheme, rest)) if is_web(scheme) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ if text.starts_with('/') => &text,
        _ => return Err(format!("is `{}`, and a URL is wanted", super::quote(&text))),
    };
    // Two slashes would name another host.
    let path = path.trim_start_matches(['/', '\\']);
    let before_query = path.split(['?', '#']).next().unwrap_or_default();
    if before_query.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) {
        return Err("has a segment `.` or `..`".to_owned());
    }
    Ok(format!("/{path}").replace(' ', "%20"))
}

fn is_web(scheme: &str) -> bool {
    ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}
