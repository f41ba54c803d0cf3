//! Tokens, the environment, and messages for unexpected answers of the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use b3scale_support::{Recorder, Told};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::samples::status;
use super::{Ctl, TOKEN, recorder, said};

/// The claims of a token, if it was signed with `secret` as the original signs.
fn claims(token: &str, secret: &str) -> Value {
    let mut validation = Validation::new(Algorithm::HS384);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let read = jsonwebtoken::decode(token, &DecodingKey::from_secret(secret.as_bytes()), &validation);
    read.expect("it is a token of that secret").claims
}

#[tokio::test]
async fn a_token_is_made_once_and_kept_for_this_user_alone() {
    let told = [Told::ok("GET /api/v1", status(true)), Told::ok("GET /api/v1/backends", "[]")];
    let recorder = Recorder::start(told).await;
    let ctl = Ctl::new(&recorder.url()).with_token(None);
    ctl.done("auth authorize --secret s3cret").await;
    let file = ctl.token_file();
    let token = fs::read_to_string(&file).unwrap();
    let claims = claims(&token, "s3cret");
    assert_eq!((claims["sub"].as_str(), claims["scope"].as_str()), (Some("b3scalectl"), Some("b3scale:admin")));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file.as_path()), mode(file.parent().unwrap())), (0o600, 0o700));
    recorder.asked();
    ctl.done("show backends").await;
    assert_eq!(recorder.asked()[1].headers["authorization"], format!("Bearer {token}"));
}

#[tokio::test]
async fn a_secret_that_the_server_does_not_know_is_not_kept() {
    let recorder = Recorder::start([Told::status("GET /api/v1", 401, r#"{"message":"invalid or expired jwt"}"#)]).await;
    let ctl = Ctl::new(&recorder.url()).with_token(None);
    let said = ctl.run("auth authorize --secret wrong").await;
    assert!(said.code == 1 && said.err.contains("does not accept a token of that secret"), "{said:?}");
    assert!(!said.err.contains("wrong"), "a secret is never told: {said:?}");
    assert!(!ctl.token_file().exists());
}

#[tokio::test]
async fn without_a_token_and_a_terminal_it_is_said_what_to_do() {
    let (recorder, ctl) = recorder([]).await;
    let ctl = ctl.with_token(None);
    let said = ctl.fails("show backends").await;
    assert!(said.contains("B3SCALE_API_ACCESS_TOKEN") && said.contains("b3scalectl auth authorize"), "{said}");
    assert!(ctl.done("").await.ends_with("Get one with: b3scalectl auth authorize\n"));
    assert_eq!(recorder.asked().len(), 0);
}

#[tokio::test]
async fn a_token_that_has_had_its_day_is_to_be_renewed() {
    let told = Told::status("GET /api/v1", 401, r#"{"message":"invalid or expired jwt"}"#);
    let recorder = Recorder::start([told]).await;
    let said = Ctl::new(&recorder.url()).fails("show backends").await;
    let expected = format!("GET {}/api/v1: not authorized (401): message: invalid or expired jwt; ", recorder.url());
    assert!(said.starts_with(&expected) && said.contains("auth authorize") && !said.contains(TOKEN), "{said}");
}

#[tokio::test]
async fn too_many_bad_tokens_call_for_a_good_one() {
    let told = Told::status("GET /api/v1", 429, r#"{"message":"invalid or expired jwt"}"#);
    let recorder = Recorder::start([told]).await;
    let said = Ctl::new(&recorder.url()).fails("show backends").await;
    assert!(said.contains("not authorized (429): ") && said.contains("b3scalectl auth authorize"), "{said}");
}

#[tokio::test]
async fn tokens_for_others_are_printed_without_a_server() {
    let ctl = Ctl::new("http://127.0.0.1:1").with_token(None);
    let said = ctl.run("auth create_access_token --sub crm --scopes b3scale,b3scale:admin --secret s").await;
    assert_eq!((said.code, said.err.lines().count()), (0, 1), "{said:?}");
    let made = claims(said.out.trim(), "s");
    assert_eq!((made["sub"].as_str(), made["scope"].as_str()), (Some("crm"), Some("b3scale b3scale:admin")));

    let mut command = ctl.command("auth authorize_node_agent");
    command.env("B3SCALE_API_JWT_SECRET", "t");
    let made = claims(super::said(command).await.out.trim(), "t");
    assert_eq!((made["sub"].as_str().unwrap().split('-').count(), made["scope"].as_str()), (3, Some("b3scale:node")));
    assert_eq!(claims(ctl.done("auth authorize_node_agent --ref n1 --secret t").await.trim(), "t")["sub"], "n1");
}

/// Such a token would be refused on its node, and its secret looked for there.
#[tokio::test]
async fn a_token_of_a_secret_that_the_server_refuses_is_not_printed() {
    let recorder = Recorder::start([Told::status("GET /api/v1", 401, r#"{"message":"invalid or expired jwt"}"#)]).await;
    let ctl = Ctl::new(&recorder.url()).with_token(None);
    for line in ["auth authorize_node_agent --ref n1", "auth create_access_token --sub crm --scopes b3scale"] {
        let said = ctl.run(&format!("{line} --secret wrong")).await;
        assert!(said.code == 1 && said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("does not accept a token of that secret"), "{said:?}");
    }
    let mut command = ctl.command("show backends");
    command.env("B3SCALE_API_JWT_SECRET", "wrong");
    let said = said(command).await;
    assert!(said.code == 1 && said.err.contains("it is the server's B3SCALE_API_JWT_SECRET"), "{said:?}");
}

#[tokio::test]
async fn another_program_at_the_url_is_told_from_a_server_that_lacks_something() {
    let other = Recorder::start([Told::status("GET /api/v1", 404, "<html>")]).await;
    let said = Ctl::new(&other.url()).fails("show backends").await;
    assert!(said.ends_with("is this the URL of b3scale?\n"), "{said}");
    let (recorder, ctl) = recorder([Told::ok("GET /api/v1/backends", "[]")]).await;
    ctl.done(&format!("-b {}/api/v1 show backends", recorder.url())).await;
}

#[tokio::test]
async fn a_file_of_the_environment_is_read_and_never_told_of_on_standard_output() {
    let (recorder, ctl) = recorder([Told::ok("GET /api/v1/backends", "[]")]).await;
    fs::write(ctl.folder.path().join(".env"), format!("B3SCALE_API_URL = \"{}\"\n", recorder.url())).unwrap();
    let mut command = ctl.command("show --json backends");
    command.env_remove("B3SCALE_DB_URL").env("B3SCALE_API_URL", "http://127.0.0.1:1");
    let said = said(command).await;
    assert_eq!((said.code, said.out.as_str()), (0, "[]\n"), "{}", said.err);
    assert!(said.err.starts_with("using environment from: .env\n"), "{}", said.err);
}

#[tokio::test]
async fn a_server_that_does_not_answer_as_it_should_is_named_with_the_reason() {
    let said = Ctl::new("http://127.0.0.1:1").fails("show backends").await;
    assert!(
        said.starts_with("GET http://127.0.0.1:1/api/v1: no connection: ") && said.contains("check the URL"),
        "{said}"
    );
    let said = Ctl::new("127.0.0.1:42353").fails("show backends").await;
    assert!(said.starts_with("`127.0.0.1:42353` is no URL of an API"), "{said}");
    let told = [
        Told::ok("GET /api/v1/backends", "<html>"),
        Told::status("GET /api/v1/frontends", 500, r#"{"message":"Internal Server Error"}"#),
    ];
    let (_recorder, ctl) = recorder(told).await;
    let said = ctl.fails("show backends").await;
    assert!(said.contains("/api/v1/backends: the answer cannot be read: "), "{said}");
    let said = ctl.fails("show frontends").await;
    assert!(said.ends_with("refused (500 Internal Server Error): message: Internal Server Error\n"), "{said}");
    let said = ctl.fails("show meeting x/y").await;
    assert!(said.contains("there is no meeting `x/y`"), "{said}");
}

#[tokio::test]
async fn a_line_that_cannot_be_understood_ends_with_2() {
    let ctl = Ctl::new("http://127.0.0.1:1");
    for line in
        ["shwo", "show backends --jsno", "show frontend", "show backend a b", "completions csh", "watch --interval 0"]
    {
        let said = ctl.run(line).await;
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{line}: {}", said.err);
        assert!(!said.err.is_empty(), "{line}");
    }
}
