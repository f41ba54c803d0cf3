//! Playback while the database or a shelf is away, and how seldom it asks.

use super::*;

#[tokio::test]
async fn a_view_asks_the_database_once() {
    let stage = Stage::new().await;
    for path in ["metadata.xml", "shapes.svg", "panzooms.xml", "video/webcams.webm", "presentation/d2d9-1/slide-1.png"]
    {
        stage.status(&format!("/presentation/{RECORD}/{path}")).await;
    }
    for path in [format!("/playback/presentation/2.3/{RECORD}"), format!("/playback/video/{RECORD}/")] {
        assert_eq!(stage.status(&path).await, 200);
    }
    assert_eq!(stage.table.asked.load(Relaxed), 1);
    stage.change(RECORD, |_| ()).await;
    stage.status(&format!("/presentation/{RECORD}/metadata.xml")).await;
    assert_eq!(stage.table.asked.load(Relaxed), 2, "a change was announced");
    stage.status("/presentation/x/1").await;
    stage.status("/presentation/%2e/1").await;
    assert_eq!(stage.table.asked.load(Relaxed), 3, "the second path asks for nothing");
}

#[tokio::test]
async fn a_remembered_recording_plays_while_the_database_is_away() {
    let stage = Stage::new().await;
    let path = |record| format!("/presentation/{record}/shapes.svg");
    assert_eq!(stage.status(&path(RECORD)).await, 200);
    stage.table.is_away.store(true, Relaxed);
    assert_eq!(stage.status(&path(RECORD)).await, 200);
    let other = stage.get(&path(SIBLING)).await;
    assert_eq!((other.status, other.header("retry-after")), (503, Some("5")), "no one knows who may play it");
    let page = stage.get(&format!("/playback/video/{SIBLING}/")).await;
    assert!(page.status == 503 && page.body.contains("cannot be played now"), "{page:?}");
    // A change was announced, and its outcome is unknown.
    stage.change(RECORD, |_| ()).await;
    assert_eq!(stage.status(&path(RECORD)).await, 503);
    let asked = format!("X-Resource-Path: {}\r\n", path(RECORD));
    assert_eq!(stage.send("GET", "/api/v1/protected/recordings/auth", &asked).await.status, 503);
    stage.table.is_away.store(false, Relaxed);
    assert_eq!(stage.status(&path(RECORD)).await, 200);
}

#[tokio::test]
async fn a_missed_announcement_is_made_up_for() {
    let stage = Stage::new().await;
    let path = format!("/presentation/{RECORD}/shapes.svg");
    assert_eq!(stage.status(&path).await, 200);
    stage.table.rows.lock().unwrap().get_mut(&id(RECORD)).unwrap().recording.protected = true;
    assert_eq!(stage.status(&path).await, 200, "nothing was announced");
    stage.changes.send(None).unwrap();
    while !stage.changes.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.status(&path).await, 403);
}

#[tokio::test]
async fn a_recording_without_files_here_is_not_found() {
    let stage = Stage::new().await;
    let root = stage.folder.path().join("published/video").join(RECORD);
    fs::remove_dir_all(root).unwrap();
    assert_eq!(stage.status(&format!("/video/{RECORD}/video-0.m4v")).await, 404);
    let page = stage.get(&format!("/playback/video/{RECORD}/")).await;
    assert!(page.body.contains("There is nothing to play"), "{page:?}");
    let metadata = stage.get(&format!("/video/{RECORD}/metadata.xml")).await;
    assert!(metadata.body.contains("<meetingName>Physics &amp; more</meetingName>"), "it is made from the record");
    for stored in &mut stage.table.rows.lock().unwrap().get_mut(&id(RECORD)).unwrap().stored {
        (stored.shelf, stored.place) = (None, None);
    }
    stage.change(RECORD, |_| ()).await;
    assert_eq!(stage.status(&format!("/presentation/{RECORD}/metadata.xml")).await, 404);
    let page = stage.get(&format!("/playback/podcast/{RECORD}/")).await;
    assert!(page.status == 404 && page.body.contains("is not available"), "{page:?}");
}
