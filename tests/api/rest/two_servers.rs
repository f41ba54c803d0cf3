//! Changes at one server, followed by another.

use b3scale_middleware::cluster::AdminState;
use b3scale_middleware::ports::Directory as _;
use b3scale_support::{TestCluster, within};
use serde_json::json;

#[tokio::test]
async fn another_server_follows_a_patch_by_its_announcement() {
    let cluster = TestCluster::start().await;
    let other = cluster.another_server().await;
    let frontend = other.frontend("school").unwrap();
    let path = format!("/frontends/{}", frontend.id.0);
    let body = json!({"active": false, "settings": {"required_tags": ["gpu"]}});
    cluster.operator().patch(&path, &body).await.granted();
    let known = || other.frontend("school").unwrap();
    within("the other server knows", other.wait_until(|| !known().active)).await;
    assert!(known().settings.required_tags().contains("gpu"));

    let id = cluster.backends[0].id;
    cluster.operator().patch(&format!("/backends/{id}"), &json!({"admin_state": "stopped"})).await.granted();
    let stopped = || other.backend(id).unwrap().admin_state == AdminState::Stopped;
    within("the other server knows", other.wait_until(stopped)).await;

    cluster.operator().delete(&path).await.granted();
    within("the other server knows", other.wait_until(|| other.frontend("school").is_none())).await;
    other.stop();
}
