//! Habits of this repository that no compiler checks. Each failure says which file it is and what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines that a file of the programs may have, its tests included.
const LONGEST_FILE: usize = 500;
/// Lines that the file of a stage may have, its tests included.
const LONGEST_STAGE: usize = 300;

/// Crates that speak SQL, read TOML or open sockets: not for the middleware.
const WORLDLY: [&str; 12] = [
    "deadpool-postgres",
    "hyper",
    "hyper-util",
    "mio",
    "postgres-protocol",
    "refinery",
    "rustls",
    "socket2",
    "tokio",
    "tokio-postgres",
    "toml",
    "tower-http",
];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Nothing but tests, or what tests share.
    fn is_test(&self) -> bool {
        let folders = ["tests/", "benches/", "fuzz/"];
        folders.iter().any(|folder| self.path.starts_with(folder) || self.path.contains(&format!("/{folder}")))
            || self.path.ends_with("/tests.rs")
            || self.path == "middleware/laws.rs"
    }

    /// The part that only tests compile.
    fn tests(&self) -> &str {
        if self.is_test() {
            return &self.text;
        }
        self.text.find("#[cfg(test)]\nmod tests").map_or("", |start| &self.text[start..])
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The stage or endpoint that this file is: its kind.
    fn kind(&self) -> Option<&str> {
        let name = self.path.strip_prefix("middleware/").filter(|name| !name.contains('/'))?;
        let (_, kind) = self.text.split_once("const KIND: &'static str = \"")?;
        (name != "laws.rs").then(|| kind.split('"').next().unwrap_or_default())
    }
}

#[test]
fn no_file_is_long() {
    hold(rust().iter().filter(|source| !source.is_test()).filter_map(|source| {
        let bound = if source.kind().is_some() { LONGEST_STAGE } else { LONGEST_FILE };
        let lines = source.text.lines().count();
        let folder = source.path.trim_end_matches(".rs");
        let problem = || format!("{lines} lines, {bound} at most: move a part that has a name to {folder}/");
        (lines > bound).then(|| (source, problem()))
    }));
}

#[test]
fn every_stage_file_reads_in_the_same_order() {
    let sources = rust();
    let stages: Vec<_> = sources.iter().filter_map(|source| Some((source, source.kind()?))).collect();
    assert!(stages.len() > 10, "the stages are not where this test looks for them");
    hold(stages.iter().filter_map(|(source, kind)| Some((*source, out_of_order(source, kind)?))));
}

fn out_of_order(source: &Source, kind: &str) -> Option<String> {
    let is_stage = source.text.contains("\nimpl Stage for ");
    let is_transform = source.text.contains("\nimpl Transform for ");
    let (role, layer, service) = match (is_stage, is_transform) {
        (true, true) => ("Stage", "Layer = StageLayer<", "Transform for "),
        (true, false) => ("Stage", "Layer = StageLayer<", "Service<Call> for StageService<"),
        (false, _) => ("Endpoint", "Service = ", "Service<Call> for "),
    };
    let parts = [
        ("its purpose: a first line that starts with its kind", format!("//! `{kind}`: ")),
        ("its settings in TOML", format!("\n//! ```toml\n//! [stages.{kind}]\n")),
        ("an example that runs", "\n//! ```\n//! use ".to_owned()),
        ("imports", "\n\nuse ".to_owned()),
        ("its settings as a struct that refuses unknown keys", "deny_unknown_fields".to_owned()),
        ("its place in the pipeline", format!("\nimpl {role} for ")),
        ("the layer that all stages share, or the endpoint's service", format!("\n    type {layer}")),
        ("its work on a call", format!("\nimpl {service}")),
        ("its tests", "\n#[cfg(test)]\nmod tests".to_owned()),
    ];
    let mut rest = &*source.text;
    for (what, mark) in &parts {
        let Some(at) = rest.find(mark.as_str()) else {
            return Some(format!("{what} is missing, or stands too early: the order is that of the other stages"));
        };
        rest = &rest[at + mark.len()..];
    }
    let last = rest == ";\n" || rest.find("\n}\n").is_some_and(|end| end + "\n}\n".len() == rest.len());
    (!last).then(|| "something follows the tests; they come last".to_owned())
}

#[test]
fn nothing_is_left_for_later_or_switched_off() {
    // Put together here, so that this file does not contain the marks.
    let marks = [
        (concat!("TO", "DO"), "do it now, or open an issue"),
        (concat!("FIX", "ME"), "do it now, or open an issue"),
        (concat!("XX", "X"), "do it now, or open an issue"),
        (concat!("to", "do!("), "write it"),
        (concat!("unimple", "mented!("), "write it"),
        (concat!("[al", "low("), "use #[expect(…, reason = \"…\")], or repair it"),
        (concat!("#[ig", "nore"), "a test runs or is not there"),
        (concat!("#[should_", "panic"), "assert on the error"),
    ];
    let sources = rust();
    hold(sources.iter().flat_map(|source| {
        let found = marks.iter().filter(|(mark, _)| source.text.contains(mark));
        found.map(move |(mark, advice)| (source, format!("`{mark}`: {advice}")))
    }));
}

#[test]
fn no_test_sleeps() {
    let sleep = concat!("sle", "ep");
    let calls = [format!("thread::{sleep}"), format!("time::{sleep}"), format!(" {sleep}("), format!("({sleep}(")];
    hold(rust().iter().filter_map(|source| {
        let found = calls.iter().find(|call| source.tests().contains(call.as_str()))?;
        Some((source, format!("`{}` in a test: wait for the event", found.trim())))
    }));
}

#[test]
fn names_say_what_a_thing_does() {
    let prefixes = ["get_", "handle_", "process_"].map(|prefix| format!("fn {prefix}"));
    let files = ["mod.rs", "util.rs", "utils.rs", "helper.rs", "helpers.rs", "common.rs", "misc.rs"];
    hold(rust().iter().flat_map(|source| {
        let functions = prefixes.iter().filter(|prefix| source.text.contains(prefix.as_str()));
        let functions = functions.map(|prefix| format!("a function is called `{prefix}…`: name what it does"));
        let file = files.contains(&source.name()).then(|| "name the file for what is in it".to_owned());
        functions.chain(file).map(move |problem| (source, problem)).collect::<Vec<_>>()
    }));
}

#[test]
fn the_leaves_know_nothing_of_the_pipeline() {
    hold(rust().iter().filter_map(|source| {
        let leaf = source.path.strip_prefix("middleware/")?;
        let may: &[&str] = match leaf.split(['/', '.']).next()? {
            "bbb" => &["bbb"],
            "cluster" => &["bbb", "cluster"],
            _ => return None,
        };
        let imports = source.text.split("crate::").skip(1).map(|after| after.split(|end: char| !is_of_name(end)));
        let foreign = imports.filter_map(|mut words| words.next()).find(|module| !may.contains(module))?;
        Some((source, format!("a leaf uses `crate::{foreign}`; the pipeline uses leaves, never the other way round")))
    }));
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[test]
fn the_middleware_sees_no_sql_no_toml_and_no_sockets() {
    // Not `cargo metadata`: that unites the features of the whole workspace, and so shows the features that the programs ask of tower.
    let tree = ["tree", "--offline", "--package", "b3scale-middleware", "--edges", "normal", "--prefix", "none"];
    let output = Command::new(env!("CARGO")).args(tree).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("names of crates are text");
    let crates: Vec<_> = printed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(crates.contains(&"tower"), "the tree is not what it was: {printed}");
    let worldly: Vec<_> = crates.into_iter().filter(|name| WORLDLY.contains(name)).collect();
    assert!(worldly.is_empty(), "the middleware depends on {worldly:?}: ask for it through a port instead");
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let names: Vec<_> = files("migrations").iter().map(|path| relative(path)).collect();
    assert!(!names.is_empty(), "there are no migrations");
    for (name, number) in names.iter().zip(1..) {
        let start = format!("migrations/V{number:04}__");
        assert!(name.starts_with(&start) && name.ends_with(".sql"), "{name}: it should be {start}<what it does>.sql");
    }
}

#[test]
fn every_snapshot_belongs_to_a_test() {
    for path in files("tests/snapshots") {
        let name = relative(&path);
        let snapshot = read(&path);
        let stem = name.trim_end_matches(".snap").rsplit("__").next().unwrap_or_default();
        let source = snapshot.lines().find_map(|line| line.strip_prefix("source: ")).expect("insta names the test");
        let test = fs::read_to_string(root().join(source)).unwrap_or_default();
        assert!(test.contains(stem), "{name}: no test in {source} has this snapshot; remove the file");
    }
}

/// Fails with all problems, each under the name of its file.
fn hold<'a>(problems: impl Iterator<Item = (&'a Source, String)>) {
    let lines: Vec<_> = problems.map(|(source, problem)| format!("{}: {problem}", source.path)).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

/// All Rust files of the repository.
fn rust() -> Vec<Source> {
    let folders = ["benches", "fuzz/fuzz_targets", "middleware", "src", "tests"];
    let paths = folders.iter().flat_map(|folder| files(folder));
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source { path: relative(&path), text: read(&path) })
        .collect()
}

/// The files of a folder and of those in it, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("it is of the repository").display().to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
