//! Which programs there are, and from which Go modules they come.

/// Programs that are built from one `go.mod` of ours.
pub(super) struct Set {
    pub(super) name: &'static str,
    /// Without the leading `v`.
    pub(super) version: &'static str,
    /// What the programs are built from, each at `version`.
    pub(super) modules: &'static [&'static str],
    /// Whether the first module pins others by `replace`, which does not reach those who depend on
    /// it and has to be repeated.
    pub(super) replaces: Replaces,
    /// What to give to the linker beside `-s -w`.
    pub(super) linker_flags: &'static str,
    /// The text of the `main.go` that the only tool is built from; `None` if the tools are packages
    /// of the modules.
    pub(super) source: Option<&'static str>,
    pub(super) tools: &'static [Tool],
}

/// How the modules that a module replaces by directories of its own are found elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Replaces {
    /// There are none.
    None,
    /// Each is published under its own name with the major version 0 in place of 1: the modules
    /// that lie in the `staging` directory of Kubernetes.
    Staging,
}

/// One program.
pub(super) struct Tool {
    /// Its file name.
    pub(super) name: &'static str,
    /// The Go package of its `main`.
    pub(super) package: &'static str,
    /// The variable of the environment that names one to take instead.
    pub(super) variable: &'static str,
    /// Seconds that the first build takes on two cores, to tell those who wait.
    pub(super) build_seconds: u64,
}

/// All of them; the first set is what is built if nothing is named.
pub(super) const SETS: &[Set] = &[
    Set {
        name: "etcd",
        version: "3.7.1",
        modules: &[
            "go.etcd.io/etcd/v3",
            "go.etcd.io/etcd/server/v3",
            "go.etcd.io/etcd/etcdctl/v3",
            "go.etcd.io/etcd/etcdutl/v3",
        ],
        replaces: Replaces::None,
        linker_flags: "-X go.etcd.io/etcd/api/v3/version.GitSHA=v3.7.1",
        source: None,
        tools: &[
            tool("etcd", "go.etcd.io/etcd/server/v3", "ETCD_BIN", 80),
            tool("etcdctl", "go.etcd.io/etcd/etcdctl/v3", "ETCDCTL_BIN", 10),
            tool("etcdutl", "go.etcd.io/etcd/etcdutl/v3", "ETCDUTL_BIN", 5),
            tool("benchmark", "go.etcd.io/etcd/v3/tools/benchmark", "ETCD_BENCHMARK", 5),
        ],
    },
    Set {
        name: "kubernetes",
        version: "1.36.3",
        modules: &["k8s.io/kubernetes"],
        replaces: Replaces::Staging,
        // Without a version it reports v0.0.0, and clients and feature gates behave accordingly.
        linker_flags: "-X k8s.io/component-base/version.gitVersion=v1.36.3 \
                       -X k8s.io/component-base/version.gitMajor=1 \
                       -X k8s.io/component-base/version.gitMinor=36",
        source: None,
        tools: &[
            tool(
                "kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "KUBE_APISERVER_BIN",
                370,
            ),
            tool("kubectl", "k8s.io/kubernetes/cmd/kubectl", "KUBECTL_BIN", 35),
            tool(
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "KUBE_CONTROLLER_MANAGER_BIN",
                100,
            ),
            tool(
                "kube-scheduler",
                "k8s.io/kubernetes/cmd/kube-scheduler",
                "KUBE_SCHEDULER_BIN",
                10,
            ),
            tool("kubelet", "k8s.io/kubernetes/cmd/kubelet", "KUBELET_BIN", 30),
            tool("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy", "KUBE_PROXY_BIN", 15),
        ],
    },
    Set {
        name: "coredns",
        version: "1.12.4",
        modules: &["github.com/coredns/coredns"],
        replaces: Replaces::None,
        linker_flags: "",
        source: Some(include_str!("sources/coredns.go")),
        tools: &[tool("coredns", ".", "COREDNS_BIN", 130)],
    },
    Set {
        name: "pause",
        version: "1.0.0",
        modules: &[],
        replaces: Replaces::None,
        linker_flags: "",
        source: Some(include_str!("sources/pause.go")),
        tools: &[tool("pause", ".", "PAUSE_BIN", 5)],
    },
    Set {
        name: "helm",
        version: "4.3.1",
        modules: &["helm.sh/helm/v4"],
        replaces: Replaces::None,
        linker_flags: "-X helm.sh/helm/v4/internal/version.version=v4.3.1",
        source: None,
        tools: &[tool("helm", "helm.sh/helm/v4/cmd/helm", "HELM_BIN", 150)],
    },
];

const fn tool(
    name: &'static str,
    package: &'static str,
    variable: &'static str,
    build_seconds: u64,
) -> Tool {
    Tool { name, package, variable, build_seconds }
}

impl Set {
    /// The name of its directory in the cache.
    pub(super) fn directory(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The text of our `go.mod`; `replaced` are the modules that have to be replaced.
    pub(super) fn go_mod(&self, replaced: &[String]) -> String {
        let mut text = "module tools\n\ngo 1.26\n\nrequire (\n".to_owned();
        for module in self.modules {
            text.push_str(&format!("\t{module} v{}\n", self.version));
        }
        text.push_str(")\n\nreplace (\n");
        for module in replaced {
            text.push_str(&format!("\t{module} => {module} {}\n", self.staging_version()));
        }
        text.push_str(")\n");
        if self.source.is_none() {
            text.push_str("\ntool (\n");
            for tool in self.tools {
                text.push_str(&format!("\t{}\n", tool.package));
            }
            text.push_str(")\n");
        }
        text
    }

    /// `v0.36.3` for 1.36.3.
    fn staging_version(&self) -> String {
        match self.version.split_once('.') {
            Some((_major, rest)) => format!("v0.{rest}"),
            None => format!("v{}", self.version),
        }
    }
}

/// The modules that `go_mod` replaces by directories below its own: those that have to be replaced
/// again by whoever depends on it.
pub(super) fn replaced_by_directories(go_mod: &str) -> Vec<String> {
    go_mod
        .lines()
        .filter_map(|line| {
            let (module, target) = line.trim().split_once("=>")?;
            target.trim().starts_with("./").then_some(module)
        })
        .filter_map(|module| {
            // In a block the name is the first word, else the one after `replace`.
            module.split_whitespace().find(|word| *word != "replace").map(str::to_owned)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_directories_are_found_in_blocks_and_alone() {
        let text = "module k\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n\
                    replace k8s.io/kubectl => ./staging/src/k8s.io/kubectl\n\
                    replace other => example.com/other v1.0.0\n";
        assert_eq!(replaced_by_directories(text), ["k8s.io/api", "k8s.io/kubectl"]);
    }

    #[test]
    fn program_of_our_own_is_no_package_of_a_module() {
        let coredns = SETS.iter().find(|set| set.name == "coredns").unwrap();
        let text = coredns.go_mod(&[]);
        let expected = "module tools\n\ngo 1.26\n\nrequire (\n\t\
                        github.com/coredns/coredns v1.12.4\n)\n\n\
                        replace (\n)\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn staging_modules_are_required_with_major_version_zero() {
        let kubernetes = SETS.iter().find(|set| set.name == "kubernetes").unwrap();
        let text = kubernetes.go_mod(&["k8s.io/api".to_owned()]);
        assert!(text.contains("\tk8s.io/kubernetes v1.36.3\n"), "{text}");
        assert!(text.contains("\tk8s.io/api => k8s.io/api v0.36.3\n"), "{text}");
        assert!(text.contains("\tk8s.io/kubernetes/cmd/kubectl\n"), "{text}");
    }
}
