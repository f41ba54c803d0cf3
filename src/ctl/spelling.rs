//! A command line as people write it, made into one as argh takes it.
//!
//! argh knows neither `--api=URL` nor a second name of a command, and wants a flag behind the very word it belongs to. Here a flag
//! may stand anywhere: it is put behind the innermost word of the line that knows it.

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind};

use crate::pipeline::nearest;

/// Other names of the first word, as the original has them.
const ALIASES: [(&str, &str); 15] = [
    ("s", "show"),
    ("update", "set"),
    ("u", "set"),
    ("add", "set"),
    ("a", "set"),
    ("d", "delete"),
    ("del", "delete"),
    ("rm", "delete"),
    ("en", "enable"),
    ("start", "enable"),
    ("dis", "disable"),
    ("stop", "disable"),
    ("cm", "create-meeting"),
    ("h", HELP),
    ("help", HELP),
];

/// Other names of flags, where the flag itself is not known.
const SYNONYMS: [(&str, &str); 4] =
    [("feid", "frontend-id"), ("fe", "frontend"), ("dry", "dry-run"), ("dry-run", "dry")];

const HELP: &str = "help";

/// A word that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misspelt {
    #[error("`{path}` has no command `{word}`{}", suggested(.nearest))]
    Command { path: String, word: String, nearest: Option<String> },
    #[error("`{path}` has no flag `{flag}`{}", suggested(.nearest))]
    Flag { path: String, flag: String, nearest: Option<String> },
    #[error("`{flag}` is on or off: `{value}` is neither true nor false")]
    Switch { flag: String, value: String },
}

fn suggested(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Writes a line, which begins with the program's name, in argh's way. The name is left out.
pub(super) fn spelt(root: &CommandInfoWithArgs, line: &[String]) -> Result<Vec<String>, Misspelt> {
    let mut parts = line.iter().skip(1).cloned();
    let mut read = Line::new(root);
    while let Some(part) = parts.next() {
        match part.strip_prefix('-') {
            Some("-") => read.arguments.extend(parts.by_ref()),
            Some(rest) if !rest.is_empty() => read.flag(&part, || parts.next())?,
            _ => read.word(part)?,
        }
    }
    Ok(read.written())
}

/// A line that is still being written.
pub(super) struct Begun<'t> {
    /// The innermost command that was named.
    pub(super) command: &'t CommandInfoWithArgs,
    /// The group it is of, if it is of one.
    pub(super) group: Option<&'t str>,
    /// How many arguments it has by now.
    pub(super) arguments: usize,
    flags: Vec<Flag>,
}

impl<'t> Begun<'t> {
    /// Reads what there is. What is wrong with it is for its run to say.
    pub(super) fn read(root: &'t CommandInfoWithArgs, line: &[String]) -> Self {
        let mut read = Line::new(root);
        let mut parts = line.iter().skip(1).cloned();
        while let Some(part) = parts.next() {
            let is_flag = part.len() > 1 && part.starts_with('-');
            let _ = if is_flag { read.flag(&part, || parts.next()) } else { read.word(part) };
        }
        let group = read.path.iter().rev().nth(1).map(|group| group.name);
        Self { command: read.innermost(), group, arguments: read.arguments.len(), flags: read.flags }
    }

    /// The value of a flag.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| plain(flag.info) == name).and_then(|flag| flag.value.as_deref())
    }
}

struct Line<'t> {
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
    fn new(root: &'t CommandInfoWithArgs) -> Self {
        Self { path: vec![root], flags: Vec::new(), arguments: Vec::new(), help: false }
    }

    fn innermost(&self) -> &'t CommandInfoWithArgs {
        self.path[self.path.len() - 1]
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.path.iter().skip(1).map(|command| command.name).collect();
        ["b3scalectl"].iter().chain(&names).copied().collect::<Vec<_>>().join(" ")
    }

    fn word(&mut self, word: String) -> Result<(), Misspelt> {
        let commands = &self.innermost().commands;
        if commands.is_empty() {
            self.arguments.push(word);
            return Ok(());
        }
        let is_first = self.path.len() == 1;
        let alias = ALIASES.iter().find(|(alias, _)| *alias == word && (is_first || word == HELP));
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

    fn flag(&mut self, part: &str, next: impl FnOnce() -> Option<String>) -> Result<(), Misspelt> {
        let (flag, value) = part.split_once('=').map_or((part, None), |(flag, value)| (flag, Some(value.to_owned())));
        let name = flag.trim_start_matches('-');
        if matches!(name, "help" | "h") {
            self.help = true;
            return Ok(());
        }
        let synonym = SYNONYMS.iter().find(|(other, _)| *other == name).map(|(_, name)| *name);
        let Some(info) = self.known(name).or_else(|| self.known(synonym?)) else {
            let nearest = nearest(flag, self.path.iter().flat_map(|command| command.flags).map(|flag| flag.long));
            let (flag, nearest) = (flag.to_owned(), nearest.map(str::to_owned));
            return Err(Misspelt::Flag { path: self.names(), flag, nearest });
        };
        let value = match (&info.kind, value) {
            (FlagInfoKind::Option { .. }, given) => given.or_else(next),
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

    /// The flag of that name: of the innermost command that has it, else of one that may still be named.
    fn known(&self, name: &str) -> Option<&'static FlagInfo<'static>> {
        self.path.iter().rev().find_map(|command| own(command, name)).or_else(|| below(self.innermost(), name))
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

fn own(command: &CommandInfoWithArgs, name: &str) -> Option<&'static FlagInfo<'static>> {
    let is_short = |flag: &FlagInfo| flag.short.is_some_and(|short| name.chars().eq([short]));
    command.flags.iter().find(|flag| plain(flag) == name || is_short(flag))
}

fn below(command: &CommandInfoWithArgs, name: &str) -> Option<&'static FlagInfo<'static>> {
    let inner = || command.commands.iter().map(|inner| &inner.command);
    inner().find_map(|inner| own(inner, name).or_else(|| below(inner, name)))
}

fn plain<'f>(flag: &FlagInfo<'f>) -> &'f str {
    flag.long.trim_start_matches('-')
}

#[cfg(test)]
mod tests {
    use argh::ArgsInfo;

    use crate::ctl::B3scalectl;

    fn spelt(text: &str) -> Result<String, String> {
        let line: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let spelt = super::spelt(&B3scalectl::get_args_info(), &line);
        spelt.map(|line| line.join(" ")).map_err(|misspelt| misspelt.to_string())
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
            ("b3scalectl auth create-access-token --sub x", "auth create_access_token --sub x"),
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
        assert_eq!(spelt("b3scalectl end meeting -- -x --yes").unwrap(), "end meeting -- -x --yes");
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
        assert_eq!(said("xyzzyplugh"), "`b3scalectl` has no command `xyzzyplugh`");
    }
}
