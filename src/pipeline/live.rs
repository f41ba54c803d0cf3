//! The pipeline of a running server, and how it is changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use b3scale_base::telemetry::catalog::PIPELINE_RELOADS;
use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::{Next, Ports};

use super::catalog::Catalog;
use super::plan::Plan;
use super::problem::{Problems, Source};
use super::routes::Routes;

/// The pipeline that is compiled in: the `pipeline.toml` of the repository.
const SHIPPED: &str = include_str!("../../pipeline.toml");

/// The pipeline of a running server. Calls in flight finish on the routes they began with.
#[derive(Debug)]
pub struct Pipeline {
    file: Option<PathBuf>,
    pub(super) ports: Ports,
    catalog: Catalog,
    routes: ArcSwap<Routes>,
}

/// Why a pipeline could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file cannot be read.
    #[error("the pipeline file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is wrong.
    #[error("{0}")]
    Wrong(#[from] Problems),
}

impl Pipeline {
    /// Loads a file, or the pipeline that is compiled in, and puts its policy in force.
    pub fn load(file: Option<PathBuf>, ports: Ports) -> Result<Self, ReloadError> {
        let catalog = Catalog::shipped();
        let routes = read(file.as_deref(), &catalog, &ports)?;
        ports.policy.replace(routes.policy());
        Ok(Self { file, ports, catalog, routes: ArcSwap::from_pointee(routes) })
    }

    /// Reads the file again. If anything is wrong with it, the old routes stay. Returns the hash of what runs now.
    pub fn reload(&self) -> Result<String, ReloadError> {
        let reloaded = read(self.file.as_deref(), &self.catalog, &self.ports);
        let outcome = if reloaded.is_ok() { "done" } else { "refused" };
        PIPELINE_RELOADS.with([outcome]).increment(1);
        let routes = Arc::new(reloaded?);
        self.ports.policy.replace(routes.policy());
        self.routes.store(Arc::clone(&routes));
        Ok(routes.hash().to_owned())
    }

    /// The stack of a call, if the pipeline has a route for it.
    pub fn route(&self, call: CallKind) -> Option<Next> {
        self.routes.load().route(call)
    }

    /// The plan of what runs now, as `--check` prints it.
    pub fn plan(&self) -> String {
        self.routes.load().plan().to_owned()
    }

    /// Its file. `None`: the compiled-in text.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The hash of what runs now.
    pub fn hash(&self) -> String {
        self.routes.load().hash().to_owned()
    }
}

/// The text of a file, or the compiled-in one.
pub(super) fn source(file: Option<&Path>) -> Result<Source, ReloadError> {
    let Some(path) = file else { return Ok(Source::new("pipeline.toml (built in)", SHIPPED)) };
    let text =
        std::fs::read_to_string(path).map_err(|error| ReloadError::Unreadable { path: path.to_owned(), error })?;
    Ok(Source::new(&path.display().to_string(), &text))
}

fn read(file: Option<&Path>, catalog: &Catalog, ports: &Ports) -> Result<Routes, ReloadError> {
    Ok(Routes::build(Plan::read(&source(file)?, catalog)?, ports)?)
}
