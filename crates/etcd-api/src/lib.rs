//! The messages and services of etcd's v3 API, generated from `proto/` at the top of the workspace.
