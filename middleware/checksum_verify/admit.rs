//! Proving a call, and admitting the covered part of its body.

use bytes::Bytes;

use super::ChecksumVerify;
use crate::bbb::{self, Accepted, ChecksumError, Content, Covered, Media, Signed};
use crate::call::{Body, BodySource, Call};
use crate::cluster::Frontend;
use crate::fault::Fault;
use crate::work::Workers;

/// Admits a call with its body waiting at the peer.
pub(super) async fn admit_with_body(
    mut call: Call,
    source: &dyn BodySource,
    settings: ChecksumVerify,
    workers: &dyn Workers,
) -> Result<Call, Fault> {
    let media = source.media();
    if !call.kind.accepts(media) {
        return Err(Fault::UnsupportedContentType);
    }
    if media != Media::Form || call.params.first("checksum").is_some() {
        verify(&mut call, None, settings)?;
    }
    let content = source.read().await?;
    let length = content.bytes.len();
    let admit = move || match media {
        Media::Form => admit_form(call, content, settings),
        Media::Xml | Media::Multipart | Media::Other => admit_document(call, content),
    };
    workers.work(length, admit).await?
}

/// Takes a document in that is sent to a node as it is.
fn admit_document(mut call: Call, content: Content) -> Result<Call, Fault> {
    if content.media == Media::Xml {
        bbb::xml::taken_by_nodes(&content.bytes).map_err(|error| Fault::UnreadableBody(error.to_string()))?;
    }
    call.body = Body::Read(content);
    Ok(call)
}

/// Takes the parameters of a form in, as far as the checksum lets it. Its files are kept for the call that takes one.
fn admit_form(mut call: Call, content: Content, settings: ChecksumVerify) -> Result<Call, Fault> {
    // Invalid UTF-8 is replaced, as in a query.
    let form = String::from_utf8_lossy(&content.bytes);
    match verify(&mut call, Some(&form), settings)? {
        Covered::Query => call.params.merge_uncovered(&form),
        Covered::Form(signed) => call.params.merge_form(&signed),
        Covered::Nothing => call.params.merge_form(&form),
    }
    if call.kind.takes_file() {
        call.body = Body::Read(Content { bytes: Bytes::new(), ..content });
    }
    Ok(call)
}

/// Proves that the call comes from its frontend, and says what of it is proved by that.
pub(super) fn verify(call: &mut Call, form: Option<&str>, settings: ChecksumVerify) -> Result<Covered, Fault> {
    let frontend = call.facts.frontend()?;
    let signed = Signed { query: call.params.raw(), form };
    let algorithms = settings.algorithms.both(frontend.algorithms);
    let accepted = Accepted { algorithms, constant: settings.constant_checksum };
    // Of two names each is tried, so that the time taken does not tell which one holds.
    let names = std::iter::once(call.kind.checksum_name()).chain(call.kind.other_checksum_name());
    let tries = names.map(|name| bbb::verify(name, signed, frontend.secrets.both(), accepted));
    let verified = tries.fold(Err(ChecksumError::Mismatch), Result::or);
    let (proof, covered) = verified.map_err(|error| refusal(error, frontend))?;
    if !frontend.active {
        return Err(Fault::ChecksumMismatch("the frontend is disabled".into()));
    }
    call.facts.set_checksum(proof);
    call.door.admit()?;
    Ok(covered)
}

/// The log's reason for a refused checksum. The client only reads that it does not match.
fn refusal(error: ChecksumError, frontend: &Frontend) -> Fault {
    Fault::ChecksumMismatch(match error {
        ChecksumError::Missing => return Fault::ChecksumMissing,
        _ if frontend.key.is_empty() => "the frontend is unknown".into(),
        ChecksumError::NotAllowed(algorithm) if !frontend.algorithms.contains(algorithm) => {
            format!("the frontend may not use the algorithm {algorithm}, by its `checksum_algorithms`").into()
        }
        ChecksumError::NotAllowed(algorithm) => {
            format!("the algorithm {algorithm} is not among the `algorithms` of `checksum-verify`").into()
        }
        other => other.to_string().into(),
    })
}

/// Says which parameters no node will get.
pub(super) fn note_left_out(call: &Call) {
    if let [first, ..] = call.params.unwritable() {
        let (name, count) = (bbb::cut(first), call.params.unwritable().len());
        tracing::info!(request.id = call.door.name(), count, %name, "Leaving parameters out: their names cannot be elements");
    }
}
