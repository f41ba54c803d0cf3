use std::convert::Infallible;
use std::future::{pending, ready};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b3scale_middleware::bbb::{Algorithm, Secret};
use b3scale_middleware::cluster::{Backend, BackendId};
use b3scale_middleware::{Content, Fault};
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::*;

const OK: &str = "<response><returncode>SUCCESS</returncode></response>";

type NodeAnswer = Response<BoxBody<Bytes, Infallible>>;

/// A node that answers every request in the same way, and records them.
#[derive(Clone, Default)]
struct Node {
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
    connections: Arc<AtomicUsize>,
}

impl Node {
    async fn serve(answer: impl Fn() -> NodeAnswer + Send + Sync + 'static) -> (Self, SocketAddr) {
        let node = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (serving, answer) = (node.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, SeqCst);
                tokio::spawn(serving.clone().connection(stream, Arc::clone(&answer)));
            }
        });
        (node, address)
    }

    async fn connection<A>(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answer: Arc<A>)
    where
        A: Fn() -> NodeAnswer + Send + Sync + 'static,
    {
        let service = service_fn(move |request: Request<Incoming>| {
            let (node, answer) = (self.clone(), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                node.asked.lock().unwrap().push(Request::from_parts(head, body));
                Ok::<_, hyper::Error>(answer())
            }
        });
        // A client that goes away is what some of the tests are about.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    fn asked_last(&self) -> Request<Bytes> {
        self.asked.lock().unwrap().pop().expect("the node was asked")
    }
}

fn document(text: impl Into<Bytes>) -> NodeAnswer {
    Response::builder()
        .header("content-type", "text/xml;charset=utf-8")
        .body(BodyExt::boxed(Full::new(text.into())))
        .unwrap()
}

/// A node that reads a request and then uses the bare connection as told.
async fn bare_node<F>(then: impl Fn(TcpStream) -> F + Send + 'static) -> (Arc<AtomicUsize>, SocketAddr)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            counter.fetch_add(1, SeqCst);
            tokio::spawn(then(stream));
        }
    });
    (asked, address)
}

fn request(kind: CallKind, base: &str) -> NodeRequest {
    let url = format!("{base}/bigbluebutton/api/");
    let backend = Backend::new(Uuid::nil(), url, Secret::new("secret").unwrap());
    NodeRequest {
        kind,
        backend: Arc::new(backend),
        unsigned: format!("{}?meetingID=m1&token=5ec4e7", kind.name()),
        algorithm: Some(Algorithm::Sha1),
        content: None,
        request_id: HeaderValue::from_static("call-1"),
        trace: None,
        deadline: None,
        is_poll: false,
    }
}

fn nodes() -> HttpNodes {
    HttpNodes::new(UpstreamSettings::default()).unwrap()
}

async fn ask(kind: CallKind, address: SocketAddr) -> Result<Reply, NodeFailure> {
    ask_with(nodes(), request(kind, &format!("http://{address}"))).await
}

async fn ask_with(nodes: HttpNodes, request: NodeRequest) -> Result<Reply, NodeFailure> {
    nodes.send(request).await.map_err(|fault| {
        assert!(!fault.to_string().contains("5ec4e7"), "a signed query is in `{fault}`");
        match fault {
            Fault::Node { failure, .. } => failure,
            other => panic!("a node's fault was expected, not {other}"),
        }
    })
}

/// Defect 7 of the original: the headers of clients went to nodes.
#[tokio::test]
async fn a_node_is_sent_the_allowed_headers_and_no_others() {
    let (node, address) = Node::serve(|| document(OK)).await;
    let content = Content::new(Media::Xml, "<modules/>");
    let post = NodeRequest { content: Some(content), ..request(CallKind::Create, &format!("http://{address}")) };
    ask_with(nodes(), post).await.unwrap();
    let asked = node.asked_last();
    assert_eq!((asked.method(), asked.body().as_ref()), (&Method::POST, &b"<modules/>"[..]));
    let signed = "/bigbluebutton/api/create?meetingID=m1&token=5ec4e7&checksum=";
    assert!(asked.uri().to_string().starts_with(signed), "{}", asked.uri());
    let mut names: Vec<_> = asked.headers().keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "content-type", "host", "user-agent", "x-request-id"]);
    assert_eq!(asked.headers()["content-type"], "application/xml");
    assert_eq!(asked.headers()["x-request-id"], "call-1");
}

#[tokio::test]
async fn a_node_is_told_the_trace_that_a_call_belongs_to() {
    let (node, address) = Node::serve(|| document(OK)).await;
    let parent = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let headers = http::HeaderMap::from_iter([(http::HeaderName::from_static("traceparent"), parent)]);
    let trace = Trace::read(&headers).unwrap();
    let told: Vec<_> = trace.headers().map(|(name, value)| (name.to_owned(), value)).collect();
    let traced = NodeRequest { trace: Some(trace), ..request(CallKind::Create, &format!("http://{address}")) };
    ask_with(nodes(), traced).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(node.asked_last().headers()[&told[0].0], told[0].1);
}

#[tokio::test]
async fn only_a_join_hands_back_location_and_cookies() {
    let answer = || {
        let mut answer = document("");
        *answer.status_mut() = StatusCode::FOUND;
        for (name, value) in [("location", "https://n/"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("server", "x")]
        {
            answer.headers_mut().append(name, HeaderValue::from_static(value));
        }
        answer
    };
    let (_, address) = Node::serve(answer).await;
    let joined = ask(CallKind::Join, address).await.unwrap();
    assert_eq!(joined.location.unwrap(), "https://n/");
    assert_eq!(joined.cookies, ["a=1", "b=2"]);
    assert_eq!(ask(CallKind::End, address).await, Err(NodeFailure::Status(302)));
}

/// Defect 24 of the original: compressed answers were not read.
#[tokio::test]
async fn a_compressed_answer_is_decoded() {
    let (node, address) = Node::serve(|| compressed(OK.as_bytes())).await;
    let reply = ask(CallKind::GetMeetings, address).await.unwrap();
    assert_eq!(reply.body, OK);
    assert!(!node.asked_last().headers().contains_key("accept-encoding"));
}

fn compressed(text: &[u8]) -> NodeAnswer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    let mut answer = document(encoder.finish().unwrap());
    answer.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    answer
}

#[tokio::test]
async fn an_endless_answer_is_cut_at_the_limit() {
    let endless = || {
        let frames = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 4096]))));
        Response::new(BodyExt::boxed(StreamBody::new(frames)))
    };
    let (_, address) = Node::serve(endless).await;
    let limit = 1 << 20;
    let nodes = HttpNodes::new(UpstreamSettings { largest_answer: limit, ..UpstreamSettings::default() }).unwrap();
    let asked = request(CallKind::GetMeetings, &format!("http://{address}"));
    assert_eq!(ask_with(nodes, asked).await, Err(NodeFailure::TooLarge { limit }));
}

#[tokio::test]
async fn an_answer_that_swells_when_decompressed_is_cut_at_the_limit() {
    let (_, address) = Node::serve(|| compressed(&vec![b' '; 4 << 20])).await;
    let limit = 1 << 20;
    let nodes = HttpNodes::new(UpstreamSettings { largest_answer: limit, ..UpstreamSettings::default() }).unwrap();
    let asked = request(CallKind::GetMeetings, &format!("http://{address}"));
    assert_eq!(ask_with(nodes, asked).await, Err(NodeFailure::TooLarge { limit }));
}

/// All calls that wait for endless answers of one node together hold no more than one node may. So another node's answer has
/// its room.
#[tokio::test]
async fn endless_answers_stay_within_the_budget_and_give_it_back() {
    let endless = || {
        let frames = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[b' '; 65536]))));
        Response::new(BodyExt::boxed(StreamBody::new(frames)))
    };
    let (_, greedy) = Node::serve(endless).await;
    let (_, swelling) = Node::serve(|| compressed(&vec![b' '; 16 << 20])).await;
    let (_, good) =
        Node::serve(|| document(OK.replace("</response>", &format!("{}</response>", " ".repeat(2 << 20))))).await;
    let budget = Budget::of(16 << 20);
    let nodes = HttpNodes::new(UpstreamSettings { budget: budget.clone(), ..UpstreamSettings::default() }).unwrap();
    // Two addresses of one node; the id identifies a backend.
    let [greedy, swelling] =
        [greedy, swelling].map(|address| request(CallKind::GetMeetings, &format!("http://{address}")));
    let calls = (0..60).map(|number| if number % 2 == 0 { greedy.clone() } else { swelling.clone() });
    let asked = futures_util::future::join_all(calls.map(|call| ask_with(nodes.clone(), call)));
    let wanted = async {
        let mut wanted = request(CallKind::GetMeetings, &format!("http://{good}"));
        Arc::get_mut(&mut wanted.backend).unwrap().id = BackendId(Uuid::from_u128(1));
        ask_with(nodes.clone(), wanted).await
    };
    let (failed, wanted) = tokio::join!(asked, wanted);
    assert!(failed.iter().all(|answer| *answer == Err(NodeFailure::NoRoom)), "{failed:?}");
    let wanted = wanted.unwrap();
    assert!(budget.peak() <= budget.limit() && budget.held() == wanted.body.len());
    drop(wanted);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn the_answer_to_a_small_call_is_small() {
    let (_, address) = Node::serve(|| document(vec![b' '; 300 << 10])).await;
    let small = [CallKind::Create, CallKind::Join, CallKind::End, CallKind::IsMeetingRunning, CallKind::InsertDocument];
    for kind in small {
        assert_eq!(ask(kind, address).await, Err(NodeFailure::TooLarge { limit: LARGEST_WORD }), "{kind:?}");
    }
    assert!(ask(CallKind::GetMeetingInfo, address).await.is_ok());
}

#[tokio::test]
async fn the_head_of_an_answer_is_bounded() {
    let long = || {
        let mut answer = document(OK);
        for number in 0..20 {
            let name = http::HeaderName::try_from(format!("x-long-{number}")).unwrap();
            answer.headers_mut().insert(name, HeaderValue::try_from("x".repeat(8 << 10)).unwrap());
        }
        answer
    };
    let (_, address) = Node::serve(long).await;
    assert!(matches!(ask(CallKind::GetMeetings, address).await, Err(NodeFailure::Garbled(_))));
}

#[tokio::test]
async fn a_node_that_stalls_is_silent() {
    let (_, address) = bare_node(|stream| async {
        let _held = stream;
        pending::<()>().await;
    })
    .await;
    let asked = request(CallKind::End, &format!("http://{address}"));
    let impatient = NodeRequest { deadline: Some((Instant::now() + Duration::from_millis(50)).into_std()), ..asked };
    assert_eq!(ask_with(nodes(), impatient).await, Err(NodeFailure::Silent { seconds: 1 }));
}

#[tokio::test]
async fn a_tls_handshake_that_stalls_never_sent_the_call() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = request(CallKind::Create, &format!("https://{}", listener.local_addr().unwrap()));
    let impatient = NodeRequest { deadline: Some((Instant::now() + Duration::from_millis(50)).into_std()), ..asked };
    assert!(matches!(ask_with(nodes(), impatient).await, Err(NodeFailure::Unreachable(_))));
}

#[tokio::test]
async fn a_create_that_is_cut_off_is_broken_and_not_repeated() {
    let (asked, address) = bare_node(|_| ready(())).await;
    assert!(matches!(ask(CallKind::Create, address).await, Err(NodeFailure::Broken(_))));
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn a_question_that_is_cut_off_is_asked_once_more() {
    let (asked, address) = bare_node(|_| ready(())).await;
    assert!(matches!(ask(CallKind::GetMeetings, address).await, Err(NodeFailure::Broken(_))));
    assert_eq!(asked.load(SeqCst), 2);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_broken() {
    let (_, address) = bare_node(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<response>").await.unwrap();
    })
    .await;
    assert!(matches!(ask(CallKind::End, address).await, Err(NodeFailure::Broken(_))));
}

#[tokio::test]
async fn what_is_not_http_is_garbled() {
    let (_, address) =
        bare_node(|mut stream| async move { stream.write_all(b"SSH-2.0-x\r\n\r\n").await.unwrap() }).await;
    assert!(matches!(ask(CallKind::End, address).await, Err(NodeFailure::Garbled(_))));
}

#[tokio::test]
async fn a_node_that_refuses_connections_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = ask(CallKind::Create, free).await.unwrap_err();
    assert!(matches!(&failure, NodeFailure::Unreachable(why) if why.contains("refused")), "{failure}");
}

#[tokio::test]
async fn a_status_that_bbb_does_not_have_is_a_failure() {
    for status in [500, 404, 204, 301] {
        let answer = move || Response::builder().status(status).body(BodyExt::boxed(Full::default())).unwrap();
        let (_, address) = Node::serve(answer).await;
        assert_eq!(ask(CallKind::Create, address).await, Err(NodeFailure::Status(status)));
    }
}

/// Defect 23 of the original: every request had a connection of its own, and kept it.
#[tokio::test]
async fn two_hundred_calls_need_no_more_than_two_connections() {
    let (node, address) = Node::serve(|| document(OK)).await;
    let nodes = nodes();
    for _ in 0..200 {
        ask_with(nodes.clone(), request(CallKind::End, &format!("http://{address}"))).await.unwrap();
    }
    assert!(node.connections.load(SeqCst) <= 2);
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let address = https_node(&ca_file).await;
    let asked = || request(CallKind::End, &format!("https://localhost:{}", address.port()));

    let refused = ask_with(nodes(), asked()).await.unwrap_err();
    assert!(matches!(&refused, NodeFailure::Unreachable(why) if why.contains("certificate")), "{refused}");

    let trusting = HttpNodes::new(UpstreamSettings { ca_file: Some(ca_file), ..UpstreamSettings::default() }).unwrap();
    assert_eq!(ask_with(trusting, asked()).await.unwrap().body, OK);
}

/// A node with a certificate of an authority that is written to `ca_file`.
async fn https_node(ca_file: &std::path::Path) -> SocketAddr {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    std::fs::write(ca_file, authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.into()], key).unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = tls.accept(stream).await {
                tokio::spawn(Node::default().connection(stream, Arc::new(|| document(OK))));
            }
        }
    });
    address
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named() {
    let settings = |path: &std::path::Path| UpstreamSettings { ca_file: Some(path.to_owned()), ..Default::default() };
    let missing = HttpNodes::new(settings("/nowhere/ca.pem".as_ref())).err().unwrap();
    assert!(missing.to_string().contains("/nowhere/ca.pem"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = HttpNodes::new(settings(empty.path())).err().unwrap();
    assert!(matches!(empty, CaFileError::NoCertificate { .. }));
}
