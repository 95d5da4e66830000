//! Who the members are beyond their place in the configuration: names and addresses.

/// What is known of a member beside its ID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberAttributes {
    /// Its name; empty until it has started once.
    pub name: String,
    /// Where other members reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started once.
    pub client_urls: Vec<String>,
    /// Whether it was added as a voter and has no vote yet: the core has it as a learner until it
    /// has caught up, and then the leader promotes it. So one that never starts harms nobody.
    pub becomes_voter: bool,
}
