//! The first step: the text as TOML of the right shape, every name with its place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems, Source};

/// The version of the format that this server reads.
const VERSION: &str = "1";

const TOP: [&str; 4] = ["version", "entry", "stages", "routes"];
const ROUTE: [&str; 2] = ["entry", "stages"];

/// A pipeline file that has been read and not yet understood.
#[derive(Clone, Debug, Default)]
pub struct Document<'t> {
    /// The stages before every route that does not say otherwise.
    pub entry: Vec<Name>,
    /// The tables of `[stages]`.
    pub instances: Vec<Instance<'t>>,
    /// The tables of `[routes]`.
    pub routes: Vec<RouteText>,
}

/// A name and its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Its place, in bytes.
    pub span: Range<usize>,
}

/// A named, configured instance of a stage.
#[derive(Clone, Debug)]
pub struct Instance<'t> {
    /// What routes call it.
    pub name: Name,
    /// Its kind: the value of `use`, else its own name.
    pub kind: Name,
    /// Its settings.
    pub settings: Spanned<DeTable<'t>>,
}

/// A route as it is written.
#[derive(Clone, Debug)]
pub struct RouteText {
    /// The call.
    pub call: Name,
    /// Its own entry, where it does not take the common one. `entry = false` is an empty list.
    pub entry: Option<Vec<Name>>,
    /// Its stages, without the entry.
    pub stages: Vec<Name>,
    /// The place of the list.
    pub span: Range<usize>,
}

impl<'t> Document<'t> {
    /// Reads a text. Errors go to `problems`; the readable rest is returned, so that the next
    /// step can find more.
    pub fn read(source: &'t Source, problems: &mut Problems) -> Document<'t> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if !errors.is_empty() {
            for error in errors {
                problems.push(Problem::new(error.span().unwrap_or_default(), format!("not TOML: {}", error.message())));
            }
            return Document::default();
        }
        let mut reader = Reader { problems };
        reader.document(table.into_inner())
    }
}

struct Reader<'p> {
    problems: &'p mut Problems,
}

impl Reader<'_> {
    fn document<'t>(&mut self, table: DeTable<'t>) -> Document<'t> {
        let mut document = Document::default();
        let mut version = None;
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "version" => version = Some(value),
                "entry" => document.entry = self.names(&value).unwrap_or_default(),
                "stages" => document.instances = self.instances(value),
                "routes" => document.routes = self.routes(value),
                other => self.unknown_key(other, key.span(), &TOP),
            }
        }
        self.version(version);
        document
    }

    fn version(&mut self, version: Option<Spanned<DeValue<'_>>>) {
        let problem = match version {
            None => Problem::new(0..0, "the file does not say which version of the format it is"),
            Some(value) => match value.get_ref() {
                DeValue::Integer(number) if number.to_string() == VERSION => return,
                _ => Problem::new(value.span(), "this server does not read that version of the format"),
            },
        };
        self.problems.push(problem.hint(format!("write `version = {VERSION}`")));
    }

    fn instances<'t>(&mut self, value: Spanned<DeValue<'t>>) -> Vec<Instance<'t>> {
        let tables = self.tables(value, "`[stages]` holds tables: `[stages.NAME]`");
        tables.into_iter().map(|(name, table)| self.instance(name, table)).collect()
    }

    fn instance<'t>(&mut self, name: Name, mut settings: Spanned<DeTable<'t>>) -> Instance<'t> {
        let using = settings.get_mut().remove("use");
        let kind = using.and_then(|value| self.name(&value)).unwrap_or_else(|| name.clone());
        Instance { name, kind, settings }
    }

    fn routes(&mut self, value: Spanned<DeValue<'_>>) -> Vec<RouteText> {
        let tables = self.tables(value, "`[routes]` holds tables: `[routes.CALL]`");
        tables.into_iter().map(|(call, table)| self.route(call, table)).collect()
    }

    fn route(&mut self, call: Name, table: Spanned<DeTable<'_>>) -> RouteText {
        let mut route = RouteText { span: call.span.clone(), call, entry: None, stages: Vec::new() };
        let mut has_stages = false;
        for (key, value) in table.into_inner() {
            match key.get_ref().as_ref() {
                "entry" => route.entry = self.entry(&value),
                "stages" => {
                    has_stages = true;
                    route.span = value.span();
                    route.stages = self.names(&value).unwrap_or_default();
                }
                other => self.unknown_key(other, key.span(), &ROUTE),
            }
        }
        if !has_stages {
            let problem =
                Problem::new(route.call.span.clone(), format!("the route `{}` has no stages", route.call.text));
            self.problems.push(problem.hint("write `stages = [\"…\"]`, ending in an endpoint"));
        }
        route
    }

    fn entry(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<Name>> {
        match value.get_ref() {
            DeValue::Boolean(false) => Some(Vec::new()),
            DeValue::Boolean(true) => None,
            _ => self.names(value),
        }
    }

    fn names(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Vec<Name>> {
        let DeValue::Array(list) = value.get_ref() else {
            self.problems
                .push(Problem::new(value.span(), "a list of stage names is wanted here, such as `[\"proxy\"]`"));
            return None;
        };
        Some(list.iter().filter_map(|name| self.name(name)).collect())
    }

    fn name(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Name> {
        let DeValue::String(text) = value.get_ref() else {
            self.problems.push(Problem::new(value.span(), "a name in quotes is wanted here"));
            return None;
        };
        // The quotes are not part of the name, and neither is what escapes add.
        let span = value.span();
        let inner = span.start + 1..span.end.saturating_sub(1);
        let span = if inner.len() == text.len() { inner } else { span };
        Some(Name { text: text.to_string(), span })
    }

    fn tables<'t>(&mut self, value: Spanned<DeValue<'t>>, wanted: &str) -> Vec<(Name, Spanned<DeTable<'t>>)> {
        let span = value.span();
        let DeValue::Table(entries) = value.into_inner() else {
            self.problems.push(Problem::new(span, wanted));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (key, value) in entries {
            let (span, place) = (key.span(), value.span());
            match value.into_inner() {
                DeValue::Table(table) => {
                    tables.push((Name { text: key.into_inner().into_owned(), span }, Spanned::new(place, table)));
                }
                _ => self.problems.push(Problem::new(place, wanted)),
            }
        }
        tables
    }

    fn unknown_key(&mut self, key: &str, span: Range<usize>, known: &[&str]) {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let problem = Problem::new(span, format!("unknown key `{key}`; here stand {list}"));
        self.problems.push(problem.did_you_mean(key, known.iter().copied()));
    }
}
