//! Proving a call, and taking in of its body what the proof covers.

use super::{ChecksumVerify, Verified};
use crate::bbb::{self, Accepted, ChecksumError, Covered, Media, Signed};
use crate::call::{Body, BodySource, Call, Content};
use crate::fault::Fault;

/// Takes a call in whose body waits at the peer.
pub(super) async fn admit_with_body(
    call: &mut Call,
    source: &dyn BodySource,
    settings: ChecksumVerify,
) -> Result<(), Fault> {
    let media = source.media();
    if !call.kind.accepts(media) {
        return Err(Fault::UnsupportedContentType);
    }
    let is_form = media == Media::Form;
    if !is_form || call.params.first("checksum").is_some() {
        verify(call, None, settings)?;
    }
    let bytes = source.read().await?;
    if is_form {
        return admit_form(call, &bytes, settings);
    }
    if media == Media::Xml {
        bbb::xml::well_formed(&bytes).map_err(|error| Fault::UnreadableBody(error.to_string()))?;
    }
    call.body = Body::Read(Content { media, bytes });
    Ok(())
}

/// Takes the parameters of a form in, as far as the checksum lets it.
fn admit_form(call: &mut Call, bytes: &[u8], settings: ChecksumVerify) -> Result<(), Fault> {
    let form = std::str::from_utf8(bytes).map_err(|_| Fault::UnreadableBody("the form is not UTF-8".to_owned()))?;
    match verify(call, Some(form), settings)? {
        Covered::Query => call.params.merge_uncovered(form),
        Covered::Form(signed) => call.params.merge_form(&signed),
        Covered::Nothing => call.params.merge_form(form),
    }
    well_formed(call)
}

/// Proves that the call comes from its frontend, and says what of it is proved by that.
pub(super) fn verify(call: &mut Call, form: Option<&str>, settings: ChecksumVerify) -> Result<Covered, Fault> {
    let frontend = call.facts.frontend()?;
    let signed = Signed { query: call.params.raw(), form };
    let algorithms = settings.algorithms.both(frontend.algorithms);
    let accepted = Accepted { algorithms, constant: settings.constant_checksum };
    let covered = bbb::verify(call.kind.checksum_name(), signed, frontend.secrets.both(), accepted);
    let covered = covered.map_err(|error| match error {
        ChecksumError::Missing => Fault::ChecksumMissing,
        ChecksumError::Mismatch if frontend.key.is_empty() => Fault::ChecksumMismatch("the frontend is unknown"),
        ChecksumError::Mismatch => Fault::ChecksumMismatch("it was made with another secret, algorithm or query"),
    })?;
    if !frontend.active {
        return Err(Fault::ChecksumMismatch("the frontend is disabled"));
    }
    call.facts.set_checksum(Verified(()));
    call.door.trail.note_verified();
    well_formed(call)?;
    Ok(covered)
}

/// Says which parameters no node will get. A name may be as long as its call.
pub(super) fn note_left_out(call: &Call) {
    if let [first, ..] = call.params.unwritable() {
        let (name, count) = (first.chars().take(40).collect::<String>(), call.params.unwritable().len());
        tracing::info!(
            request.id = call.door.name(),
            count,
            ?name,
            "Parameters left out: their names cannot be elements"
        );
    }
}

fn well_formed(call: &Call) -> Result<(), Fault> {
    match call.params.malformed() {
        None => Ok(()),
        Some(name) => Err(Fault::validation(format!("The value of '{name}' is not percent-encoded as it should be"))),
    }
}
