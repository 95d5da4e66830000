//! Names and numbers of `proto/` are those of etcd.

use std::collections::BTreeSet;

use protox::prost_reflect::{DescriptorPool, EnumDescriptor, Kind, MessageDescriptor};

const FILES: [&str; 6] = [
    "etcdserverpb/cluster.proto",
    "etcdserverpb/kv.proto",
    "etcdserverpb/lease.proto",
    "etcdserverpb/maintenance.proto",
    "etcdserverpb/watch.proto",
    "grpc/health/v1/health.proto",
];

/// Every name and number of etcd 3.7.1, and of gRPC's health protocol, one a line.
const ETCD: &str = include_str!("etcd-3.7.txt");

#[test]
fn every_name_and_number_is_that_of_etcd() {
    let etcd: BTreeSet<String> = ETCD.lines().map(str::to_owned).collect();
    let ours = lines();
    let invented: Vec<_> = ours.difference(&etcd).collect();
    assert!(invented.is_empty(), "not in etcd: {invented:#?}");
}

#[test]
fn what_is_defined_is_defined_completely() {
    let ours = lines();
    let owners: BTreeSet<&str> = ours.iter().map(|line| owner(line)).collect();
    let missing: Vec<_> =
        ETCD.lines().filter(|line| owners.contains(owner(line)) && !ours.contains(*line)).collect();
    assert!(missing.is_empty(), "in etcd, and not here: {missing:#?}");
}

/// Returns the message, enum or service that a line belongs to.
fn owner(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(owner, _)| owner)
}

fn lines() -> BTreeSet<String> {
    let mut compiler = protox::Compiler::new(["../../proto"]).expect("the directory exists");
    compiler.include_imports(true);
    for file in FILES {
        compiler.open_file(file).expect("the file compiles");
    }
    describe(&compiler.descriptor_pool())
}

fn describe(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for service in pool.services() {
        for method in service.methods() {
            lines.insert(format!(
                "{} {}({}{}) {}{}",
                service.full_name(),
                method.name(),
                if method.is_client_streaming() { "stream " } else { "" },
                method.input().full_name(),
                if method.is_server_streaming() { "stream " } else { "" },
                method.output().full_name(),
            ));
        }
    }
    pool.all_messages().for_each(|message| describe_message(&message, &mut lines));
    pool.all_enums().for_each(|of| describe_enum(&of, &mut lines));
    lines
}

fn describe_message(message: &MessageDescriptor, lines: &mut BTreeSet<String>) {
    lines.insert(message.full_name().to_owned());
    for field in message.fields() {
        lines.insert(format!(
            "{} {} {:?} {} {}{}",
            message.full_name(),
            field.number(),
            field.cardinality(),
            describe_kind(field.kind()),
            field.name(),
            field.containing_oneof().map_or(String::new(), |of| format!(" of {}", of.name())),
        ));
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours")]
fn describe_kind(kind: Kind) -> String {
    match &kind {
        Kind::Message(of) => of.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        // Numbers, strings and bytes, which print as they are written.
        _ => format!("{kind:?}"),
    }
}

fn describe_enum(of: &EnumDescriptor, lines: &mut BTreeSet<String>) {
    for value in of.values() {
        lines.insert(format!("{} {} {}", of.full_name(), value.number(), value.name()));
    }
}
