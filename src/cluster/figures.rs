//! How the cluster is, for `/metrics`: read off memory when somebody asks. Asks nobody.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use b3scale_middleware::cluster::{AdminState, Backend, Frontend, FrontendId, LoadModel, Meeting, MeetingState};

use super::view::Crowd;
use super::{Cluster, Inner};
use crate::telemetry::catalog;

/// What the label of something says that is not known any more.
const UNDEFINED: &str = "undefined";

/// What a frontend has in its meetings.
#[derive(Clone, Copy, Default)]
struct Share {
    meetings: u32,
    attendees: u32,
}

impl Cluster {
    /// Sets the figures of the whole cluster, as this server knows it. `per_meeting`: with the id of each meeting.
    pub fn set_figures(&self, per_meeting: bool) {
        let Inner { view, pulse, .. } = &*self.0;
        let now = Instant::now();
        let meetings = view.meetings_where(|_| true);
        for state in MeetingState::ALL {
            let count = meetings.iter().filter(|meeting| meeting.state == state).count();
            catalog::MEETINGS.with([state.name()]).set(count as f64);
        }
        let roster = view.roster();
        let keys: HashMap<FrontendId, &str> = roster.frontends().map(|one| (one.id, one.key.as_str())).collect();
        let mut shares: BTreeMap<&str, Share> = keys.values().map(|key| (*key, Share::default())).collect();
        for meeting in meetings.iter().filter(|meeting| runs(meeting)) {
            let key = keys.get(&meeting.frontend).copied().unwrap_or(UNDEFINED);
            let crowd = view.crowd(meeting);
            shares.entry(key).or_default().count(meeting, crowd);
            let host = roster.backend(meeting.backend).map_or(UNDEFINED, |backend| backend.host());
            self.set_meeting(meeting, crowd, [key, host], per_meeting);
        }
        shares.into_iter().for_each(|(key, share)| share.set(key));
        roster.frontends().for_each(set_limit);
        roster.backends().iter().for_each(|backend| self.set_backend(backend, now));
        let pulse = pulse.borrow();
        pulse.age(now).iter().for_each(|age| catalog::VIEW_AGE.with([]).set(*age));
        catalog::DB_UP.with([]).set(truth(!pulse.is_away()));
        catalog::BACKGROUND_TASKS.with([]).set(self.tasks().len() as f64);
    }

    /// Sets the figures of one frontend, and nothing that would tell of others or of nodes.
    pub fn set_figures_of(&self, frontend: &Frontend) {
        let mut share = Share::default();
        for meeting in self.0.view.meetings_where(|meeting| meeting.frontend == frontend.id && runs(meeting)) {
            share.count(&meeting, self.0.view.crowd(&meeting));
        }
        share.set(&frontend.key);
        set_limit(frontend);
    }

    fn set_meeting(&self, meeting: &Meeting, crowd: Crowd, [frontend, backend]: [&str; 2], per_meeting: bool) {
        let name = if per_meeting { meeting.id.as_ref() } else { "" };
        for (kind, people) in [("audio", crowd.people.saturating_sub(crowd.with_video)), ("video", crowd.with_video)] {
            // Without names several meetings are one series.
            catalog::MEETING_ATTENDEES.with([frontend, backend, kind, name]).increment(people);
        }
        if per_meeting {
            let age = self.0.view.age_of(meeting);
            catalog::MEETING_DURATIONS.with([frontend, backend, name]).set(age.as_secs() as f64);
        }
    }

    fn set_backend(&self, backend: &Backend, now: Instant) {
        let (host, vitals) = (backend.host(), &backend.vitals);
        let takes = backend.takes_meetings();
        // Two backends may be on one host, and then are one series.
        let figures = [
            (&catalog::BACKEND_MEETINGS, f64::from(vitals.meetings())),
            (&catalog::BACKEND_ATTENDEES, f64::from(vitals.attendees())),
            (&catalog::BACKEND_LOAD, backend.load(&LoadModel::default(), now)),
        ];
        figures.into_iter().for_each(|(gauge, figure)| gauge.with([host]).increment(figure));
        let states = [
            (&catalog::BACKEND_UP, backend.is_up()),
            (&catalog::BACKEND_TAKES_MEETINGS, takes.is_ok()),
            (&catalog::BACKEND_CIRCUIT_OPEN, vitals.circuit.is_open()),
        ];
        states.into_iter().for_each(|(gauge, holds)| gauge.with([host]).set(truth(holds)));
        for state in AdminState::ALL {
            catalog::BACKEND_ADMIN_STATE.with([host, state.name()]).set(truth(backend.admin_state == state));
        }
        if let Err(refusal) = takes {
            catalog::BACKEND_REFUSAL.with([host, refusal.word]).set(1.0);
        }
        if let Some(latency) = vitals.latency() {
            catalog::BACKEND_LATENCY.with([host]).set(latency);
        }
        if let Some(agent) = vitals.agent() {
            let age = now.saturating_duration_since(agent.heartbeat);
            catalog::BACKEND_HEARTBEAT_AGE.with([host]).set(age);
            catalog::BACKEND_CPU.with([host]).set(agent.cpu);
            catalog::BACKEND_MEMORY.with([host]).set(agent.memory);
        }
        if let Some(age) = self.0.view.presence_age(backend.id) {
            catalog::BACKEND_PRESENCE_AGE.with([host]).set(age);
        }
    }
}

impl Share {
    /// Whoever is in a breakout is in its parent, too, and is counted there.
    fn count(&mut self, meeting: &Meeting, crowd: Crowd) {
        self.meetings += 1;
        if !meeting.size.breakout {
            self.attendees = self.attendees.saturating_add(crowd.people);
        }
    }

    fn set(self, key: &str) {
        catalog::FRONTEND_MEETINGS.with([key]).set(self.meetings);
        catalog::FRONTEND_ATTENDEES.with([key]).set(self.attendees);
    }
}

fn set_limit(frontend: &Frontend) {
    if let Some(limit) = frontend.settings.most_attendees() {
        catalog::FRONTEND_LIMIT.with([&frontend.key]).set(limit as f64);
    }
}

fn runs(meeting: &Meeting) -> bool {
    matches!(meeting.state, MeetingState::Live | MeetingState::Ending)
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
