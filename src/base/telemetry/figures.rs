//! Sources of figures: states that are read at each scrape.

use super::sheet::Sheet;

/// A source of figures.
pub trait Figures: Send + Sync {
    /// Writes the figures of the whole server, from memory alone.
    fn write(&self, sheet: &mut Sheet);

    /// Whether a thing of that name still exists. Its series go on.
    fn has(&self, thing: Thing, name: &str) -> bool;
}

/// A thing with series of its own, which end with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// By its key.
    Frontend,
    /// By its host.
    Backend,
}
