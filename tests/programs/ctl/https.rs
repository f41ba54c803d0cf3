//! A server behind https with a certificate of a private authority.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use b3scale_node::TestAuthority;
use b3scale_support::Told;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Ctl, recorder, said};

/// A port that speaks https in front of a plain one. Its tasks end with the test.
async fn https_before(url: &str, authority: &TestAuthority) -> String {
    let target: SocketAddr = url.trim_start_matches("http://").parse().expect("an address");
    let acceptor = TlsAcceptor::from(authority.server_config().expect("a certificate"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                // A client that does not trust us goes.
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(target).await.expect("the server takes connections");
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("https://{address}")
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let (_recorder, plain) = recorder([Told::ok("GET /api/v1/backends", "[]")]).await;
    let authority = TestAuthority::new().unwrap();
    let ctl = Ctl::new(&https_before(&plain.url, &authority).await);
    let ca_file = ctl.folder.path().join("ca.pem");
    fs::write(&ca_file, authority.pem()).unwrap();

    let why = ctl.fails("show backends").await;
    assert!(why.contains("UnknownIssuer") && why.contains("--ca-file"), "{why}");
    assert_eq!(ctl.done("show backends --json --ca-file ca.pem").await, "[]\n");
    for name in ["B3SCALE_API_CA_FILE", "SSL_CERT_FILE"] {
        let mut command = ctl.command("show backends --json");
        command.env(name, &ca_file);
        let said = said(command).await;
        assert_eq!((said.code, said.out.as_str()), (0, "[]\n"), "{name}: {}", said.err);
    }
    assert!(ctl.fails("show backends --ca-file nothing.pem").await.contains("nothing.pem"));
}
