//! Shelves: the same tests on folders and on a bucket, and what is special about each.

use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use b3scale::program::Environment;
use b3scale::recordings::shelf::local::{Local, Trees};
use b3scale::recordings::shelf::s3::{S3, S3Settings};
use b3scale::recordings::shelf::{FilePath, FormatKey, Opened, Shelf, ShelfError, Shifted, Tree};
use b3scale::recordings::{RecordingsConfig, Shelves};
use b3scale_middleware::cluster::RecordId;
use b3scale_support::{Reaction, Receiver, TestBucket, TestFolder};
use bytes::Bytes;
use futures_util::TryStreamExt;
use rustix::fs::inotify;

const RECORD: &str = "0123456789012345678901234567890123456789-1700000000000";

/// Longer than a part of an upload.
const LARGE: usize = 40 << 20;

fn key(format: &str) -> FormatKey {
    FormatKey::new(&RecordId::new(RECORD).unwrap(), format).unwrap()
}

fn path(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

/// A folder with these files.
fn filled(parent: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = parent.join(name);
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

async fn bytes(opened: Opened, part: std::ops::Range<u64>) -> Vec<u8> {
    let content = opened.read(part).await.unwrap();
    content.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

/// The whole text of a file, if it is there.
async fn text(shelf: &dyn Shelf, key: &FormatKey, place: &str, file: &str) -> Option<String> {
    let opened = shelf.open(key, place, &path(file)).await.unwrap()?;
    Some(String::from_utf8(bytes(opened, 0..u64::MAX).await).unwrap())
}

/// Moves a format, and returns its place.
async fn shifted(shelf: &dyn Shelf, key: &FormatKey, place: &str, tree: Tree) -> String {
    match shelf.shift(key, place, tree).await.unwrap() {
        Shifted::To(place) => place,
        other => panic!("{key} stays in {place}: {other:?}"),
    }
}

async fn all(shelf: &dyn Shelf) -> Vec<(FormatKey, String)> {
    shelf.all().try_collect().await.unwrap()
}

struct Folders {
    root: TestFolder,
    shelf: Local,
}

impl Folders {
    fn new() -> Self {
        let root = TestFolder::new();
        let shelf = Local::new(trees(root.path(), root.path()));
        Self { root, shelf }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}

fn trees(root: &Path, trash: &Path) -> Trees {
    let trees = Trees {
        published: root.join("published"),
        unpublished: root.join("unpublished"),
        deleted: trash.join("deleted"),
    };
    for tree in [&trees.published, &trees.unpublished, &trees.deleted] {
        fs::create_dir_all(tree).unwrap();
    }
    trees
}

/// What every shelf does.
async fn hold(shelf: &dyn Shelf) {
    let inbox = TestFolder::new();
    let files =
        [("metadata.xml", "<recording/>"), ("video/webcams.webm", "0123456789"), ("presentation/a b/ü #1.txt", "ü")];
    let place = shelf.put(&key("presentation"), Tree::Published, &filled(inbox.path(), "1", &files)).await.unwrap();
    assert!(!inbox.path().join("1").exists(), "the folder belongs to the shelf");

    // Files, and parts of them.
    assert_eq!(text(shelf, &key("presentation"), &place, "metadata.xml").await.as_deref(), Some("<recording/>"));
    assert_eq!(text(shelf, &key("presentation"), &place, "presentation/a b/ü #1.txt").await.as_deref(), Some("ü"));
    let open = async || shelf.open(&key("presentation"), &place, &path("video/webcams.webm")).await.unwrap().unwrap();
    assert_eq!(open().await.size, 10);
    for (part, content) in [(0..2, "01"), (8..100, "89"), (5..5, ""), (10..20, ""), (3..8, "34567")] {
        assert_eq!(bytes(open().await, part.clone()).await, content.as_bytes(), "{part:?}");
    }
    for missing in ["video/webcams.mp4", "metadata.xm"] {
        assert_eq!(text(shelf, &key("presentation"), &place, missing).await, None, "{missing}");
    }
    assert_eq!(text(shelf, &key("video"), &place, "metadata.xml").await, None, "another format has no such file");

    // Lists.
    let listed = shelf.files(&key("presentation"), &place).await.unwrap();
    let sizes: Vec<_> = listed.iter().map(|(path, size)| (&**path, *size)).collect();
    assert_eq!(sizes, [("metadata.xml", 12), ("presentation/a b/ü #1.txt", 2), ("video/webcams.webm", 10)]);
    assert_eq!(all(shelf).await, [(key("presentation"), place.clone())]);

    // One file more, and one in place of an earlier one.
    let before = open().await.tag;
    for (file, content) in [("caption_de.vtt", "WEBVTT"), ("captions/de/a.vtt", "x"), ("video/webcams.webm", "abcde")] {
        shelf.write(&key("presentation"), &place, &path(file), Bytes::from(content)).await.unwrap();
        assert_eq!(text(shelf, &key("presentation"), &place, file).await.as_deref(), Some(content));
    }
    assert_ne!(open().await.tag, before, "another content has another tag");

    // A rebuilt content takes the place of the whole earlier one.
    let rebuilt = filled(inbox.path(), "2", &[("metadata.xml", "<rebuilt/>")]);
    let earlier = place;
    let place = shelf.put(&key("presentation"), Tree::Published, &rebuilt).await.unwrap();
    if place != earlier {
        assert!(text(shelf, &key("presentation"), &earlier, "caption_de.vtt").await.is_some(), "its row may name it");
        shelf.remove(&key("presentation"), &earlier).await.unwrap();
    }
    assert_eq!(text(shelf, &key("presentation"), &place, "metadata.xml").await.as_deref(), Some("<rebuilt/>"));
    assert_eq!(shelf.files(&key("presentation"), &place).await.unwrap().len(), 1);

    // From tree to tree, also if it is there already, and if it never had files.
    let mut place = place;
    for tree in [Tree::Unpublished, Tree::Unpublished, Tree::Published, Tree::Deleted, Tree::Deleted, Tree::Published] {
        place = shifted(shelf, &key("presentation"), &place, tree).await;
        let text = text(shelf, &key("presentation"), &place, "metadata.xml").await;
        assert_eq!(text.as_deref(), Some("<rebuilt/>"), "{tree:?}");
    }

    // Gone, and gone again.
    for _ in 0..2 {
        shelf.remove(&key("presentation"), &place).await.unwrap();
        assert_eq!(text(shelf, &key("presentation"), &place, "metadata.xml").await, None);
    }
    assert_eq!(all(shelf).await, []);
    assert_eq!(shelf.files(&key("presentation"), &place).await.unwrap(), []);
    assert_eq!(text(shelf, &key("presentation"), "../etc", "passwd").await, None, "that is no place");

    // Large files.
    let folder = filled(inbox.path(), "3", &[]);
    fs::create_dir_all(&folder).unwrap();
    let content: Vec<u8> = (0..LARGE).map(|at| (at / 7) as u8).collect();
    fs::write(folder.join("video-0.mp4"), &content).unwrap();
    let place = shelf.put(&key("video"), Tree::Published, &folder).await.unwrap();
    let open = async || shelf.open(&key("video"), &place, &path("video-0.mp4")).await.unwrap().unwrap();
    assert!(bytes(open().await, 0..u64::MAX).await == content);
    assert_eq!(bytes(open().await, (LARGE - 3) as u64..u64::MAX).await, content[LARGE - 3..]);
}

#[tokio::test]
async fn folders_are_a_shelf() {
    let folders = Folders::new();
    hold(&folders.shelf).await;
    assert_eq!(folders.shelf.name(), "local");
    let link = folders.shelf.link(&key("video"), "published", &path("video-0.mp4"), Duration::from_secs(60)).await;
    assert_eq!(link.unwrap(), None);
}

#[tokio::test]
async fn a_bucket_is_a_shelf() {
    let bucket = TestBucket::start().await;
    let shelf = TestBucket::elsewhere().unwrap_or_else(|| bucket.shelf());
    hold(&shelf).await;
    assert_eq!(shelf.name(), "s3");
}

#[tokio::test]
async fn folders_are_laid_out_as_the_original_has_them_and_readable_for_a_web_server() {
    let (folders, inbox) = (Folders::new(), TestFolder::new());
    let folder = filled(inbox.path(), "1", &[("metadata.xml", "<recording/>"), ("video/webcams.webm", "0")]);
    fs::set_permissions(folder.join("metadata.xml"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    folders.shelf.put(&key("presentation"), Tree::Published, &folder).await.unwrap();
    let record = folders.path("published/presentation").join(RECORD);
    assert_eq!(fs::metadata(record.join("metadata.xml")).unwrap().mode() & 0o777, 0o644);
    assert!(fs::symlink_metadata(record.join("link")).is_err(), "a link is no file of a recording");
    shifted(&folders.shelf, &key("presentation"), "published", Tree::Deleted).await;
    assert!(!record.exists() && folders.path("deleted/presentation").join(RECORD).join("video/webcams.webm").exists());
}

#[tokio::test]
async fn no_link_inside_a_format_is_followed_and_no_pipe_is_waited_for() {
    let (folders, inbox) = (Folders::new(), TestFolder::new());
    let files = [("metadata.xml", "<recording/>"), ("video/webcams.webm", "0")];
    folders.shelf.put(&key("presentation"), Tree::Published, &filled(inbox.path(), "1", &files)).await.unwrap();
    let record = folders.path("published/presentation").join(RECORD);
    let outside = filled(inbox.path(), "outside", &[("secret.txt", "secret")]);
    symlink(outside.join("secret.txt"), record.join("file.txt")).unwrap();
    symlink(&outside, record.join("folder")).unwrap();
    symlink("metadata.xml", record.join("inside.xml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, record.join("pipe.txt"), rustix::fs::Mode::RWXU).unwrap();
    for link in ["file.txt", "folder/secret.txt", "inside.xml", "pipe.txt", "folder", "video", "metadata.xml/x"] {
        assert_eq!(text(&folders.shelf, &key("presentation"), "published", link).await, None, "{link}");
    }
    let written = folders.shelf.write(&key("presentation"), "published", &path("folder/new.txt"), Bytes::new()).await;
    assert!(matches!(written, Err(ShelfError::Away { .. })) && !outside.join("new.txt").exists());
    folders.shelf.write(&key("presentation"), "published", &path("file.txt"), Bytes::from("own")).await.unwrap();
    assert_eq!(fs::read_to_string(outside.join("secret.txt")).unwrap(), "secret", "the link itself was replaced");
}

/// Defect 42: the original renames, so that trees on two file systems fail, and an existing target is kept for ever.
#[tokio::test]
async fn a_format_moves_across_file_systems_and_its_target_can_be_cleared() {
    let (here, there) = (TestFolder::new(), TestFolder::new());
    let other = Path::new("/dev/shm").join(format!("b3scale-{}", fastrand::u64(..)));
    let trash = if other.parent().unwrap().is_dir() { other } else { there.path().to_owned() };
    let shelf = Local::new(trees(here.path(), &trash));
    let inbox = TestFolder::new();
    for content in ["first", "second"] {
        let folder = filled(inbox.path(), content, &[("a/b.txt", content), ("c.txt", content)]);
        shelf.put(&key("video"), Tree::Unpublished, &folder).await.unwrap();
        if let Shifted::Taken(earlier) = shelf.shift(&key("video"), "unpublished", Tree::Deleted).await.unwrap() {
            assert_eq!(text(&shelf, &key("video"), "unpublished", "a/b.txt").await.as_deref(), Some(content));
            shelf.remove_content(&key("video"), &earlier).await.unwrap();
        }
        let place = shifted(&shelf, &key("video"), "unpublished", Tree::Deleted).await;
        assert_eq!(text(&shelf, &key("video"), &place, "a/b.txt").await.as_deref(), Some(content));
        assert_eq!(shelf.files(&key("video"), &place).await.unwrap().len(), 2);
        assert_eq!(all(&shelf).await, [(key("video"), "deleted".to_owned())], "nothing else is left");
    }
    let left = fs::read_dir(trash.join("deleted/video")).unwrap().count();
    assert_eq!(left, 1, "no unfinished work is left");
    let _ = fs::remove_dir_all(&trash);
}

#[tokio::test]
async fn a_format_is_found_in_the_tree_that_it_was_just_moved_to_and_not_in_the_trash() {
    let (folders, inbox) = (Folders::new(), TestFolder::new());
    folders.shelf.put(&key("video"), Tree::Published, &filled(inbox.path(), "1", &[("a.txt", "a")])).await.unwrap();
    shifted(&folders.shelf, &key("video"), "published", Tree::Unpublished).await;
    assert_eq!(text(&folders.shelf, &key("video"), "published", "a.txt").await.as_deref(), Some("a"));
    shifted(&folders.shelf, &key("video"), "published", Tree::Deleted).await;
    // A server may be killed before it records that.
    assert_eq!(shifted(&folders.shelf, &key("video"), "published", Tree::Deleted).await, "deleted");
    assert_eq!(text(&folders.shelf, &key("video"), "published", "a.txt").await, None);
}

#[tokio::test]
async fn a_reader_keeps_its_content_and_a_replaced_format_is_never_missing() {
    let (folders, inbox) = (Folders::new(), TestFolder::new());
    let put = async |name: &str| {
        let folder = filled(inbox.path(), name, &[("a.txt", &name.repeat(200_000))]);
        folders.shelf.put(&key("video"), Tree::Published, &folder).await.unwrap()
    };
    let place = put("a").await;
    let opened = folders.shelf.open(&key("video"), &place, &path("a.txt")).await.unwrap().unwrap();
    let mut content = opened.read(0..u64::MAX).await.unwrap();
    let first = content.try_next().await.unwrap().unwrap();
    let (shelf, over) = (Arc::new(Local::new(trees(folders.root.path(), folders.root.path()))), Arc::new(()));
    let looking = tokio::spawn({
        let over = Arc::clone(&over);
        async move {
            let mut looks = 0;
            while Arc::strong_count(&over) > 1 {
                assert!(shelf.open(&key("video"), "published", &path("a.txt")).await.unwrap().is_some());
                looks += 1;
            }
            looks
        }
    });
    for name in ["b", "c", "d", "e", "f", "g"] {
        put(name).await;
    }
    drop(over);
    assert!(looking.await.unwrap() > 0);
    let rest = content.try_collect::<Vec<Bytes>>().await.unwrap().concat();
    assert!(first.iter().chain(&rest).all(|byte| *byte == b'a') && first.len() + rest.len() == 200_000);
}

#[tokio::test]
async fn remains_of_a_killed_server_are_swept_once_they_are_old() {
    let folders = Folders::new();
    fs::create_dir_all(folders.path("published/video/.b3scale-0123-x/a")).unwrap();
    fs::create_dir_all(folders.path("published/video").join(RECORD)).unwrap();
    let sweep = async |before| folders.shelf.sweep(before).await.unwrap();
    assert_eq!(sweep(SystemTime::now() - Duration::from_hours(1)).await, 0, "another server may be at it");
    let aged = fs::File::open(folders.path("published/video/.b3scale-0123-x")).unwrap();
    aged.set_modified(SystemTime::now() - Duration::from_hours(9000)).unwrap();
    assert_eq!(sweep(SystemTime::now() - Duration::from_hours(1)).await, 0, "old files may have come there just now");
    assert_eq!(sweep(SystemTime::now() + Duration::from_hours(1)).await, 1);
    assert_eq!(all(&folders.shelf).await.len(), 1);
}

/// A server that is killed between two renames would leave files that no name leads to.
#[tokio::test]
async fn a_format_moves_by_one_rename() {
    let (folders, inbox) = (Folders::new(), TestFolder::new());
    folders.shelf.put(&key("video"), Tree::Published, &filled(inbox.path(), "1", &[("a.txt", "a")])).await.unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    for tree in ["published/video", "unpublished/video"] {
        fs::create_dir_all(folders.path(tree)).unwrap();
        inotify::add_watch(&watch, folders.path(tree), inotify::WatchFlags::MOVE).unwrap();
    }
    shifted(&folders.shelf, &key("video"), "published", Tree::Unpublished).await;
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let mut moves = Vec::new();
    while let Ok(event) = events.next() {
        moves.push((event.events(), event.file_name().unwrap().to_str().unwrap().to_owned()));
    }
    let moved = |way| (way | inotify::ReadFlags::ISDIR, RECORD.to_owned());
    assert_eq!(moves, [moved(inotify::ReadFlags::MOVED_FROM), moved(inotify::ReadFlags::MOVED_TO)]);
}

#[tokio::test]
async fn a_format_without_files_is_not_said_to_be_moved() {
    let folders = Folders::new();
    for place in ["published", "unpublished", "deleted"] {
        let shifted = folders.shelf.shift(&key("notes"), place, Tree::Unpublished).await.unwrap();
        assert_eq!(shifted, Shifted::Missing, "{place}");
    }
}

#[tokio::test]
async fn a_bucket_that_goes_away_is_said_to_be_away_and_works_when_it_is_back() {
    let mut bucket = TestBucket::start().await;
    let (shelf, inbox) = (bucket.shelf(), TestFolder::new());
    let place = shelf.put(&key("video"), Tree::Published, &filled(inbox.path(), "1", &[("a.txt", "a")])).await.unwrap();
    bucket.go_away().await;
    let folder = filled(inbox.path(), "2", &[("a.txt", "b")]);
    let failed = [
        shelf.open(&key("video"), &place, &path("a.txt")).await.map(drop),
        shelf.put(&key("video"), Tree::Published, &folder).await.map(drop),
        shelf.remove(&key("video"), &place).await,
        shelf.all().try_collect::<Vec<_>>().await.map(drop),
    ];
    for failed in failed {
        let error = failed.unwrap_err();
        assert!(matches!(&error, ShelfError::Away { place, .. } if place == "the bucket recordings"), "{error}");
    }
    assert!(folder.join("a.txt").exists(), "nothing was lost");
    bucket.come_back().await;
    assert_eq!(text(&shelf, &key("video"), &place, "a.txt").await.as_deref(), Some("a"));
    let place = shelf.put(&key("video"), Tree::Published, &folder).await.unwrap();
    assert_eq!(text(&shelf, &key("video"), &place, "a.txt").await.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_full_bucket_is_told_by_its_answer_and_not_by_a_word_of_the_address() {
    let (full, away) = (Receiver::start().await, Receiver::start().await);
    let answer = |status: &str, code: &str| {
        let body = format!("<Error><Code>{code}</Code><Resource>/507/QuotaExceeded</Resource></Error>");
        Reaction::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    full.react([answer("403 Forbidden", "QuotaExceeded"), answer("400 Bad Request", "XMinioAdminBucketQuotaExceeded")]);
    full.react((0..5).map(|_| answer("507 Insufficient Storage", "Else")));
    away.react([answer("403 Forbidden", "AccessDenied"), answer("400 Bad Request", "Else")]);
    away.react((0..5).map(|_| answer("503 Service Unavailable", "SlowDown")));
    for (server, is_full) in [(&full, true), (&away, false)] {
        let bucket = "QuotaExceeded-507-Insufficient-Storage".to_owned();
        let (endpoint, word) = (Some(server.url("/StorageFull").parse().unwrap()), Some("x".to_owned()));
        let settings =
            S3Settings { bucket, endpoint, region: "us-east-1".to_owned(), access_key: word.clone(), secret_key: word };
        let shelf = S3::new(&settings).unwrap();
        for _ in 0..3 {
            let error = shelf.write(&key("video"), "507", &path("507.txt"), Bytes::new()).await.unwrap_err();
            assert_eq!(matches!(error, ShelfError::Full { .. }), is_full, "{error}");
        }
    }
}

#[tokio::test]
async fn generations_lie_next_to_each_other_and_the_inbox_is_no_format() {
    let (bucket, inbox) = (TestBucket::start().await, TestFolder::new());
    let shelf = bucket.shelf();
    let put = async |name| {
        shelf.put(&key("video"), Tree::Published, &filled(inbox.path(), name, &[("a.txt", name)])).await.unwrap()
    };
    let (one, two) = (put("1").await, put("2").await);
    let mut objects = [&one, &two].map(|place| format!("video/{RECORD}/{place}/a.txt"));
    objects.sort();
    assert_eq!(bucket.objects(), objects);
    assert_eq!(all(&shelf).await.len(), 2);
    assert_eq!(text(&shelf, &key("video"), &one, "a.txt").await.as_deref(), Some("1"));
    let link = shelf.link(&key("video"), &one, &path("a.txt"), Duration::from_secs(60)).await.unwrap().unwrap();
    assert!(
        link.contains(&format!("/recordings/video/{RECORD}/{one}/a.txt?")) && link.contains("X-Amz-Signature="),
        "{link}"
    );
}

/// The refusal of settings, or the names of the shelves.
async fn opened(values: &[(&str, &str)]) -> Result<Option<Vec<&'static str>>, String> {
    let environment: Environment =
        values.iter().map(|(name, value)| (format!("B3SCALE_RECORDINGS_{name}"), (*value).to_owned())).collect();
    let config = RecordingsConfig::read(&environment).unwrap();
    let shelves = Shelves::open(&config).await.map_err(|error| error.to_string())?;
    Ok(shelves.map(|shelves| {
        let others = shelves.all().map(|shelf| shelf.name()).filter(|name| *name != shelves.main().name());
        std::iter::once(shelves.main().name()).chain(others).collect()
    }))
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named_with_their_remedy() {
    let (folder, mut bucket) = (TestFolder::new(), TestBucket::start().await);
    let tree = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    let (published, unpublished) = (tree("published"), tree("unpublished"));
    fs::write(folder.path().join("file"), "").unwrap();
    let (file, missing) = (folder.path().join("file"), folder.path().join("missing"));
    let (file, missing) = (&*file.display().to_string(), &*missing.display().to_string());
    let both = [("PUBLISHED_PATH", &*published), ("UNPUBLISHED_PATH", &*unpublished)];
    let with = |more: &[(&'static str, &str)]| {
        both.iter().chain(more).map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
    };
    let open = async |values: Vec<(&'static str, String)>| {
        opened(&values.iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>()).await
    };
    assert_eq!(opened(&[]).await, Ok(None));
    assert_eq!(opened(&both).await, Ok(Some(vec!["local"])));
    assert!(folder.path().join("deleted").is_dir());
    for (values, said) in [
        (vec![both[0]], "UNPUBLISHED_PATH: it is not set, and B3SCALE_RECORDINGS_PUBLISHED_PATH is"),
        (vec![("PUBLISHED_PATH", missing), both[1]], "this folder cannot be read: No such file"),
        (vec![both[0], ("UNPUBLISHED_PATH", file)], "this folder is no folder"),
        (vec![both[0], ("UNPUBLISHED_PATH", &published)], "is the same folder"),
        (vec![both[0], both[1], ("INBOX_PATH", missing)], "INBOX_PATH=`"),
        (vec![both[0], both[1], ("SPOOL_PATH", missing)], "SPOOL_PATH=`"),
        (vec![both[0], both[1], ("PLAYER_PATH", &published)], "has no readable index.html"),
        (vec![both[0], both[1], ("DELETED_PATH", file)], "DELETED_PATH=`"),
        (vec![both[0], both[1], ("STORAGE", "s3")], "S3_BUCKET: it is not set; name the bucket"),
    ] {
        let error = opened(&values).await.unwrap_err();
        assert!(error.starts_with("B3SCALE_RECORDINGS_") && error.contains(said), "{error}");
    }

    let s3: Vec<(&'static str, String)> = bucket
        .environment()
        .into_iter()
        .map(|(name, value)| (name.trim_start_matches("B3SCALE_RECORDINGS_"), value))
        .collect();
    let changed = |name: &str, value: &str| {
        let values = s3.iter().map(|(each, old)| (*each, if *each == name { value.to_owned() } else { old.clone() }));
        values.chain([("STORAGE", "s3".to_owned())]).collect::<Vec<_>>()
    };
    assert_eq!(open(changed("", "")).await, Ok(Some(vec!["s3"])));
    assert_eq!(open([with(&[]), s3.clone()].concat()).await, Ok(Some(vec!["local", "s3"])));
    assert!(open(s3.clone()).await.unwrap_err().contains("PUBLISHED_PATH: it is not set; name the folder"));
    assert!(open(changed("S3_SECRET_KEY", "")).await.unwrap_err().contains("S3_SECRET_KEY: it is not set"));
    for (name, value) in [("S3_BUCKET", "nowhere"), ("S3_SECRET_KEY", "wrong")] {
        let error = open(changed(name, value)).await.unwrap_err();
        assert!(error.contains("the bucket cannot be used: ") && !error.contains("wrong"), "{error}");
    }
    bucket.go_away().await;
    assert_eq!(open(changed("", "")).await, Ok(Some(vec!["s3"])), "it may come back");
}
