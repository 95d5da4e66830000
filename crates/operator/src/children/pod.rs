//! The pods: how the server runs.

use serde_json::{Map, Value, json};

use crate::crd::{AntiAffinity, CompactionMode, PullPolicy, RaftCluster};
use crate::names::{CLIENT_PORT, METRICS_PORT, PEER_PORT, Site, Source, ours, source};
use crate::plan::certificate::Audience;

/// Where the volume is.
const VOLUME_PATH: &str = "/var/lib/holdfast";

/// Who the server runs as.
const USER: u32 = 65532;

/// What each pod is made from.
pub(super) fn template(cluster: &RaftCluster, site: &Site, token: &str) -> Value {
    let given = &cluster.spec.pod_template;
    let mut labels = given.metadata.labels.clone();
    labels.extend(site.labels());
    let mut annotations = given.metadata.annotations.clone();
    annotations.insert(ours("version"), cluster.spec.version.clone());
    annotations.insert("kubectl.kubernetes.io/default-container".into(), "holdfast".into());
    json!({
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": pod(cluster, site, token),
    })
}

fn pod(cluster: &RaftCluster, site: &Site, token: &str) -> Value {
    let given = &cluster.spec.pod_template;
    let mut pod = json!({
        "serviceAccountName": given.service_account_name.as_ref().unwrap_or(&site.name),
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container(cluster, site, token)],
        "volumes": volumes(cluster, site),
        "topologySpreadConstraints": spread(cluster, site),
    });
    let mut set = |key: &str, value: Value| pod[key] = value;
    if let Some(affinity) = affinity(cluster, site) {
        set("affinity", affinity);
    }
    if !given.node_selector.is_empty() {
        set("nodeSelector", json!(given.node_selector));
    }
    if !given.tolerations.is_empty() {
        set("tolerations", json!(given.tolerations));
    }
    if let Some(class) = &given.priority_class_name {
        set("priorityClassName", json!(class));
    }
    if !cluster.spec.image.pull_secrets.is_empty() {
        set("imagePullSecrets", json!(cluster.spec.image.pull_secrets));
    }
    pod
}

fn container(cluster: &RaftCluster, site: &Site, token: &str) -> Value {
    let image = &cluster.spec.image;
    let full = match &image.digest {
        Some(digest) => format!("{}@{digest}", image.repository),
        None => format!("{}:{}", image.repository, cluster.spec.version),
    };
    let policy = match image.pull_policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    };
    let mut mounts = vec![json!({"name": "data", "mountPath": VOLUME_PATH})];
    for audience in [Audience::Client, Audience::Peer] {
        if source(cluster, audience).is_on() {
            let name = format!("{audience}-tls");
            mounts.push(json!({"name": name, "mountPath": dir(audience), "readOnly": true}));
        }
    }
    let probe = |path: &str, period: u32, timeout: u32, failures: u32| {
        json!({
            "httpGet": {"path": path, "port": "metrics"},
            "periodSeconds": period,
            "timeoutSeconds": timeout,
            "failureThreshold": failures,
        })
    };
    json!({
        "name": "holdfast",
        "image": full,
        "imagePullPolicy": policy,
        "args": arguments(cluster, site, token),
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [
            {"name": "client", "containerPort": CLIENT_PORT},
            {"name": "peer", "containerPort": PEER_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
        ],
        // A long log takes its time to be read.
        "startupProbe": probe("/livez", 1, 2, 1800),
        "livenessProbe": probe("/livez", 10, 5, 6),
        "readinessProbe": probe("/readyz", 2, 3, 2),
        "resources": cluster.spec.resources,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    })
}

fn arguments(cluster: &RaftCluster, site: &Site, token: &str) -> Vec<String> {
    let server = &cluster.spec.server;
    let client = source(cluster, Audience::Client);
    let peer = source(cluster, Audience::Peer);
    let host = format!("$(POD_NAME).{}.{}.svc", site.peer_service(), site.namespace);
    // All places that there may be, so that nobody is restarted when there are more.
    let join: Vec<String> =
        site.places().map(|place| format!("{}:{PEER_PORT}", site.host(place))).collect();
    let mode = match server.auto_compaction.mode {
        CompactionMode::Periodic => "periodic",
        CompactionMode::Revision => "revision",
    };
    let mut arguments = vec![
        "--name=$(POD_NAME)".to_owned(),
        format!("--data-dir={VOLUME_PATH}/data"),
        format!("--listen-client-urls={}://0.0.0.0:{CLIENT_PORT}", client.scheme()),
        format!("--advertise-client-urls={}://{host}:{CLIENT_PORT}", client.scheme()),
        format!("--listen-peer-urls={}://0.0.0.0:{PEER_PORT}", peer.scheme()),
        format!("--initial-advertise-peer-urls={}://{host}:{PEER_PORT}", peer.scheme()),
        format!("--listen-metrics-urls=http://0.0.0.0:{METRICS_PORT}"),
        format!("--initial-cluster-token={token}"),
        format!("--join={}", join.join(",")),
        format!("--heartbeat-interval={}", server.heartbeat_millis),
        format!("--election-timeout={}", server.election_millis),
        format!("--quota-backend-bytes={}", server.quota_bytes),
        format!("--snapshot-count={}", server.snapshot_count),
        format!("--auto-compaction-mode={mode}"),
        format!("--auto-compaction-retention={}", server.auto_compaction.retention),
    ];
    for (audience, prefix) in [(Audience::Client, ""), (Audience::Peer, "peer-")] {
        if source(cluster, audience).is_on() {
            let dir = dir(audience);
            arguments.push(format!("--{prefix}cert-file={dir}/tls.crt"));
            arguments.push(format!("--{prefix}key-file={dir}/tls.key"));
            arguments.push(format!("--{prefix}trusted-ca-file={dir}/ca.crt"));
            arguments.push(format!("--{prefix}client-cert-auth=true"));
        }
    }
    arguments.extend(server.extra_args.iter().cloned());
    arguments
}

/// Where the certificates of an audience are.
fn dir(audience: Audience) -> String {
    format!("/etc/holdfast/{audience}-tls")
}

fn volumes(cluster: &RaftCluster, site: &Site) -> Vec<Value> {
    let mut volumes = Vec::new();
    for audience in [Audience::Client, Audience::Peer] {
        let piece = |secret: &str, files: &[&str]| {
            let items: Vec<Value> =
                files.iter().map(|file| json!({"key": file, "path": file})).collect();
            json!({"secret": {"name": secret, "items": items}})
        };
        let all = ["ca.crt", "tls.crt", "tls.key"];
        let leaf = site.leaf_secret(audience);
        let sources = match source(cluster, audience) {
            Source::Off => continue,
            // Bundle and certificate change at different times, each at once.
            Source::Auto => vec![
                piece(&site.authority_secret(audience), &["ca.crt"]),
                piece(&leaf, &["tls.crt", "tls.key"]),
            ],
            Source::Secret(name) => vec![piece(name, &all)],
            Source::Issuer(_) => vec![piece(&leaf, &all)],
        };
        volumes.push(json!({
            "name": format!("{audience}-tls"),
            "projected": {"sources": sources, "defaultMode": 0o440},
        }));
    }
    volumes
}

fn affinity(cluster: &RaftCluster, site: &Site) -> Option<Value> {
    if let Some(given) = &cluster.spec.pod_template.affinity {
        return Some(json!(given));
    }
    let scheduling = &cluster.spec.scheduling;
    let term = json!({
        "topologyKey": scheduling.topology_key,
        "labelSelector": {"matchLabels": site.selector()},
    });
    let rule = match scheduling.anti_affinity {
        AntiAffinity::None => return None,
        AntiAffinity::Required => {
            json!({"requiredDuringSchedulingIgnoredDuringExecution": [term]})
        }
        AntiAffinity::Preferred => json!({
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 100, "podAffinityTerm": term},
            ],
        }),
    };
    let mut affinity = Map::new();
    affinity.insert("podAntiAffinity".to_owned(), rule);
    Some(Value::Object(affinity))
}

fn spread(cluster: &RaftCluster, site: &Site) -> Value {
    match &cluster.spec.pod_template.topology_spread_constraints {
        Some(given) => json!(given),
        None => json!([{
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": site.selector()},
        }]),
    }
}
