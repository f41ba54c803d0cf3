use super::*;

fn environment(values: &[(&str, &str)]) -> Environment {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_empty_value_is_refused_where_its_default_makes_or_opens_something_and_else_is_none() {
    for name in KNOWN {
        let read = |value| environment(&[(name, value)]).value(name).map(|value| value.is_none());
        for value in ["", " "] {
            if NEVER_EMPTY.contains(&name) {
                let said = read(value).unwrap_err().to_string();
                assert!(
                    said.ends_with(": it is empty; set it to something, or unset it to have its default"),
                    "{said}"
                );
            } else {
                assert_eq!(read(value), Ok(true), "{name}");
            }
        }
    }
    assert!(NEVER_EMPTY.iter().all(|name| KNOWN.contains(name)));
    let harmless = KNOWN.into_iter().filter(|name| !NEVER_EMPTY.contains(name));
    let environment = environment(&harmless.map(|name| (name, "")).collect::<Vec<_>>());
    assert!(LogSettings::read(&environment).is_ok());
    assert_eq!(environment.parse("B3SCALE_LOAD_FACTOR", "a number is wanted"), Ok(None::<f64>));
}

#[test]
fn no_error_prints_a_secret_or_what_is_not_utf_8() {
    for name in SECRET.into_iter().chain(["B3SCALE_PIPELINE", "B3SCALE_AGENT_TAGS"]) {
        let error = environment(&[(name, "s3cret\u{fffd}")]).list::<String>(name, "").unwrap_err();
        assert_eq!(error.to_string(), format!("{name}: it is not UTF-8"));
        assert!(!format!("{error:?}").contains("s3cret"));
    }
    assert!(SECRET.iter().all(|name| KNOWN.contains(name)));
    assert!(SECRET.iter().all(|name| !ConfigError::new(name, "s3cret", "").to_string().contains("s3cret")));
}

#[test]
fn a_file_with_a_byte_that_is_not_utf_8_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"# Gr\xfc\xdfe\nB3SCALE_DB_URL=postgres://a\nB3SCALE_API_JWT_SECRET=\xff\n").unwrap();
    let mut environment = environment(&[]);
    environment.read_file(file.path(), "B3SCALE_DB_URL");
    assert_eq!(environment.value("B3SCALE_DB_URL"), Ok(Some("postgres://a")));
    assert!(environment.value("B3SCALE_API_JWT_SECRET").is_err());
}

#[test]
fn levels_of_the_original_are_understood() {
    let level = |value| LogSettings::read(&environment(&[("B3SCALE_LOG_LEVEL", value)])).map(|settings| settings.level);
    assert_eq!(level("-1"), Ok(LevelFilter::TRACE));
    assert_eq!(level("fatal"), Ok(LevelFilter::ERROR));
    assert!(level("loud").is_err());
}

#[test]
fn a_variable_that_nobody_reads_is_found() {
    let names = ["B3SCALE_LISTEN", "B3SCALE_LISTEN_HTTP", "PATH", "BBB_CONFG", "BBB_CONFIG", "BBB_SECRET"];
    let environment = environment(&names.map(|name| (name, "x")));
    assert_eq!(environment.unknown().collect::<Vec<_>>(), ["B3SCALE_LISTEN", "BBB_CONFG"]);
    assert_eq!(Environment::meant("BBB_CONFG"), Some("BBB_CONFIG"));
    assert_eq!(Environment::meant("B3SCALE_DB_ULR"), Some("B3SCALE_DB_URL"));
    assert_eq!(Environment::meant("B3SCALE_COLOUR"), None);
}

#[test]
fn a_variable_of_the_original_that_does_nothing_yet_is_named_with_what_that_means() {
    let all: Vec<_> = IDLE.iter().map(|(name, _)| (*name, "1")).collect();
    assert_eq!(environment(&all).idle().collect::<Vec<_>>(), IDLE);
    assert!(IDLE.iter().all(|(name, _)| KNOWN.contains(name)), "it is not warned about twice");
    let silent = [("B3SCALE_REVERSE_PROXY_MODE", "false"), ("B3SCALE_CMD_WORKER_POOL_SIZE", "")];
    assert_eq!(environment(&silent).idle().count(), 0);
}

#[test]
fn a_line_of_a_file_is_read_as_the_original_reads_it() {
    assert_eq!(Line::read("A = \"b # c\" "), Line::Assignment("A".to_owned(), "b # c".to_owned()));
    for line in ["# A=b", "", " ", " # A=b"] {
        assert_eq!(Line::read(line), Line::Empty, "{line}");
    }
    for line in ["nothing", "export A=b", "A: b", "A: http://h?a=b", "=b", "A-B=c"] {
        assert_eq!(Line::read(line), Line::Other, "{line}");
    }
}

#[test]
fn a_line_that_sets_nothing_is_known_by_its_place_and_a_mark_of_the_encoding_hides_nothing() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "\u{feff}B3SCALE_API_URL=http://a\n\nexport B3SCALE_YES=true\nB3SCALE_DB_URL: x\n")
        .unwrap();
    let mut environment = environment(&[]);
    environment.read_file(file.path(), "B3SCALE_DB_URL");
    assert_eq!(environment.text("B3SCALE_API_URL"), Some("http://a"));
    assert_eq!(environment.ignored, [3, 4].map(|line| format!("{}:{line}", file.path().display())));
}

#[test]
fn a_file_that_exists_and_cannot_be_read_is_refused_and_a_missing_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = environment(&[]);
    environment.read_file(&folder.path().join("missing"), "B3SCALE_DB_URL");
    assert_eq!(environment.require_files(), Ok(()));
    // Tests may run as root, who can read every file.
    environment.read_file(folder.path(), "B3SCALE_DB_URL");
    let said = environment.require_files().unwrap_err().to_string();
    let expected =
        format!("B3SCALE_DB_URL: it is not set, and {}, which may set it, cannot be read: ", folder.path().display());
    assert!(said.starts_with(&expected), "{said}");
}
