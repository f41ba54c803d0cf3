//! A state document, from text and to text. JSON is YAML, so one reader is enough.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use b3scale_base::rest::{StateDocument, VERSION};
use serde_saphyr::{budget, options};

use super::CtlError;

/// The largest file: far more than any cluster, far less than memory.
const MOST_NODES: usize = 20_000_000;

/// Reads a file, or standard input if it is called `-`.
pub(super) fn read(file: &Path) -> Result<StateDocument, CtlError> {
    let (name, text) = if file == Path::new("-") {
        let mut text = String::new();
        ("standard input".to_owned(), io::stdin().lock().read_to_string(&mut text).map(|_| text))
    } else {
        (file.display().to_string(), fs::read_to_string(file))
    };
    let text = text.map_err(|error| CtlError::Unreadable { what: name.clone(), why: error.to_string() })?;
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<StateDocument, CtlError> {
    let options = options! {
        budget: budget! { max_nodes: MOST_NODES, max_events: 4 * MOST_NODES },
        with_snippet: false,
    };
    let refused = |place: String, why: String| CtlError::Unreadable { what: format!("{name}{place}"), why };
    let document: StateDocument = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let (said, place) = (error.to_string(), error.location());
        let Some((line, column)) = place.map(|place| (place.line(), place.column())) else {
            return refused(String::new(), said);
        };
        let why = said.trim_end_matches(&format!(" at line {line}, column {column}"));
        refused(format!(":{line}:{column}"), why.to_owned())
    })?;
    if document.version != VERSION {
        let version = document.version;
        return Err(refused(String::new(), format!("it has version {version}; this program reads version {VERSION}")));
    }
    Ok(document)
}

/// Writes a document for people to read and change.
pub(super) fn yaml(document: &StateDocument) -> Result<String, CtlError> {
    serde_saphyr::to_string(document).map_err(|error| CtlError::Failed(format!("the state cannot be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version: 1
frontends:
  - key: school
    secret: \"123\"
    settings:
      required_tags: [a]
backends:
  - host: https://node.example/bigbluebutton/api/
    secret: yes
    load_factor: 2
";

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let document = parse("x", TEXT).unwrap();
        assert_eq!((document.frontends[0].secret.as_str(), document.backends[0].secret.as_str()), ("123", "yes"));
        assert!(document.frontends[0].active, "what is not said has its default");
        assert_eq!(parse("x", &yaml(&document).unwrap()).unwrap(), document);
        assert_eq!(parse("x", &serde_json::to_string(&document).unwrap()).unwrap(), document);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_in_one_line() {
        let said = |text: &str| parse("state.yaml", text).unwrap_err().to_string();
        let unknown = said(&TEXT.replace("secret: yes", "secert: yes"));
        assert!(unknown.starts_with("state.yaml:9:5 cannot be read: ") && unknown.contains("secert"), "{unknown}");
        let broken = said("version: 1\nfrontends: [");
        assert!(broken.starts_with("state.yaml:") && !broken.contains('\n'), "{broken}");
        let json = said("{\"version\": 1, \"frontends\": [{\"key\": 5}]}");
        assert!(json.starts_with("state.yaml:1:"), "{json}");
        assert!(said("version: 2").contains("this program reads version 1"));
    }
}
