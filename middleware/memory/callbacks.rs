//! Callbacks in memory: the token of a callback is the name of its parameter.

use super::Memory;
use crate::bbb::ScopedId;
use crate::cluster::{BackendId, Callback, GivenCallback};
use crate::ports::Callbacks;

/// The address of the cluster in memory.
const ADDRESS: &str = "https://b3scale.example/api/v1/callbacks/proxy/";

impl Callbacks for Memory {
    fn register(&self, _: &ScopedId, _: BackendId, given: Vec<GivenCallback>) -> Vec<Callback> {
        let usable = given.into_iter().filter(|callback| callback.url.starts_with("http"));
        let registered = usable.map(|GivenCallback { name, kind, url }| {
            let (token, address) = (name.clone(), format!("{ADDRESS}{name}"));
            Callback { name, kind, url, token, address }
        });
        registered.collect()
    }
}
