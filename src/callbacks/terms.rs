//! From a node's terms into a tenant's: its own ids of meetings, and its own URLs, in all that a node tells.

use b3scale_middleware::bbb::{MeetingId, ScopedId, unscoped};
use b3scale_middleware::cluster::{Callback, restored};
use serde_json::Value;
use url::form_urlencoded;

use crate::store::KeptCallback;

/// The terms of a tenant.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// The key of the frontend.
    pub(crate) frontend_key: &'a str,
    /// The id by which nodes know the meeting.
    pub(crate) meeting: &'a str,
    /// The frontend's id of it.
    pub(crate) meeting_id: &'a str,
    /// All callbacks of the session: a node names each of them in its metadata.
    pub(crate) callbacks: &'a [Callback],
}

impl<'a> Terms<'a> {
    /// The terms of the tenant of a callback.
    pub(super) fn of(kept: &'a KeptCallback, callbacks: &'a [Callback]) -> Self {
        let KeptCallback { frontend_key, meeting, meeting_id, .. } = kept;
        Self { frontend_key, meeting, meeting_id, callbacks }
    }

    /// A whole text.
    pub(crate) fn text(&self, text: &str) -> Option<String> {
        restored(text, self.callbacks).or_else(|| unscoped(text, |id| self.own_id(id)))
    }

    /// Every text in a document.
    pub(crate) fn document(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(own) = self.text(text) {
                    *text = own;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.document(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.document(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Every value of a query or a form.
    pub(super) fn form(&self, form: &str) -> String {
        let values = form_urlencoded::parse(form.as_bytes()).map(|(name, value)| {
            let own = self.text(&value);
            (name, own.unwrap_or_else(|| value.into_owned()))
        });
        form_urlencoded::Serializer::new(String::new()).extend_pairs(values).finish()
    }

    fn own_id(&self, id: &ScopedId) -> Option<MeetingId> {
        let is_its = id.as_ref() == self.meeting;
        is_its.then(|| MeetingId::new(self.meeting_id)).or_else(|| id.decode_for(self.frontend_key))
    }
}

#[cfg(test)]
mod tests {
    use b3scale_middleware::cluster::{BackendId, CALLBACK_PATH, CallbackKind, FrontendId};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_document_is_put_into_the_tenants_terms() {
        let url = "https://school.example/analytics?a=%2F".to_owned();
        let name = "meta_analytics-callback-url".to_owned();
        let callback = Callback {
            name,
            kind: CallbackKind::Analytics,
            url: url.clone(),
            token: "t1".to_owned(),
            address: String::new(),
        };
        let scoped = |id: &str| ScopedId::new("school", &MeetingId::new(id)).to_string();
        let kept = KeptCallback {
            id: Uuid::nil(),
            meeting: scoped("m 1"),
            internal_id: "internal".to_owned(),
            frontend: FrontendId(Uuid::nil()),
            frontend_key: "school".to_owned(),
            meeting_id: "m 1".to_owned(),
            backend: BackendId(Uuid::nil()),
            callback: callback.clone(),
        };
        let foreign = ScopedId::new("other", &MeetingId::new("m")).to_string();
        let callbacks = [callback];
        let terms = Terms::of(&kept, &callbacks);
        let mut said = json!({"meeting_id": scoped("m 1"), "foreign": foreign, "n": 1.5, "list": [scoped("b 1"), null, true],
            "data": {"analytics_callback_url": format!("https://b3scale.example{CALLBACK_PATH}t1"), "name": "Ada"}});
        terms.document(&mut said);
        assert_eq!(
            said,
            json!({"meeting_id": "m 1", "foreign": foreign, "n": 1.5, "list": ["b 1", null, true],
                "data": {"analytics_callback_url": url, "name": "Ada"}})
        );
        let form = format!("a=1+2&meetingID={}&x=%26", scoped("m 1").replace('=', "%3D"));
        assert_eq!(terms.form(&form), "a=1+2&meetingID=m+1&x=%26");
    }
}
