//! The cluster's figures for `/metrics`, read from memory at each scrape.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use b3scale_middleware::cluster::{AdminState, Backend, Frontend, FrontendId, Meeting, MeetingState};
use tokio::time::Instant;

use super::replica::Replica;
use crate::store::Trouble;
use crate::telemetry::{Sheet, Thing, catalog};
use crate::view::{Crowd, Oddities};
use crate::work::Bench;

/// The label of an unknown frontend or backend.
const UNDEFINED: &str = "undefined";

/// Totals of one frontend.
#[derive(Clone, Copy, Default)]
struct Share {
    meetings: u32,
    attendees: u32,
}

/// The figures of the cluster.
pub struct ClusterFigures {
    pub(super) replica: Arc<Replica>,
    pub(super) bench: Bench,
}

impl ClusterFigures {
    /// Writes the figures of the whole cluster, as this server knows it. `per_meeting`: with the id of each meeting.
    pub fn write(&self, sheet: &mut Sheet, per_meeting: bool) {
        let view = &self.replica.view;
        let now = Instant::now();
        let meetings = view.meetings.filtered(|_| true);
        for state in MeetingState::ALL {
            let count = meetings.iter().filter(|meeting| meeting.state == state).count();
            sheet.set(&catalog::MEETINGS, [state.name()], count);
        }
        let roster = view.roster();
        let keys: HashMap<FrontendId, &str> = roster.frontends().map(|one| (one.id, one.key.as_str())).collect();
        let mut shares: BTreeMap<&str, Share> = keys.values().map(|key| (*key, Share::default())).collect();
        let mut crowds: BTreeMap<[&str; 2], Crowd> = BTreeMap::new();
        for meeting in meetings.iter().filter(|meeting| runs(meeting)) {
            let key = keys.get(&meeting.frontend).copied().unwrap_or(UNDEFINED);
            let host = roster.backend(meeting.backend).map_or(UNDEFINED, |backend| backend.host());
            let crowd = view.crowd(meeting);
            shares.entry(key).or_default().count(meeting, crowd);
            if per_meeting {
                write_crowd(sheet, [key, host], meeting.id.as_ref(), crowd);
                let age = view.age_of(meeting).as_secs();
                sheet.set(&catalog::MEETING_DURATIONS, [key, host, meeting.id.as_ref()], age);
            } else if !meeting.shares_people() {
                crowds.entry([key, host]).or_default().add(crowd);
            }
        }
        for stray in view.all_strays(None) {
            let host = roster.backend(stray.backend).map_or(UNDEFINED, |backend| backend.host());
            let crowd = Crowd { people: stray.attendees, with_video: stray.with_video };
            if per_meeting {
                write_crowd(sheet, [UNDEFINED, host], stray.id.as_ref(), crowd);
                let age = stray.seen_at.duration_since(stray.made_at).unwrap_or_default().as_secs();
                sheet.set(&catalog::MEETING_DURATIONS, [UNDEFINED, host, stray.id.as_ref()], age);
            } else if !stray.shares_people {
                crowds.entry([UNDEFINED, host]).or_default().add(crowd);
            }
        }
        crowds.into_iter().for_each(|(place, crowd)| write_crowd(sheet, place, "", crowd));
        shares.into_iter().for_each(|(key, share)| share.write(sheet, key));
        roster.frontends().for_each(|frontend| write_limit(sheet, frontend));
        let mut hosts: BTreeMap<&str, Vec<&Backend>> = BTreeMap::new();
        for backend in roster.backends().iter() {
            hosts.entry(backend.host()).or_default().push(backend);
        }
        hosts.into_iter().for_each(|(host, backends)| self.write_host(sheet, host, &backends, now));
        let trust = *self.replica.trust();
        sheet.set_some(&catalog::VIEW_AGE, [], trust.age(now).map(|age| age.as_secs_f64()));
        sheet.set(&catalog::DB_UP, [], truth(!trust.is_away()));
        let known = trust.trouble();
        for trouble in Trouble::ALL {
            sheet.set(&catalog::DB_TROUBLE, [trouble.name()], truth(known == Some(trouble)));
        }
        sheet.set(&catalog::BACKGROUND_TASKS, [], self.bench.tasks_count());
    }

    /// Writes the figures of one frontend, and nothing that would tell of others or of nodes.
    pub fn write_of_frontend(&self, sheet: &mut Sheet, frontend: &Frontend) {
        let mut share = Share::default();
        for meeting in self.replica.view.meetings.filtered(|meeting| meeting.frontend == frontend.id && runs(meeting)) {
            share.count(&meeting, self.replica.view.crowd(&meeting));
        }
        share.write(sheet, &frontend.key);
        write_limit(sheet, frontend);
    }

    /// Whether there is a frontend of that key, or a backend on that host.
    pub fn has(&self, thing: Thing, name: &str) -> bool {
        let roster = self.replica.view.roster();
        let there = || match thing {
            Thing::Frontend => roster.frontend(name).is_some(),
            Thing::Backend => roster.backends().iter().any(|backend| backend.host() == name),
        };
        name == UNDEFINED || there()
    }

    /// Backends on one host, usually a single one, are one series: up if all are, in use if any is.
    fn write_host(&self, sheet: &mut Sheet, host: &str, backends: &[&Backend], now: Instant) {
        let sum = |figure: fn(&Backend) -> u32| backends.iter().map(|one| figure(one)).fold(0, u32::saturating_add);
        sheet.set(&catalog::BACKEND_MEETINGS, [host], sum(|one| one.vitals.meetings()));
        sheet.set(&catalog::BACKEND_ATTENDEES, [host], sum(|one| one.vitals.attendees()));
        let load: f64 = backends.iter().map(|one| one.load(&one.vitals.load_model(), now.into_std())).sum();
        sheet.set(&catalog::BACKEND_LOAD, [host], load);
        let refusals: Vec<_> = backends.iter().filter_map(|one| one.takes_meetings(now.into_std()).err()).collect();
        sheet.set(&catalog::BACKEND_UP, [host], truth(backends.iter().all(|one| one.is_up())));
        sheet.set(&catalog::BACKEND_TAKES_MEETINGS, [host], truth(refusals.len() < backends.len()));
        let is_open = backends.iter().any(|one| one.vitals.circuit.is_open());
        sheet.set(&catalog::BACKEND_CIRCUIT_OPEN, [host], truth(is_open));
        for state in AdminState::ALL {
            let is_wanted = backends.iter().any(|one| one.admin_state == state);
            sheet.set(&catalog::BACKEND_ADMIN_STATE, [host, state.name()], truth(is_wanted));
        }
        let mut reasons: Vec<&str> = refusals.iter().map(|refusal| refusal.word).collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons.into_iter().for_each(|reason| sheet.set(&catalog::BACKEND_REFUSAL, [host, reason], 1));
        let odd: Vec<Oddities> = backends.iter().map(|one| self.replica.view.oddities(one.id)).collect();
        let sum = |figure: fn(&Oddities) -> u32| odd.iter().map(figure).fold(0, u32::saturating_add);
        sheet.set(&catalog::BACKEND_UNREADABLE_MEETINGS, [host], sum(|odd| odd.unreadable));
        sheet.set(&catalog::BACKEND_STRAY_MEETINGS, [host], sum(|odd| odd.strays));
        sheet.set(&catalog::BACKEND_OCCUPIED_COPIES, [host], sum(|odd| odd.occupied_copies));
        let latency = backends.iter().filter_map(|one| one.vitals.latency()).max();
        sheet.set_some(&catalog::BACKEND_LATENCY, [host], latency.map(|latency| latency.as_secs_f64()));
        if let Some(agent) = backends.iter().filter_map(|one| one.vitals.agent()).min_by_key(|agent| agent.heartbeat) {
            let age = now.into_std().saturating_duration_since(agent.heartbeat).as_secs_f64();
            sheet.set(&catalog::BACKEND_HEARTBEAT_AGE, [host], age);
            sheet.set(&catalog::BACKEND_CPU, [host], agent.cpu);
            sheet.set(&catalog::BACKEND_MEMORY, [host], agent.memory);
        }
        let lag = backends.iter().filter_map(|one| self.replica.view.presences.age(one.id)).max();
        sheet.set_some(&catalog::BACKEND_PRESENCE_AGE, [host], lag.map(|lag| lag.as_secs_f64()));
    }
}

impl Share {
    /// People in a breakout that its node made are in its parent, too, and are counted there.
    fn count(&mut self, meeting: &Meeting, crowd: Crowd) {
        self.meetings += 1;
        if !meeting.shares_people() {
            self.attendees = self.attendees.saturating_add(crowd.people);
        }
    }

    fn write(self, sheet: &mut Sheet, key: &str) {
        sheet.set(&catalog::FRONTEND_MEETINGS, [key], self.meetings);
        sheet.set(&catalog::FRONTEND_ATTENDEES, [key], self.attendees);
    }
}

fn write_crowd(sheet: &mut Sheet, [frontend, backend]: [&str; 2], meeting: &str, crowd: Crowd) {
    let without = crowd.people.saturating_sub(crowd.with_video);
    sheet.set(&catalog::MEETING_ATTENDEES, [frontend, backend, "audio", meeting], without);
    sheet.set(&catalog::MEETING_ATTENDEES, [frontend, backend, "video", meeting], crowd.with_video);
}

fn write_limit(sheet: &mut Sheet, frontend: &Frontend) {
    sheet.set_some(&catalog::FRONTEND_LIMIT, [&frontend.key], frontend.settings.most_attendees());
}

fn runs(meeting: &Meeting) -> bool {
    matches!(meeting.state, MeetingState::Live | MeetingState::Ending)
}

fn truth(holds: bool) -> u8 {
    u8::from(holds)
}
