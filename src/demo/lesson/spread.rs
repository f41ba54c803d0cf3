//! How the meetings of a lesson are spread over the nodes.

use super::super::report::Mismatch;
use super::super::scene::{Scene, Tenant};
use super::{Outcome, mismatch};

/// How many more meetings one node may have than another: a server hears of the claims of the others only a moment later.
const APART: usize = 2;

/// A node's share.
struct Share {
    node: String,
    tag: &'static str,
    /// Meetings, one entry a tenant.
    meetings: Vec<usize>,
    people: usize,
}

/// The shares of all nodes at one moment.
pub(super) struct Spread {
    tenants: Vec<&'static str>,
    shares: Vec<Share>,
}

impl Spread {
    /// Counts `meetings`, each a tenant's key and the id that nodes know.
    pub(super) fn of(scene: &Scene, meetings: &[(&'static str, &str)]) -> Self {
        let tenants: Vec<_> = scene.tenants.iter().map(|tenant| tenant.key).collect();
        let shares = scene.places.iter().map(|place| {
            let mut share =
                Share { node: place.name.clone(), tag: place.tag, meetings: vec![0; tenants.len()], people: 0 };
            for (key, id) in meetings {
                let Some(view) = place.node.meeting(id) else { continue };
                share.people += view.attendees.len();
                let column = tenants.iter().position(|tenant| tenant == key);
                column.iter().for_each(|column| share.meetings[*column] += 1);
            }
            share
        });
        Self { shares: shares.collect(), tenants }
    }

    /// Whether a tenant's meetings are only on nodes with its tag, and there nearly as many as on each other.
    pub(super) fn is_even(&self, tenant: &Tenant) -> Outcome {
        self.evenness(tenant.key, tenant.tag)
    }

    fn evenness(&self, key: &str, tag: &str) -> Outcome {
        let Some(column) = self.tenants.iter().position(|tenant| *tenant == key) else {
            return Err(mismatch("a frontend", format!("{key} is unknown")));
        };
        let counts = |own: bool| {
            let shares = self.shares.iter().filter(move |share| (share.tag == tag) == own);
            shares.map(|share| share.meetings[column])
        };
        let (least, most) = (counts(true).min().unwrap_or_default(), counts(true).max().unwrap_or_default());
        let foreign: usize = counts(false).sum();
        let nodes = counts(true).count();
        let wanted = format!("all on the {nodes} nodes tagged {tag}, at most {APART} more on one than on another");
        Mismatch::unless(foreign == 0 && most - least <= APART, wanted, || {
            format!("{least} to {most} on a node, and {foreign} on nodes without the tag")
        })?;
        let each = if least == most { most.to_string() } else { format!("{least} to {most}") };
        Ok(format!("{each} a node tagged {tag}, none elsewhere"))
    }

    /// As a table, with its head.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let head = ["node", "tags"].into_iter().chain(self.tenants.iter().copied()).chain(["people"]);
        let rows = self.shares.iter().map(|share| {
            let names = [share.node.clone(), share.tag.to_owned()];
            let counts = share.meetings.iter().chain([&share.people]).map(ToString::to_string);
            names.into_iter().chain(counts).collect()
        });
        std::iter::once(head.map(str::to_owned).collect()).chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(shares: &[(&'static str, usize, usize)]) -> Spread {
        let share = |(number, (tag, school, ministry)): (usize, &(&'static str, usize, usize))| Share {
            node: format!("node-{number}"),
            tag,
            meetings: vec![*school, *ministry],
            people: 2 * (school + ministry),
        };
        Spread { tenants: vec!["school", "ministry"], shares: shares.iter().enumerate().map(share).collect() }
    }

    #[test]
    fn an_even_spread_is_within_two() {
        let even = spread(&[("lessons", 3, 0), ("lessons", 1, 0), ("office", 0, 3)]);
        let said = |key, tag| even.evenness(key, tag).unwrap();
        assert_eq!(said("school", "lessons"), "1 to 3 a node tagged lessons, none elsewhere");
        assert_eq!(said("ministry", "office"), "3 a node tagged office, none elsewhere");
    }

    #[test]
    fn a_crowded_node_and_a_foreign_one_are_seen() {
        let came = |shares: &[_]| spread(shares).evenness("school", "lessons").unwrap_err().came;
        assert_eq!(came(&[("lessons", 4, 0), ("lessons", 1, 0)]), "1 to 4 on a node, and 0 on nodes without the tag");
        assert_eq!(came(&[("lessons", 1, 0), ("office", 1, 0)]), "1 to 1 on a node, and 1 on nodes without the tag");
    }

    #[test]
    fn the_table_has_a_row_a_node() {
        let rows = spread(&[("lessons", 2, 0), ("office", 0, 3)]).rows();
        assert_eq!(rows[0], ["node", "tags", "school", "ministry", "people"]);
        assert_eq!(rows[2], ["node-1", "office", "0", "3", "6"]);
    }
}
