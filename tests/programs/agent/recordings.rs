//! `b3scaleagent recording push`, between a node's folder of published recordings and a real server.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use b3scale_middleware::cluster::{RecordId, Recording};
use b3scale_support::{
    ClusterOptions, PublishedFolder, Recorded, RecordingFolders, Running, TestCluster, TestFolder, eventually, output,
    program,
};
use rustix::process::Signal;
use tokio::process::Command;

/// A node with recordings, and a cluster that takes them.
struct Site {
    cluster: TestCluster,
    folders: RecordingFolders,
    published: PublishedFolder,
    folder: TestFolder,
}

impl Site {
    async fn start() -> Self {
        let folders = RecordingFolders::new();
        let options = ClusterOptions { environment: folders.environment(), ..ClusterOptions::default() };
        let site = Self {
            cluster: TestCluster::with(options).await,
            folders,
            published: PublishedFolder::new(),
            folder: TestFolder::new(),
        };
        site.be(site.cluster.nodes[0].secret());
        site
    }

    /// Writes the settings of bbb-web, with a secret.
    fn be(&self, secret: &str) {
        let url = self.cluster.nodes[0].url();
        let url = url.trim_end_matches("/bigbluebutton/api/");
        let settings = format!("bigbluebutton.web.serverURL={url}\nsecuritySalt={secret}\n");
        fs::write(self.folder.path().join("bbb-web.properties"), settings).unwrap();
    }

    fn queue(&self) -> PathBuf {
        self.folder.path().join("queue")
    }

    /// Queues a format as BBB's script does.
    fn ready(&self, recorded: &Recorded, format: &str) {
        fs::create_dir_all(self.queue()).unwrap();
        fs::write(self.queue().join(format!("{}.{format}", recorded.id)), "").unwrap();
    }

    /// The names of the files in the queue.
    fn queued(&self) -> Vec<String> {
        let names = fs::read_dir(self.queue()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let (dir, queue) = (self.published.path().display().to_string(), self.queue().display().to_string());
        let line = [&["recording", "push", "--dir", &*dir, "--queue", &*queue], arguments].concat();
        let mut command = program(env!("CARGO_BIN_EXE_b3scaleagent"), &line);
        command
            .env("BBB_CONFIG", self.folder.path().join("bbb-web.properties"))
            .env("B3SCALE_API_URL", self.cluster.url())
            .env("B3SCALE_LOG_FORMAT", "structured")
            .current_dir(self.folder.path());
        command
    }

    async fn push(&self, arguments: &[&str]) -> Output {
        output(self.command(arguments)).await
    }

    async fn find(&self, recorded: &Recorded) -> Option<Recording> {
        let id = RecordId::new(&recorded.id).expect("it is an id");
        self.cluster.database.store().recordings().find(&id).await.expect("the tables answer")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn queued_recordings_are_pushed_and_stay_on_the_node() {
    let site = Site::start().await;
    let recorded = Recorded::new(1, "lesson");
    for format in PublishedFolder::FORMATS {
        site.published.publish(&recorded, format);
        site.ready(&recorded, format);
    }
    let silent = Recorded::new(2, "without notes");
    site.ready(&silent, "notes");
    let pushed = site.push(&[]).await;
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert_eq!(site.queued(), Vec::<String>::new());
    assert_eq!(site.find(&recorded).await.expect("it is listed").formats.len(), PublishedFolder::FORMATS.len());
    for format in PublishedFolder::FORMATS {
        site.folders.hold("unpublished", &recorded, format);
        assert!(site.published.path().join(format).join(&recorded.id).is_dir(), "nothing is deleted");
    }
    assert!(site.find(&silent).await.is_none());
}

#[tokio::test]
async fn a_format_is_removed_once_it_is_imported_if_that_is_wanted() {
    let site = Site::start().await;
    let recorded = Recorded::new(1, "lesson");
    let (kept, gone) = (site.published.publish(&recorded, "video"), site.published.publish(&recorded, "podcast"));
    fs::write(kept.join("metadata.xml"), "<recording>").unwrap();
    let pushed = site.push(&["--delete-after-import", &recorded.id]).await;
    assert_eq!(pushed.status.code(), Some(1), "{}", said(&pushed));
    assert!(kept.is_dir() && !gone.exists());
    site.folders.hold("unpublished", &recorded, "podcast");
    let refused = fs::read_to_string(site.queue().join(format!("refused/{}.video", recorded.id))).unwrap();
    assert!(refused.contains("metadata.xml: XML ends too early"), "{refused}");
    assert_eq!(site.queued(), ["refused"]);
}

#[tokio::test]
async fn a_push_that_fails_is_tried_again_later() {
    let site = Site::start().await;
    let recorded = Recorded::new(1, "lesson");
    site.published.publish(&recorded, "podcast");
    site.ready(&recorded, "podcast");
    site.be("another secret");
    let failed = site.push(&[]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        said(&failed).contains("this node is unknown or not enabled, or its signature is wrong"),
        "{}",
        said(&failed)
    );
    assert_eq!(site.queued(), [format!("{}.podcast", recorded.id)]);

    site.be(site.cluster.nodes[0].secret());
    assert!(site.push(&[]).await.status.success(), "its time has not come");
    assert!(site.find(&recorded).await.is_none());
    let pushed = site.push(&[&recorded.id]).await;
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert!(site.find(&recorded).await.is_some());
    assert_eq!(site.queued(), Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupted_push_goes_on_where_it_was() {
    const MIB: usize = 1 << 20;
    let site = Site::start().await;
    let recorded = Recorded::new(1, "lesson");
    let folder = site.published.publish(&recorded, "podcast");
    fs::write(folder.join("long.ogg"), vec![b'x'; 20 * MIB]).unwrap();
    site.ready(&recorded, "podcast");
    // One chunk takes eight seconds at this rate.
    let mut slow = Running::logging(site.command(&["--rate", "1"]));
    eventually("a chunk has arrived", async || !site.folders.chunks().is_empty()).await;
    let modified = |path: &PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let first = site.folders.chunks().remove(0);
    let before = modified(&first);
    let locked = site.push(&[]).await;
    assert_eq!(String::from_utf8_lossy(&locked.stdout), "Another process pushes the recordings of this queue.\n");
    slow.signal(Signal::KILL);
    slow.ended().await;

    // The server takes no second chunk of that number, so the first one stays as it is until the import.
    let mut again = Running::logging(site.command(&["--rate", "4"]));
    eventually("more chunks have arrived", async || site.folders.chunks().len() > 1).await;
    assert_eq!(modified(&first), before);
    assert!(again.ended().await, "it pushes the rest");
    site.folders.hold("unpublished", &recorded, "podcast");
    assert_eq!(site.queued(), Vec::<String>::new());
}

#[tokio::test]
async fn bbbs_script_queues_a_format_and_nothing_else() {
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/b3scale_post_publish.rb");
    let site = Site::start().await;
    let recorded = Recorded::new(1, "lesson");
    site.published.publish(&recorded, "podcast");
    let run = async |arguments: &[&str]| {
        let mut ruby = program("ruby", &[&[SCRIPT], arguments].concat());
        ruby.env("B3SCALE_RECORDINGS_QUEUE", site.queue());
        output(ruby).await
    };
    for arguments in [["-m", &*recorded.id, "-f", "podcast"], ["--meeting-id", &recorded.id, "--format", "notes"]] {
        let queued = run(&arguments).await;
        assert!(queued.status.success() && queued.stderr.is_empty(), "{}", said(&queued));
    }
    assert_eq!(site.queued(), ["notes", "podcast"].map(|format| format!("{}.{format}", recorded.id)));
    for arguments in [&["-m", "../a", "-f", "notes"][..], &["-f", "notes"], &["-m", "a-1", "-f", "a b"]] {
        let refused = run(arguments).await;
        assert_eq!(refused.status.code(), Some(2));
        assert!(said(&refused).starts_with("b3scale_post_publish: -m and -f are wanted"), "{}", said(&refused));
    }
    assert!(site.push(&[]).await.status.success());
    assert!(site.find(&recorded).await.is_some());
    assert_eq!(site.queued(), Vec::<String>::new());
}

#[tokio::test]
async fn a_recording_that_is_not_here_is_named() {
    let site = Site::start().await;
    let refused = site.push(&["a-1"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("has no format of recording a-1; --dir names the folder"), "{}", said(&refused));
}
