use std::fs;
use std::io::Write as _;

use ::tar::{Builder, EntryType, Header};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const LIMITS: Limits = Limits { bytes: 1 << 30, files: 1000, keep_free: 0 };

/// A tar in memory.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn file(mut self, path: &str, content: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        self.entry(header, path, content.as_bytes());
        self
    }

    fn special(mut self, kind: EntryType, path: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_link_name_literal("/etc/passwd").unwrap();
        header.set_size(0);
        self.entry(header, path, b"");
        self
    }

    /// Writes any path, which the builder would refuse.
    fn entry(&mut self, mut header: Header, path: &str, content: &[u8]) {
        let name = &mut header.as_old_mut().name;
        name.fill(0);
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        self.0.append(&header, content).unwrap();
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn unpack(self) -> Result<Unpacked, String> {
        unpacked(&self.finish(), LIMITS)
    }
}

fn unpacked(archive: &[u8], limits: Limits) -> Result<Unpacked, String> {
    let folder = tempfile::tempdir().unwrap();
    unpack(archive, folder.path(), limits).map_err(|error| error.to_string())
}

fn zipped(archive: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(archive).unwrap();
    encoder.finish().unwrap()
}

fn video() -> Archive {
    Archive::new().file("video/a-1/metadata.xml", "<recording/>").file("video/a-1/video-0.m4v", "film")
}

/// The name of a format, and its files or its refusal.
fn formats(unpacked: &Unpacked) -> Vec<(String, Result<i64, String>)> {
    let format = |format: &UnpackedFormat| {
        let content = format.content.as_ref().map(|content| content.files).map_err(Clone::clone);
        (format!("{} of {}", format.key.format(), format.key.record()), content)
    };
    unpacked.formats.iter().map(format).collect()
}

#[test]
fn files_are_unpacked_with_their_digests() {
    let archive = video().file("./published/presentation/b-2/presentation/x/slide-1.png", "png").finish();
    let folder = tempfile::tempdir().unwrap();
    let unpacked = unpack(&archive[..], folder.path(), LIMITS).unwrap();
    assert_eq!(formats(&unpacked), [("video of a-1".to_owned(), Ok(2)), ("presentation of b-2".to_owned(), Ok(1))]);
    assert_eq!((unpacked.length, unpacked.sha256.len()), (archive.len() as u64, 64));
    assert_eq!(fs::read_to_string(folder.path().join("a-1/video/video-0.m4v")).unwrap(), "film");
    assert_eq!(fs::read(folder.path().join("b-2/presentation/presentation/x/slide-1.png")).unwrap(), b"png");
}

#[test]
fn a_compressed_archive_has_the_same_files() {
    let (plain, folder) = (video().finish(), tempfile::tempdir().unwrap());
    let zipped = unpack(&zipped(&plain)[..], folder.path(), LIMITS).unwrap();
    let plain = unpacked(&plain, LIMITS).unwrap();
    assert_eq!(zipped.formats[0].content, plain.formats[0].content);
    assert_ne!(zipped.sha256, plain.sha256);
}

#[test]
fn an_archive_without_its_end_is_incomplete_wherever_it_is_cut() {
    let archive = video().finish();
    let marked = archive.len() - 1024;
    for end in (0..marked + 1024).step_by(97) {
        let said = unpacked(&archive[..end], LIMITS).unwrap_err();
        assert!(said.starts_with("the archive is incomplete"), "{end}: {said}");
    }
    assert!(unpacked(&archive[..marked + 1024], LIMITS).is_ok());
    let zipped = zipped(&archive);
    for end in 0..zipped.len() {
        let said = unpacked(&zipped[..end], LIMITS).unwrap_err();
        assert!(said.starts_with("the archive is incomplete"), "{end}: {said}");
    }
}

#[test]
fn damage_is_named() {
    let archive = video().finish();
    let said = |archive: &[u8]| unpacked(archive, LIMITS).unwrap_err();
    let mut flipped = archive.clone();
    flipped[100] ^= 1;
    assert_eq!(said(&flipped), "the archive is damaged: a header has a wrong checksum");
    assert_eq!(said(&[b'x'; 2048]), "the archive is damaged: a header has a wrong checksum");
    assert!(said(&[archive.clone(), archive.clone()].concat()).ends_with("there is data behind its end"));
    let mut zipped = zipped(&archive);
    let middle = zipped.len() / 2;
    zipped[middle] ^= 0xff;
    assert!(said(&zipped).starts_with("the archive is "), "{}", said(&zipped));
    assert_eq!(said(&Archive::new().finish()), "the archive is refused: it has no recording");
}

#[test]
fn a_path_that_leads_elsewhere_refuses_the_archive() {
    for (path, problem) in [
        ("/video/a-1/x", "is an absolute path"),
        ("video/a-1/../../x", "leads out of the archive"),
        ("../video/a-1/x", "leads out of the archive"),
        ("README", "lies outside of all recordings"),
        ("video/readme.txt", "has no id of a recording in it"),
    ] {
        let said = video().file(path, "x").unpack().unwrap_err();
        assert_eq!(
            said,
            format!("the archive is refused: `{path}` {problem}; files belong at `<format>/<record id>/…`")
        );
    }
}

#[test]
fn an_entry_that_no_recording_has_refuses_its_format_alone() {
    for (kind, problem) in [
        (EntryType::Symlink, "is a symbolic link"),
        (EntryType::Link, "is a hard link"),
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a named pipe"),
        (EntryType::new(b'V'), "is no file and no folder"),
    ] {
        let unpacked = video().special(kind, "podcast/a-1/x").file("podcast/a-1/y", "y").unpack().unwrap();
        let refused = Err(format!("`podcast/a-1/x` {problem}"));
        assert_eq!(formats(&unpacked), [("podcast of a-1".to_owned(), refused), ("video of a-1".to_owned(), Ok(2))]);
    }
    let said = video().special(EntryType::GNUSparse, "podcast/a-1/x").unpack().unwrap_err();
    assert!(said.contains("is a sparse file"), "{said}");
}

#[test]
fn paths_that_collide_refuse_their_format() {
    for (first, second, problem) in [
        ("podcast/a-1/x", "podcast/a-1/x", "comes twice"),
        ("podcast/a-1/x", "podcast/a-1/./x", "comes twice"),
        ("podcast/a-1/x", "podcast/a-1/x/y", "comes twice"),
        ("podcast/a-1/x/y", "podcast/a-1/x", "comes twice"),
        ("podcast/a-1/x", "podcast/a-1/X", "differs from another path in case alone"),
        ("podcast/a-1/x/y", "podcast/a-1/X/z", "differs from another path in case alone"),
        ("podcast/a-1/Ä", "podcast/a-1/ä", "differs from another path in case alone"),
    ] {
        let unpacked = video().file(first, "1").file(second, "2").unpack().unwrap();
        assert_eq!(formats(&unpacked)[0].1, Err(format!("`{second}` {problem}")));
        assert_eq!(formats(&unpacked)[1].1, Ok(2));
    }
}

#[test]
fn long_names_are_read_in_both_dialects_and_bounded() {
    let path = format!("video/a-1/{}/{}.png", "f".repeat(120), "n".repeat(120));
    let mut gnu = video();
    let mut header = Header::new_gnu();
    header.set_size(1);
    gnu.0.append_data(&mut header, &path, &b"x"[..]).unwrap();
    assert_eq!(formats(&gnu.unpack().unwrap())[0].1, Ok(3));
    let mut pax = video();
    pax.0.append_pax_extensions([("path", path.as_bytes())]).unwrap();
    assert_eq!(formats(&pax.file("video/a-1/short", "x").unpack().unwrap())[0].1, Ok(3));
    let mut endless = video();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    endless.entry(header, "././@LongLink", b"");
    assert!(endless.unpack().unwrap_err().ends_with("a name or an extension is too long"));
    let mut foreign = video();
    foreign.0.append_pax_extensions([("path", &b"video/a-1/\xff"[..])]).unwrap();
    assert!(foreign.file("video/a-1/x", "x").unpack().unwrap_err().contains("is not UTF-8"));
}

#[test]
fn limits_hold() {
    let few = Limits { files: 1, ..LIMITS };
    assert!(unpacked(&video().finish(), few).unwrap_err().ends_with("it has more than 1 files"));
    let small = Limits { bytes: 10, ..LIMITS };
    assert!(unpacked(&video().finish(), small).unwrap_err().contains("it has more than"));
    let full = Limits { keep_free: u64::MAX, ..LIMITS };
    assert!(unpacked(&video().finish(), full).unwrap_err().starts_with("no room left"));
}

#[test]
fn a_bomb_is_refused_before_it_fills_the_disk() {
    let zeros = "\0".repeat(80 << 20);
    let archive = zipped(&video().file("video/a-1/zeros", &zeros).finish());
    assert!(archive.len() < 1 << 20);
    let said = unpacked(&archive, LIMITS).unwrap_err();
    assert_eq!(said, "the archive is refused: it grows more than 200 times when it is unpacked");
}

#[test]
fn a_bomb_is_refused_where_nothing_is_unpacked() {
    let zeros = "\0".repeat(66 << 20);
    let refused = video().special(EntryType::Symlink, "podcast/a-1/x").file("podcast/a-1/zeros", &zeros);
    let mut special = video();
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Fifo);
    header.set_size(zeros.len() as u64);
    special.entry(header, "podcast/a-1/x", zeros.as_bytes());
    let mut extended = video();
    let extension = "x".repeat(60 << 10);
    (0..1150).for_each(|_| extended.0.append_pax_extensions([("comment", extension.as_bytes())]).unwrap());
    let behind = [video().finish(), zeros.clone().into_bytes()].concat();
    for archive in [refused.finish(), special.finish(), extended.file("video/a-1/y", "y").finish(), behind] {
        let said = unpacked(&zipped(&archive), LIMITS).unwrap_err();
        assert_eq!(said, "the archive is refused: it grows more than 200 times when it is unpacked");
        let said = unpacked(&archive, Limits { bytes: 1 << 20, files: 10, ..LIMITS }).unwrap_err();
        assert!(said.starts_with("the archive is refused: it has more than"), "{said}");
    }
}
