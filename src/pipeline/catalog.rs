//! The catalog, as the plan sees it: each kind with a way to read its settings.

use b3scale_middleware::bbb::CallKind;
use b3scale_middleware::cluster::Policy;
use b3scale_middleware::{Contract, Endpoint, Next, Ports, SetupError, Stage, Visitor};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use tower::Layer;

use super::observe::Observed;

/// Every kind of stage and endpoint there is.
#[derive(Debug)]
pub struct Catalog {
    entries: Vec<Entry>,
}

/// One kind.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub kind: &'static str,
    /// Where on a route it stands.
    pub role: Role,
    read: Read,
}

/// Reads the settings of one instance. Errors carry their place in the text.
type Read = fn(Spanned<DeTable<'_>>) -> Result<Box<dyn Planned>, toml::de::Error>;

/// Where on a route a kind stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Before the end.
    Stage,
    /// At the end.
    Endpoint,
}

impl Catalog {
    /// The catalog of `b3scale_middleware`.
    pub fn shipped() -> Self {
        let mut catalog = Self { entries: Vec::new() };
        b3scale_middleware::visit(&mut catalog);
        catalog
    }

    /// The names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.kind)
    }

    /// The kinds.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(super) fn find(&self, kind: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.kind == kind)
    }
}

impl Visitor for Catalog {
    fn stage<S: Stage>(&mut self) {
        let read = |settings: Spanned<DeTable<'_>>| Ok(Box::new(AsStage(read::<S>(settings)?)) as Box<dyn Planned>);
        self.entries.push(Entry { kind: S::KIND, role: Role::Stage, read });
    }

    fn endpoint<E: Endpoint>(&mut self) {
        let read = |settings: Spanned<DeTable<'_>>| Ok(Box::new(AsEndpoint(read::<E>(settings)?)) as Box<dyn Planned>);
        self.entries.push(Entry { kind: E::KIND, role: Role::Endpoint, read });
    }
}

impl Entry {
    /// Reads the settings of one instance. Errors carry their place in the text.
    pub(super) fn read(&self, settings: Spanned<DeTable<'_>>) -> Result<Box<dyn Planned>, toml::de::Error> {
        (self.read)(settings)
    }

    /// Its contract with default settings.
    pub fn contract(&self, call: CallKind) -> Option<Contract> {
        self.by_default().map(|planned| planned.contract(call))
    }

    /// Itself with default settings.
    pub(super) fn by_default(&self) -> Option<Box<dyn Planned>> {
        self.read(Spanned::new(0..0, DeTable::new())).ok()
    }
}

/// A stage or an endpoint with its settings.
pub(super) trait Planned {
    fn contract(&self, call: CallKind) -> Contract;

    /// Adds its settings for all backends to the policy of the pipeline.
    fn set_policy(&self, policy: &mut Policy);

    /// Whether the settings can be used.
    fn try_out(self: Box<Self>, ports: &Ports) -> Result<(), SetupError>;

    /// Puts it in front of `rest`, which an endpoint does not have. `name` stands in spans and metrics.
    fn build(self: Box<Self>, name: &str, rest: Option<Next>, ports: &Ports) -> Result<Next, SetupError>;
}

struct AsStage<S>(S);

impl<S: Stage> Planned for AsStage<S> {
    fn contract(&self, call: CallKind) -> Contract {
        self.0.contract(call)
    }

    fn set_policy(&self, policy: &mut Policy) {
        self.0.set_policy(policy);
    }

    fn try_out(self: Box<Self>, ports: &Ports) -> Result<(), SetupError> {
        self.0.layer(ports).map(drop)
    }

    fn build(self: Box<Self>, name: &str, rest: Option<Next>, ports: &Ports) -> Result<Next, SetupError> {
        let rest = rest.ok_or_else(|| SetupError::new(format!("`{}` needs something behind it", S::KIND)))?;
        Ok(Next::new(Observed::new(name, self.0.layer(ports)?.layer(rest))))
    }
}

struct AsEndpoint<E>(E);

impl<E: Endpoint> Planned for AsEndpoint<E> {
    fn contract(&self, call: CallKind) -> Contract {
        self.0.contract(call)
    }

    fn set_policy(&self, _: &mut Policy) {}

    fn try_out(self: Box<Self>, ports: &Ports) -> Result<(), SetupError> {
        self.0.service(ports).map(drop)
    }

    fn build(self: Box<Self>, name: &str, _: Option<Next>, ports: &Ports) -> Result<Next, SetupError> {
        Ok(Next::new(Observed::new(name, self.0.service(ports)?)))
    }
}

fn read<T: DeserializeOwned>(settings: Spanned<DeTable<'_>>) -> Result<T, toml::de::Error> {
    let span = settings.span();
    T::deserialize(ValueDeserializer::from(Spanned::new(span, DeValue::Table(settings.into_inner()))))
}
