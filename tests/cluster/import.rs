//! Moving in: what another system has is brought over, and a second time changes nothing.

mod b3scale;
mod scalelite;

use ::b3scale::rest::StateChanges;
use ::b3scale::state::{self, ImportOptions};
use ::b3scale::store::Store;
use b3scale_ctl::import::Imported;

/// Imports the document.
async fn bring_over(store: &Store, imported: &Imported) -> StateChanges {
    state::import(store, &imported.document, ImportOptions::default()).await.expect("the document is right")
}
