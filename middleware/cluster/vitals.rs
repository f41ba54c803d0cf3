//! The moving figures of a backend: its node's health, and its attendees.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::overload::Overload;
use super::{AgentReport, Circuit, Health, LoadModel, NodeState, PolicyInForce, Seats, Signing};
use crate::bbb::ScopedId;

/// The moving figures of a backend. They belong to the backend, not to a snapshot of its settings.
#[derive(Debug, Default)]
pub struct Vitals {
    /// Keeps calls from a node that does not answer.
    pub circuit: Circuit,
    /// The algorithm of its checksums.
    pub signing: Signing,
    policy: PolicyInForce,
    seen: Mutex<Seen>,
    occupancy: Mutex<Occupancy>,
}

#[derive(Debug, Default)]
struct Seen {
    health: Health,
    last_error: Option<Arc<str>>,
    latency: Option<Duration>,
    agent: Option<AgentReport>,
    overload: Overload,
}

/// Who is on a node.
#[derive(Debug, Default)]
struct Occupancy {
    meetings: HashMap<ScopedId, Seats>,
    /// Meetings about to be placed here, each in the list as often as it is held.
    expected: Vec<(ScopedId, Seats)>,
    /// People in meetings that are none of ours.
    strangers: u32,
}

impl Vitals {
    /// The figures of a new backend, which is judged by that policy.
    pub fn under(policy: PolicyInForce) -> Self {
        Self { policy, ..Self::default() }
    }

    /// The node's health.
    pub fn health(&self) -> Health {
        self.seen().health
    }

    /// Why its last answer was none.
    pub fn last_error(&self) -> Option<Arc<str>> {
        self.seen().last_error.clone()
    }

    /// How long its last answer took.
    pub fn latency(&self) -> Option<Duration> {
        self.seen().latency
    }

    /// Notes how long the node took to answer.
    pub fn time(&self, latency: Duration) {
        self.seen().latency = Some(latency);
    }

    /// Records the node's health. Returns its earlier state.
    pub fn see(&self, health: Health, last_error: Option<&str>) -> NodeState {
        if health.misses == 0 && health.answers > 0 {
            self.circuit.close();
        }
        let mut seen = self.seen();
        seen.last_error = last_error.map(Into::into);
        std::mem::replace(&mut seen.health, health).state
    }

    /// The agent's last report, if there is one.
    pub fn agent(&self) -> Option<AgentReport> {
        self.seen().agent
    }

    /// Records the agent's report.
    pub fn hear(&self, agent: Option<AgentReport>) {
        let bounds = self.policy.policy().overload;
        let mut seen = self.seen();
        if let Some(report) = &agent {
            seen.overload.judge(bounds, report);
        }
        seen.agent = agent;
    }

    /// How load is computed by the policy in force.
    pub fn load_model(&self) -> LoadModel {
        self.policy.policy().load
    }

    /// Why the node takes no new meetings by its agent's report, if so. A silent agent reports
    /// nothing any more.
    pub fn overload(&self, now: Instant) -> Option<String> {
        let bounds = self.policy.policy().overload;
        let mut seen = self.seen();
        let report = seen.agent.filter(|report| report.silence(now).is_none())?;
        // The policy may be newer than the report. Judging a report twice changes nothing.
        seen.overload.judge(bounds, &report);
        seen.overload.reason(&report)
    }

    /// The load of present and expected attendees, without the backend's factor.
    pub fn load(&self, model: &LoadModel, now: Instant) -> f64 {
        let agent = self.agent().map_or(0.0, |report| model.of_agent(&report));
        let occupancy = self.occupancy();
        let meetings: f64 = occupancy.seats().map(|seats| model.of_meeting(seats, now)).sum();
        agent + meetings + f64::from(occupancy.strangers)
    }

    /// Meetings that are here, and those about to be.
    pub fn meetings(&self) -> u32 {
        u32::try_from(self.occupancy().seats().count()).unwrap_or(u32::MAX)
    }

    /// People in the meetings here, as last reported. Those in breakouts that the node made are in the parents, too, and counted
    /// once.
    pub fn attendees(&self) -> u32 {
        let occupancy = self.occupancy();
        let own = occupancy.meetings.values().filter(|seats| !seats.shared).map(|seats| seats.attendees);
        own.fold(occupancy.strangers, u32::saturating_add)
    }

    /// A meeting is here.
    pub fn seat(&self, id: &ScopedId, seats: Seats) {
        self.occupancy().meetings.insert(id.clone(), seats);
    }

    /// A meeting is not here any more.
    pub fn unseat(&self, id: &ScopedId) {
        self.occupancy().meetings.remove(id);
    }

    /// Exactly these meetings are here, and so many people in others.
    pub fn seat_all(&self, meetings: HashMap<ScopedId, Seats>, strangers: u32) {
        let mut occupancy = self.occupancy();
        (occupancy.meetings, occupancy.strangers) = (meetings, strangers);
    }

    /// Counts a meeting that is about to be placed here until the returned [`Reservation`] is dropped.
    pub fn reserve(self: &Arc<Self>, id: &ScopedId, seats: Seats) -> Reservation {
        self.occupancy().expected.push((id.clone(), seats));
        Reservation { vitals: Arc::clone(self), id: id.clone() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn occupancy(&self) -> MutexGuard<'_, Occupancy> {
        self.occupancy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupancy {
    /// Every meeting once, running or only reserved.
    fn seats(&self) -> impl Iterator<Item = &Seats> {
        let expected = self.expected.iter().filter(|(id, _)| !self.meetings.contains_key(id));
        self.meetings.values().chain(expected.map(|(_, seats)| seats))
    }
}

/// A place held on a backend between the choice and the moment the meeting itself is counted.
#[derive(Debug)]
pub struct Reservation {
    vitals: Arc<Vitals>,
    id: ScopedId,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut occupancy = self.vitals.occupancy();
        if let Some(place) = occupancy.expected.iter().position(|(id, _)| *id == self.id) {
            occupancy.expected.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Size;

    fn seats(attendees: u32) -> Seats {
        Seats { size: Size::default(), shared: false, attendees, since: Instant::now() }
    }

    fn load(vitals: &Vitals) -> f64 {
        vitals.load(&LoadModel::default(), Instant::now()).round()
    }

    #[test]
    fn a_reservation_counts_until_it_is_dropped_and_never_beside_its_meeting() {
        let (vitals, id) = (Arc::new(Vitals::default()), ScopedId::verbatim("m"));
        let held = vitals.reserve(&id, seats(0));
        assert_eq!((vitals.meetings(), load(&vitals)), (1, 15.0));
        vitals.seat(&id, seats(0));
        assert_eq!((vitals.meetings(), load(&vitals)), (1, 15.0));
        drop(held);
        assert_eq!((vitals.meetings(), load(&vitals)), (1, 15.0));
        vitals.unseat(&id);
        assert_eq!((vitals.meetings(), load(&vitals)), (0, 0.0));
    }

    #[test]
    fn a_burst_counts_on_a_node_that_is_full_of_people() {
        let vitals = Arc::new(Vitals::default());
        vitals.seat(&ScopedId::verbatim("lecture"), seats(400));
        let held = vitals.reserve(&ScopedId::verbatim("m"), seats(0));
        assert_eq!(load(&vitals), 415.0);
        drop(held);
    }

    #[test]
    fn people_in_meetings_of_others_are_load() {
        let vitals = Vitals::default();
        vitals.seat_all(HashMap::from([(ScopedId::verbatim("m"), seats(30))]), 12);
        assert_eq!((vitals.attendees(), load(&vitals)), (42, 42.0));
    }

    #[test]
    fn people_count_in_breakouts_that_frontends_created_and_once_in_those_of_nodes() {
        let (vitals, size) = (Vitals::default(), Size { breakout: true, ..Size::default() });
        vitals.seat(&ScopedId::verbatim("created"), Seats { size, ..seats(30) });
        vitals.seat(&ScopedId::verbatim("made"), Seats { size, shared: true, ..seats(20) });
        assert_eq!((vitals.attendees(), load(&vitals)), (30, 30.0));
    }

    #[test]
    fn an_answer_closes_the_circuit() {
        let (vitals, now) = (Vitals::default(), Instant::now());
        while !vitals.circuit.is_open() {
            vitals.circuit.admit(now).expect("it is closed").failed(now);
        }
        vitals.see(Health::default().answered(), None);
        assert!(!vitals.circuit.is_open());
    }
}
