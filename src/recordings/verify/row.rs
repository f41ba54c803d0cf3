//! A row and its files.

use super::Verifier;
use crate::recordings::settle::{sums, tree};
use crate::recordings::shelf::{FormatKey, ShelfError, Shifted};
use crate::rest::{FileProblem, FileProblemKind};
use crate::store::{Holding, Spot, StoreError};

/// The file that every format has.
const METADATA: &str = "metadata.xml";

/// How often a row that changes meanwhile is compared again.
const TRIES: usize = 3;

/// A difference, and the repair.
struct Difference {
    kind: FileProblemKind,
    detail: String,
    repair: Repair,
}

/// A repair that loses nothing.
enum Repair {
    /// There is none.
    None,
    /// The row names that spot.
    Name(Spot),
    /// The files come to the tree of the recording's state.
    Shift,
    /// The row takes over their number and size.
    Measure([i64; 2]),
}

impl Verifier {
    /// Compares a row with its files. A row that has changed since it was read is read again.
    pub(super) async fn check(&self, mut row: Holding, repairs: bool) -> Result<Option<FileProblem>, StoreError> {
        for _ in 0..TRIES {
            if row.is_settling {
                return Ok(None);
            }
            let difference = match self.compare(&row).await {
                Ok(None) => return Ok(None),
                Ok(Some(difference)) => difference,
                Err(error) => Difference::new(FileProblemKind::Unreadable, error.to_string()),
            };
            let now = self.store.holdings().of(&row.record).await?;
            match now.into_iter().find(|now| now.format == row.format) {
                None => return Ok(None),
                Some(now) if now != row => row = now,
                Some(_) => return self.problem(&row, difference, repairs).await.map(Some),
            }
        }
        Ok(None)
    }

    async fn compare(&self, row: &Holding) -> Result<Option<Difference>, ShelfError> {
        // Rows have no other formats: a rule of the table.
        let Some(key) = FormatKey::new(&row.record, &row.format) else { return Ok(None) };
        let Some(spot) = &row.spot else { return self.search(&key, "the row names no files").await.map(Some) };
        let Some(shelf) = self.shelves.named(&spot.shelf) else {
            let detail = "this server does not have the shelf; compare its settings with those of the others";
            return Ok(Some(Difference::new(FileProblemKind::Unreadable, detail)));
        };
        if !shelf.contents(&key).await?.iter().any(|content| content.place == spot.place) {
            return self.search(&key, &format!("there are no files in {}", spot.place)).await.map(Some);
        }
        if !shelf.is_in(&spot.place, tree(row.state)) {
            let detail = format!("the recording is {}, and its files lie in {}", row.state.name(), spot.place);
            return Ok(Some(Difference {
                repair: Repair::Shift,
                ..Difference::new(FileProblemKind::Misplaced, detail)
            }));
        }
        let files = shelf.files(&key, &spot.place).await?;
        if !files.iter().any(|(path, _)| path == METADATA) {
            let detail = "there is no metadata.xml; import the format again";
            return Ok(Some(Difference::new(FileProblemKind::Incomplete, detail)));
        }
        Ok(measured(row, &files))
    }

    /// Files that a row should name, on all shelves.
    async fn search(&self, key: &FormatKey, lack: &str) -> Result<Difference, ShelfError> {
        for shelf in self.shelves.all() {
            if let Some(content) = shelf.contents(key).await?.into_iter().next() {
                let detail = format!("{lack}, and there are some in {} of {}", content.place, shelf.name());
                let spot = Spot { shelf: shelf.name().to_owned(), place: content.place };
                let repair = Repair::Name(spot);
                return Ok(Difference { repair, ..Difference::new(FileProblemKind::Misplaced, detail) });
            }
        }
        Ok(Difference::new(
            FileProblemKind::Missing,
            format!("{lack}; import the format again, or delete the recording"),
        ))
    }

    async fn problem(&self, row: &Holding, difference: Difference, repairs: bool) -> Result<FileProblem, StoreError> {
        let Difference { kind, mut detail, repair } = difference;
        let repaired = if repairs { self.repair(row, repair).await } else { Ok(false) };
        let repaired = match repaired {
            Ok(repaired) => repaired,
            Err(Unrepaired::Store(error)) => return Err(error),
            Err(Unrepaired::Shelf(error)) => {
                detail.push_str(&format!("; the repair failed: {error}"));
                false
            }
        };
        Ok(FileProblem {
            record_id: row.record.to_string(),
            format: row.format.clone(),
            problem: kind,
            shelf: row.spot.as_ref().map(|spot| spot.shelf.clone()),
            detail,
            repaired,
        })
    }

    /// Repairs a difference. `false`: it has no repair, or the row has changed.
    async fn repair(&self, row: &Holding, repair: Repair) -> Result<bool, Unrepaired> {
        match repair {
            Repair::None => Ok(false),
            Repair::Measure(sums) => Ok(self.store.holdings().measure(row, sums).await?),
            Repair::Shift => self.shift(row).await,
            Repair::Name(spot) => {
                let named = self.store.holdings().relocate(row, &spot).await?;
                let row = Holding { spot: Some(spot), ..row.clone() };
                Ok(named && self.shift(&row).await?)
            }
        }
    }

    async fn shift(&self, row: &Holding) -> Result<bool, Unrepaired> {
        let Some(spot) = &row.spot else { return Ok(false) };
        let (Some(shelf), Some(key)) = (self.shelves.named(&spot.shelf), FormatKey::new(&row.record, &row.format))
        else {
            return Ok(false);
        };
        let Shifted::To(place) = shelf.shift(&key, &spot.place, tree(row.state)).await? else { return Ok(false) };
        if place == spot.place {
            return Ok(true);
        }
        Ok(self.store.holdings().relocate(row, &Spot { place, ..spot.clone() }).await?)
    }
}

/// Why a repair failed.
enum Unrepaired {
    Store(StoreError),
    Shelf(ShelfError),
}

impl From<StoreError> for Unrepaired {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ShelfError> for Unrepaired {
    fn from(error: ShelfError) -> Self {
        Self::Shelf(error)
    }
}

impl Difference {
    fn new(kind: FileProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), repair: Repair::None }
    }
}

/// A difference in number or size from a row that knows them.
fn measured(row: &Holding, files: &[(String, u64)]) -> Option<Difference> {
    let [count, bytes] = sums(files);
    let is_known = row.files > 0 && row.bytes > 0;
    if !is_known || (row.files, row.bytes) == (count, bytes) {
        return None;
    }
    let detail = format!("there are {count} files of {bytes} bytes, and the row has {} of {}", row.files, row.bytes);
    let is_less = count < row.files || bytes < row.bytes;
    let (advice, repair) =
        if is_less { ("; import the format again", Repair::None) } else { ("", Repair::Measure([count, bytes])) };
    Some(Difference { repair, ..Difference::new(FileProblemKind::Changed, detail + advice) })
}
