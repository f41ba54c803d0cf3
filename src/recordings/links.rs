//! Links of recordings: whole URLs, those of protected ones with a ticket.

use std::sync::Arc;
use std::time::SystemTime;

use b3scale_middleware::cluster::{FrontendId, Recording, TrackKind};

use super::playback::route;
use super::protected;
use super::settings::Protection;
use super::shelf::FormatKey;
use super::tickets::{Purpose, Subject, Tickets};

/// Makes the links of recordings in lists. The tables have paths alone, so that they outlive any host.
#[derive(Clone)]
pub struct Links {
    /// Scheme, host and port of the playback, without a slash at the end.
    host: Arc<str>,
    protection: Protection,
    tickets: Arc<Tickets>,
}

impl Links {
    /// Links to that host of playback: scheme, host and port.
    pub fn new(host: &str, protection: Protection, tickets: Arc<Tickets>) -> Self {
        Self { host: host.trim_end_matches('/').into(), protection, tickets }
    }

    /// Completes the links of a recording. Without a frontend there is no one to admit, so they stay without tickets.
    //
    // A thumbnail shows a slide, so a protected one needs a ticket as well. Its ticket is not the link's: a list may be shown for
    // hours, and a page that loads thumbnails must not open the recording.
    pub fn complete(&self, recording: &mut Recording) {
        let Recording { id, frontend, protected, epoch, formats, .. } = recording;
        let (record, epoch) = (&*id, *epoch);
        let tenant = frontend.filter(|_| *protected);
        for format in formats {
            for image in &mut format.images {
                let path = route::served(&image.link);
                let signed = tenant.and_then(|frontend| {
                    let (tree, file) = path.split_once(&format!("/{record}/"))?;
                    // Thumbnails of all formats lie in the presentation.
                    let format = tree.rsplit('/').next().unwrap_or_default();
                    let ticket = self.ticket(Purpose::Thumbnail, Subject { frontend, record, epoch, format });
                    Some(format!("{tree}/{ticket}/{record}/{file}"))
                });
                image.link = format!("{}{}", self.host, signed.unwrap_or(path));
            }
            let path = match tenant.zip(FormatKey::new(record, &format.kind)) {
                Some((frontend, key)) => {
                    let ticket = self.ticket(Purpose::Link, Subject { frontend, record, epoch, format: &format.kind });
                    match self.protection {
                        Protection::Ticket => route::link(&key, &ticket),
                        Protection::Cookie => protected::path(&key, &ticket),
                    }
                }
                None => route::served(&format.link),
            };
            format.link = format!("{}{path}", self.host);
        }
    }

    /// The link of a text track. It has a ticket in any case, as BBB's has, since anyone may know the id of a recording.
    pub fn track(&self, frontend: FrontendId, recording: &Recording, kind: TrackKind, lang: &str) -> String {
        let Recording { id, epoch, .. } = recording;
        let name = format!("{}_{lang}", kind.name());
        let ticket = self.ticket(Purpose::Track, Subject { frontend, record: id, epoch: *epoch, format: &name });
        format!("{}/textTrack/{ticket}/{id}/{name}.vtt", self.host)
    }

    fn ticket(&self, purpose: Purpose, subject: Subject<'_>) -> String {
        self.tickets.issue(purpose, subject, SystemTime::now())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::UNIX_EPOCH;

    use b3scale_middleware::cluster::{PreviewImage, RecordId, RecordingFormat, RecordingState};
    use uuid::Uuid;

    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789-1700000000000";

    fn links() -> Links {
        Links::new("https://play.example/", Protection::Ticket, Arc::new(Tickets::new(b"secret")))
    }

    fn recording(protected: bool) -> Recording {
        let image = PreviewImage {
            link: format!("/presentation/{ID}/presentation/d2/thumbnails/thumb-1.png"),
            alt: "Welcome".to_owned(),
            width: "176".to_owned(),
            height: "136".to_owned(),
        };
        let format = RecordingFormat {
            kind: "video".to_owned(),
            link: format!("/playback/video/{ID}/"),
            processing_time: 0,
            duration: 0,
            size: 0,
            images: vec![image],
            extensions: String::new(),
        };
        Recording {
            id: RecordId::new(ID).unwrap(),
            frontend: Some(FrontendId(Uuid::from_u128(1))),
            meeting_id: String::new(),
            internal_meeting_id: ID.to_owned(),
            name: String::new(),
            is_breakout: false,
            state: RecordingState::Published,
            protected,
            start_time: 0,
            end_time: 0,
            participants: 0,
            raw_size: 0,
            metadata: BTreeMap::new(),
            breakout: None,
            breakout_rooms: Vec::new(),
            formats: vec![format],
            epoch: 0,
            created_at: UNIX_EPOCH,
            updated_at: UNIX_EPOCH,
        }
    }

    #[test]
    fn the_link_of_an_unprotected_recording_is_its_path_on_the_host_of_playback() {
        let mut open = recording(false);
        links().complete(&mut open);
        let format = &open.formats[0];
        assert_eq!(format.link, format!("https://play.example/playback/video/{ID}/"));
        let image = format!("https://play.example/presentation/{ID}/presentation/d2/thumbnails/thumb-1.png");
        assert_eq!(format.images[0].link, image);
    }

    #[test]
    fn a_protected_recording_has_a_ticket_for_the_player_and_another_for_each_thumbnail() {
        let mut protected = recording(true);
        links().complete(&mut protected);
        let format = &protected.formats[0];
        let [link, image] = [&*format.link, &*format.images[0].link]
            .map(|link| link.split('/').find(|segment| Tickets::is_like(segment)).unwrap().to_owned());
        assert_eq!(format.link, format!("https://play.example/playback/ticket/{link}/video/{ID}"));
        let path = format!("presentation/{image}/{ID}/presentation/d2/thumbnails/thumb-1.png");
        assert_eq!(format.images[0].link, format!("https://play.example/{path}"));
        let subject =
            |format| Subject { frontend: protected.frontend.unwrap(), record: &protected.id, epoch: 0, format };
        let admits = |ticket: &str, purpose, format| {
            Tickets::new(b"secret").admits(ticket, purpose, subject(format), SystemTime::now())
        };
        assert!(admits(&link, Purpose::Link, "video") && admits(&image, Purpose::Thumbnail, "presentation"));
        assert!(!admits(&image, Purpose::Link, "video") && !admits(&image, Purpose::Play, "presentation"));
    }

    #[test]
    fn in_the_originals_way_a_link_leads_to_a_cookie() {
        let mut protected = recording(true);
        Links { protection: Protection::Cookie, ..links() }.complete(&mut protected);
        let link = &protected.formats[0].link;
        let token = format!("https://play.example/api/v1/protected/recordings/video~{ID}~");
        assert!(link.strip_prefix(&token).is_some_and(Tickets::is_like), "{link}");
    }

    #[test]
    fn without_a_frontend_no_ticket_is_issued() {
        let mut orphan = Recording { frontend: None, ..recording(true) };
        links().complete(&mut orphan);
        assert_eq!(orphan.formats[0].link, format!("https://play.example/playback/video/{ID}/"));
    }
}
