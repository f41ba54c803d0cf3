//! Errors of a document.

/// Why a document cannot be used, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at byte {position})")]
pub struct XmlError {
    problem: Problem,
    position: usize,
}

impl XmlError {
    pub(super) fn new(problem: Problem, position: usize) -> Self {
        Self { problem, position }
    }

    /// The error.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where, in bytes from the start of the document.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// The error of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It breaks XML's rules.
    #[error("XML is malformed: {0}")]
    Malformed(String),
    /// It ends before its root does.
    #[error("XML ends too early")]
    Truncated,
    /// It is not UTF-8.
    #[error("XML is not UTF-8")]
    NotUtf8,
    /// It has a DOCTYPE, which no BBB document has and many attacks do.
    #[error("XML has a DOCTYPE, which is refused")]
    DocType,
    /// It nests deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("XML nests too deep")]
    TooDeep,
    /// It uses an entity that XML does not define.
    #[error("XML has an unknown entity `&{0};`")]
    Entity(String),
    /// It is XML, but no answer of a BBB node.
    #[error("XML is no answer of BigBlueButton: {0}")]
    NotAnAnswer(&'static str),
}
