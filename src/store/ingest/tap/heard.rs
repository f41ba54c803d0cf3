//! Events, as the tap hands them on.

use std::borrow::Cow;

use b3scale_middleware::bbb::ScopedId;
use b3scale_middleware::cluster::{MappedEvent, RawJson};
use serde::Deserialize;
use serde_json::{Value, json};

/// An event.
#[derive(Debug, PartialEq)]
pub(super) struct Heard<'a> {
    /// The node's own id of the meeting.
    pub(super) meeting: &'a str,
    pub(super) name: &'a str,
    /// Missing: now.
    pub(super) ts: Option<i64>,
    pub(super) attributes: Attributes<'a>,
    pub(super) raw: Option<&'a RawJson>,
    /// The node's id of an attendee whose external id is still to be added.
    pub(super) who: Option<Cow<'a, str>>,
    /// Of a breakout that was created: its own id, and the internal id of its parent.
    pub(super) breakout: Option<Breakout<'a>>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Attributes<'a> {
    Told(&'a RawJson),
    Basic(Value),
}

impl Attributes<'_> {
    /// Their JSON.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Told(json) => Cow::Borrowed(json.text()),
            Self::Basic(value) => Cow::Owned(value.to_string()),
        }
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Breakout<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) parent: Cow<'a, str>,
}

impl<'a> Heard<'a> {
    /// An event as an agent maps it.
    pub(super) fn of(event: &'a MappedEvent) -> Self {
        let MappedEvent { meeting, name, ts, attributes, raw } = event;
        let Told { meeting: its, user } = attributes.read().unwrap_or_default();
        Self {
            meeting,
            name,
            ts: Some(*ts),
            attributes: Attributes::Told(attributes),
            raw: raw.as_ref(),
            // An agent that was started again does not know earlier users.
            who: user.internal_user_id.filter(|_| user.external_user_id.is_some_and(|id| id.is_empty())),
            breakout: Some(its).filter(|_| name == "meeting-created").and_then(TheirMeeting::breakout),
        }
    }

    /// Adds the tenant's id of the attendee.
    pub(super) fn name_user(&mut self, user_id: &str) {
        let mut known = match &mut self.attributes {
            Attributes::Basic(known) => known.take(),
            Attributes::Told(text) => text.read().unwrap_or_default(),
        };
        known["user"]["external-user-id"] = json!(user_id);
        self.attributes = Attributes::Basic(known);
    }
}

/// The attributes that tell how an event is handed on.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow)]
    meeting: TheirMeeting<'a>,
    #[serde(borrow)]
    user: TheirUser<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct TheirMeeting<'a> {
    #[serde(borrow)]
    external_meeting_id: Cow<'a, str>,
    #[serde(borrow)]
    parent_id: Option<Cow<'a, str>>,
    is_breakout: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct TheirUser<'a> {
    #[serde(borrow)]
    internal_user_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    external_user_id: Option<Cow<'a, str>>,
}

impl<'a> TheirMeeting<'a> {
    /// A breakout that its node made: a frontend's own has a scoped id, and is found by that.
    fn breakout(self) -> Option<Breakout<'a>> {
        let scoped = ScopedId::verbatim(&self.external_meeting_id);
        let is_its_own = self.is_breakout && scoped.decode().is_none() && !scoped.is_hashed();
        Some(Breakout { id: self.external_meeting_id, parent: self.parent_id? }).filter(|_| is_its_own)
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::bbb::MeetingId;

    use super::*;

    fn event(name: &str, attributes: &Value) -> MappedEvent {
        MappedEvent { meeting: "m".into(), name: name.into(), ts: 1, attributes: RawJson::new(attributes), raw: None }
    }

    fn breakout(name: &str, meeting: &Value) -> Option<(String, String)> {
        let event = event(name, &json!({ "meeting": meeting }));
        Heard::of(&event).breakout.map(|Breakout { id, parent }| (id.into_owned(), parent.into_owned()))
    }

    #[test]
    fn a_breakout_has_no_id_of_a_frontend() {
        let made = json!({"external-meeting-id": "b-1", "is-breakout": true, "parent-id": "p-1"});
        assert_eq!(breakout("meeting-created", &made), Some(("b-1".to_owned(), "p-1".to_owned())));
        assert_eq!(breakout("meeting-ended", &made), None);
        let (mut scoped, mut whole, mut alone) = (made.clone(), made.clone(), made);
        scoped["external-meeting-id"] = json!(ScopedId::new("school", &MeetingId::new("lesson")).to_string());
        whole["is-breakout"] = json!(false);
        alone["parent-id"] = json!(null);
        for other in [scoped, whole, alone, json!("text"), json!(null)] {
            assert_eq!(breakout("meeting-created", &other), None);
        }
    }

    #[test]
    fn users_of_before_the_agents_start_are_named() {
        let known = json!({"user": {"internal-user-id": "w\"1", "external-user-id": ""}, "z": 1});
        let event = event("user-left", &known);
        let mut heard = Heard::of(&event);
        assert_eq!(heard.who.as_deref(), Some("w\"1"));
        heard.name_user("u 1");
        let named = json!({"user": {"internal-user-id": "w\"1", "external-user-id": "u 1"}, "z": 1});
        assert_eq!(heard.attributes, Attributes::Basic(named));
    }

    #[test]
    fn other_users_are_left_alone() {
        for user in
            [json!({"internal-user-id": "w", "external-user-id": "u"}), json!({"internal-user-id": "w"}), json!(1)]
        {
            let event = event("user-left", &json!({ "user": user }));
            assert_eq!(Heard::of(&event).who, None, "{user}");
        }
    }
}
