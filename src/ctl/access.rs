//! `auth`: tokens for this program, for others, and for the agents of nodes.

use argh::{ArgsInfo, FromArgs};
use b3scale_base::token::Scopes;
use serde_json::json;

use super::console::complain;
use super::context::Context;
use super::{CtlError, Exit, tokens};

/// Words that node references are made of.
const WORDS: [&str; 48] = [
    "amber", "apple", "aspen", "azure", "basil", "birch", "bison", "brook", "cedar", "cloud", "cobalt", "comet",
    "coral", "crane", "delta", "ember", "falcon", "fern", "finch", "fjord", "garnet", "glade", "hazel", "heron",
    "indigo", "iris", "ivory", "jade", "juniper", "lark", "lotus", "maple", "meadow", "nectar", "ocean", "olive",
    "onyx", "opal", "pearl", "pine", "quartz", "raven", "river", "saffron", "summit", "tulip", "willow", "zephyr",
];

/// Make access tokens.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "auth")]
pub(super) struct Auth {
    #[argh(subcommand)]
    what: What,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum What {
    Authorize(Authorize),
    CreateAccessToken(CreateAccessToken),
    AuthorizeNodeAgent(AuthorizeNodeAgent),
}

/// Make a token for this program, and keep it for this server.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "authorize")]
struct Authorize {
    /// the server's B3SCALE_API_JWT_SECRET; without it, that of the environment, or it is asked for
    #[argh(option, short = 's')]
    secret: Option<String>,
}

/// Print a token for someone else.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "create_access_token")]
struct CreateAccessToken {
    /// its subject
    #[argh(option)]
    sub: String,
    /// its scopes, separated by commas: b3scale, b3scale:admin, b3scale:node, …
    #[argh(option)]
    scopes: Scopes,
    /// the server's B3SCALE_API_JWT_SECRET; without it, that of the environment, or it is asked for
    #[argh(option, short = 's')]
    secret: Option<String>,
}

/// Print a token for the agent of a node.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "authorize_node_agent")]
struct AuthorizeNodeAgent {
    /// the agent's name; default: a made-up one
    #[argh(option)]
    r#ref: Option<String>,
    /// the server's B3SCALE_API_JWT_SECRET; without it, that of the environment, or it is asked for
    #[argh(option, short = 's')]
    secret: Option<String>,
}

impl Auth {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CtlError> {
        match self.what {
            What::Authorize(Authorize { secret }) => authorize(context, secret).await,
            What::CreateAccessToken(CreateAccessToken { sub, scopes, secret }) => {
                let scopes = scopes.to_string();
                let secret = accepted(context, secret).await?;
                complain(&format!("Access token of {sub} with the scopes {}:", scopes.replace(' ', ",")));
                print(context, &sub, &scopes, &secret)
            }
            What::AuthorizeNodeAgent(AuthorizeNodeAgent { r#ref, secret }) => {
                let secret = accepted(context, secret).await?;
                print(context, &r#ref.unwrap_or_else(made_up), "b3scale:node", &secret)
            }
        }
    }
}

/// A wrongly typed one is asked for again.
async fn authorize(context: &Context, given: Option<String>) -> Result<Exit, CtlError> {
    let mut secret = context.secret(given).await?;
    loop {
        let token = tokens::own(&secret)?;
        match context.api_as(token.clone())?.status().await {
            Ok(_) => {
                context.token_file().write(&token)?;
                context.warn_of_given_token();
                let url = &context.url;
                return context.console.report(format_args!("authorized at {url}"), &json!({ "authorized": url }));
            }
            Err(error) if error.is_unauthorized() => {
                let wrong = CtlError::WrongSecret { url: context.url.clone() };
                complain(&wrong.to_string());
                secret = tokens::ask_secret().await.map_err(|_| wrong)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The shared secret, unless the server refuses it. A server that is away, or another, cannot tell.
async fn accepted(context: &Context, given: Option<String>) -> Result<String, CtlError> {
    let secret = context.secret(given).await?;
    match context.api_as(tokens::own(&secret)?)?.status().await {
        Err(error) if error.is_unauthorized() => Err(CtlError::WrongSecret { url: context.url.clone() }),
        _ => Ok(secret),
    }
}

fn print(context: &Context, sub: &str, scopes: &str, secret: &str) -> Result<Exit, CtlError> {
    let token = tokens::signed(secret, sub, scopes)?;
    context.console.report(&token, &json!({ "sub": sub, "scopes": scopes, "token": token }))
}

fn made_up() -> String {
    let word = || WORDS[fastrand::usize(..WORDS.len())];
    [word(), word(), word()].join("-")
}
