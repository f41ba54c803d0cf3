use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::vec;

use futures_util::future::{Ready, ready};
use http::{Method, StatusCode, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::util::ServiceFn;

use super::*;

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server of a tenant. It answers by the path: with a redirect to the query, with bytes, or not at all.
async fn tenant() -> SocketAddr {
    let listener = TcpListener::bind((HOME, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(served);
        }
    });
    address
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("it comes whole").to_bytes();
    let mut response = Response::new(Full::new(body));
    match (head.uri.path(), head.uri.query()) {
        ("/redirect", Some(to)) => {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(header::LOCATION, to.parse().expect("an address"));
        }
        ("/large", _) => *response.body_mut() = Full::new(vec![b'x'; 1000].into()),
        ("/silent", _) => std::future::pending().await,
        _ => {}
    }
    Ok(response)
}

fn settings(open: &str) -> EgressSettings {
    let allow = vec![open.parse().expect("a network")];
    EgressSettings { allow, largest: 999, redirects: 1, ..EgressSettings::default() }
}

/// The outcome of a request with a body.
async fn post(egress: &Egress, url: &str) -> Result<(StatusCode, Bytes), EgressError> {
    let request = Request::builder().method(Method::POST).uri(url).body(Full::from("hello")).expect("a request");
    let response = egress.send(request).await?;
    Ok((response.status(), response.into_body()))
}

fn inward(host: &str) -> Result<(StatusCode, Bytes), EgressError> {
    Err(EgressError::Inward(host.to_owned()))
}

fn hello() -> Result<(StatusCode, Bytes), EgressError> {
    Ok((StatusCode::OK, Bytes::from_static(b"hello")))
}

#[tokio::test]
async fn an_inward_address_is_refused_however_it_is_written() {
    let egress = Egress::new(EgressSettings::default()).expect("a client");
    let port = tenant().await.port();
    for host in
        ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "localhost", "0.0.0.0"]
    {
        assert_eq!(post(&egress, &format!("http://{host}:{port}/")).await, inward(host), "{host}");
    }
    // The system's resolver takes these for 127.0.0.1.
    for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        let refused = post(&egress, &format!("http://{host}:{port}/")).await;
        assert!(matches!(refused, Err(EgressError::Inward(_) | EgressError::Unreachable(_))), "{host}: {refused:?}");
    }
}

#[tokio::test]
async fn an_open_network_is_reached_and_other_inward_ones_are_not() {
    let egress = Egress::new(settings("127.0.0.1/32")).expect("a client");
    let address = tenant().await;
    assert_eq!(post(&egress, &format!("http://{address}/")).await, hello());
    assert_eq!(post(&egress, &format!("http://127.0.0.2:{}/", address.port())).await, inward("127.0.0.2"));
}

#[tokio::test]
async fn a_redirect_is_followed_outward_with_its_body_and_not_inward() {
    let egress = Egress::new(settings("127.0.0.1/32")).expect("a client");
    let address = tenant().await;
    let redirect = |to: &str| format!("http://{address}/redirect?{to}");
    assert_eq!(post(&egress, &redirect("/")).await, hello());
    for to in ["http://127.0.0.2/", "http://[::1]/", "//169.254.169.254/latest/meta-data"] {
        let refused = post(&egress, &redirect(to)).await;
        assert!(matches!(refused, Err(EgressError::Inward(_))), "{to}: {refused:?}");
    }
    let twice = post(&egress, &redirect(&redirect("/"))).await.map(|(status, _)| status);
    assert_eq!(twice, Ok(StatusCode::TEMPORARY_REDIRECT), "the second is not followed any more");
    let elsewhere = post(&egress, &redirect("ftp://127.0.0.1/")).await;
    assert!(matches!(elsewhere, Err(EgressError::Unreachable(_))), "{elsewhere:?}");
}

#[tokio::test]
async fn an_answer_is_bounded_in_size_and_time() {
    let address = tenant().await;
    let bounds = EgressSettings { answer: Duration::from_millis(50), ..settings("127.0.0.0/8") };
    let (egress, hasty) = (Egress::new(settings("127.0.0.0/8")), Egress::new(bounds));
    let large = post(&egress.expect("a client"), &format!("http://{address}/large")).await;
    assert_eq!(large, Err(EgressError::TooLarge(999)));
    let silent = post(&hasty.expect("a client"), &format!("http://{address}/silent")).await;
    assert_eq!(silent, Err(EgressError::TooSlow(1)));
}

type Answers = Ready<Result<vec::IntoIter<SocketAddr>, Infallible>>;

/// Resolves every name to the addresses that are next in the list, and counts how often it is asked.
fn rebinding(answers: Vec<Vec<IpAddr>>) -> (ServiceFn<impl Fn(Name) -> Answers + Clone>, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let resolver = tower::service_fn(move |_: Name| {
        let number = counted.fetch_add(1, Relaxed).min(answers.len() - 1);
        let addresses: Vec<_> = answers[number].iter().map(|address| SocketAddr::new(*address, 0)).collect();
        ready(Ok(addresses.into_iter()))
    });
    (resolver, asked)
}

#[tokio::test]
async fn a_name_is_resolved_once_and_only_its_outward_addresses_are_used() {
    let port = tenant().await.port();
    let secret = IpAddr::from([127, 0, 0, 2]);
    let (resolver, asked) = rebinding(vec![vec![secret, HOME], vec![secret]]);
    let egress = Egress::resolving_by(resolver, settings("127.0.0.1/32")).expect("a client");
    assert_eq!(post(&egress, &format!("http://school.example:{port}/")).await, hello());
    assert_eq!(asked.load(Relaxed), 1, "the connection went to the address that was judged");
    // Another name has its own connection, and resolves to the inside alone.
    assert_eq!(post(&egress, &format!("http://evil.example:{port}/")).await, inward("evil.example"));
}
