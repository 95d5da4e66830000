//! Generates messages, clients and servers from `proto/` at the top of the workspace.

use std::error::Error;
use std::path::Path;

use prost_build::{Service, ServiceGenerator};

const PROTO: &str = "../../proto";

const FILES: [&str; 7] = [
    "etcdserverpb/cluster.proto",
    "etcdserverpb/kv.proto",
    "etcdserverpb/lease.proto",
    "etcdserverpb/maintenance.proto",
    "etcdserverpb/watch.proto",
    "grpc/health/v1/health.proto",
    "holdfast/v1/admission.proto",
];

/// Answers of these services are `crate::Encoded` in the server's trait.
const ENCODED_SERVICES: [&str; 2] = ["KV", "Watch"];

/// Generates a plain client, and a server with our codec, for each service.
struct Services {
    clients: Box<dyn ServiceGenerator>,
    servers: Box<dyn ServiceGenerator>,
}

impl ServiceGenerator for Services {
    fn generate(&mut self, service: Service, buf: &mut String) {
        self.clients.generate(service.clone(), buf);
        let mut service = service;
        if service.package == "etcdserverpb" && ENCODED_SERVICES.contains(&&*service.proto_name) {
            for method in &mut service.methods {
                method.output_type = "crate::Encoded".to_owned();
            }
        }
        self.servers.generate(service, buf);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile(FILES, [Path::new(PROTO)])?;
    let clients = tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .service_generator();
    let servers = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .codec_path("crate::Codec")
        .service_generator();
    tonic_prost_build::Config::new()
        .bytes(["."])
        .service_generator(Box::new(Services { clients, servers }))
        .compile_fds(descriptors)?;
    Ok(())
}
