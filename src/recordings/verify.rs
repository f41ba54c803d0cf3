//! Verification: the rows of formats against files on the shelves, in both directions.
//!
//! Repairs lose nothing: a row names the place where its files are, files come to the tree of their recording's state, and files
//! without a row are imported. No file is removed. Formats with background work under way are passed over.

mod adoption;
mod row;

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::SendError;
use tokio::time::Instant;

use super::import::Importer;
use super::shelf::{Shelf, ShelfError};
use super::shelves::Shelves;
use crate::rest::{FileProblem, FileProblemKind, VerifyLine, VerifyProgress, VerifyTotals};
use crate::store::{Store, StoreError, Which};

/// Rows that are read, and files that are judged, at a time.
const PAGE: usize = 200;
/// Formats that are compared at a time.
const AT_ONCE: usize = 8;
/// The pause between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// Compares rows and files.
#[derive(Clone)]
pub struct Verifier {
    store: Store,
    shelves: Shelves,
    importer: Importer,
}

/// A verification under way.
struct Run<'v> {
    verifier: &'v Verifier,
    repairs: bool,
    lines: Sender<VerifyLine>,
    totals: VerifyTotals,
    total: i64,
    told: Instant,
}

/// Why a verification ends early.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("the reader has left")]
    Unread,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SendError<VerifyLine>> for Cut {
    fn from(_: SendError<VerifyLine>) -> Self {
        Self::Unread
    }
}

impl Verifier {
    /// A verifier of these shelves. The importer lists files without a row.
    pub fn new(store: Store, shelves: Shelves, importer: Importer) -> Self {
        Self { store, shelves, importer }
    }

    /// Whether this server has the shelf of that name.
    pub fn has_shelf(&self, name: &str) -> bool {
        self.shelves.named(name).is_some()
    }

    /// Compares all, and sends the lines of the verification, until there are no more or no one receives them.
    pub async fn run(&self, repairs: bool, lines: Sender<VerifyLine>) {
        let (totals, told) = (VerifyTotals::default(), Instant::now());
        let mut run = Run { verifier: self, repairs, lines: lines.clone(), totals, total: 0, told };
        let end = match run.all().await {
            Ok(()) => VerifyLine::Done(run.totals),
            Err(Cut::Store(error)) => VerifyLine::Failed(error.to_string()),
            Err(Cut::Unread) => return,
        };
        // The reader may have left just now.
        let _ = lines.send(end).await;
    }
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), Cut> {
        self.total = self.verifier.store.holdings().count().await?;
        self.rows().await?;
        for shelf in self.verifier.shelves.all() {
            self.files(&*shelf).await?;
        }
        Ok(())
    }

    /// Compares each row with its files.
    async fn rows(&mut self) -> Result<(), Cut> {
        let verifier = self.verifier;
        let mut after = String::new();
        loop {
            let page = verifier.store.holdings().page(&after, PAGE as i64, &Which::default()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.record.to_string();
            let repairs = self.repairs;
            let mut checks = stream::iter(page).map(|row| verifier.check(row, repairs)).buffer_unordered(AT_ONCE);
            while let Some(problem) = checks.next().await {
                self.totals.formats += 1;
                self.report(problem?).await?;
            }
        }
    }

    /// Compares each content of a shelf with the rows.
    async fn files(&mut self, shelf: &dyn Shelf) -> Result<(), Cut> {
        let mut pages = shelf.all().chunks(PAGE);
        while let Some(page) = pages.next().await {
            let (mut contents, mut failed) = (Vec::new(), None);
            for content in page {
                match content {
                    Ok(content) => contents.push(content),
                    Err(error) => failed = Some(unlistable(shelf, &error)),
                }
            }
            self.totals.on_shelves += contents.len() as i64;
            for content in self.verifier.unnamed(shelf, contents).await? {
                let problem = self.verifier.unlisted(shelf, content, self.repairs).await?;
                self.report(problem).await?;
            }
            self.report(failed).await?;
        }
        Ok(())
    }

    /// Sends a problem, and the progress now and then.
    async fn report(&mut self, problem: Option<FileProblem>) -> Result<(), Cut> {
        if let Some(problem) = problem {
            self.totals.problems += 1;
            self.totals.repaired += i64::from(problem.repaired);
            self.lines.send(VerifyLine::Problem(problem)).await?;
        }
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            let VerifyTotals { formats, on_shelves, .. } = self.totals;
            self.lines.send(VerifyLine::Progress(VerifyProgress { formats, total: self.total, on_shelves })).await?;
        }
        Ok(())
    }
}

fn unlistable(shelf: &dyn Shelf, error: &ShelfError) -> FileProblem {
    FileProblem {
        record_id: String::new(),
        format: String::new(),
        problem: FileProblemKind::Unreadable,
        shelf: Some(shelf.name().to_owned()),
        detail: format!("its files cannot be listed: {error}"),
        repaired: false,
    }
}
