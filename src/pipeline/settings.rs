//! All problems of one table of settings.
//!
//! Deserialising ends at the first error, and so does the setup of a stage. So each faulty value is taken out of the table, where its
//! default takes its place, and the rest is tried again.

use std::ops::Range;

use b3scale_middleware::memory::Memory;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::catalog::Entry;
use super::document::Instance;
use super::problem::Problem;

/// The problems of an instance's settings, each with its place.
pub(super) fn examine(entry: &Entry, instance: &Instance<'_>) -> Vec<Problem> {
    let mut settings = instance.settings.clone();
    let mut problems = Vec::new();
    while let Err((message, place)) = attempt(entry, &settings) {
        let span = match place {
            Place::Span(span) => span,
            Place::Settings(names) => match names.iter().find_map(|name| span_of(settings.get_ref(), name)) {
                Some(span) => span,
                // It was wrong before, and its default does not go with the rest.
                None if names.iter().any(|name| instance.settings.get_ref().contains_key(*name)) => break,
                None => instance.name.span.clone(),
            },
        };
        let is_cut = cut(settings.get_mut(), &span);
        problems.push(Problem::new(span, message));
        if !is_cut {
            break;
        }
    }
    problems
}

/// Where something is wrong.
enum Place {
    /// There.
    Span(Range<usize>),
    /// In one of these settings.
    Settings(&'static [&'static str]),
}

/// Reads settings, and makes a layer of them over ports in memory.
fn attempt(entry: &Entry, settings: &Spanned<DeTable<'_>>) -> Result<(), (String, Place)> {
    let planned = entry.read(settings.clone()).map_err(|error| {
        let place = error.span().map_or(Place::Settings(&[]), Place::Span);
        (error.message().to_owned(), place)
    })?;
    planned.try_out(&Memory::new().ports()).map_err(|error| (error.message, Place::Settings(error.settings)))
}

/// Where the value of a setting stands.
fn span_of(table: &DeTable<'_>, name: &str) -> Option<Range<usize>> {
    table.get(name).map(Spanned::span)
}

/// Takes out the value at that place: an element of a list, else the whole setting.
fn cut(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let at = |(key, value): (&Spanned<_>, &Spanned<_>)| holds(key.span(), span) || holds(value.span(), span);
    let found = table.iter().find(|entry| at(*entry)).map(|(key, _)| key.get_ref().to_string());
    let Some(name) = found else { return false };
    let is_within = table.get_mut(name.as_str()).is_some_and(|value| match value.get_mut() {
        DeValue::Array(list) => cut_element(list, span),
        DeValue::Table(inner) => cut(inner, span),
        _ => false,
    });
    is_within || table.remove(name.as_str()).is_some()
}

/// Takes an element out of a list, unless it is the last: an empty list would be another mistake.
fn cut_element(list: &mut DeArray<'_>, span: &Range<usize>) -> bool {
    let kept: Vec<_> = list.iter().filter(|element| !holds(element.span(), span)).cloned().collect();
    let is_cut = (1..list.len()).contains(&kept.len());
    if is_cut {
        *list = kept.into_iter().collect();
    }
    is_cut
}

fn holds(outer: Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
