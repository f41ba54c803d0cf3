//! Tables for people.

use unicode_width::UnicodeWidthStr;

/// The lines of a table. The first row is its head. Columns of quantities, heads included, are right-aligned.
pub fn lines(rows: &[Vec<String>]) -> impl Iterator<Item = String> {
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
        let mut said = cells().skip(1).filter(|cell| *cell != NOTHING).peekable();
        Self {
            width: cells().map(|cell| cell.width()).max().unwrap_or_default(),
            to_the_right: said.peek().is_some() && said.all(|cell| is_quantity(cell)),
        }
    }

    fn padded(&self, cell: &str) -> String {
        let padding = " ".repeat(self.width.saturating_sub(cell.width()));
        if self.to_the_right { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
    }
}

/// A number, with or without a unit and other words behind it.
fn is_quantity(cell: &str) -> bool {
    let number = cell.trim_end_matches(|letter: char| letter.is_alphabetic() || letter == ' ');
    number.chars().all(|letter| letter.is_ascii_digit() || letter == '.') && number.parse::<f64>().is_ok()
}

/// The text of an empty cell.
pub const NOTHING: &str = "–";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<const N: usize, const M: usize>(rows: [[&str; N]; M]) -> String {
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        lines(&rows).map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["node", "tags", "school"],
            ["node-1", "lessons", NOTHING],
            ["node-10", "office", "12"],
            ["ノード", "", "3"],
        ];
        let expected = "\
node      tags      school
node-1    lessons        –
node-10   office        12
ノード                   3
";
        assert_eq!(shown(rows), expected);
    }

    #[test]
    fn only_quantities_stand_to_the_right() {
        let rows = [["heard of", "version", "id"], ["0.4 s ago", "0.1.0", "87dbc979"], ["12 s ago", "0.1.0", "87e1"]];
        let expected = [" heard of   version   id", "0.4 s ago   0.1.0     87dbc979", " 12 s ago   0.1.0     87e1"];
        assert_eq!(shown(rows).lines().collect::<Vec<_>>(), expected);
    }
}
