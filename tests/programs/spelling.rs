//! How lines of the three programs are read.

use b3scale::cli::B3scaled;
use b3scale::program::spelling::Begun;
use b3scale_agent::B3scaleagent;
use b3scale_ctl::B3scalectl;

/// A line, which is split at spaces. `""` is an empty word.
fn spelt(text: &str) -> Result<String, String> {
    let line: Vec<String> = text.split_whitespace().map(|word| word.replace("\"\"", "")).collect();
    let language = match &*line[0] {
        "b3scaled" => B3scaled::language(),
        "b3scaleagent" => B3scaleagent::language(),
        _ => B3scalectl::language(),
    };
    language.spelt(&line).map(|line| line.join(" ")).map_err(|misspelt| misspelt.to_string())
}

#[test]
fn a_flag_without_a_value_is_refused_and_no_value_is_made_up() {
    let lines = [
        "b3scalectl set frontend school --secret",
        "b3scalectl set frontend school -s",
        "b3scalectl set frontend school -j",
        "b3scalectl show frontends --api",
        "b3scalectl explain create --frontend",
        "b3scaled token --scopes",
        "b3scaled --pipeline",
    ];
    for line in lines {
        let flag = line.split(' ').next_back().unwrap();
        let said = spelt(line).unwrap_err();
        assert!(said.starts_with(&format!("`{flag}` needs a value: `{flag} ")), "{line}: {said}");
    }
    assert_eq!(spelt(lines[0]).unwrap_err(), "`--secret` needs a value: `--secret SECRET`");
    for line in [
        "b3scalectl set frontend --secret --host school",
        "b3scalectl set frontend --secret -j {} school",
        "b3scalectl set frontend --secret -- school",
        "b3scalectl set frontend -secret -dry school",
        "b3scaled token --sub --scopes b3scale",
        "b3scaled --pipeline --check",
        "b3scaled node --secret --listen 127.0.0.1:0",
    ] {
        assert!(spelt(line).unwrap_err().contains(" needs a value, and a flag follows; "), "{line}");
    }
    for line in [
        "b3scalectl set frontend school --secret=",
        "b3scalectl set frontend school --secret \"\"",
        "b3scalectl set backend http://n --opts=",
        "b3scalectl show frontends --api=",
        "b3scaled token --sub=",
        "b3scaled --listen=",
    ] {
        assert!(spelt(line).unwrap_err().ends_with(" needs a value, and the given one is empty"), "{line}");
    }
    assert_eq!(
        spelt("b3scalectl delete frontend \"\"").unwrap_err(),
        "an argument of `b3scalectl delete frontend` is empty"
    );
}

#[test]
fn what_a_line_lacks_or_has_too_much_is_named() {
    let said = |line: &str| spelt(line).unwrap_err();
    assert_eq!(said("b3scalectl set backend -s=x"), "`b3scalectl set backend` needs an argument: HOST");
    assert_eq!(
        said("b3scalectl set recording-visibility id"),
        "`b3scalectl set recording-visibility` needs an argument: VISIBILITY"
    );
    assert_eq!(said("b3scalectl import b3scale"), "`b3scalectl import b3scale` needs the flag `--from URL`");
    assert_eq!(said("b3scalectl import b3scale url"), "`b3scalectl import b3scale` takes no argument `url`");
    assert_eq!(said("b3scalectl show meetings x"), "`b3scalectl show meetings` takes no argument `x`");
    assert_eq!(said("b3scaled migrate now"), "`b3scaled migrate` takes no argument `now`");
    assert_eq!(spelt("b3scalectl pipeline check").unwrap(), "pipeline check", "its file may be left out");
}

#[test]
fn a_flag_in_place_of_a_command_is_suggested_and_a_flag_without_its_command_is_refused() {
    let said = |line: &str| spelt(line).unwrap_err();
    assert_eq!(said("b3scaleagent register"), "`b3scaleagent` has no command `register`; did you mean `--register`?");
    let expected = "`b3scalectl import` needs a command that `--from` belongs to";
    assert_eq!(said("b3scalectl import --from redis://h"), expected);
    assert_eq!(spelt("b3scalectl import").unwrap(), "import --help");
    assert_eq!(spelt("b3scalectl import --json").unwrap(), "import --help");
}

#[test]
fn a_value_may_begin_with_a_dash_and_some_may_be_empty() {
    let said = |line: &str| spelt(&format!("b3scalectl {line}")).unwrap();
    assert_eq!(said("set frontend k --secret=--host"), "set frontend --secret --host -- k");
    assert_eq!(said("set frontend k -s=-x"), "set frontend --secret -x -- k");
    assert_eq!(said("set backend k --load-factor -1.5"), "set backend --load-factor -1.5 -- k");
    assert_eq!(said("show backend -1.5"), "show backend -- -1.5", "a number is no flag wherever it stands");
    assert_eq!(said("set frontend k --next-secret="), "set frontend --next-secret  -- k");
    assert_eq!(said("set frontend k --next-secret \"\""), "set frontend --next-secret  -- k");
}

#[test]
fn a_number_that_begins_with_a_dash_counts_as_an_argument_while_a_line_is_completed() {
    let language = B3scalectl::language();
    let line = ["b3scalectl", "set", "backend", "-1.5", "--secret", "-2", "-s"].map(str::to_owned);
    let begun = Begun::read(&language, &line);
    assert_eq!((begun.arguments, begun.value("secret")), (1, Some("-2")));
}

#[test]
fn the_lines_of_the_server_and_of_the_agent_are_written_as_freely() {
    assert_eq!(spelt("b3scaled --listen=127.0.0.1:1 --check").unwrap(), "--listen 127.0.0.1:1 --check");
    assert_eq!(spelt("b3scaled --listen 127.0.0.1:1 demo").unwrap(), "demo --listen 127.0.0.1:1");
    assert_eq!(spelt("b3scaled help token").unwrap(), "token --help");
    assert_eq!(spelt("b3scaled tokn").unwrap_err(), "`b3scaled` has no command `tokn`; did you mean `token`?");
    let said = spelt("b3scaled token --scope b3scale").unwrap_err();
    assert_eq!(said, "`b3scaled token` has no flag `--scope`; did you mean `--scopes`?");
    for (line, expected) in [
        ("-a", "--register"),
        ("-register", "--register"),
        ("-version", "--version"),
        ("-h", "--help"),
        ("drain -wait", "drain --wait"),
        ("drain -help", "drain --help"),
    ] {
        assert_eq!(spelt(&format!("b3scaleagent {line}")).unwrap(), expected);
    }
}

#[test]
fn the_lines_of_the_original_are_understood() {
    let cases = [
        ("b3scalectl", ""),
        ("b3scalectl -b http://a s backends", "--api http://a show backends"),
        ("b3scalectl --api=http://a show --json backends", "--json show backends"),
        ("b3scalectl -api http://a show backends", "--api http://a show backends"),
        (
            "b3scalectl add --dry backend --secret=s -j {} http://n",
            "set --dry backend --secret s --opts {} -- http://n",
        ),
        ("b3scalectl u frontend -s x key", "set frontend --secret x -- key"),
        ("b3scalectl rm backend -f http://n", "delete backend --force -- http://n"),
        ("b3scalectl stop frontend key", "disable frontend -- key"),
        ("b3scalectl en backend x", "enable backend -- x"),
        ("b3scalectl cm --frontend f --param a=b --param=c=d", "create-meeting --frontend f --param a=b --param c=d"),
        ("b3scalectl show recordings --fe key", "show recordings --frontend key"),
        ("b3scalectl show recordings --feid id", "show recordings --frontend-id id"),
        ("b3scalectl auth create-access-token --sub x --scopes y", "auth create_access_token --sub x --scopes y"),
    ];
    for (line, expected) in cases {
        let expected = if line.contains("--api=") { format!("--api http://a {expected}") } else { expected.to_owned() };
        assert_eq!(spelt(line), Ok(expected), "{line}");
    }
}

#[test]
fn flags_may_stand_behind_what_they_belong_to_or_before_it() {
    assert_eq!(spelt("b3scalectl show backends --json").unwrap(), "--json show backends");
    assert_eq!(spelt("b3scalectl set backend HOST --dry -s x").unwrap(), "set --dry backend --secret x -- HOST");
    assert_eq!(spelt("b3scalectl --dry set backend HOST").unwrap(), "set --dry backend -- HOST");
    assert_eq!(spelt("b3scalectl show --json=false backends").unwrap(), "show backends");
    assert_eq!(spelt("b3scalectl state import --dry -").unwrap(), "state import --dry-run -- -");
    assert_eq!(spelt("b3scalectl end meeting --yes -- --yes").unwrap(), "--yes end meeting -- --yes");
}

#[test]
fn help_is_to_be_had_everywhere_and_for_a_group_alone() {
    let lines = ["-h show", "show", "help show", "show --help", "h s", "show -h --json"];
    for line in lines {
        assert_eq!(spelt(&format!("b3scalectl {line}")).unwrap(), "show --help", "{line}");
    }
    assert_eq!(spelt("b3scalectl set backend HOST -h").unwrap(), "set backend --help");
    assert_eq!(spelt("b3scalectl help").unwrap(), "--help");
}

#[test]
fn what_nobody_knows_is_named_with_what_may_have_been_meant() {
    let said = |line: &str| spelt(&format!("b3scalectl {line}")).unwrap_err();
    assert_eq!(said("shwo"), "`b3scalectl` has no command `shwo`; did you mean `show`?");
    assert_eq!(said("show backnds"), "`b3scalectl show` has no command `backnds`; did you mean `backends`?");
    assert_eq!(said("show backends --jsno"), "`b3scalectl show backends` has no flag `--jsno`; did you mean `--json`?");
    assert_eq!(said("show backends --json=perhaps"), "`--json` is on or off: `perhaps` is neither true nor false");
    assert_eq!(said("set --secrt x frontend k"), "`b3scalectl set` has no flag `--secrt`; did you mean `--secret`?");
    assert_eq!(said("xyzzyplugh"), "`b3scalectl` has no command `xyzzyplugh`");
}

#[test]
fn a_word_that_a_flag_took_for_its_value_is_doubted_where_it_is_missed() {
    let said = |line: &str| spelt(&format!("b3scalectl {line}")).unwrap_err();
    assert_eq!(
        said("set --secret backend HOST"),
        "`b3scalectl set` has no command `HOST`; was the value of `--secret` left out?"
    );
    assert_eq!(
        said("set frontend --secret school"),
        "`b3scalectl set frontend` needs an argument: KEY; was the value of `--secret` left out?"
    );
    assert_eq!(said("set --secret=x frontend"), "`b3scalectl set frontend` needs an argument: KEY");
    assert_eq!(said("set -s x --dry frontend"), "`b3scalectl set frontend` needs an argument: KEY");
}
