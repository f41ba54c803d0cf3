//! The way of an archive out of the inbox: into a folder, or back to the spool.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Parts;
use crate::recordings::spool;
use crate::store::Import;

/// Reads, on a thread that may wait, pieces that a task sends.
pub(super) struct Pipe {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Pipe {
    pub(super) fn new(pieces: mpsc::Receiver<Bytes>) -> Self {
        Self { pieces, piece: Bytes::new() }
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(next) = self.pieces.blocking_recv() else { return Ok(0) };
            self.piece = next;
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Copies a refused archive with its reason into the spool. `false`: this server has no spool, or the inbox has no archive any more.
pub(super) async fn hand_back(parts: &Parts, import: &Import, reason: &str) -> Result<bool, crate::work::JobError> {
    let Some(spool) = parts.settings.spool.clone() else { return Ok(false) };
    let length = parts.arrivals.chunks(import.id).await?.iter().map(|chunk| chunk.size).sum();
    if length == 0 {
        return Ok(false);
    }
    let (pieces, received) = mpsc::channel(super::PIECES);
    let (name, reason) = (import.name.clone(), reason.to_owned());
    let written = spawn_blocking(move || spool::set_aside(&spool, &name, &reason, length, &mut Pipe::new(received)));
    let sent = parts.arrivals.send(import.id, pieces).await;
    written.await??;
    sent?;
    Ok(true)
}
