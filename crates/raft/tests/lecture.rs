//! The rules of Raft as they are taught, each shown on a whole cluster.
