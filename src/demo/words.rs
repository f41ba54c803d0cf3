//! The demo's texts: its members, data for programs, and commands to go on by hand.

use std::iter;

use b3scale_middleware::bbb::CallKind;
use serde_json::json;

use super::DemoError;
use super::client::Endpoint;
use super::folder::Folder;
use super::report::Report;
use super::scene::Scene;
use super::servers::Servers;
use crate::program::terminal::{self, Reader};

/// Who is there.
pub(super) fn introduction(scene: &Scene, servers: &Servers, report: &mut Report) -> Result<(), DemoError> {
    report.line(&format!("b3scale at {}\n", scene.urls[0]))?;
    table(["server", "URL", "log"], servers.rows(), report)?;
    let tenants = scene
        .tenants
        .iter()
        .map(|tenant| vec![tenant.key.to_owned(), tenant.tag.to_owned(), tenant.endpoint().url.clone()]);
    table(["frontend", "requires", "URL"], tenants, report)?;
    let places = scene.places.iter().map(|place| vec![place.name.clone(), place.tag.to_owned(), place.node.url()]);
    table(["node", "tags", "URL"], places, report)
}

fn table(head: [&str; 3], rows: impl Iterator<Item = Vec<String>>, report: &mut Report) -> Result<(), DemoError> {
    report.table(&iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect::<Vec<_>>())?;
    report.line("")
}

/// Data for a program that works with the cluster: one object, on standard output.
pub(super) fn json(scene: &Scene) -> Result<(), DemoError> {
    let frontends = scene.tenants.iter().map(
        |tenant| json!({ "key": tenant.key, "url": tenant.endpoint().url, "secret": tenant.endpoint().secret.expose() }),
    );
    let backends = scene.places.iter().map(|place| json!({ "url": place.node.url(), "secret": place.secret.expose() }));
    let object = json!({
        "api": scene.urls[0],
        "token": scene.token,
        "frontends": frontends.collect::<Vec<_>>(),
        "backends": backends.collect::<Vec<_>>(),
    });
    match terminal::print(&format!("{object}\n"))? {
        Reader::Reads => Ok(()),
        Reader::Left => Err(DemoError::Unread),
    }
}

/// How to go on by hand.
pub(super) fn invitation(scene: &Scene, folder: &Folder, report: &mut Report) -> Result<(), DemoError> {
    report.line(
        "\nServing until Ctrl-C. Put URL and secret where a BigBlueButton server's were (Greenlight, Moodle, …):",
    )?;
    for tenant in &scene.tenants {
        let Endpoint { url, secret } = tenant.endpoint();
        report.line(&format!("\n  {}\n    URL     {url}\n    secret  {}", tenant.key, secret.expose()))?;
    }
    let Some(tenant) = scene.tenants.first() else { return Ok(()) };
    let address = |kind, params: &[(&str, &str)]| tenant.endpoint().address(kind, params);
    let id = ("meetingID", "hello");
    let create = address(CallKind::Create, &[id, ("name", "Hello")]);
    let running = address(CallKind::IsMeetingRunning, &[id]);
    let join = address(CallKind::Join, &[id, ("fullName", "Ada"), ("role", "MODERATOR")]);
    report.line("\nTo paste: a meeting, whether it runs, and a link for the browser that joins it:\n")?;
    report.line(&format!("curl '{create}'\ncurl '{running}'\n{join}\n"))?;
    report.line("And an operator's view of it:\n")?;
    report
        .line(&format!("export B3SCALE_API_URL={}\nexport B3SCALE_API_ACCESS_TOKEN={}", scene.urls[0], scene.token))?;
    for command in ["show status", "watch", &format!("explain create --frontend {}", tenant.key)] {
        report.line(&format!("cargo run --release --bin b3scalectl -- {command}"))?;
    }
    report.line("")?;
    report.line(&format!("The logs of the servers are in {}.", folder.path().display()))
}
