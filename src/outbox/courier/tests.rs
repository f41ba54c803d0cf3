use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::ready;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::*;

#[test]
fn a_parcel_shows_its_host_and_no_more_of_its_url() {
    let parcel = Parcel {
        method: Method::POST,
        url: "https://a.example/secret?token=1".to_owned(),
        headers: Vec::new(),
        body: Bytes::from_static(b"signed"),
        patience: Patience::Quick,
    };
    assert_eq!(format!("{parcel:?}"), r#"Parcel { method: POST, host: Some("a.example"), .. }"#);
}

#[test]
fn a_pause_that_is_asked_for_is_seconds_or_a_time() {
    let asked = |text: &str| {
        let value = text.parse().expect("a header");
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]))
    };
    assert_eq!(asked(" 120 "), Some(Duration::from_secs(120)));
    assert!(asked("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|pause| pause > Duration::from_hours(24)));
    assert_eq!(asked("Fri, 31 Dec 1999 23:59:59 GMT"), None, "it is past");
    assert_eq!(asked("soon"), None);
    assert_eq!(retry_after(&HeaderMap::new()), None);
}

/// A server of a tenant that tells of the paths it is asked for. It answers by the path: with a redirect, an error, or not at all.
async fn tenant() -> (SocketAddr, UnboundedReceiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("it has an address");
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            let answering = service_fn(move |request: Request<Incoming>| answer(request, tell.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answering));
        }
    });
    (address, heard)
}

async fn answer(request: Request<Incoming>, tell: UnboundedSender<String>) -> Result<Response<String>, Infallible> {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    // A test that has ended listens no more.
    let _ = tell.send(request.uri().to_string());
    let mut response = Response::new(String::new());
    match path {
        "/redirect" => {
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            response.headers_mut().insert(LOCATION, query.parse().expect("an address"));
        }
        "/failing" => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
        "/silent" => std::future::pending().await,
        _ => {}
    }
    Ok(response)
}

/// The paths that a tenant was asked for, so far.
fn all(heard: &mut UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| heard.try_recv().ok()).collect()
}

fn open_to(network: &str) -> EgressSettings {
    EgressSettings { allow: vec![network.parse().expect("a network")], ..EgressSettings::default() }
}

async fn post(courier: &Courier, url: &str) -> Result<u16, Unsent> {
    let parcel = Parcel {
        method: Method::POST,
        url: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::from_static(b"hello"),
        patience: Patience::Quick,
    };
    Ok(courier.send(&parcel).await?.status.as_u16())
}

#[tokio::test]
async fn no_address_inside_is_called_however_it_is_written() {
    let courier = Courier::new(&EgressSettings::default()).expect("a courier");
    let (tenant, mut heard) = tenant().await;
    let inward = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
    ];
    for host in inward {
        let outcome = post(&courier, &format!("http://{host}:{}/secret", tenant.port())).await;
        assert_eq!(outcome, Err(Unsent::Inward(host.to_owned())));
    }
    // No user hides the host.
    for host in ["a.example@127.0.0.1", "a.example:80@127.0.0.1"] {
        let outcome = post(&courier, &format!("http://{host}:{}/secret", tenant.port())).await;
        assert_eq!(outcome, Err(Unsent::Unusable), "{host}");
    }
    // Some systems' resolvers take these for 127.0.0.1, and others for no address.
    for host in ["LOCALHOST.", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        let outcome = post(&courier, &format!("http://{host}:{}/secret", tenant.port())).await;
        assert!(matches!(outcome, Err(Unsent::Inward(_) | Unsent::Unreachable(_))), "{host}: {outcome:?}");
        assert!(outcome.is_err_and(|unsent| !unsent.to_string().contains("secret")), "{host}");
    }
    assert_eq!(all(&mut heard), [""; 0]);
}

#[tokio::test]
async fn a_name_that_comes_to_mean_an_address_inside_leads_nowhere() {
    let ((first, mut heard), (second, mut inside)) = (tenant().await, tenant().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let resolver = tower::service_fn(move |_: Name| {
        let address = if asked.fetch_add(1, Relaxed) == 0 { [127, 0, 0, 1] } else { [127, 0, 0, 2] };
        ready(Ok::<_, Infallible>(vec![SocketAddr::from((address, 0))].into_iter()))
    });
    let courier = Courier::by(&open_to("127.0.0.1/32"), |settings| Egress::resolving_by(resolver.clone(), settings));
    let moved = format!("http://school.example:{}/", second.port());
    let url = format!("http://school.example:{}/redirect?{moved}", first.port());
    assert_eq!(post(&courier.expect("a courier"), &url).await, Err(Unsent::Inward("school.example".to_owned())));
    assert_eq!(all(&mut heard), [format!("/redirect?{moved}")]);
    assert_eq!(all(&mut inside), [""; 0]);
}

#[tokio::test]
async fn redirects_lead_neither_inside_nor_on_and_on() {
    let courier = Courier::new(&open_to("127.0.0.1/32")).expect("a courier");
    let (tenant, mut heard) = tenant().await;
    for to in ["http://127.0.0.2/", "http://[::1]/", "//169.254.169.254/latest/meta-data", "http://localhost/"] {
        assert_eq!(post(&courier, &format!("http://{tenant}/redirect?{to}")).await, Ok(307), "{to}");
        assert_eq!(all(&mut heard), [format!("/redirect?{to}")]);
    }
    let nine = "/redirect?".repeat(9);
    assert_eq!(post(&courier, &format!("http://{tenant}{nine}")).await, Ok(307));
    assert_eq!(all(&mut heard).len(), 1 + redirect::MOST);
}

#[tokio::test]
async fn the_longest_url_is_called_byte_for_byte() {
    let courier = Courier::new(&open_to("127.0.0.1/32")).expect("a courier");
    let (tenant, mut heard) = tenant().await;
    let start = "/bbb_broker.php?salt=%242y%2410%24a%2fB.&x=$2y$10$a/b.&";
    let path = format!("{start}{}", "y".repeat(8192 - "http://".len() - tenant.to_string().len() - start.len()));
    let url = format!("http://{tenant}{path}");
    assert!(url.len() == 8192 && Courier::usable(&url));
    assert_eq!(post(&courier, &url).await, Ok(200));
    assert_eq!(all(&mut heard), [path]);
}

#[tokio::test]
async fn an_answer_that_is_late_or_an_error_is_none() {
    let courier = Courier::new(&open_to("127.0.0.1/32")).expect("a courier");
    let (tenant, mut heard) = tenant().await;
    assert_eq!(post(&courier, &format!("http://{tenant}/failing")).await, Ok(500));
    heard.recv().await;
    let silent = format!("http://{tenant}/silent");
    let hurry = async {
        heard.recv().await;
        tokio::time::pause();
    };
    let (outcome, ()) = tokio::join!(post(&courier, &silent), hurry);
    assert_eq!(outcome, Err(Unsent::TooSlow));
}
