//! A command line as people write it, made into one as argh takes it.
//!
//! argh knows neither `--api=URL` nor a second name of a command, wants a flag behind the very word it belongs to, and takes any
//! word for the value of a flag. Here a flag may stand anywhere: it is put behind the innermost word of the line that knows it.
//! No value is made up: a word that begins with a dash is a flag, and a flag without a value is refused.

use std::iter::{Cloned, Peekable};
use std::slice;

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, Optionality};

use crate::pipeline::nearest;

const HELP: &str = "help";

/// What the lines of a program are made of.
pub(crate) struct Language {
    /// The program's name.
    pub(crate) program: &'static str,
    /// Its flags and commands.
    pub(crate) root: CommandInfoWithArgs,
    /// Other names of its commands.
    pub(crate) aliases: &'static [(&'static str, &'static str)],
    /// Other names of flags, where the flag itself is not known.
    pub(crate) synonyms: &'static [(&'static str, &'static str)],
    /// The flags whose value may be empty.
    pub(crate) emptied: &'static [&'static str],
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misspelt {
    #[error("`{path}` has no command `{word}`{}", suggested(.nearest))]
    Command { path: String, word: String, nearest: Option<String> },
    #[error("`{path}` has no flag `{flag}`{}", suggested(.nearest))]
    Flag { path: String, flag: String, nearest: Option<String> },
    #[error("`{flag}` is on or off: `{value}` is neither true nor false")]
    Switch { flag: String, value: String },
    #[error("`{flag}` needs a value: `{flag} {}`", .name.to_uppercase())]
    NoValue { flag: String, name: &'static str },
    // The word is not repeated: it may be a secret.
    #[error("`{flag}` needs a value, and a flag follows; a value that begins with a dash is written `{flag}=-…`")]
    FlagForValue { flag: String },
    #[error("`{flag}` needs a value, and the one that is given is empty")]
    EmptyValue { flag: String },
    #[error("an argument of `{path}` is empty")]
    EmptyArgument { path: String },
    #[error("`{path}` needs an argument: {}", .name.to_uppercase())]
    NoArgument { path: String, name: &'static str },
    #[error("`{path}` takes no argument `{argument}`")]
    Surplus { path: String, argument: String },
    #[error("`{path}` needs the flag `{flag} {}`", .name.to_uppercase())]
    NoFlag { path: String, flag: &'static str, name: &'static str },
}

fn suggested(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// What may have been meant by a name that is not known, and all names that are, unless there is only one.
pub(crate) fn suggestion<'n>(given: &str, known: impl IntoIterator<Item = &'n str, IntoIter: Clone>) -> String {
    let known = known.into_iter();
    let all: Vec<String> = known.clone().map(|name| format!("`{name}`")).collect();
    match (nearest(given, known), &all[..]) {
        (Some(name), [_]) => format!("; did you mean `{name}`?"),
        (Some(name), _) => format!("; did you mean `{name}`? There are {}", all.join(", ")),
        (None, [only]) => format!("; the only one is {only}"),
        (None, _) => format!("; there are {}", all.join(", ")),
    }
}

/// The words of a line that are still to be read.
type Rest<'l> = Peekable<Cloned<slice::Iter<'l, String>>>;

/// Those behind the program's name.
fn rest(line: &[String]) -> Rest<'_> {
    line.get(1..).unwrap_or_default().iter().cloned().peekable()
}

impl Language {
    /// Writes a line, which begins with the program's name, in argh's way. The name is left out.
    pub(crate) fn spelt(&self, line: &[String]) -> Result<Vec<String>, Misspelt> {
        let (mut read, mut rest) = (Line::new(self), rest(line));
        while let Some(word) = rest.next() {
            match &*word {
                "--" => rest.by_ref().try_for_each(|argument| read.argument(argument))?,
                flag if is_flag(flag) => read.flag(flag, &mut rest)?,
                _ => read.word(word)?,
            }
        }
        read.complete()?;
        Ok(read.written())
    }
}

/// A line that is still being written.
pub(crate) struct Begun<'t> {
    /// The innermost command that was named.
    pub(crate) command: &'t CommandInfoWithArgs,
    /// The group it is of, if it is of one.
    pub(crate) group: Option<&'t str>,
    /// How many arguments it has by now.
    pub(crate) arguments: usize,
    flags: Vec<Flag>,
}

impl<'t> Begun<'t> {
    /// Reads what there is. What is wrong with it is for its run to say.
    pub(crate) fn read(language: &'t Language, line: &[String]) -> Self {
        let (mut read, mut rest) = (Line::new(language), rest(line));
        while let Some(word) = rest.next() {
            let _ = if is_flag(&word) { read.flag(&word, &mut rest) } else { read.word(word) };
        }
        let group = read.path.iter().rev().nth(1).map(|group| group.name);
        Self { command: read.innermost(), group, arguments: read.arguments.len(), flags: read.flags }
    }

    /// The value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| plain(flag.info) == name).and_then(|flag| flag.value.as_deref())
    }
}

struct Line<'t> {
    language: &'t Language,
    /// From the program to the innermost command that was named.
    path: Vec<&'t CommandInfoWithArgs>,
    flags: Vec<Flag>,
    arguments: Vec<String>,
    help: bool,
}

struct Flag {
    info: &'static FlagInfo<'static>,
    value: Option<String>,
}

impl<'t> Line<'t> {
    fn new(language: &'t Language) -> Self {
        Self { language, path: vec![&language.root], flags: Vec::new(), arguments: Vec::new(), help: false }
    }

    fn innermost(&self) -> &'t CommandInfoWithArgs {
        self.path[self.path.len() - 1]
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.path.iter().skip(1).map(|command| command.name).collect();
        [self.language.program].iter().chain(&names).copied().collect::<Vec<_>>().join(" ")
    }

    fn word(&mut self, word: String) -> Result<(), Misspelt> {
        let commands = &self.innermost().commands;
        if commands.is_empty() {
            return self.argument(word);
        }
        let is_first = self.path.len() == 1;
        let alias = self.language.aliases.iter().find(|(alias, _)| is_first && *alias == word);
        let meant = alias.map_or(word.as_str(), |(_, name)| name);
        if meant == HELP {
            self.help = true;
            return Ok(());
        }
        let plain = |name: &str| name.replace('_', "-");
        let Some(found) = commands.iter().find(|command| plain(command.name) == plain(meant)) else {
            let nearest = nearest(&word, commands.iter().map(|command| command.name)).map(str::to_owned);
            return Err(Misspelt::Command { path: self.names(), word, nearest });
        };
        self.path.push(&found.command);
        Ok(())
    }

    fn argument(&mut self, argument: String) -> Result<(), Misspelt> {
        if argument.is_empty() {
            return Err(Misspelt::EmptyArgument { path: self.names() });
        }
        self.arguments.push(argument);
        Ok(())
    }

    fn flag(&mut self, part: &str, rest: &mut Rest<'_>) -> Result<(), Misspelt> {
        let (flag, value) = part.split_once('=').map_or((part, None), |(flag, value)| (flag, Some(value.to_owned())));
        let name = flag.trim_start_matches('-');
        if matches!(name, "help" | "h") {
            self.help = true;
            return Ok(());
        }
        let synonym = self.language.synonyms.iter().find(|(other, _)| *other == name).map(|(_, name)| *name);
        let Some(info) = self.known(name).or_else(|| self.known(synonym?)) else {
            let here = self.path.iter().flat_map(|command| command.flags).map(|flag| flag.long);
            let nearest = nearest(flag, here.chain(flags_below(self.innermost())));
            let (flag, nearest) = (flag.to_owned(), nearest.map(str::to_owned));
            return Err(Misspelt::Flag { path: self.names(), flag, nearest });
        };
        let value = match (&info.kind, value) {
            (FlagInfoKind::Option { arg_name }, given) => Some(self.value(flag, info, arg_name, given, rest)?),
            (FlagInfoKind::Switch, None) => None,
            (FlagInfoKind::Switch, Some(value)) => match value.as_str() {
                "true" | "1" => None,
                "false" | "0" => return Ok(()),
                _ => return Err(Misspelt::Switch { flag: flag.to_owned(), value }),
            },
        };
        self.flags.push(Flag { info, value });
        Ok(())
    }

    /// The value of a flag: the one that is given with it, else the next word if that is no flag.
    fn value(
        &self,
        flag: &str,
        info: &FlagInfo<'_>,
        name: &'static str,
        given: Option<String>,
        rest: &mut Rest<'_>,
    ) -> Result<String, Misspelt> {
        let flag = || flag.to_owned();
        let value = match given {
            Some(given) => given,
            None if rest.peek().is_some_and(|word| is_flag(word)) => {
                return Err(Misspelt::FlagForValue { flag: flag() });
            }
            None => rest.next().ok_or_else(|| Misspelt::NoValue { flag: flag(), name })?,
        };
        let may_be_empty = self.language.emptied.contains(&plain(info));
        if value.is_empty() && !may_be_empty { Err(Misspelt::EmptyValue { flag: flag() }) } else { Ok(value) }
    }

    /// The flag of that name: of the innermost command that has it, else of one that may still be named.
    fn known(&self, name: &str) -> Option<&'static FlagInfo<'static>> {
        self.path.iter().rev().find_map(|command| own(command, name)).or_else(|| below(self.innermost(), name))
    }

    /// Refuses a line that lacks something, or has too much.
    fn complete(&self) -> Result<(), Misspelt> {
        let command = self.innermost();
        if self.help || !command.commands.is_empty() {
            return Ok(());
        }
        let wanted = command.positionals;
        if let Some(argument) = self.arguments.get(wanted.len()) {
            return Err(Misspelt::Surplus { path: self.names(), argument: argument.clone() });
        }
        let required = |flag: &&FlagInfo<'_>| matches!(flag.optionality, Optionality::Required);
        let is_given = |long: &str| self.flags.iter().any(|flag| flag.info.long == long);
        for FlagInfo { long: flag, kind, .. } in command.flags.iter().filter(required) {
            if let FlagInfoKind::Option { arg_name: name } = kind
                && !is_given(flag)
            {
                return Err(Misspelt::NoFlag { path: self.names(), flag, name });
            }
        }
        let next = wanted.get(self.arguments.len()).filter(|next| matches!(next.optionality, Optionality::Required));
        next.map_or(Ok(()), |next| Err(Misspelt::NoArgument { path: self.names(), name: next.name }))
    }

    fn written(mut self) -> Vec<String> {
        // A group of commands alone is a question what there is.
        let is_group = self.path.len() > 1 && !self.innermost().commands.is_empty();
        if self.help || is_group {
            let names = self.path.iter().skip(1).map(|command| command.name.to_owned());
            return names.chain(["--help".to_owned()]).collect();
        }
        let mut levels: Vec<Vec<String>> = self.path.iter().map(|_| Vec::new()).collect();
        for Flag { info, value } in self.flags.drain(..) {
            let owner = self.path.iter().rposition(|command| own(command, plain(info)).is_some());
            let level = owner.unwrap_or(self.path.len() - 1);
            levels[level].push(info.long.to_owned());
            levels[level].extend(value);
        }
        let mut line = Vec::new();
        for (depth, (command, flags)) in self.path.iter().zip(levels).enumerate() {
            line.extend((depth > 0).then(|| command.name.to_owned()));
            line.extend(flags);
        }
        if !self.arguments.is_empty() {
            line.push("--".to_owned());
            line.append(&mut self.arguments);
        }
        line
    }
}

/// A word that begins with a dash is a flag, unless it is a number. The dash alone stands for standard input.
fn is_flag(word: &str) -> bool {
    word.len() > 1 && word.starts_with('-') && word.parse::<f64>().is_err()
}

fn own(command: &CommandInfoWithArgs, name: &str) -> Option<&'static FlagInfo<'static>> {
    let is_short = |flag: &FlagInfo| flag.short.is_some_and(|short| name.chars().eq([short]));
    command.flags.iter().find(|flag| plain(flag) == name || is_short(flag))
}

fn below(command: &CommandInfoWithArgs, name: &str) -> Option<&'static FlagInfo<'static>> {
    let inner = || command.commands.iter().map(|inner| &inner.command);
    inner().find_map(|inner| own(inner, name).or_else(|| below(inner, name)))
}

fn flags_below(command: &CommandInfoWithArgs) -> Vec<&'static str> {
    let inner = command.commands.iter().map(|inner| &inner.command);
    inner.flat_map(|inner| inner.flags.iter().map(|flag| flag.long).chain(flags_below(inner))).collect()
}

fn plain<'f>(flag: &FlagInfo<'f>) -> &'f str {
    flag.long.trim_start_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::B3scaleagent;
    use crate::cli::B3scaled;
    use crate::ctl::B3scalectl;

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
            assert!(spelt(line).unwrap_err().ends_with(" needs a value, and the one that is given is empty"), "{line}");
        }
        assert_eq!(
            spelt("b3scalectl delete frontend \"\"").unwrap_err(),
            "an argument of `b3scalectl delete frontend` is empty"
        );
    }

    #[test]
    fn what_a_line_lacks_or_has_too_much_is_named() {
        let said = |line: &str| spelt(line).unwrap_err();
        assert_eq!(said("b3scalectl set backend -s x"), "`b3scalectl set backend` needs an argument: HOST");
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
    fn the_names_that_there_are_are_told_once() {
        assert_eq!(suggestion("tag", ["tags"]), "; did you mean `tags`?");
        assert_eq!(suggestion("colour", ["tags"]), "; the only one is `tags`");
        assert_eq!(suggestion("tag", ["tags", "limit"]), "; did you mean `tags`? There are `tags`, `limit`");
        assert_eq!(suggestion("colour", ["tags", "limit"]), "; there are `tags`, `limit`");
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
            (
                "b3scalectl cm --frontend f --param a=b --param=c=d",
                "create-meeting --frontend f --param a=b --param c=d",
            ),
            ("b3scalectl show recordings --fe key", "show recordings --frontend key"),
            ("b3scalectl show recordings --feid id", "show recordings --frontend-id id"),
            ("b3scalectl auth create-access-token --sub x --scopes y", "auth create_access_token --sub x --scopes y"),
        ];
        for (line, expected) in cases {
            let expected =
                if line.contains("--api=") { format!("--api http://a {expected}") } else { expected.to_owned() };
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
        assert_eq!(
            said("show backends --jsno"),
            "`b3scalectl show backends` has no flag `--jsno`; did you mean `--json`?"
        );
        assert_eq!(said("show backends --json=perhaps"), "`--json` is on or off: `perhaps` is neither true nor false");
        assert_eq!(
            said("set --secrt x frontend k"),
            "`b3scalectl set` has no flag `--secrt`; did you mean `--secret`?"
        );
        assert_eq!(said("xyzzyplugh"), "`b3scalectl` has no command `xyzzyplugh`");
    }
}
