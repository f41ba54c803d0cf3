//! Files without a row.

use super::Verifier;
use crate::recordings::import::take_found;
use crate::recordings::shelf::{FormatKey, Shelf};
use crate::rest::{FileProblem, FileProblemKind};
use crate::store::{FileStanding, StoreError};

impl Verifier {
    /// Of contents on a shelf those that no row names.
    pub(super) async fn unnamed(
        &self,
        shelf: &dyn Shelf,
        contents: Vec<(FormatKey, String)>,
    ) -> Result<Vec<(FormatKey, String)>, StoreError> {
        let standings = self.standings(shelf, &contents).await?;
        let unnamed = contents.into_iter().zip(standings).filter(|(_, standing)| is_unnamed(*standing));
        Ok(unnamed.map(|(content, _)| content).collect())
    }

    /// The problem of a content that no row named a moment ago. `None`: a row names it by now, or it is gone.
    pub(super) async fn unlisted(
        &self,
        shelf: &dyn Shelf,
        content: (FormatKey, String),
        repairs: bool,
    ) -> Result<Option<FileProblem>, StoreError> {
        // A row is written after its files, and files are removed after their row. So the shelf is asked first.
        let there = shelf.contents(&content.0).await;
        let standing = self.standings(shelf, std::slice::from_ref(&content)).await?.pop();
        let Some(standing) = standing.filter(|standing| is_unnamed(*standing)) else { return Ok(None) };
        let (key, place) = content;
        let mut problem = FileProblem {
            record_id: key.record().to_string(),
            format: key.format().to_owned(),
            problem: FileProblemKind::Unlisted,
            shelf: Some(shelf.name().to_owned()),
            detail: format!("no row names the files in {place}"),
            repaired: false,
        };
        match there {
            Err(error) => {
                (problem.problem, problem.detail) = (FileProblemKind::Unreadable, error.to_string());
            }
            Ok(contents) if !contents.iter().any(|content| content.place == place) => return Ok(None),
            Ok(_) if standing == FileStanding::LeftOver => {
                problem.problem = FileProblemKind::LeftOver;
                problem.detail = format!("no row needs the files in {place}; remove them by hand");
            }
            Ok(_) if repairs => match take_found(&self.importer, shelf, &key, &place).await {
                Ok(()) => problem.repaired = true,
                Err(reason) => problem.detail.push_str(&format!(", and they cannot be imported: {reason}")),
            },
            Ok(_) => {}
        }
        Ok(Some(problem))
    }

    async fn standings(
        &self,
        shelf: &dyn Shelf,
        contents: &[(FormatKey, String)],
    ) -> Result<Vec<FileStanding>, StoreError> {
        let contents: Vec<_> =
            contents.iter().map(|(key, place)| (key.record().as_str(), key.format(), place.as_str())).collect();
        self.store.holdings().judge(shelf.name(), &contents).await
    }
}

fn is_unnamed(standing: FileStanding) -> bool {
    matches!(standing, FileStanding::LeftOver | FileStanding::Unlisted)
}
