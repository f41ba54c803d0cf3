//! Habits of this repository that no compiler checks. Each failure says which file it is and what to do.

#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/words.rs"]
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imports::{Graph, Modules};

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

/// The files that may have methods of one type.
const MOST_FILES_OF_A_TYPE: usize = 3;

/// Words that make sentences without nouns, and the most of them in 10,000: twice the frequency of the project that uses them
/// most among linkerd2-proxy, tower-http, rustls, vector, crates.io, neon and ripgrep. `docs/style.md` says what to write.
const WORDS: [(&[&str], f64); 8] = [
    (&["whoever", "whomever", "whatever", "whichever"], 2.2),
    (&["whose", "whom"], 7.0),
    (&["nobody", "somebody", "everybody"], 1.0),
    (
        &[
            "what is",
            "what was",
            "what are",
            "what were",
            "what it",
            "what they",
            "what we",
            "what has",
            "what had",
            "what comes",
            "what came",
            "what becomes",
            "what became",
            "what stands",
            "what goes",
            "what a",
            "what the",
        ],
        5.8,
    ),
    (&["one that", "ones that", "those who", "those that", "those whose"], 2.2),
    (&["said of", "told of", "heard of"], 0.0),
    (&["is to be", "are to be", "was to be", "were to be"], 8.0),
    (&["anew", "beside", "fare", "fares", "is another", "be it", "be they", "of which", "of whom"], 0.0),
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
fn every_file_is_declared_as_a_module() {
    let sources = rust();
    let declares = |source: &Source, name: &str| {
        source.text.contains(&format!("mod {name};")) || source.text.contains(&format!("/{name}.rs\"]"))
    };
    let is_root = |path: &str| {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        ["lib.rs", "main.rs"].contains(&name) || ["benches", "tests", "src/bin", "fuzz/fuzz_targets"].contains(&folder)
    };
    hold(sources.iter().filter(|source| !is_root(&source.path)).filter_map(|source| {
        let (folder, name) = source.path.trim_end_matches(".rs").rsplit_once('/')?;
        let parents = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
        let is_declared = sources.iter().any(|parent| parents.contains(&parent.path) && declares(parent, name));
        (!is_declared).then(|| (source, format!("no file compiles it: declare `mod {name};` in {}", parents[0])))
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
fn no_files_use_each_other_in_a_circle() {
    let circles = imports::circles(&graph());
    let lines: Vec<_> = circles.iter().map(|circle| circle.join(" uses ")).collect();
    assert!(lines.is_empty(), "move what both need to a file of its own:\n{}", lines.join("\n"));
}

#[test]
fn every_room_looks_only_where_the_map_lets_it() {
    let rooms = Room::all();
    let mut problems = BTreeSet::new();
    for (file, used) in &graph() {
        let room = Room::of(&rooms, file);
        for other in used {
            let seen = Room::of(&rooms, other);
            if room.name != seen.name && !room.sees(&seen.name) {
                problems.insert(format!("{file}: uses {other}, and `{}` does not look at `{}`", room.name, seen.name));
            }
        }
    }
    let problems: Vec<_> = problems.into_iter().collect();
    assert!(problems.is_empty(), "the code map of ARCHITECTURE.md says otherwise:\n{}", problems.join("\n"));
}

#[test]
fn rooms_lie_in_layers() {
    let rooms = Room::all();
    // Rooms that look at all others are at the top.
    let looks = rooms.iter().filter(|room| !room.looks_everywhere).map(|room| {
        let seen = rooms.iter().filter(|other| other.name != room.name && room.sees(&other.name));
        (room.name.clone(), seen.map(|other| other.name.clone()).collect())
    });
    let circles = imports::circles(&looks.collect::<Graph>());
    assert!(circles.is_empty(), "rooms of ARCHITECTURE.md's code map look at each other: {circles:?}");
}

#[test]
fn every_row_of_the_map_is_needed() {
    let (rooms, graph) = (Room::all(), graph());
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, others) in &graph {
        let seen = others.iter().map(|other| Room::of(&rooms, other).name.clone());
        used.entry(Room::of(&rooms, file).name.clone()).or_default().extend(seen);
    }
    let unused = rooms.iter().flat_map(|room| {
        let seen = used.get(&room.name).cloned().unwrap_or_default();
        room.looks_at
            .iter()
            .filter(move |name| !seen.contains(*name))
            .map(|name| format!("`{}` at `{name}`", room.name))
    });
    let unused: Vec<_> = unused.collect();
    assert!(unused.is_empty(), "these looks of ARCHITECTURE.md's code map see nothing: {unused:?}");
}

#[test]
fn no_type_has_methods_in_many_files() {
    let methods = modules().methods();
    assert!(methods.len() > 100, "the methods are not where this test looks for them");
    let spread = methods.iter().filter(|(_, files)| files.len() > MOST_FILES_OF_A_TYPE);
    let lines: Vec<_> = spread.map(|(name, files)| format!("{name}: {files:?}")).collect();
    assert!(lines.is_empty(), "give each part of these a type of its own:\n{}", lines.join("\n"));
}

#[test]
fn sentences_name_their_subjects() {
    let mut lines: Vec<_> = rust().iter().flat_map(|source| words::lines(&source.path, &source.text)).collect();
    for path in prose() {
        lines.extend(words::lines(&relative(&path), &read(&path)));
    }
    let total = lines.iter().map(words::Line::count).sum::<usize>() as f64;
    for (phrases, bound) in WORDS {
        let found: Vec<_> = lines.iter().filter(|line| line.hits(phrases) > 0).collect();
        let count = found.iter().map(|line| line.hits(phrases)).sum::<usize>() as f64;
        let places: Vec<_> = found.iter().map(|line| &*line.place).collect();
        let frequency = count / total * 10_000.0;
        assert!(
            frequency <= bound,
            "{phrases:?}: {frequency:.1} in 10,000 words, {bound} at most; see docs/style.md:\n{}",
            places.join("\n")
        );
    }
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

/// A simulation of the cluster controls both. `src/clippy.toml` bans the clock of the machine from all of `src`.
#[test]
fn the_cluster_is_handed_time_and_chance() {
    let rooms = ["cluster", "ledger", "view", "work"];
    let sources = ["SystemTime::now(", "Uuid::new_v4(", "Uuid::now_v7(", "fastrand::"];
    hold(rust().iter().filter(|source| !source.is_test()).filter_map(|source| {
        let path = source.path.strip_prefix("src/")?;
        rooms.iter().find(|room| path.starts_with(&format!("{room}/")) || path == format!("{room}.rs"))?;
        let code = source.text.strip_suffix(source.tests()).unwrap_or(&source.text);
        let found = sources.iter().find(|found| code.contains(**found))?;
        Some((source, format!("`{found}`: take it from Chance, or the time from the database")))
    }));
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

/// A row of ARCHITECTURE.md's code map: a part of the code, and the other parts that it may use.
struct Room {
    /// Its first path, as written there.
    name: String,
    paths: Vec<String>,
    looks_at: Vec<String>,
    looks_everywhere: bool,
}

impl Room {
    fn all() -> Vec<Self> {
        let text = read(&root().join("ARCHITECTURE.md"));
        let (_, map) = text.split_once("\n## Code map\n").expect("ARCHITECTURE.md has a code map");
        let rows = map.lines().skip_while(|line| !line.starts_with("|--")).skip(1);
        let rooms: Vec<_> = rows.take_while(|line| line.starts_with('|')).filter_map(Self::read).collect();
        assert!(rooms.len() > 10, "the code map is not where this test looks for it");
        rooms
    }

    /// Reads a row, unless it is about no code of the programs.
    fn read(row: &str) -> Option<Self> {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let paths = spans(cells.get(1)?);
        let is_code = paths.iter().all(|path| path.starts_with("src/") || path.starts_with("middleware/"));
        let looks_everywhere = cells.get(3)?.starts_with("all");
        is_code.then(|| Self { name: paths[0].clone(), looks_at: spans(cells[3]), paths, looks_everywhere })
    }

    /// The room of a file: the one with the longest path.
    fn of<'r>(rooms: &'r [Self], file: &str) -> &'r Self {
        let longest = |room: &&Self| room.paths.iter().filter(|path| covers(path, file)).map(String::len).max();
        let room = rooms.iter().filter(|room| longest(room).is_some()).max_by_key(longest);
        room.unwrap_or_else(|| panic!("{file} is in no row of ARCHITECTURE.md's code map"))
    }

    fn sees(&self, name: &str) -> bool {
        self.looks_everywhere || self.looks_at.iter().any(|seen| seen == name)
    }
}

/// Whether a path of the map covers a file: a folder ends in a slash and covers its front file, too.
fn covers(path: &str, file: &str) -> bool {
    match path.strip_suffix('/') {
        Some(folder) => file.starts_with(path) || file.strip_suffix(".rs") == Some(folder),
        None => path == file,
    }
}

/// The code spans of a cell.
fn spans(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// All modules of the programs' crates, as their manifests name them.
fn modules() -> Modules {
    let manifests: Vec<_> = ["middleware", "src"].iter().flat_map(|folder| files(folder)).collect();
    let manifests = manifests.iter().filter(|path| path.ends_with("Cargo.toml")).map(|path| relative(path));
    let mut modules = Modules::default();
    for manifest in manifests {
        let text = read(&root().join(&manifest));
        let name = text.lines().find_map(|line| line.strip_prefix("name = \"")).expect("a crate has a name");
        let folder = manifest.trim_end_matches("Cargo.toml");
        modules.read_crate(&name.trim_end_matches('"').replace('-', "_"), root(), &format!("{folder}lib.rs"));
    }
    modules
}

/// The import graph. A file may use the front files of the folders that it is in: they are one room.
fn graph() -> Graph {
    let mut graph = modules().graph();
    assert!(graph.len() > 200, "the programs are not where this test looks for them");
    for (file, used) in &mut graph {
        used.retain(|other| {
            let front = other.trim_end_matches(".rs").trim_end_matches("/lib");
            !file.strip_prefix(front).is_some_and(|rest| rest.starts_with('/'))
        });
    }
    graph
}

/// Documents, and files with comments that operators read.
fn prose() -> Vec<PathBuf> {
    let mut paths: Vec<_> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "pipeline.toml"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    paths.extend(["docs", "deploy"].iter().flat_map(|folder| files(folder)));
    let kinds = ["md", "toml", "yml", "yaml", "conf", "cfg", "service"];
    // It quotes the words.
    paths.retain(|path| !path.ends_with("docs/style.md"));
    paths.retain(|path| path.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| kinds.contains(&kind)));
    paths
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
