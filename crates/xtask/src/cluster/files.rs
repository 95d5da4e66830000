//! The texts that configure each program. Pure, so that they can be compared with what is meant.

use crate::cluster::layout::{
    API_PORT, DNS_ADDRESS, HOST_ADDRESS, Node, PAUSE_IMAGE, POD_NETWORK, State, VOLUMES_PER_NODE,
};

/// How a client with the certificate `name` finds the API server.
pub(super) fn kubeconfig(state: &State, name: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: holdfast
clusters:
- name: holdfast
  cluster:
    server: https://{HOST_ADDRESS}:{API_PORT}
    certificate-authority: {authority}
users:
- name: {name}
  user:
    client-certificate: {certificate}
    client-key: {key}
contexts:
- name: holdfast
  context:
    cluster: holdfast
    user: {name}
",
        authority = state.certificate("ca", "crt"),
        certificate = state.certificate(name, "crt"),
        key = state.certificate(name, "key"),
    )
}

/// The scheduler's.
pub(super) fn scheduler(kubeconfig: &str) -> String {
    format!(
        "apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: {kubeconfig}
leaderElection:
  leaderElect: false
"
    )
}

/// The kubelet's. Answers about names come from our CoreDNS alone, so pods get no `resolv.conf` of
/// the host.
pub(super) fn kubelet(state: &State, node: Node) -> String {
    let directory = node.directory(state).display().to_string();
    let name = node.name();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: {authority}
authorization:
  mode: Webhook
tlsCertFile: {certificate}
tlsPrivateKeyFile: {key}
cgroupDriver: cgroupfs
cgroupRoot: /{group}
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix://{socket}
podLogsDir: {directory}/pod-logs
resolvConf: {directory}/resolv.conf
clusterDomain: cluster.local
clusterDNS:
- {DNS_ADDRESS}
evictionHard:
  memory.available: 50Mi
  nodefs.available: 100Mi
  imagefs.available: 100Mi
localStorageCapacityIsolation: false
nodeStatusUpdateFrequency: 2s
syncFrequency: 10s
fileCheckFrequency: 1m
healthzPort: 0
",
        authority = state.certificate("ca", "crt"),
        certificate = state.certificate(&format!("{name}-server"), "crt"),
        key = state.certificate(&format!("{name}-server"), "key"),
        group = node.control_group(),
        socket = node.socket(state),
    )
}

/// kube-proxy's.
pub(super) fn proxy(node: Node, kubeconfig: &str) -> String {
    format!(
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: {name}
clusterCIDR: {POD_NETWORK}
clientConnection:
  kubeconfig: {kubeconfig}
conntrack:
  maxPerCore: 0
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
",
        name = node.name()
    )
}

/// containerd's.
pub(super) fn containerd(state: &State, node: Node) -> String {
    let directory = node.directory(state).display().to_string();
    format!(
        "version = 2
root = \"{directory}/containerd\"
state = \"{directory}/run\"

[grpc]
  address = \"{socket}\"

[plugins.\"io.containerd.grpc.v1.cri\"]
  sandbox_image = \"{PAUSE_IMAGE}\"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  disable_apparmor = true
  [plugins.\"io.containerd.grpc.v1.cri\".cni]
    bin_dir = \"/usr/lib/cni\"
    conf_dir = \"{directory}/cni\"
  [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
    runtime_type = \"io.containerd.runc.v2\"
    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]
      SystemdCgroup = false
",
        socket = node.socket(state),
    )
}

/// What gives a pod its network: a cable of its own to the node, which routes. (With a bridge, the
/// answer of a pod on the same node would not come back by the way the question went.)
pub(super) fn cni(state: &State, node: Node, subnet: &str) -> String {
    let directory = node.directory(state).display().to_string();
    format!(
        r#"{{
  "cniVersion": "0.4.0",
  "name": "holdfast",
  "plugins": [
    {{
      "type": "ptp",
      "ipMasq": false,
      "ipam": {{
        "type": "host-local",
        "dataDir": "{directory}/addresses",
        "ranges": [[{{ "subnet": "{subnet}" }}]],
        "routes": [{{ "dst": "0.0.0.0/0" }}]
      }}
    }},
    {{ "type": "portmap", "capabilities": {{ "portMappings": true }} }}
  ]
}}
"#
    )
}

/// CoreDNS's. Members find each other in a second because nothing is kept longer.
pub(super) fn corefile(kubeconfig: &str) -> String {
    format!(
        ".:53 {{
    bind {HOST_ADDRESS}
    errors
    cache 1
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 1
    }}
}}
"
    )
}

/// What is applied once the API server answers: the service that resolves names, and the storage
/// class.
pub(super) fn objects() -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
spec:
  clusterIP: {DNS_ADDRESS}
  ports:
  - {{name: dns, port: 53, protocol: UDP}}
  - {{name: dns-tcp, port: 53, protocol: TCP}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns-host
  namespace: kube-system
  labels:
    kubernetes.io/service-name: kube-dns
addressType: IPv4
endpoints:
- addresses: [{HOST_ADDRESS}]
  conditions: {{ready: true}}
ports:
- {{name: dns, port: 53, protocol: UDP}}
- {{name: dns-tcp, port: 53, protocol: TCP}}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local
  annotations:
    storageclass.kubernetes.io/is-default-class: \"true\"
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Retain
"
    )
}

/// The directory of a local volume.
pub(super) fn volume_directory(state: &State, node: Node, number: u32) -> String {
    node.directory(state).join("volumes").join(number.to_string()).display().to_string()
}

/// The local volumes of `nodes`: directories that only pods on that node can have.
pub(super) fn volumes(state: &State, nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        let name = node.name();
        for number in 0..VOLUMES_PER_NODE {
            text.push_str(&format!(
                "---
apiVersion: v1
kind: PersistentVolume
metadata:
  name: {name}-{number}
spec:
  capacity: {{storage: 64Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  persistentVolumeReclaimPolicy: Retain
  local: {{path: {path}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions:
        - {{key: kubernetes.io/hostname, operator: In, values: [{name}]}}
",
                path = volume_directory(state, *node, number)
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn state() -> State {
        State { directory: PathBuf::from("/state") }
    }

    #[test]
    fn volume_belongs_to_its_node() {
        let text = volumes(&state(), &[Node(2)]);
        assert_eq!(text.matches("kind: PersistentVolume").count(), 8);
        assert!(text.contains("path: /state/nodes/node-2/volumes/7}"), "{text}");
        assert!(text.contains("operator: In, values: [node-2]"), "{text}");
    }

    #[test]
    fn network_of_pods_is_json_with_the_subnet_of_the_node() {
        let text = cni(&state(), Node(1), "10.124.2.0/24");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.124.2.0/24");
        assert_eq!(value["plugins"][0]["ipam"]["dataDir"], "/state/nodes/node-1/addresses");
    }

    #[test]
    fn each_node_has_its_own_runtime_and_control_group() {
        let text = kubelet(&state(), Node(3));
        assert!(text.contains("unix:///state/nodes/node-3/containerd.sock\n"), "{text}");
        assert!(text.contains("cgroupRoot: /holdfast-node-3\n"), "{text}");
        let text = containerd(&state(), Node(3));
        assert!(text.contains("root = \"/state/nodes/node-3/containerd\"\n"), "{text}");
    }

    #[test]
    fn client_is_told_where_the_api_server_is() {
        let expected = "\
apiVersion: v1
kind: Config
current-context: holdfast
clusters:
- name: holdfast
  cluster:
    server: https://10.123.0.1:6443
    certificate-authority: /state/certificates/ca.crt
users:
- name: admin
  user:
    client-certificate: /state/certificates/admin.crt
    client-key: /state/certificates/admin.key
contexts:
- name: holdfast
  context:
    cluster: holdfast
    user: admin
";
        assert_eq!(kubeconfig(&state(), "admin"), expected);
    }
}
