//! `b3scaled --check`: the plan of every route, printed.

use std::fmt;
use std::path::Path;

use b3scale_middleware::Fact;
use b3scale_middleware::memory::Memory;

use super::catalog::Catalog;
use super::live::{ReloadError, source};
use super::plan::{Plan, PlannedRoute};
use super::routes::Routes;

/// Reads a file, or the pipeline that is compiled in, proves that it would start, and returns its plan as text.
///
/// The layers are made over ports in memory, which is all that can be had without a cluster and all that they look at.
///
/// # Errors
/// The file cannot be read, or everything that is wrong with it.
pub fn check(file: Option<&Path>) -> Result<String, ReloadError> {
    let source = source(file)?;
    let plan = Plan::read(&source, &Catalog::shipped())?;
    let (shown, count) = (plan.to_string(), plan.routes().len());
    let routes = Routes::build(plan, &Memory::new().ports())?;
    Ok(format!("{shown}{}: {count} routes, hash {}\n", source.name, routes.hash()))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.routes.iter().try_for_each(|route| writeln!(f, "{route}"))
    }
}

impl fmt::Display for PlannedRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.call)?;
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
        for step in &self.steps {
            let parts =
                [("needs", step.contract.needs), ("gives", step.contract.gives), ("takes", step.contract.takes)];
            let parts: Vec<String> = parts.into_iter().filter_map(|(word, facts)| part(word, facts)).collect();
            let line = format!("  {:width$}  {}", step.name, parts.join("; "));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn part(word: &str, facts: &[Fact]) -> Option<String> {
    let names = facts.iter().map(|fact| fact.name()).collect::<Vec<_>>().join(", ");
    (!facts.is_empty()).then(|| format!("{word} {names}"))
}
