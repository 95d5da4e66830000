//! The definition of the kind, as Kubernetes is given it.

use kube::CustomResourceExt as _;
use serde_json::{Value, json};

use super::RaftCluster;

/// Where the definition lies, seen from the root of the workspace: for `kubectl apply`, and in the
/// chart, which can read nothing outside of itself.
pub const DEFINITION_FILES: [&str; 2] = [
    "manifests/crd/raftclusters.raft.holdfast.dev.yaml",
    "charts/holdfast-operator/files/raftclusters.raft.holdfast.dev.yaml",
];

/// Types of Kubernetes whose fields are documented there: their texts would be most of ours.
const EMBEDDED: &[&str] =
    &["affinity", "resources", "tolerations", "topologySpreadConstraints", "pullSecrets"];

/// What the kind is, in one sentence.
const DESCRIPTION: &str = "A replicated key-value store that speaks etcd's API and heals itself.";

/// How many kinds of resources a container may ask for.
const RESOURCES_MAX: u32 = 8;

/// How long an amount may be. Numbers have no length.
const AMOUNT_CHARACTERS_MAX: u32 = 20;

/// How long the value of a label may be.
const LABEL_MAX: u32 = 63;

/// How long a name may be.
const NAME_MAX: u32 = 253;

/// Returns the definition.
///
/// # Panics
///
/// If our types cannot be written as JSON, which a test would have shown.
#[must_use]
pub fn definition() -> Value {
    let mut definition =
        serde_json::to_value(RaftCluster::crd()).expect("a definition consists of plain values");
    strip(&mut definition, false);
    bound(&mut definition);
    leave_tls_open(&mut definition);
    schemas(&mut definition).for_each(|schema| schema["description"] = DESCRIPTION.into());
    schemas(&mut definition).for_each(|schema| open_status(&mut schema["properties"]["status"]));
    definition
}

/// Returns the definition as the text of its file.
#[must_use]
pub fn definition_yaml() -> String {
    let mut text = String::from(
        "# Generated from crates/operator/src/crd.rs by `UPDATE_GOLDENFILES=1 cargo test -p \
         operator definition`.\n",
    );
    yaml::write(&mut text, &definition());
    text
}

/// The schemas of all versions.
fn schemas(definition: &mut Value) -> impl Iterator<Item = &mut Value> {
    let versions = definition["spec"]["versions"].as_array_mut().expect("there are versions");
    versions.iter_mut().map(|version| &mut version["schema"]["openAPIV3Schema"])
}

/// The fields of the specification in all versions.
fn specifications(definition: &mut Value) -> impl Iterator<Item = &mut Value> {
    schemas(definition).map(|schema| &mut schema["properties"]["spec"]["properties"])
}

/// Removes the descriptions inside of types that are not ours, and what only Rust understands.
fn strip(value: &mut Value, is_embedded: bool) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(description)) = fields.get_mut("description") {
                // The lines of a source file are not those of a screen.
                *description = description.replace('\n', " ");
                if is_embedded {
                    fields.remove("description");
                }
            }
            // A word of Rust's, which Kubernetes warns of.
            if fields.get("format").is_some_and(|format| format == "uint32") {
                fields.remove("format");
            }
            // Unless a null is a value, Kubernetes takes it for a field that is not there, and
            // fills in what is then to stand there.
            if fields.get("nullable").is_some_and(Value::is_boolean) {
                fields.remove("nullable");
            }
            for (name, value) in fields {
                strip(value, is_embedded || EMBEDDED.contains(&name.as_str()));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| strip(value, is_embedded)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fills in no source of certificates: see [`super::TlsSource`].
fn leave_tls_open(definition: &mut Value) {
    for spec in specifications(definition) {
        spec["tls"]["default"] = json!({ "client": {}, "peer": {} });
        for audience in ["client", "peer"] {
            spec["tls"]["properties"][audience]["default"] = json!({});
        }
    }
}

/// Lets a status hold words that a later version of the operator has, and this one has not.
fn open_status(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("enum").is_some_and(Value::is_array) {
                fields.remove("enum");
            }
            fields.values_mut().for_each(open_status);
        }
        Value::Array(values) => values.iter_mut().for_each(open_status),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Bounds what is not of our types, so that rules about it have a bounded cost; and leaves out
/// claims of devices, which would need a place in the pod, too.
fn bound(definition: &mut Value) {
    for spec in specifications(definition) {
        let resources = &mut spec["resources"]["properties"];
        resources.as_object_mut().expect("resources have fields").remove("claims");
        for kind in ["requests", "limits"] {
            resources[kind]["maxProperties"] = RESOURCES_MAX.into();
            resources[kind]["additionalProperties"]["maxLength"] = AMOUNT_CHARACTERS_MAX.into();
        }
        spec["storage"]["properties"]["size"]["maxLength"] = AMOUNT_CHARACTERS_MAX.into();
        let template = &mut spec["podTemplate"]["properties"];
        template["nodeSelector"]["additionalProperties"]["maxLength"] = LABEL_MAX.into();
        let metadata = &mut template["metadata"]["properties"];
        metadata["labels"]["additionalProperties"]["maxLength"] = LABEL_MAX.into();
        let secret = &mut spec["image"]["properties"]["pullSecrets"]["items"]["properties"];
        secret["name"]["maxLength"] = NAME_MAX.into();
    }
}

/// Writes YAML so that a definition can be read and compared: texts are quoted as in JSON, which
/// YAML understands.
mod yaml {
    use serde_json::Value;

    /// Appends a document.
    pub(super) fn write(text: &mut String, value: &Value) {
        block(text, value, 0);
    }

    fn block(text: &mut String, value: &Value, depth: usize) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    indent(text, depth);
                    text.push_str(&key(name));
                    text.push(':');
                    after_key(text, value, depth);
                }
            }
            Value::Array(values) => {
                for value in values {
                    item(text, value, depth);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                indent(text, depth);
                text.push_str(&format!("{value}\n"));
            }
        }
    }

    /// What stands behind a key: a scalar on the same line, or a block below it.
    fn after_key(text: &mut String, value: &Value, depth: usize) {
        if is_flat(value) {
            text.push_str(&format!(" {value}\n"));
        } else {
            text.push('\n');
            block(text, value, depth + 1);
        }
    }

    /// An item of a list; its first field stands behind the hyphen.
    fn item(text: &mut String, value: &Value, depth: usize) {
        let start = text.len();
        if is_flat(value) {
            indent(text, depth);
            text.push_str(&format!("- {value}\n"));
            return;
        }
        block(text, value, depth + 1);
        let hyphen = start + 2 * depth;
        text.replace_range(hyphen..=hyphen, "-");
    }

    /// Scalars, and what is empty.
    fn is_flat(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.is_empty(),
            Value::Array(values) => values.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }

    fn key(name: &str) -> String {
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_/".contains(c));
        if is_plain { name.to_owned() } else { format!("{name:?}") }
    }

    fn indent(text: &mut String, depth: usize) {
        text.push_str(&"  ".repeat(depth));
    }
}
