//! The definition of the kind that is checked in is the one that the types make.

use std::path::Path;

use operator::crd::{DEFINITION_FILES, definition, definition_yaml};

/// What `kubectl apply` keeps in an annotation may be no longer.
const BYTES_MAX: usize = 256 * 1024;

#[test]
fn definitions_that_are_checked_in_are_the_one_of_the_types() {
    let made = definition_yaml();
    for file in DEFINITION_FILES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        if std::env::var("UPDATE_GOLDENFILES").is_ok_and(|value| value == "1") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &made).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == made,
            "{file} is not what the types in crd.rs make: run UPDATE_GOLDENFILES=1 cargo test -p \
             operator, and read the difference"
        );
    }
}

#[test]
fn definition_in_yaml_reads_as_it_was() {
    let read: serde_json::Value = serde_yaml::from_str(&definition_yaml()).unwrap();
    assert_eq!(read, definition());
}

#[test]
fn definition_fits_into_an_annotation() {
    let bytes = definition().to_string().len();
    assert!(bytes < BYTES_MAX, "the definition has {bytes} bytes, and may have {BYTES_MAX}");
}

#[test]
fn empty_specification_makes_a_cluster_of_three() {
    let spec: operator::crd::RaftClusterSpec = serde_yaml::from_str("{}").unwrap();
    assert_eq!(spec, operator::crd::RaftClusterSpec::default());
    assert_eq!(spec.replicas, 3);
    assert!(spec.tls.client.auto.is_some() && spec.tls.peer.auto.is_some(), "{:?}", spec.tls);
}

#[test]
fn certificates_come_from_the_operator_unless_another_source_is_given() {
    let source = |text: &str| {
        let spec: operator::crd::RaftClusterSpec = serde_yaml::from_str(text).unwrap();
        spec.tls.client
    };
    assert_eq!(source("tls: {client: {}}"), operator::crd::TlsSource::default());
    assert_eq!(source("tls: {client: {auto: {}}}"), operator::crd::TlsSource::default());
    let own = source("tls: {client: {secretRef: {name: demo-tls}}}");
    assert!(own.auto.is_none() && own.secret_ref.is_some(), "{own:?}");
}
