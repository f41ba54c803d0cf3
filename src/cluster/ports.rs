//! The ports of stages: every question is answered, and every step taken, by the part of the cluster that it concerns.

use std::sync::Arc;

use b3scale_middleware::Fault;
use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{Backend, BackendId, Claim, Frontend, FrontendId, Meeting, Move, NewMeeting};
use b3scale_middleware::ports::{Born, Directory, Meetings, NewSeat, Seat, Seen, Settled};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::Cluster;
use crate::telemetry::catalog::CLAIMS_GIVEN_UP;

impl Directory for Cluster {
    fn frontend(&self, key: &str) -> Option<Arc<Frontend>> {
        self.0.replica.view.roster().frontend(key).cloned()
    }

    fn backend(&self, id: BackendId) -> Option<Arc<Backend>> {
        self.0.replica.view.roster().backend(id).cloned()
    }

    fn backends(&self) -> Arc<[Arc<Backend>]> {
        Arc::clone(self.0.replica.view.roster().backends())
    }
}

impl Meetings for Cluster {
    fn known(&self, id: &str) -> Option<Arc<Meeting>> {
        self.0.replica.view.meetings.there(id)
    }

    fn find<'a>(&'a self, id: &'a ScopedId) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        self.0.finder.find(id).boxed()
    }

    fn known_by_internal_id(&self, frontend: FrontendId, id: &str) -> Option<Arc<Meeting>> {
        self.0.replica.view.meetings.by_internal_id(frontend, id)
    }

    fn find_by_internal_id<'a>(
        &'a self,
        frontend: FrontendId,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<Meeting>>, Fault>> {
        self.0.finder.find_by_internal_id(frontend, id).boxed()
    }

    fn of_frontend(&self, frontend: FrontendId) -> Vec<Arc<Meeting>> {
        self.0.replica.view.meetings.filtered(|meeting| meeting.frontend == frontend)
    }

    fn listed(&self, frontend: FrontendId) -> BoxFuture<'_, Vec<Bytes>> {
        self.0.lists.list(frontend).boxed()
    }

    fn seen(&self, meeting: &Meeting) -> Option<Seen> {
        self.0.replica.view.seen(meeting)
    }

    fn note_join(&self, meeting: &Meeting) {
        self.0.replica.view.arrivals.record(&meeting.id);
    }

    fn take_seat<'a>(&'a self, wanted: NewSeat<'a>) -> BoxFuture<'a, Result<Seat, Fault>> {
        self.0.seats.take(wanted).boxed()
    }

    fn return_seat(&self, id: Uuid) -> BoxFuture<'_, ()> {
        self.0.seats.give_back(id).boxed()
    }

    fn claim<'a>(&'a self, new: NewMeeting<'a>) -> BoxFuture<'a, Result<Claim, Fault>> {
        self.0.claims.claim(new).boxed()
    }

    fn settled<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, Result<Settled, Fault>> {
        self.0.waiting.settled(meeting).boxed()
    }

    fn move_claim<'a>(
        &'a self,
        meeting: &'a Meeting,
        backend: BackendId,
        sent: bool,
    ) -> BoxFuture<'a, Result<Move, Fault>> {
        self.0.claims.move_to(meeting, backend, sent).boxed()
    }

    fn release<'a>(&'a self, meeting: &'a Meeting, sent: bool) -> BoxFuture<'a, ()> {
        CLAIMS_GIVEN_UP.with(["released"]).increment(1);
        self.0.claims.release(meeting, sent).boxed()
    }

    fn record_live<'a>(&'a self, meeting: &'a Meeting, born: Born) -> BoxFuture<'a, Result<bool, Fault>> {
        async move { self.0.claims.record_live(meeting, &born).await }.boxed()
    }

    fn record_ending<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.0.endings.record_accepted(meeting).boxed()
    }

    fn forget<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.0.endings.forget(meeting).boxed()
    }

    fn let_go<'a>(&'a self, meeting: &'a Meeting) -> BoxFuture<'a, ()> {
        self.0.endings.let_go(meeting).boxed()
    }
}
