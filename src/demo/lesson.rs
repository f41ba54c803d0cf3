//! The lesson: calls of frontends, actions of an operator, and faults, with a look into the nodes for whether all
//! has arrived where it should.

mod callback;
mod class;
mod drain;
mod everyday;
mod hung_node;
mod node_loss;
mod receiver;
mod recordings;
mod reports;
mod server_loss;
mod spoiled_list;
mod spread;
mod webhook;

use std::fmt::Display;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId};
use b3scale_node::MeetingView;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::DemoError;
use super::client::{Answer, CallError, Endpoint};
use super::report::{Mismatch, Report};
use super::scene::{Place, SERVERS, Scene, Tenant};
use super::servers::Servers;
use class::Class;
use spread::Spread;

/// Calls in flight at most.
const AT_ONCE: usize = 64;
/// Who joins each meeting, and as what.
const PEOPLE: [(&str, &str); 2] = [("Ada Lovelace", "MODERATOR"), ("Grace Hopper", "VIEWER")];
/// Pauses between looks at something that is to come to pass: they grow from the first to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(250)];

/// How long servers may believe a node's report from before a join.
const FRESH_FOR: Duration = Duration::from_secs(20);

type Outcome = Result<String, Mismatch>;

/// A lesson on a cluster.
pub(super) struct Lesson<'a> {
    scene: &'a Scene,
    /// The meetings of an ordinary day.
    lessons: Vec<Meeting<'a>>,
    /// Meetings created while a node is drained; none where no node can be spared.
    extras: Vec<Meeting<'a>>,
    /// Meetings created while a node hangs; none where no node can be spared.
    late: Vec<Meeting<'a>>,
    /// Meetings created while a server is killed.
    rush: Vec<Meeting<'a>>,
}

struct Meeting<'a> {
    tenant: &'a Tenant,
    /// The frontend's. Both frontends use the same ones.
    id: String,
    name: String,
    /// What nodes know it by.
    scoped: ScopedId,
}

/// A node of a frontend, and its meetings there.
struct BusyNode<'a> {
    tenant: &'a Tenant,
    place: &'a Place,
    meetings: Roll<'a>,
}

/// Some of the meetings.
type Roll<'a> = Vec<&'a Meeting<'a>>;

impl<'a> Lesson<'a> {
    /// Plans that many meetings, half of them of each frontend, and some more for when things break.
    pub(super) fn of(scene: &'a Scene, meetings: usize) -> Self {
        let of_both = |word, count| -> Vec<_> {
            let tenant = |number: usize| &scene.tenants[number % scene.tenants.len()];
            (0..count).map(|number| Meeting::new(tenant(number), word, number / scene.tenants.len() + 1)).collect()
        };
        let beside = |word| -> Vec<_> {
            let of_one = |tenant| (1..=2 * SERVERS).map(move |number| Meeting::new(tenant, word, number));
            scene.tenant_with_a_node_to_spare().into_iter().flat_map(of_one).collect()
        };
        Self {
            scene,
            lessons: of_both("lesson", meetings),
            extras: beside("extra"),
            late: beside("late"),
            rush: of_both("rush", 3 * SERVERS),
        }
    }

    /// Plays it, and reports each step.
    pub(super) async fn play(&'a self, servers: &mut Servers, report: &mut Report) -> Result<(), DemoError> {
        everyday::everyday(self, report).await?;
        // Each later check of a broken day would wait for its whole limit.
        if report.has_failed() {
            report.line("\nThe rest is left out: it needs a day on which nothing fails.\n")?;
            return report.summary();
        }
        let spread = self.spread(report)?;
        let reported = reports::reported(self, report).await?;
        recordings::record(self, report).await?;
        callback::tell(self, report).await?;
        webhook::hear(self, report).await?;
        drain::drain(self, report).await?;
        spoiled_list::spoil_list(self, report).await?;
        let mut class = Class::default();
        let lessons: Roll<'_> = self.lessons.iter().collect();
        if let Some(hung) = self.idlest() {
            let elsewhere: Roll<'_> = lessons.iter().copied().filter(|one| !hung.has(one)).collect();
            class.during(self, &elsewhere, hung_node::hang_node(self, &hung, report)).await?;
        }
        class.during(self, &lessons, server_loss::lose_server(self, servers, report)).await?;
        let lost = self.busiest();
        if let Some(lost) = &lost {
            let elsewhere: Roll<'_> = lessons.into_iter().filter(|one| !lost.has(one)).collect();
            class.during(self, &elsewhere, node_loss::lose_node(self, lost, report)).await?;
        }
        report.step("cluster", "meanwhile", class.outcome())?;
        server_loss::recover(self, servers, lost.map(|lost| lost.place), report).await?;
        everyday::end(self, report).await?;
        report.line("\nWhere the meetings were before anything was drained or killed:\n")?;
        report.table(&spread.rows())?;
        if !reported.is_empty() {
            report.line("\nAnd what the agents reported of the nodes:\n")?;
            report.table(&reported)?;
        }
        report.line("")?;
        report.summary()
    }

    fn spread(&self, report: &mut Report) -> Result<Spread, DemoError> {
        let scoped: Vec<_> = self.lessons.iter().map(|one| (one.tenant.key, one.scoped.as_ref())).collect();
        let spread = Spread::of(self.scene, &scoped);
        for tenant in &self.scene.tenants {
            report.step(tenant.key, "spread", spread.is_even(tenant))?;
        }
        Ok(spread)
    }

    /// Does the same for every meeting; of several that fail the first is told.
    async fn each<F>(&self, roll: &[&'a Meeting<'a>], act: impl Fn(&'a Meeting<'a>) -> F) -> Result<(), Mismatch>
    where
        F: Future<Output = Result<(), Mismatch>>,
    {
        let outcomes: Vec<_> = stream::iter(roll.iter().copied().map(act)).buffered(AT_ONCE).collect().await;
        let mut failed = roll.iter().zip(outcomes).filter_map(|(meeting, outcome)| Some((meeting, outcome.err()?)));
        let Some((meeting, Mismatch { expected, came })) = failed.next() else { return Ok(()) };
        let others = match failed.count() {
            0 => String::new(),
            others => format!(" (and {others} more)"),
        };
        Err(Mismatch { expected, came: format!("{}{others}: {came}", meeting.id) })
    }

    /// Calls for a meeting and wants SUCCESS.
    async fn answer(
        &self,
        meeting: &Meeting<'_>,
        kind: CallKind,
        params: &[(&str, &str)],
        wanted: &str,
    ) -> Result<Answer, Mismatch> {
        let answer = self.call(meeting, kind, params).await.map_err(|error| mismatch(wanted, error))?;
        if answer.succeeded() { Ok(answer) } else { Err(mismatch(wanted, answer)) }
    }

    async fn call(&self, meeting: &Meeting<'_>, kind: CallKind, params: &[(&str, &str)]) -> Result<Answer, CallError> {
        self.call_at(&meeting.tenant.endpoints, meeting, kind, params).await
    }

    /// Calls for a meeting at some of the servers.
    async fn call_at(
        &self,
        servers: &[Endpoint],
        meeting: &Meeting<'_>,
        kind: CallKind,
        params: &[(&str, &str)],
    ) -> Result<Answer, CallError> {
        let id = ("meetingID", meeting.id.as_str());
        let name = (kind == CallKind::Create).then_some(("name", meeting.name.as_str()));
        let params: Vec<_> = std::iter::once(id).chain(name).chain(params.iter().copied()).collect();
        self.scene.balancer.call(servers, kind, &params).await
    }

    async fn runs(&self, meeting: &Meeting<'_>) -> Result<(), Mismatch> {
        self.runs_at(&meeting.tenant.endpoints, meeting).await
    }

    /// Whether a meeting has attendees, by some of the servers. For a few seconds they may believe a report from before
    /// the join.
    async fn runs_at(&self, servers: &[Endpoint], meeting: &Meeting<'_>) -> Result<(), Mismatch> {
        let wanted = "running: true";
        let runs = async || {
            let answer = self.call_at(servers, meeting, CallKind::IsMeetingRunning, &[]).await;
            let answer = answer.map_err(|error| mismatch(wanted, error))?;
            let [running] = answer.fields(["running"]);
            let came = || format!("{answer}, running: {}", running.as_deref().unwrap_or_default());
            Mismatch::unless(answer.succeeded(), wanted, came)?;
            Ok((running.as_deref() != Some("true")).then(came))
        };
        eventually(FRESH_FOR, wanted, runs).await
    }

    /// The people of a meeting join it, and are all that is there.
    async fn seat(&self, meeting: &Meeting<'_>) -> Result<(), Mismatch> {
        let (place, _) = self.only_place(meeting)?;
        for (name, role) in PEOPLE {
            self.send_to_node(meeting, place, name, role).await?;
        }
        let present = place.node.meeting(meeting.scoped.as_ref()).map_or(0, |view| view.attendees.len());
        Mismatch::unless(present == PEOPLE.len(), format!("{} people", PEOPLE.len()), || present.to_string())
    }

    /// A join is answered by a redirect to the node, which the browser follows to the client's page.
    async fn send_to_node(&self, meeting: &Meeting<'_>, place: &Place, name: &str, role: &str) -> Result<(), Mismatch> {
        let to_node = format!("a redirect to {}", place.name);
        let answer = self.call(meeting, CallKind::Join, &[("fullName", name), ("role", role)]).await;
        let answer = answer.map_err(|error| mismatch(&to_node, error))?;
        let way = answer
            .location
            .clone()
            .filter(|way| answer.status == StatusCode::FOUND && way.starts_with(&place.node.url()));
        let way = way.ok_or_else(|| mismatch(to_node, &answer))?;
        let wanted = || format!("the client page of {}", place.name);
        let followed = self.scene.balancer.client().follow(way).await;
        let (end, page) = followed.map_err(|error| mismatch(wanted(), error))?;
        let arrived = page.status == StatusCode::OK && end.contains("/html5client/");
        Mismatch::unless(arrived, wanted(), || format!("{page} at {end}"))
    }

    fn lessons_of(&'a self, tenant: &Tenant) -> Roll<'a> {
        self.lessons.iter().filter(|meeting| meeting.belongs_to(tenant)).collect()
    }

    /// All meetings there are of a frontend, or have been planned.
    fn all_of(&'a self, tenant: &Tenant) -> Roll<'a> {
        self.all().filter(|meeting| meeting.belongs_to(tenant)).collect()
    }

    fn all(&'a self) -> impl Iterator<Item = &'a Meeting<'a>> {
        [&self.lessons, &self.extras, &self.late, &self.rush].into_iter().flatten()
    }

    /// The node to drain or to kill: of a frontend that has others, and the one with the most meetings. `None`: no frontend
    /// has two.
    fn busiest(&'a self) -> Option<BusyNode<'a>> {
        self.nodes_to_spare().max_by_key(|node| node.meetings.len())
    }

    /// The node that hangs: the one with the fewest, which gets the next meetings.
    fn idlest(&'a self) -> Option<BusyNode<'a>> {
        self.nodes_to_spare().min_by_key(|node| node.meetings.len())
    }

    fn nodes_to_spare(&'a self) -> impl Iterator<Item = BusyNode<'a>> {
        let there = |place: &Place, meeting: &Meeting<'_>| place.node.meeting(meeting.scoped.as_ref()).is_some();
        let busy = move |tenant, place| {
            let meetings = self.all().filter(|meeting| there(place, meeting)).collect();
            BusyNode { tenant, place, meetings }
        };
        let tenant = self.scene.tenant_with_a_node_to_spare().into_iter();
        tenant.flat_map(move |tenant| self.scene.places_of(tenant).map(move |place| busy(tenant, place)))
    }

    /// The nodes that have a meeting.
    fn places(&self, meeting: &Meeting<'_>) -> Vec<(&'a Place, MeetingView)> {
        let there = |place: &'a Place| Some((place, place.node.meeting(meeting.scoped.as_ref())?));
        self.scene.places.iter().filter_map(there).collect()
    }

    /// The one node that has a meeting.
    fn only_place(&self, meeting: &Meeting<'_>) -> Result<(&'a Place, MeetingView), Mismatch> {
        let mut places = self.places(meeting);
        match (places.pop(), places.is_empty()) {
            (Some(only), true) => Ok(only),
            (last, _) => {
                let names: Vec<_> = places.iter().chain(&last).map(|(place, _)| place.name.as_str()).collect();
                let came = if names.is_empty() { "on none".to_owned() } else { format!("on {}", names.join(", ")) };
                Err(mismatch(format!("{} on one node", meeting.id), came))
            }
        }
    }
}

impl<'a> Meeting<'a> {
    fn new(tenant: &'a Tenant, word: &str, number: usize) -> Self {
        let id = format!("{word}-{number}");
        let scoped = ScopedId::new(tenant.key, &MeetingId::new(&id));
        Self { tenant, name: format!("{id} of the {}", tenant.key), id, scoped }
    }

    fn belongs_to(&self, tenant: &Tenant) -> bool {
        self.tenant.key == tenant.key
    }
}

impl BusyNode<'_> {
    fn has(&self, meeting: &Meeting<'_>) -> bool {
        self.meetings.iter().any(|own| own.scoped == meeting.scoped)
    }
}

/// Repeats a check until it holds, and returns the last mismatch when the time is over.
async fn eventually(
    limit: Duration,
    wanted: &str,
    look: impl AsyncFn() -> Result<Option<String>, Mismatch>,
) -> Result<(), Mismatch> {
    let deadline = Instant::now() + limit;
    let [mut pause, longest] = PAUSES;
    while let Some(came) = look().await? {
        let wanted = format!("{wanted} within {} s", limit.as_secs());
        Mismatch::unless(Instant::now() < deadline, wanted, || came)?;
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
    Ok(())
}

/// How many meetings these are, in words.
fn count(roll: &[&Meeting<'_>]) -> String {
    match roll.len() {
        1 => "1 meeting".to_owned(),
        count => format!("{count} meetings"),
    }
}

fn mismatch(expected: impl Into<String>, came: impl Display) -> Mismatch {
    Mismatch { expected: expected.into(), came: came.to_string() }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn what_comes_to_pass_in_time_is_fine() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            Ok((looks.get() < 5).then(|| "not yet".to_owned()))
        };
        assert_eq!(eventually(LIMIT, "an end", look).await, Ok(()));
        assert_eq!(looks.get(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_to_pass_is_told_when_the_time_is_over() {
        let said = eventually(LIMIT, "an end", async || Ok(Some("still there".to_owned()))).await.unwrap_err();
        assert_eq!(said, mismatch("an end within 3 s", "still there"));
        let failed = eventually(LIMIT, "an end", async || Err(mismatch("an answer", "none"))).await.unwrap_err();
        assert_eq!(failed, mismatch("an answer", "none"), "nobody looks again after that");
    }
}
