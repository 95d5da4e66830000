//! Numbers with a meaning.

use std::fmt;

/// The ID of a cluster. People see it in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

/// The ID of a member, which is never used again. People see it in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

/// The number of a pod of the StatefulSet, and of its volume: a place that one member after the
/// other may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub u32);

/// Kubernetes' name for one object, which another of the same name does not have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub String);

impl ClusterId {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<ClusterId> {
        u64::from_str_radix(text, 16).ok().map(ClusterId)
    }
}

impl MemberId {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<MemberId> {
        u64::from_str_radix(text, 16).ok().map(MemberId)
    }
}

impl Ordinal {
    /// The name of the pod with this number.
    #[must_use]
    pub fn pod_name(self, cluster: &str) -> String {
        format!("{cluster}-{self}")
    }

    /// The ordinal that the name of a pod ends in. Numbers are compared as numbers: `demo-10` comes
    /// after `demo-9`.
    #[must_use]
    pub fn of_pod(name: &str, cluster: &str) -> Option<Ordinal> {
        let digits = name.strip_prefix(cluster)?.strip_prefix('-')?;
        let is_plain = digits == "0" || !digits.starts_with(['0', '+']);
        if is_plain { digits.parse().ok().map(Ordinal) } else { None }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_numbers() {
        assert_eq!(Ordinal::of_pod("demo-10", "demo"), Some(Ordinal(10)));
        assert_eq!(Ordinal::of_pod("demo-x-1", "demo-x"), Some(Ordinal(1)));
        for other in ["demo", "demo-", "demo-x", "demo-01", "demo-+1", "other-1", "demo-x-1"] {
            assert_eq!(Ordinal::of_pod(other, "demo"), None, "{other}");
        }
        assert!(Ordinal(9) < Ordinal(10), "as numbers");
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        let id = MemberId(0x8e9e_05c5_2164_694d);
        assert_eq!(id.to_string(), "8e9e05c52164694d");
        assert_eq!(MemberId::parse(&id.to_string()), Some(id));
        assert_eq!(ClusterId::parse("xyz"), None);
    }
}
