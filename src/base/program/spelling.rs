//! A command line as people write it, made into one as argh takes it.
//!
//! argh knows neither `--api=URL` nor a second name of a command, wants a flag behind the very word it belongs to, and takes any
//! word for the value of a flag. Here a flag may stand anywhere: it is put behind the innermost word of the line that knows it.
//! No value is made up: a word that begins with a dash is a flag, and a flag without a value is refused.

use std::iter::{Cloned, Peekable};
use std::process::ExitCode;
use std::slice;

use argh::{CommandInfoWithArgs, FlagInfo, FlagInfoKind, FromArgs, Optionality};

use super::terminal::{complain, print};
use crate::client::blanked_in;
use crate::names::nearest;

/// The exit code for a command line that cannot be understood.
pub const MISUNDERSTOOD: u8 = 2;

const HELP: &str = "help";

/// The grammar of a program's lines.
pub struct Language {
    /// The program's name.
    pub program: &'static str,
    /// Its flags and commands.
    pub root: CommandInfoWithArgs,
    /// Other names of its commands.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Other names of flags, where the flag itself is not known.
    pub synonyms: &'static [(&'static str, &'static str)],
    /// The flags that take an empty value.
    pub emptied: &'static [&'static str],
}

/// A mistake in a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Misspelt(#[from] Mistake);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Mistake {
    #[error("`{path}` has no command `{word}`{}{}", suggested(.nearest), doubted(.taken))]
    Command { path: String, word: String, nearest: Option<String>, taken: Option<String> },
    #[error("`{path}` has no flag `{flag}`{}", suggested(.nearest))]
    Flag { path: String, flag: String, nearest: Option<String> },
    #[error("`{flag}` is on or off: `{value}` is neither true nor false")]
    Switch { flag: String, value: String },
    #[error("`{flag}` needs a value: `{flag} {}`", .name.to_uppercase())]
    NoValue { flag: String, name: &'static str },
    // The word is not repeated: it may be a secret.
    #[error("`{flag}` needs a value, and a flag follows; a value that begins with a dash is written `{flag}=-…`")]
    FlagForValue { flag: String },
    #[error("`{flag}` needs a value, and the given one is empty")]
    EmptyValue { flag: String },
    #[error("an argument of `{path}` is empty")]
    EmptyArgument { path: String },
    #[error("`{path}` needs an argument: {}{}", .name.to_uppercase(), doubted(.taken))]
    NoArgument { path: String, name: &'static str, taken: Option<String> },
    #[error("`{path}` takes no argument `{argument}`")]
    Surplus { path: String, argument: String },
    #[error("`{path}` needs a command that `{flag}` belongs to")]
    NoCommand { path: String, flag: &'static str },
    #[error("`{path}` needs the flag `{flag} {}`", .name.to_uppercase())]
    NoFlag { path: String, flag: &'static str, name: &'static str },
}

fn suggested(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A question after the flag that took the word before for its value.
fn doubted(taken: &Option<String>) -> String {
    taken.as_ref().map(|flag| format!("; was the value of `{flag}` left out?")).unwrap_or_default()
}

/// The words of a line that are still to be read.
type Rest<'l> = Peekable<Cloned<slice::Iter<'l, String>>>;

/// Those behind the program's name.
fn rest(line: &[String]) -> Rest<'_> {
    line.get(1..).unwrap_or_default().iter().cloned().peekable()
}

impl Language {
    /// Reads a command line, which begins with the program's name.
    ///
    /// # Errors
    /// What to end with at once, its text having been printed: 0 after help, 2 for a line that cannot be understood.
    pub fn read<T: FromArgs>(&self, line: &[String]) -> Result<T, ExitCode> {
        let misunderstood = |why: &str| {
            // A word of the line may be a URL with a password.
            let why = blanked_in(why.trim_end());
            complain(&format!("{why}\nRun {} --help for more information.", self.program));
            ExitCode::from(MISUNDERSTOOD)
        };
        let spelt = self.spelt(line).map_err(|misspelt| misunderstood(&misspelt.to_string()))?;
        let spelt: Vec<&str> = spelt.iter().map(String::as_str).collect();
        T::from_args(&[self.program], &spelt).map_err(|exit| match exit.status {
            Ok(()) => print(&format!("{}\n", exit.output.trim_end())).map_or_else(
                |error| {
                    complain(&error.to_string());
                    ExitCode::FAILURE
                },
                |_| ExitCode::SUCCESS,
            ),
            Err(()) => misunderstood(&exit.output),
        })
    }

    /// Writes a line, which begins with the program's name, in argh's way. The name is left out.
    pub fn spelt(&self, line: &[String]) -> Result<Vec<String>, Misspelt> {
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
pub struct Begun<'t> {
    /// The innermost command that was named.
    pub command: &'t CommandInfoWithArgs,
    /// The group it is of, if it is of one.
    pub group: Option<&'t str>,
    /// How many arguments it has by now.
    pub arguments: usize,
    flags: Vec<Flag>,
}

impl<'t> Begun<'t> {
    /// Reads the line. The run reports its mistakes.
    pub fn read(language: &'t Language, line: &[String]) -> Self {
        let (mut read, mut rest) = (Line::new(language), rest(line));
        while let Some(word) = rest.next() {
            let _ = if is_flag(&word) { read.flag(&word, &mut rest) } else { read.word(word) };
        }
        let group = read.path.iter().rev().nth(1).map(|group| group.name);
        Self { command: read.innermost(), group, arguments: read.arguments.len(), flags: read.flags }
    }

    /// The value of a flag.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().find(|flag| plain(flag.info) == name).and_then(|flag| flag.value.as_deref())
    }
}

struct Line<'t> {
    language: &'t Language,
    /// From the program to the innermost command that was named.
    path: Vec<&'t CommandInfoWithArgs>,
    flags: Vec<Flag>,
    arguments: Vec<String>,
    /// The flag that has taken the last word for its value.
    taken: Option<String>,
    help: bool,
}

struct Flag {
    info: &'static FlagInfo<'static>,
    value: Option<String>,
}

impl<'t> Line<'t> {
    fn new(language: &'t Language) -> Self {
        Self {
            language,
            path: vec![&language.root],
            flags: Vec::new(),
            arguments: Vec::new(),
            taken: None,
            help: false,
        }
    }

    fn innermost(&self) -> &'t CommandInfoWithArgs {
        self.path[self.path.len() - 1]
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.path.iter().skip(1).map(|command| command.name).collect();
        [self.language.program].iter().chain(&names).copied().collect::<Vec<_>>().join(" ")
    }

    fn word(&mut self, word: String) -> Result<(), Mistake> {
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
            // A flag may be meant, without its dashes.
            let flag = own(self.innermost(), &word).map(|flag| flag.long);
            let nearest = nearest(&word, commands.iter().map(|command| command.name)).or(flag).map(str::to_owned);
            return Err(Mistake::Command { path: self.names(), word, nearest, taken: self.taken.take() });
        };
        self.taken = None;
        self.path.push(&found.command);
        Ok(())
    }

    fn argument(&mut self, argument: String) -> Result<(), Mistake> {
        if argument.is_empty() {
            return Err(Mistake::EmptyArgument { path: self.names() });
        }
        self.taken = None;
        self.arguments.push(argument);
        Ok(())
    }

    fn flag(&mut self, part: &str, rest: &mut Rest<'_>) -> Result<(), Mistake> {
        let (flag, value) = part.split_once('=').map_or((part, None), |(flag, value)| (flag, Some(value.to_owned())));
        let name = flag.trim_start_matches('-');
        self.taken = None;
        if matches!(name, "help" | "h") {
            self.help = true;
            return Ok(());
        }
        let synonym = self.language.synonyms.iter().find(|(other, _)| *other == name).map(|(_, name)| *name);
        let Some(info) = self.known(name).or_else(|| self.known(synonym?)) else {
            let here = self.path.iter().flat_map(|command| command.flags).map(|flag| flag.long);
            let nearest = nearest(flag, here.chain(flags_below(self.innermost())));
            let (flag, nearest) = (flag.to_owned(), nearest.map(str::to_owned));
            return Err(Mistake::Flag { path: self.names(), flag, nearest });
        };
        let value = match (&info.kind, value) {
            (FlagInfoKind::Option { arg_name }, given) => Some(self.value(flag, info, arg_name, given, rest)?),
            (FlagInfoKind::Switch, None) => None,
            (FlagInfoKind::Switch, Some(value)) => match value.as_str() {
                "true" | "1" => None,
                "false" | "0" => return Ok(()),
                _ => return Err(Mistake::Switch { flag: flag.to_owned(), value }),
            },
        };
        self.flags.push(Flag { info, value });
        Ok(())
    }

    /// The value of a flag: the part after `=`, else the next word if that is no flag.
    fn value(
        &mut self,
        flag: &str,
        info: &FlagInfo<'_>,
        name: &'static str,
        given: Option<String>,
        rest: &mut Rest<'_>,
    ) -> Result<String, Mistake> {
        let flag = || flag.to_owned();
        self.taken = given.is_none().then(flag);
        let value = match given {
            Some(given) => given,
            None if rest.peek().is_some_and(|word| is_flag(word)) => {
                return Err(Mistake::FlagForValue { flag: flag() });
            }
            None => rest.next().ok_or_else(|| Mistake::NoValue { flag: flag(), name })?,
        };
        let may_be_empty = self.language.emptied.contains(&plain(info));
        if value.is_empty() && !may_be_empty { Err(Mistake::EmptyValue { flag: flag() }) } else { Ok(value) }
    }

    /// The flag of that name: of the innermost command that has it, else of a possible subcommand.
    fn known(&self, name: &str) -> Option<&'static FlagInfo<'static>> {
        self.path.iter().rev().find_map(|command| own(command, name)).or_else(|| below(self.innermost(), name))
    }

    /// Refuses a line that lacks something, or has too much.
    fn complete(&self) -> Result<(), Mistake> {
        let command = self.innermost();
        if self.help {
            return Ok(());
        }
        if !command.commands.is_empty() {
            // A group of commands alone asks for its list; a flag of one of them asks for more.
            let of_one =
                self.flags.iter().find(|flag| self.path.iter().all(|command| own(command, plain(flag.info)).is_none()));
            return of_one.map_or(Ok(()), |flag| {
                let (path, flag) = (self.names(), flag.info.long);
                Err(Mistake::NoCommand { path, flag })
            });
        }
        let wanted = command.positionals;
        if let Some(argument) = self.arguments.get(wanted.len()) {
            return Err(Mistake::Surplus { path: self.names(), argument: argument.clone() });
        }
        let required = |flag: &&FlagInfo<'_>| matches!(flag.optionality, Optionality::Required);
        let is_given = |long: &str| self.flags.iter().any(|flag| flag.info.long == long);
        for FlagInfo { long: flag, kind, .. } in command.flags.iter().filter(required) {
            if let FlagInfoKind::Option { arg_name: name } = kind
                && !is_given(flag)
            {
                return Err(Mistake::NoFlag { path: self.names(), flag, name });
            }
        }
        let next = wanted.get(self.arguments.len()).filter(|next| matches!(next.optionality, Optionality::Required));
        next.map_or(Ok(()), |next| {
            Err(Mistake::NoArgument { path: self.names(), name: next.name, taken: self.taken.clone() })
        })
    }

    fn written(mut self) -> Vec<String> {
        // A group of commands alone asks for its list.
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
