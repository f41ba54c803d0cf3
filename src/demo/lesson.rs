//! The lesson: what frontends do all day, with a look into the nodes for whether it has arrived where it should.

mod spread;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use b3scale_middleware::bbb::{CallKind, MeetingId, ScopedId, Secret, xml};
use b3scale_middleware::cluster::load;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use tokio::time::{Instant, sleep};

use super::DemoError;
use super::client::{Answer, CallError, Endpoint};
use super::report::{Mismatch, Report};
use super::scene::{Place, Scene, Tenant};
use crate::node::MeetingView;
use spread::Spread;

/// Calls in flight at most.
const AT_ONCE: usize = 64;
/// How long a meeting may take to be gone after its end was asked for.
const END_LIMIT: Duration = Duration::from_secs(20);
/// Who joins each meeting, and as what.
const PEOPLE: [(&str, &str); 2] = [("Ada Lovelace", "MODERATOR"), ("Grace Hopper", "VIEWER")];

type Outcome = Result<String, Mismatch>;

/// A lesson on a cluster.
pub(super) struct Lesson<'a> {
    scene: &'a Scene,
    meetings: Vec<Meeting<'a>>,
}

struct Meeting<'a> {
    tenant: &'a Tenant,
    /// The frontend's. Both frontends use the same ones.
    id: String,
    name: String,
    /// What nodes know it by.
    scoped: ScopedId,
}

impl<'a> Lesson<'a> {
    /// Plans that many meetings, half of them of each frontend.
    pub(super) fn of(scene: &'a Scene, meetings: usize) -> Self {
        let plan = |number: usize| {
            let tenant = &scene.tenants[number % scene.tenants.len()];
            let number = number / scene.tenants.len() + 1;
            let id = format!("lesson-{number}");
            let scoped = ScopedId::new(tenant.key, &MeetingId::new(&id));
            Meeting { tenant, id, name: format!("Lesson {number} of the {}", tenant.key), scoped }
        };
        Self { scene, meetings: (0..meetings).map(plan).collect() }
    }

    /// Plays it, and reports each step.
    pub(super) async fn play(&'a self, report: &mut Report) -> Result<(), DemoError> {
        self.create(report).await?;
        for tenant in &self.scene.tenants {
            report.step(tenant.key, "create", self.create_again(tenant).await)?;
            report.step(tenant.key, "join", self.join(tenant).await)?;
            report.step(tenant.key, "isMeetingRunning", self.is_running(tenant).await)?;
            report.step(tenant.key, "getMeetingInfo", self.info(tenant).await)?;
            report.step(tenant.key, "getMeetings", self.list(tenant).await)?;
            report.step(tenant.key, "getMeetings", self.forge(tenant).await)?;
        }
        let scoped: Vec<_> = self.meetings.iter().map(|one| (one.tenant.key, one.scoped.as_ref())).collect();
        let spread = Spread::of(self.scene, &scoped);
        for tenant in &self.scene.tenants {
            report.step(tenant.key, "spread", spread.is_even(tenant))?;
        }
        for tenant in &self.scene.tenants {
            report.step(tenant.key, "end", self.end(tenant).await)?;
            report.step(tenant.key, "isMeetingRunning", self.is_gone(tenant).await)?;
        }
        report.line("\nWhere the meetings were:\n")?;
        report.table(&spread.rows())?;
        report.line("")?;
        report.summary()
    }

    /// All meetings of both frontends at once: the hard case of placement.
    async fn create(&'a self, report: &mut Report) -> Result<(), DemoError> {
        let calls = stream::iter(&self.meetings).map(|meeting| self.call(meeting, CallKind::Create, &[]));
        let answers: Vec<_> = calls.buffered(AT_ONCE).collect().await;
        // What came before it on its node is only known once all are there.
        for tenant in &self.scene.tenants {
            for (meeting, answer) in self.meetings.iter().zip(&answers).filter(|(one, _)| one.belongs_to(tenant)) {
                report.step(tenant.key, "create", self.placed(meeting, answer.as_ref()))?;
            }
        }
        Ok(())
    }

    fn placed(&self, meeting: &Meeting<'_>, answer: Result<&Answer, &CallError>) -> Outcome {
        let wanted = || format!("{} to be created", meeting.id);
        let answer = answer.map_err(|error| mismatch(wanted(), error))?;
        Mismatch::unless(answer.succeeded(), wanted(), || answer.to_string())?;
        let (place, view) = self.only_place(meeting)?;
        let tag = meeting.tenant.tag;
        Mismatch::unless(place.tag == tag, format!("{} on a node with the tag {tag}", meeting.id), || {
            format!("{} has {}", place.name, place.tag)
        })?;
        let earlier = place.node.meetings().iter().filter(|other| other.create_time < view.create_time).count();
        let before = load(1.0, u32::try_from(earlier).unwrap_or(u32::MAX), 0);
        Ok(format!("{:<10} → {:<8} tagged {tag}, load before {before}", meeting.id, place.name))
    }

    async fn create_again(&self, tenant: &Tenant) -> Outcome {
        let Some(meeting) = self.of_tenant(tenant).next() else { return Err(mismatch("a meeting", "there is none")) };
        let (_, first) = self.only_place(meeting)?;
        let wanted = format!("duplicateWarning for {}", first.internal_id);
        let answer = self.answer(meeting, CallKind::Create, &[], &wanted).await?;
        let [key, internal_id] = answer.fields(["messageKey", "internalMeetingID"]);
        let same = internal_id.as_deref() == Some(&first.internal_id);
        Mismatch::unless(same && key.as_deref() == Some("duplicateWarning"), wanted, || {
            format!("{answer} for {}", internal_id.unwrap_or_default())
        })?;
        let (place, _) = self.only_place(meeting)?;
        Ok(format!("{:<10} → {:<8} where it is already (duplicateWarning)", meeting.id, place.name))
    }

    async fn join(&'a self, tenant: &Tenant) -> Outcome {
        self.each(tenant, |meeting| async move {
            let (place, _) = self.only_place(meeting)?;
            for (name, role) in PEOPLE {
                self.send_to_node(meeting, place, name, role).await?;
            }
            let present = place.node.meeting(meeting.scoped.as_ref()).map_or(0, |view| view.attendees.len());
            Mismatch::unless(present == PEOPLE.len(), format!("{} people", PEOPLE.len()), || present.to_string())
        })
        .await?;
        let people = self.of_tenant(tenant).count() * PEOPLE.len();
        Ok(format!("{people} people in {}, each on its node", self.count(tenant)))
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
        let (end, page) = self.scene.client.follow(way).await.map_err(|error| mismatch(wanted(), error))?;
        let arrived = page.status == StatusCode::OK && end.contains("/html5client/");
        Mismatch::unless(arrived, wanted(), || format!("{page} at {end}"))
    }

    async fn is_running(&'a self, tenant: &Tenant) -> Outcome {
        self.each(tenant, |meeting| async move {
            let answer = self.answer(meeting, CallKind::IsMeetingRunning, &[], "running: true").await?;
            let [running] = answer.fields(["running"]);
            Mismatch::unless(running.as_deref() == Some("true"), "running: true", || {
                format!("{answer}, running: {}", running.unwrap_or_default())
            })
        })
        .await?;
        Ok(format!("true for {}", self.count(tenant)))
    }

    async fn info(&'a self, tenant: &Tenant) -> Outcome {
        self.each(tenant, |meeting| async move {
            let people = PEOPLE.len().to_string();
            let wanted = [meeting.id.clone(), meeting.name.clone(), people, "1".to_owned()];
            let said = || format!("id, name, people and moderators {}", wanted.join(", "));
            let answer = self.answer(meeting, CallKind::GetMeetingInfo, &[], &said()).await?;
            let came = answer.fields(["meetingID", "meetingName", "participantCount", "moderatorCount"]);
            let came = came.map(Option::unwrap_or_default);
            Mismatch::unless(came == wanted, said(), || format!("{answer}, {}", came.join(", ")))
        })
        .await?;
        Ok("its own id and name, two people, one of them a moderator".to_owned())
    }

    async fn list(&self, tenant: &Tenant) -> Outcome {
        let wanted: BTreeSet<_> = self.of_tenant(tenant).map(|one| (one.id.clone(), one.name.clone())).collect();
        let said = || format!("the {} meetings of {} and no other", wanted.len(), tenant.key);
        let answer = self.scene.client.call(&tenant.endpoint, CallKind::GetMeetings, &[]).await;
        let answer = answer.map_err(|error| mismatch(said(), error))?;
        let found = xml::elements(&answer.body, &["response", "meetings", "meeting"]).unwrap_or_default();
        let listed = found.iter().map(|meeting| {
            let [id, name] = xml::fields(meeting, ["meetingID", "meetingName"]).unwrap_or_default();
            (id.unwrap_or_default(), name.unwrap_or_default())
        });
        let listed: BTreeSet<_> = listed.collect();
        Mismatch::unless(listed == wanted && found.len() == wanted.len(), said(), || {
            let odd: Vec<_> = listed.symmetric_difference(&wanted).map(|(id, name)| format!("{id} ({name})")).collect();
            format!("{answer}, {} meetings; missing or too many: {}", found.len(), odd.join(", "))
        })?;
        Ok(format!("{}, and nothing of another frontend", self.count(tenant)))
    }

    /// A call that was signed with another secret.
    async fn forge(&self, tenant: &Tenant) -> Outcome {
        let wanted = "checksumError for a wrong secret";
        let Some(secret) = Secret::new("a wrong secret") else { return Err(mismatch(wanted, "no secret")) };
        let forger = Endpoint { url: tenant.endpoint.url.clone(), secret };
        let answer = self.scene.client.call(&forger, CallKind::GetMeetings, &[]).await;
        let answer = answer.map_err(|error| mismatch(wanted, error))?;
        Mismatch::unless(answer.failed_with("checksumError"), wanted, || answer.to_string())?;
        Ok("refused with a wrong secret (checksumError)".to_owned())
    }

    async fn end(&'a self, tenant: &Tenant) -> Outcome {
        self.each(tenant, |meeting| async move { self.answer(meeting, CallKind::End, &[], "SUCCESS").await.map(drop) })
            .await?;
        Ok(format!("{} asked to end", self.count(tenant)))
    }

    /// Nodes end meetings a while after they were told to.
    async fn is_gone(&'a self, tenant: &Tenant) -> Outcome {
        let deadline = Instant::now() + END_LIMIT;
        self.each(tenant, |meeting| async move {
            let mut pause = Duration::from_millis(20);
            loop {
                let answer = self.answer(meeting, CallKind::IsMeetingRunning, &[], "running: false").await?;
                let [running] = answer.fields(["running"]);
                let on_nodes = self.places(meeting).len();
                if running.as_deref() == Some("false") && on_nodes == 0 {
                    return Ok(());
                }
                let wanted = format!("gone within {} s", END_LIMIT.as_secs());
                Mismatch::unless(Instant::now() < deadline, wanted, || {
                    format!("running: {}, on {on_nodes} nodes", running.unwrap_or_default())
                })?;
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(250));
            }
        })
        .await?;
        Ok(format!("false for {}, and gone from the nodes", self.count(tenant)))
    }

    /// Does the same for every meeting of a tenant; of several that fail the first is told.
    async fn each<F>(&'a self, tenant: &Tenant, act: impl Fn(&'a Meeting<'a>) -> F) -> Result<(), Mismatch>
    where
        F: Future<Output = Result<(), Mismatch>>,
    {
        let meetings: Vec<_> = self.of_tenant(tenant).collect();
        let outcomes: Vec<_> = stream::iter(meetings.iter().copied().map(act)).buffered(AT_ONCE).collect().await;
        let mut failed = meetings.iter().zip(outcomes).filter_map(|(meeting, outcome)| Some((meeting, outcome.err()?)));
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
        let id = ("meetingID", meeting.id.as_str());
        let name = (kind == CallKind::Create).then_some(("name", meeting.name.as_str()));
        let params: Vec<_> = std::iter::once(id).chain(name).chain(params.iter().copied()).collect();
        self.scene.client.call(&meeting.tenant.endpoint, kind, &params).await
    }

    fn of_tenant(&self, tenant: &Tenant) -> impl Iterator<Item = &Meeting<'a>> {
        self.meetings.iter().filter(|meeting| meeting.belongs_to(tenant))
    }

    /// How many meetings a tenant has, in words.
    fn count(&self, tenant: &Tenant) -> String {
        match self.of_tenant(tenant).count() {
            1 => "1 meeting".to_owned(),
            count => format!("{count} meetings"),
        }
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

impl Meeting<'_> {
    fn belongs_to(&self, tenant: &Tenant) -> bool {
        self.tenant.key == tenant.key
    }
}

fn mismatch(expected: impl Into<String>, came: impl Display) -> Mismatch {
    Mismatch { expected: expected.into(), came: came.to_string() }
}
