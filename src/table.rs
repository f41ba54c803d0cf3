//! Tables for people.

use unicode_width::UnicodeWidthStr;

/// The lines of a table whose first row is its head. Columns of numbers, their heads included, stand to the right.
pub(crate) fn lines(rows: &[Vec<String>]) -> impl Iterator<Item = String> {
    let columns: Vec<Column> = (0..rows.first().map_or(0, Vec::len)).map(|place| Column::of(rows, place)).collect();
    rows.iter().map(move |row| {
        let cells: Vec<String> = row.iter().zip(&columns).map(|(cell, column)| column.padded(cell)).collect();
        cells.join("   ").trim_end().to_owned()
    })
}

struct Column {
    width: usize,
    to_the_right: bool,
}

impl Column {
    fn of(rows: &[Vec<String>], place: usize) -> Self {
        let cells = || rows.iter().filter_map(move |row| row.get(place));
        let begins_with_digit = |cell: &&String| cell.starts_with(|c: char| c.is_ascii_digit());
        Self {
            width: cells().map(|cell| cell.width()).max().unwrap_or_default(),
            to_the_right: cells().skip(1).find(|cell| *cell != NOTHING).as_ref().is_some_and(begins_with_digit),
        }
    }

    fn padded(&self, cell: &str) -> String {
        let padding = " ".repeat(self.width.saturating_sub(cell.width()));
        if self.to_the_right { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
    }
}

/// What stands in a cell that has nothing to say.
pub(crate) const NOTHING: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["node", "tags", "school"]),
            row(["node-1", "lessons", NOTHING]),
            row(["node-10", "office", "12"]),
            row(["ノード", "", "3"]),
        ];
        let lines: Vec<String> = lines(&rows).collect();
        let expected = [
            "node      tags      school",
            "node-1    lessons        –",
            "node-10   office        12",
            "ノード                   3",
        ];
        assert_eq!(lines, expected);
    }
}
