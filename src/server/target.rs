//! Which call a path means, in all the ways frontends write it.

use b3scale_middleware::bbb::CallKind;
use percent_encoding::percent_decode_str;

/// The target of a path below `/bbb`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The frontend, decoded.
    pub frontend_key: String,
    /// The call, or the name that is none.
    pub call: Result<CallKind, String>,
}

impl Target {
    /// Reads `/bbb/{key}/bigbluebutton/api/{call}`. `bigbluebutton`, `api` and the call may be missing, slashes doubled.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty()).peekable();
        segments.next_if_eq(&"bbb")?;
        let frontend_key = percent_decode_str(segments.next()?).decode_utf8_lossy().into_owned();
        segments.next_if_eq(&"bigbluebutton");
        segments.next_if_eq(&"api");
        let name = segments.collect::<Vec<_>>().join("/");
        let call = match CallKind::from_name(&name) {
            Some(kind) if kind != CallKind::Index => Ok(kind),
            None if name.is_empty() => Ok(CallKind::Index),
            _ => Err(name),
        };
        Some(Self { frontend_key, call })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(path: &str) -> Result<CallKind, String> {
        let target = Target::of(path).expect("it is below /bbb");
        assert_eq!(target.frontend_key, "school");
        target.call
    }

    #[test]
    fn a_call_is_found_in_every_form_of_its_path() {
        for path in [
            "/bbb/school/bigbluebutton/api/create",
            "/bbb/school/bigbluebutton/api//create",
            "//bbb//school//bigbluebutton//api//create//",
            "/bbb/school/bigbluebutton/api/create/",
            "/bbb/school/bigbluebutton/create",
            "/bbb/school/api/create",
            "/bbb/school/create",
        ] {
            assert_eq!(call(path), Ok(CallKind::Create), "{path}");
        }
    }

    #[test]
    fn a_call_of_hooks_has_a_slash_in_its_name() {
        for path in ["bigbluebutton/api/hooks/create", "api/hooks//create/", "hooks/create"] {
            assert_eq!(call(&format!("/bbb/school/{path}")), Ok(CallKind::HooksCreate), "{path}");
        }
    }

    #[test]
    fn a_path_without_a_call_is_the_version_call() {
        for path in [
            "/bbb/school",
            "/bbb/school/",
            "/bbb/school/bigbluebutton",
            "/bbb/school/bigbluebutton/",
            "/bbb/school/bigbluebutton/api",
            "/bbb/school/bigbluebutton/api/",
            "/bbb/school/api",
        ] {
            assert_eq!(call(path), Ok(CallKind::Index), "{path}");
        }
    }

    #[test]
    fn other_names_are_no_calls() {
        for name in ["hooks/update", "hooks", "Create", "index", "create/x", "%63reate", "bigbluebutton/create"] {
            assert_eq!(call(&format!("/bbb/school/api/{name}")), Err(name.to_owned()));
        }
    }

    #[test]
    fn a_key_is_decoded_once() {
        assert_eq!(Target::of("/bbb/a%20b%2525/create").map(|target| target.frontend_key), Some("a b%25".to_owned()));
    }

    #[test]
    fn what_is_elsewhere_is_no_call() {
        for path in ["/", "/bbb", "/bbb/", "/bbbb/school/create", "*", "/x/bbb/school/create"] {
            assert_eq!(Target::of(path), None, "{path}");
        }
    }
}
