//! What is built is what stands in the files of `golden`.

use super::*;
use crate::crd::{RaftCluster, RaftClusterSpec};

fn site() -> Site {
    Site {
        name: "demo".into(),
        namespace: "shop".into(),
        uid: "0a1b".into(),
        domain: "cluster.local".into(),
    }
}

/// With the golden files made anew if asked for: look at the difference before you commit it.
fn compare(name: &str, object: &Value) {
    let path = format!("{}/src/children/golden/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let made = serde_yaml::to_string(object).expect("any value is YAML");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &made).expect("golden files can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(made, golden, "{name}: UPDATE_GOLDENFILES=1 makes the files anew");
}

#[test]
fn children_are_as_in_the_golden_files() {
    let cluster = RaftCluster::new("demo", RaftClusterSpec::default());
    let site = site();
    for (child, object) in wanted(&cluster, &site) {
        compare(&child.to_string(), &object);
    }
    compare("budget", &budget(&site, 2));
    compare("stateful-set", &stateful_set(&cluster, &site, "demo-shop-0a1b"));
}

#[test]
fn the_number_of_members_restarts_nobody() {
    let site = site();
    let of = |replicas| {
        let spec = RaftClusterSpec { replicas, ..RaftClusterSpec::default() };
        digest(&stateful_set(&RaftCluster::new("demo", spec), &site, "token"))
    };
    assert_eq!(of(1), of(5));
}

#[test]
fn addresses_name_pods() {
    let site = site();
    for place in site.places() {
        let url = site.peer_url(place, Source::Auto);
        assert_eq!(site.ordinal_of(&url), Some(place), "{url}");
    }
    assert_eq!(site.ordinal_of("https://demo-0.other.shop.svc:2380"), None);
    assert_eq!(site.ordinal_of("https://10.0.0.1:2380"), None);
}
