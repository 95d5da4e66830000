//! Every flag of the server, in the groups in which the help shows them.

mod cluster;
mod member;
mod operation;
mod security;

use super::flag::{Flag, past};

/// Flags that belong together.
#[derive(Debug)]
pub(crate) struct Group {
    /// What they have in common; the heading in the help.
    pub(crate) title: &'static str,
    /// The flags, in the order in which they are shown.
    pub(crate) flags: &'static [Flag],
}

/// All groups.
pub(crate) const GROUPS: &[Group] = &[
    Group { title: "Member", flags: member::MEMBER },
    Group { title: "Clustering", flags: cluster::CLUSTER },
    Group { title: "Discovery", flags: cluster::DISCOVERY },
    Group { title: "Security", flags: security::SECURITY },
    Group { title: "Auth", flags: security::AUTH },
    Group { title: "Profiling and Monitoring", flags: operation::MONITORING },
    Group { title: "Logging", flags: operation::LOGGING },
    Group { title: "Distributed tracing", flags: operation::TRACING },
    Group { title: "Maintenance", flags: operation::MAINTENANCE },
    Group { title: "Unsafe", flags: operation::UNSAFE },
    Group { title: "Past", flags: PAST },
];

/// What etcd 2 had, and etcd 3 still takes in silence.
const PAST: &[Flag] = &[
    past("cluster-active-size"),
    past("cluster-remove-delay"),
    past("cluster-sync-interval"),
    past("config"),
    past("force"),
    past("max-result-buffer"),
    past("max-retry-attempts"),
    past("peer-heartbeat-interval"),
    past("peer-election-timeout"),
    past("retry-interval"),
    past("snapshot"),
    past("test.coverprofile"),
    past("test.outputdir"),
    past("v"),
    past("vv"),
];

/// All flags, group after group.
pub(crate) fn flags() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// The flag of this name.
pub(crate) fn find(name: &str) -> Option<&'static Flag> {
    find_in(GROUPS, name)
}

/// The flag of this name in some groups.
pub(crate) fn find_in(groups: &'static [Group], name: &str) -> Option<&'static Flag> {
    groups.iter().flat_map(|group| group.flags).find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests;
