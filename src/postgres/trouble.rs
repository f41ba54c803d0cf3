//! Troubles: PostgreSQL answers and cannot work, or not for us. Its SQLSTATE says why, and so what to do.

use std::fmt;

use tokio_postgres::error::SqlState;

/// Why PostgreSQL cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No space is left where it writes.
    DiskFull,
    /// It got no memory from its system.
    OutOfMemory,
    /// It has as many connections as it takes.
    TooManyConnections,
    /// It is on its way up or down.
    Stopping,
    /// It is a standby, or was set to read only.
    ReadOnly,
    /// It does not know our user, or that user lacks rights.
    Unauthorized,
    /// There is no database of that name.
    Missing,
    /// Its files or its resources fail it.
    Failing,
}

impl Trouble {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::DiskFull,
        Self::OutOfMemory,
        Self::TooManyConnections,
        Self::Stopping,
        Self::ReadOnly,
        Self::Unauthorized,
        Self::Missing,
        Self::Failing,
    ];

    /// Reads it off the code of an error. `None`: the error is about the statement alone, or about the connection.
    pub fn of(code: &SqlState) -> Option<Self> {
        match code.code() {
            "53100" => Some(Self::DiskFull),
            "53200" => Some(Self::OutOfMemory),
            "53300" => Some(Self::TooManyConnections),
            "57P01" | "57P02" | "57P03" => Some(Self::Stopping),
            "25006" => Some(Self::ReadOnly),
            "57P04" | "3D000" => Some(Self::Missing),
            "42501" => Some(Self::Unauthorized),
            "XX001" | "XX002" => Some(Self::Failing),
            code if code.starts_with("28") => Some(Self::Unauthorized),
            code if code.starts_with("53") || code.starts_with("58") => Some(Self::Failing),
            _ => None,
        }
    }

    /// The word used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Trouble::DiskFull => "disk_full",
            Trouble::OutOfMemory => "out_of_memory",
            Trouble::TooManyConnections => "too_many_connections",
            Trouble::Stopping => "stopping",
            Trouble::ReadOnly => "read_only",
            Trouble::Unauthorized => "unauthorized",
            Trouble::Missing => "missing",
            Trouble::Failing => "failing",
        }
    }

    /// That it cannot work, why, and what to do about it.
    pub fn obstacle(self) -> String {
        format!("PostgreSQL cannot work: {self}")
    }

    /// The operator's remedy.
    fn remedy(self) -> &'static str {
        match self {
            Trouble::DiskFull => "free space there, or enlarge it",
            Trouble::OutOfMemory => "give it more memory, or lower its work_mem or max_connections",
            Trouble::TooManyConnections => "raise its max_connections, or lower B3SCALE_DB_POOL_SIZE",
            Trouble::Stopping => "if it does not come back by itself, its log says why",
            Trouble::ReadOnly => {
                "name the primary in B3SCALE_DB_URL, or all hosts and target_session_attrs=read-write, or let it write"
            }
            Trouble::Unauthorized => "check user, password and rights of B3SCALE_DB_URL, and its pg_hba.conf",
            Trouble::Missing => "create it, or mend its name in B3SCALE_DB_URL",
            Trouble::Failing => "see its log and its disks",
        }
    }

    /// Whether it may be over in a moment, so that a statement is worth another try.
    pub fn passes_soon(self) -> bool {
        self == Self::Stopping
    }

    /// Whether nothing can be read either.
    pub fn is_total(self) -> bool {
        match self {
            Trouble::TooManyConnections | Trouble::Stopping | Trouble::Unauthorized | Trouble::Missing => true,
            Trouble::DiskFull | Trouble::OutOfMemory | Trouble::ReadOnly | Trouble::Failing => false,
        }
    }
}

impl fmt::Display for Trouble {
    /// The problem, and its remedy.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Trouble::DiskFull => "its disk is full",
            Trouble::OutOfMemory => "it is out of memory",
            Trouble::TooManyConnections => "it takes no more connections",
            Trouble::Stopping => "it is starting or stopping",
            Trouble::ReadOnly => "it is read-only",
            Trouble::Unauthorized => "it refuses our user",
            Trouble::Missing => "our database does not exist",
            Trouble::Failing => "it fails",
        };
        write!(f, "{what}; {}", self.remedy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_by_its_sqlstate() {
        let of = |code| Trouble::of(&SqlState::from_code(code));
        for (code, trouble) in [
            ("53100", Trouble::DiskFull),
            ("53200", Trouble::OutOfMemory),
            ("53300", Trouble::TooManyConnections),
            ("53400", Trouble::Failing),
            ("57P01", Trouble::Stopping),
            ("57P02", Trouble::Stopping),
            ("57P03", Trouble::Stopping),
            ("25006", Trouble::ReadOnly),
            ("28000", Trouble::Unauthorized),
            ("28P01", Trouble::Unauthorized),
            ("42501", Trouble::Unauthorized),
            ("3D000", Trouble::Missing),
            ("57P04", Trouble::Missing),
            ("58030", Trouble::Failing),
            ("XX001", Trouble::Failing),
        ] {
            assert_eq!(of(code), Some(trouble), "{code}");
        }
        for code in ["08006", "23505", "40001", "55P03", "57014", "42P01", "P0001", "XX000"] {
            assert_eq!(of(code), None, "{code}: it says nothing of the database");
        }
    }

    #[test]
    fn each_trouble_has_a_word_of_its_own_and_says_what_to_do() {
        let words: std::collections::HashSet<_> = Trouble::ALL.iter().map(|trouble| trouble.name()).collect();
        assert_eq!(words.len(), Trouble::ALL.len());
        assert_eq!(Trouble::DiskFull.to_string(), "its disk is full; free space there, or enlarge it");
    }
}
