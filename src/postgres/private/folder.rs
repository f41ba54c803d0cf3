//! The data folder: who has it, the cluster in it, and where its socket is.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha1::{Digest, Sha1};

use super::programs::Programs;
use super::user::User;
use super::{NAME, PrivateError, SOCKET};

/// The most bytes of a unix socket's path, without its final zero.
const SOCKET_LIMIT: usize = 107;

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    /// PostgreSQL's own folder.
    pub(super) cluster: PathBuf,
    /// The folder of its socket.
    pub(super) socket: PathBuf,
    pub(super) user: User,
    pub(super) programs: Programs,
    lock: File,
}

impl Folder {
    /// Takes the folder, and makes the folder and the cluster if need be.
    pub(super) async fn open(data_dir: &Path) -> Result<Self, PrivateError> {
        make_data_dir(data_dir)?;
        let root = fs::canonicalize(data_dir).map_err(PrivateError::file("find", data_dir))?;
        let lock = lock(&root)?;
        let user = User::choose()?;
        user.check_way(&root)?;
        let cluster = root.join("pgdata");
        let programs = Programs::choose(&cluster).await?;
        let socket = make_socket_dir(&root, &user)?;
        if !cluster.exists() {
            make_cluster(&cluster, &programs, &user).await?;
        }
        Ok(Self { cluster, socket, user, programs, lock })
    }
}

/// The folder of the socket of the server that uses `data_dir` now.
pub(super) fn socket_in_use(data_dir: &Path) -> Result<PathBuf, PrivateError> {
    let root = fs::canonicalize(data_dir).map_err(PrivateError::file("find", data_dir))?;
    make_socket_dir(&root, &User::choose()?)
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Empty once the server has stopped. In a shared folder it would stay for ever.
        let _ = fs::remove_dir(&self.socket);
        // Closing it is not enough: a process that is just being started holds the file until it runs its program.
        let _ = self.lock.unlock();
    }
}

fn make_data_dir(folder: &Path) -> Result<(), PrivateError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(PrivateError::file("make the data folder", folder))?;
    // Others may pass through, for the user that runs PostgreSQL, but not look around.
    let passable = Permissions::from_mode(0o711);
    fs::set_permissions(folder, passable).map_err(PrivateError::file("set the permissions of", folder))
}

/// Locks the folder until the file is closed, which the kernel does however we end.
fn lock(root: &Path) -> Result<File, PrivateError> {
    let path = root.join("postgres.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(PrivateError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PrivateError::InUse(root.to_owned())),
        Err(TryLockError::Error(error)) => Err(PrivateError::file("lock", path)(error)),
    }
}

/// The folder of the socket: next to the cluster, or where paths are shorter. Only its user may enter it, since any process that
/// reaches the socket gets in.
fn make_socket_dir(root: &Path, user: &User) -> Result<PathBuf, PrivateError> {
    let beside = root.join("socket");
    let folder = if fits(&beside) { beside } else { short_folder(root, user) };
    let foreign = || PrivateError::ForeignFolder { folder: folder.clone(), user: user.name.clone() };
    match DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => user.own(&folder)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PrivateError::file("make the folder", &folder)(error)),
    }
    // Checked even if just made: in a shared folder another user may have created it before, or left a link.
    let metadata = fs::symlink_metadata(&folder).map_err(PrivateError::file("look at", &folder))?;
    if !metadata.is_dir() || metadata.uid() != user.uid || metadata.mode() & 0o077 != 0 {
        return Err(foreign());
    }
    Ok(folder)
}

fn fits(folder: &Path) -> bool {
    folder.join(SOCKET).as_os_str().len() <= SOCKET_LIMIT
}

fn short_folder(root: &Path, user: &User) -> PathBuf {
    let hash: String = Sha1::digest(root.as_os_str().as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !user.other).map(PathBuf::from);
    let parent = runtime.filter(|folder| folder.is_dir()).unwrap_or_else(|| PathBuf::from("/tmp"));
    parent.join(format!("b3scale-{hash}"))
}

/// Creates the cluster next to its place and renames it, so that a half-made cluster is never used.
async fn make_cluster(cluster: &Path, programs: &Programs, user: &User) -> Result<(), PrivateError> {
    let new = cluster.with_extension("new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(PrivateError::file("remove", &new))?;
    }
    DirBuilder::new().mode(0o700).create(&new).map_err(PrivateError::file("make the folder", &new))?;
    user.own(&new)?;
    let mut initdb = programs.command("initdb");
    initdb.arg("-D").arg(&new).args(["-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C"]);
    if user.other {
        initdb.uid(user.uid).gid(user.gid);
    }
    let output = initdb.stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| PrivateError::System { task: "run initdb", error })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let reason = words.lines().find(|line| line.contains("error:")).or(words.lines().last()).unwrap_or("no reason");
        return Err(PrivateError::NotMade { folder: cluster.to_owned(), reason: reason.to_owned() });
    }
    fs::rename(&new, cluster).map_err(PrivateError::file("rename", new))?;
    tracing::info!(folder = %cluster.display(), %programs, "Created a database");
    Ok(())
}
