//! The folder of work, which may lie among files of others.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use b3scale_support::{TestFolder, eventually};

use super::Rig;

/// Makes a folder or a file two days old.
fn age(path: &Path) {
    let old = SystemTime::now() - Duration::from_hours(48);
    File::open(path).unwrap().set_modified(old).unwrap();
}

#[tokio::test]
async fn remains_of_imports_are_swept_and_files_of_others_stay() {
    let scratch = TestFolder::new();
    let (foreign, work) = (scratch.path().join("thesis"), scratch.path().join(".b3scale-work"));
    for folder in [&foreign, &work.join("import-1")] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("file"), "text").unwrap();
        age(folder);
    }
    for file in [scratch.path().join("notes.txt"), work.join("file")] {
        fs::write(&file, "text").unwrap();
        age(&file);
    }
    let path = scratch.path().display().to_string();
    let _rig = Rig::with(&[("B3SCALE_RECORDINGS_WORK_PATH", &path)]).await;
    eventually("remains are swept", async || fs::read_dir(&work).unwrap().next().is_none()).await;
    assert!(foreign.join("file").exists() && scratch.path().join("notes.txt").exists());
}
