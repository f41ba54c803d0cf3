//! Which site answers a request: by its host name, then by the longest path that a site claims.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use http::uri::Authority;
use http::{Request, header};
use matchit::Router;

use super::Site;

/// Paths that a site owns. A segment `{name}` stands for any one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    path: String,
    with_all_below: bool,
    host: Option<String>,
}

impl Claim {
    /// One path.
    pub fn at(path: &str) -> Self {
        Self { path: path.to_owned(), with_all_below: false, host: None }
    }

    /// A path and all paths below it. A longer claim takes its part out.
    pub fn below(path: &str) -> Self {
        Self { path: path.trim_end_matches('/').to_owned(), with_all_below: true, host: None }
    }

    /// Only where a request names this host. Such claims come before all claims without a host.
    #[must_use]
    pub fn on(self, host: &str) -> Self {
        Self { host: Some(host.to_ascii_lowercase()), ..self }
    }

    /// The claim as routes. A catch-all matches neither the path itself nor the path with a slash.
    fn routes(&self) -> Vec<String> {
        match &*self.path {
            path if !self.with_all_below => vec![path.to_owned()],
            "" => vec!["/".to_owned(), "/{*below}".to_owned()],
            path => vec![path.to_owned(), format!("{path}/"), format!("{path}/{{*below}}")],
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.with_all_below { "/…" } else { "" };
        write!(f, "{}{}{below}", self.host.as_deref().unwrap_or_default(), self.path)
    }
}

/// Two sites claim the same paths, or a claim is no path.
#[derive(Debug, thiserror::Error)]
#[error("the paths `{claim}` cannot be claimed: {why}")]
pub struct Claimed {
    claim: String,
    why: matchit::InsertError,
}

type Routes = Router<Arc<dyn Site>>;

/// The sites of a server, by their claims.
#[derive(Default)]
pub struct Sites {
    by_host: HashMap<String, Routes>,
    anywhere: Routes,
}

impl Sites {
    /// Enters each site under all its claims.
    ///
    /// # Errors
    /// Two claims are equal.
    pub fn new(sites: impl IntoIterator<Item = Arc<dyn Site>>) -> Result<Self, Claimed> {
        let mut all = Self::default();
        for site in sites {
            for claim in site.claims() {
                all.enter(&claim, &site).map_err(|why| Claimed { claim: claim.to_string(), why })?;
            }
        }
        Ok(all)
    }

    fn enter(&mut self, claim: &Claim, site: &Arc<dyn Site>) -> Result<(), matchit::InsertError> {
        let routes = match &claim.host {
            Some(host) => self.by_host.entry(host.clone()).or_default(),
            None => &mut self.anywhere,
        };
        claim.routes().into_iter().try_for_each(|route| routes.insert(route, Arc::clone(site)))
    }

    /// The site that owns the path of a request. An empty part of the path matches no parameter.
    pub(crate) fn find<B>(&self, request: &Request<B>) -> Option<&dyn Site> {
        let path = request.uri().path();
        let of_host = || self.by_host.get(&host(request)?)?.at(path).ok();
        let own = if self.by_host.is_empty() { None } else { of_host() };
        let route = own.or_else(|| self.anywhere.at(path).ok())?;
        let is_whole = route.params.iter().all(|(_, value)| !value.is_empty());
        is_whole.then(|| &**route.value)
    }
}

impl fmt::Debug for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sites").finish_non_exhaustive()
    }
}

/// The host that a request names, without its port.
fn host<B>(request: &Request<B>) -> Option<String> {
    let named = || request.headers().get(header::HOST)?.to_str().ok()?.parse().ok();
    let authority: Authority = request.uri().authority().cloned().or_else(named)?;
    Some(authority.host().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::FutureExt;
    use futures_util::future::{BoxFuture, ready};
    use http::StatusCode;

    use super::*;
    use crate::site::{Answer, Visitor, text};

    struct Named(&'static str, Vec<Claim>);

    impl Site for Named {
        fn claims(&self) -> Vec<Claim> {
            self.1.clone()
        }

        fn answer(&self, _: Request<Body>, _: Visitor) -> BoxFuture<'_, Answer> {
            ready(text(StatusCode::OK, self.0)).boxed()
        }
    }

    fn sites(sites: Vec<Named>) -> Result<Sites, Claimed> {
        Sites::new(sites.into_iter().map(|site| Arc::new(site) as Arc<dyn Site>))
    }

    /// The first claim of the site that answers there.
    fn found(sites: &Sites, host: &str, path: &str) -> Option<String> {
        let request = Request::get(path).header(header::HOST, host).body(()).expect("a request");
        sites.find(&request)?.claims().first().map(Claim::to_string)
    }

    #[test]
    fn the_longest_claim_wins_whichever_came_first() {
        let sites = sites(vec![
            Named("home", vec![Claim::at("/")]),
            Named("api", vec![Claim::below("/api/v1"), Claim::at("/bbb/{key}/metrics")]),
            Named("callbacks", vec![Claim::below("/api/v1/callbacks")]),
        ])
        .expect("no two claims are equal");
        for (path, site) in [
            ("/", Some("/")),
            ("/api/v1", Some("/api/v1/…")),
            ("/api/v1/", Some("/api/v1/…")),
            ("/api/v1//x", Some("/api/v1/…")),
            ("/api/v1/callbacksx", Some("/api/v1/…")),
            ("/api/v1/callbacks", Some("/api/v1/callbacks/…")),
            ("/api/v1/callbacks/", Some("/api/v1/callbacks/…")),
            ("/api/v1/callbacks/a/b", Some("/api/v1/callbacks/…")),
            ("/bbb/school/metrics", Some("/api/v1/…")),
            ("/api/v1x", None),
            ("/api", None),
            ("/bbb//metrics", None),
            ("/bbb/a/b/metrics", None),
            ("/bbb/school/create", None),
        ] {
            assert_eq!(found(&sites, "b3scale.test", path).as_deref(), site, "{path}");
        }
    }

    #[test]
    fn a_claim_of_a_host_comes_before_longer_claims_of_all_hosts() {
        let sites = sites(vec![
            Named("api", vec![Claim::below("/api/v1")]),
            Named("playback", vec![Claim::below("/").on("Play.example")]),
        ])
        .expect("no two claims are equal");
        for (host, path, site) in [
            ("play.example", "/", Some("play.example/…")),
            ("PLAY.example:8443", "/api/v1/status", Some("play.example/…")),
            ("b3scale.example", "/api/v1/status", Some("/api/v1/…")),
            ("b3scale.example", "/x", None),
            ("not a host", "/api/v1", Some("/api/v1/…")),
        ] {
            assert_eq!(found(&sites, host, path).as_deref(), site, "{host}{path}");
        }
    }

    #[test]
    fn a_site_of_a_host_leaves_the_other_paths_of_that_host_to_all() {
        let sites = sites(vec![
            Named("health", vec![Claim::at("/health/live")]),
            Named("playback", vec![Claim::below("/playback").on("play.example")]),
        ])
        .expect("no two claims are equal");
        assert_eq!(found(&sites, "play.example", "/health/live").as_deref(), Some("/health/live"));
        assert_eq!(found(&sites, "b3scale.example", "/playback"), None);
    }

    #[test]
    fn equal_claims_are_refused_and_named() {
        let refused = |first: Claim, second: Claim| {
            let equal = sites(vec![Named("one", vec![first]), Named("two", vec![second])]);
            equal.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let api = || Claim::below("/api/v1");
        assert!(refused(api(), api()).starts_with("the paths `/api/v1/…` cannot be claimed: "));
        assert!(refused(api(), Claim::at("/api/v1")).contains("`/api/v1`"));
        assert!(refused(api().on("a.example"), api().on("A.example")).contains("`a.example/api/v1/…`"));
        assert_eq!(refused(api(), api().on("a.example")), "");
    }
}
