//! Who is in a meeting.

/// The people in a meeting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) people: u32,
    /// Those of them who show themselves.
    pub(crate) with_video: u32,
}

impl Crowd {
    pub(crate) fn of(people: usize, with_video: usize) -> Self {
        let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self { people: count(people), with_video: count(with_video) }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.people = self.people.saturating_add(other.people);
        self.with_video = self.with_video.saturating_add(other.with_video);
    }
}
