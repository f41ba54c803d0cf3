//! The caller: its token, its scopes, and its address.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use b3scale_middleware::bbb::cut_at;
use b3scale_middleware::cluster::CallbackKind;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use tracing::{info, warn};

use super::Admin;
use super::failures::Failures;
use super::problem::Problem;
use crate::budget::Owner;
use crate::proxies::Proxies;
use crate::rest::AGENT;
use crate::site::Visitor;
use crate::telemetry::ACCOUNT;
use crate::token::{Claims, Scope, Tokens, bearer};

/// The most differences that an audit line names.
const MOST_CHANGES: usize = 50;

/// The most characters of one of them.
const LONGEST_CHANGE: usize = 300;

/// The scopes of a request, any of them, in the order in which a refusal names them.
pub(super) trait Rule {
    const SCOPES: &'static [Scope];
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = [$($scope:ident),*];)*) => {$(
        $(#[$doc])*
        pub(super) struct $rule;

        impl Rule for $rule {
            const SCOPES: &'static [Scope] = &[$(Scope::$scope),*];
        }
    )*};
}

rules! {
    /// Any caller with a token.
    Anyone = [];
    /// Operators.
    Admins = [Admin];
    /// Operators, and customers for their own records.
    Users = [Admin, User];
    /// Operators, and agents for their own records.
    Nodes = [Admin, Node];
    /// Agents.
    Agents = [Node];
    /// Operators, and monitoring of a frontend.
    Observers = [Admin, Metrics];
}

/// A caller with a scope of the rule.
pub(super) struct Caller<R> {
    identity: Identity,
    rule: PhantomData<R>,
}

/// A token that holds, and where it came from.
#[derive(Clone, Debug)]
struct Identity {
    claims: Claims,
    address: IpAddr,
    /// The program that asks names itself our agent.
    by_agent: bool,
}

impl<R> Caller<R> {
    /// The subject of the token.
    pub(super) fn subject(&self) -> &str {
        &self.identity.claims.sub
    }

    /// Whether everything may be seen. That wins over the token's other scopes.
    pub(super) fn is_admin(&self) -> bool {
        self.identity.claims.has(Scope::Admin)
    }

    /// Removes the URLs of a frontend from metadata, unless the caller is an operator: they hold secrets, and no node reads them.
    pub(super) fn hide_callbacks(&self, metadata: &mut BTreeMap<String, String>) {
        if !self.is_admin() {
            metadata.retain(|name, _| CallbackKind::of_name(&format!("meta_{name}")).is_none());
        }
    }

    /// Whether the caller acts as an agent. A token with both scopes does where our agent sends it, or where the body has the
    /// form of an agent's.
    pub(super) fn is_agent(&self, has_its_form: bool) -> bool {
        self.identity.claims.has(Scope::Node) && (!self.is_admin() || self.identity.by_agent || has_its_form)
    }

    /// Writes an audit line: change, target, subject and address.
    pub(super) fn audit(&self, what: &str, name: &str) {
        self.note(what, name, None);
    }

    /// The same of a change, with the differences. Without any, no line is written.
    pub(super) fn audit_change(&self, what: &str, name: &str, differences: &[String]) {
        if !differences.is_empty() {
            let told: Vec<_> = differences.iter().take(MOST_CHANGES).map(|one| cut_at(one, LONGEST_CHANGE)).collect();
            self.note(what, name, Some(&told.join("; ")));
        }
    }

    fn note(&self, what: &str, name: &str, changes: Option<&str>) {
        let Identity { claims, address, .. } = &self.identity;
        info!(
            name: ACCOUNT,
            {
                audit.who = claims.sub,
                audit.token = claims.jti,
                audit.from = %address,
                audit.of = name,
                audit.changes = changes,
            },
            "Audit: {what}"
        );
    }
}

impl<R: Rule> FromRequestParts<Admin> for Caller<R> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Admin) -> Result<Self, Problem> {
        let identity = parts.extensions.get::<Identity>().cloned().ok_or(Problem::NoToken)?;
        if R::SCOPES.is_empty() || R::SCOPES.iter().any(|scope| identity.claims.has(*scope)) {
            return Ok(Self { identity, rule: PhantomData });
        }
        Err(Problem::Scope(R::SCOPES))
    }
}

/// The owner of the bytes of an admitted request.
pub(super) fn owner(request: &Request) -> Owner {
    let identity = request.extensions().get::<Identity>();
    Owner::Caller(identity.map(|identity| identity.claims.sub.as_str()).unwrap_or_default().into())
}

/// Refuses requests without a valid token.
pub(super) async fn admit(State(admin): State<Admin>, mut request: Request, next: Next) -> Response {
    let visitor = request.extensions().get::<Visitor>().cloned();
    let address = admin.gate.address_of(visitor.as_ref().map(|visitor| visitor.peer.ip()), request.headers());
    let claims = match bearer(request.headers()) {
        None => Err(Problem::NoToken),
        Some(token) => admin.gate.claims(token, address),
    };
    match claims {
        Ok(claims) => {
            let by_agent = is_our_agent(request.headers());
            request.extensions_mut().insert(Identity { claims, address, by_agent });
            visitor.iter().for_each(Visitor::admit);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Whether the program names itself our agent. Such a name only takes rights away.
fn is_our_agent(headers: &HeaderMap) -> bool {
    let name = headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok());
    name.and_then(|name| name.split('/').next()) == Some(AGENT)
}

/// The check of tokens.
pub(super) struct Gate {
    tokens: Tokens,
    failures: Failures,
    proxies: Proxies,
}

impl Gate {
    pub(super) fn new(secret: &str, proxies: Proxies) -> Self {
        Self { tokens: Tokens::of(secret), failures: Failures::default(), proxies }
    }

    fn claims(&self, token: &str, address: IpAddr) -> Result<Claims, Problem> {
        match self.tokens.read(token) {
            Ok(claims) => Ok(claims),
            Err(_) if self.failures.too_many(address) => Err(Problem::TooManyBadTokens),
            Err(error) => {
                // One line of one form for each, so that fail2ban can read it.
                warn!(client.address = %address, reason = %error, "Invalid token for the REST API");
                Err(Problem::BadToken)
            }
        }
    }

    /// Whether that is the token of an operator.
    pub(super) fn is_operator(&self, token: &HeaderValue, headers: &HeaderMap, peer: SocketAddr) -> bool {
        let address = self.address_of(Some(peer.ip()), headers);
        let claims = token.to_str().ok().and_then(|token| self.claims(token, address).ok());
        claims.is_some_and(|claims| claims.has(Scope::Admin))
    }

    /// Where a request comes from.
    fn address_of(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> IpAddr {
        self.proxies.client(peer.unwrap_or(IpAddr::from([0, 0, 0, 0])), headers)
    }
}
