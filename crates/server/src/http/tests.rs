//! The pages, asked.

use std::sync::Mutex;

use http::StatusCode;
use http_body_util::BodyExt;

use super::*;

/// A member whose state is what a test sets.
pub(crate) struct Fake {
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) has_leader: bool,
    pub(crate) is_learner: bool,
    /// How a read ends; `None` for never.
    pub(crate) serializable: Option<Result<(), String>>,
    pub(crate) linearizable: Option<Result<(), String>>,
    pub(crate) checks: Mutex<Vec<String>>,
}

impl Default for Fake {
    fn default() -> Fake {
        Fake {
            alarms: Vec::new(),
            has_leader: true,
            is_learner: false,
            serializable: Some(Ok(())),
            linearizable: Some(Ok(())),
            checks: Mutex::default(),
        }
    }
}

impl Health for Fake {
    fn alarms(&self) -> Vec<Alarm> {
        self.alarms.clone()
    }

    fn has_leader(&self) -> bool {
        self.has_leader
    }

    fn is_learner(&self) -> bool {
        self.is_learner
    }

    fn read(&self, consistency: Consistency) -> ReadFuture {
        let end = match consistency {
            Consistency::Serializable => self.serializable.clone(),
            Consistency::Linearizable => self.linearizable.clone(),
        };
        match end {
            Some(end) => Box::pin(std::future::ready(end)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn versions(&self) -> Versions {
        let cluster = self.has_leader.then(|| "3.7.0".to_owned());
        Versions { server: "3.7.1".to_owned(), storage: cluster.clone(), cluster }
    }

    fn metrics(&self) -> String {
        "etcd_server_has_leader 1\n".to_owned()
    }

    fn variables(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut variables = serde_json::Map::new();
        variables.insert("cmdline".to_owned(), vec!["holdfast"].into());
        variables.insert("file_descriptor_limit".to_owned(), 1024.into());
        variables
    }

    fn on_check(&self, probe: Probe, check: Check, result: CheckResult) {
        self.checks.lock().unwrap().push(format!("{probe} {check} {result:?}"));
    }
}

/// Code, body.
async fn ask(health: &Arc<Fake>, address: &str) -> (StatusCode, String) {
    let response = response(health, Method::GET, address).await;
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn response(health: &Arc<Fake>, method: Method, address: &str) -> Response<Full<Bytes>> {
    let pages = Pages::new(Arc::clone(health) as Arc<dyn Health>, Duration::from_secs(5));
    let request = Request::builder().method(method).uri(address).body(()).unwrap();
    pages.answer(&request).await
}

fn healthy() -> (StatusCode, String) {
    (StatusCode::OK, r#"{"health":"true","reason":""}"#.to_owned())
}

fn unhealthy(reason: &str) -> (StatusCode, String) {
    let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
    (StatusCode::SERVICE_UNAVAILABLE, body)
}

#[tokio::test]
async fn health_is_that_of_the_cluster_unless_it_is_asked_otherwise() {
    let fit = Arc::new(Fake::default());
    assert_eq!(ask(&fit, "/health").await, healthy());

    let alone = Arc::new(Fake {
        has_leader: false,
        linearizable: Some(Err("etcdserver: no leader".to_owned())),
        ..Fake::default()
    });
    assert_eq!(ask(&alone, "/health").await, unhealthy("RAFT NO LEADER"));
    assert_eq!(ask(&alone, "/health?serializable=true").await, healthy());
    assert_eq!(ask(&alone, "/health?serializable=yes").await, unhealthy("RAFT NO LEADER"));

    let slow = Arc::new(Fake {
        linearizable: Some(Err("etcdserver: request timed out".to_owned())),
        ..Fake::default()
    });
    let expected = unhealthy("RANGE ERROR:etcdserver: request timed out");
    assert_eq!(ask(&slow, "/health").await, expected);
}

#[tokio::test]
async fn health_is_bad_under_an_alarm_that_is_not_excluded() {
    let alarms = vec![Alarm::NoSpace];
    let full = Arc::new(Fake { alarms, ..Fake::default() });
    assert_eq!(ask(&full, "/health").await, unhealthy("ALARM NOSPACE"));
    assert_eq!(ask(&full, "/health?exclude=CORRUPT").await, unhealthy("ALARM NOSPACE"));
    assert_eq!(ask(&full, "/health?exclude=NOSPACE").await, healthy());
    assert_eq!(ask(&full, "/health?exclude=&exclude=NOSPACE").await, healthy());

    let alarms = vec![Alarm::NoSpace, Alarm::Corrupt];
    let both = Arc::new(Fake { alarms, ..Fake::default() });
    assert_eq!(ask(&both, "/health?exclude=NOSPACE").await, unhealthy("ALARM CORRUPT"));
}

#[tokio::test]
async fn probes_say_ok_and_more_if_asked() {
    let fit = Arc::new(Fake::default());
    let ok = |text: &str| (StatusCode::OK, text.to_owned());
    assert_eq!(ask(&fit, "/livez").await, ok("ok\n"));
    assert_eq!(ask(&fit, "/livez?verbose").await, ok("[+]serializable_read ok\nok\n"));
    assert_eq!(
        ask(&fit, "/readyz?verbose&exclude=non_learner&exclude=unknown").await,
        ok("[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n")
    );
    assert_eq!(ask(&fit, "/readyz/non_learner?verbose").await, ok("[+]non_learner ok\nok\n"));
    assert_eq!(
        fit.checks.lock().unwrap().first().map(String::as_str),
        Some("livez serializable_read Passed")
    );
}

#[tokio::test(start_paused = true)]
async fn probe_that_fails_names_every_check() {
    let sick = Arc::new(Fake {
        alarms: vec![Alarm::Corrupt],
        is_learner: true,
        linearizable: None,
        ..Fake::default()
    });
    let report = "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n\
                  [-]linearizable_read failed: context deadline exceeded\n\
                  [-]non_learner failed: not supported for learner\n\n";
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(ask(&sick, "/readyz").await, (unavailable, report.to_owned()));
    assert_eq!(ask(&sick, "/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    let one = ask(&sick, "/readyz/non_learner?exclude=non_learner").await;
    assert_eq!(one.0, unavailable, "one check that was asked for is not excluded");
}

#[tokio::test]
async fn versions_and_variables_are_json_as_etcd_writes_it() {
    let fit = Arc::new(Fake::default());
    let versions = r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#;
    assert_eq!(ask(&fit, "/version").await, (StatusCode::OK, versions.to_owned()));
    let young = Arc::new(Fake { has_leader: false, ..Fake::default() });
    let undecided = r#"{"etcdserver":"3.7.1","etcdcluster":"not_decided","storage":"unknown"}"#;
    assert_eq!(ask(&young, "/version").await.1, undecided);
    let variables = "{\n\"cmdline\": [\"holdfast\"],\n\"file_descriptor_limit\": 1024\n}\n";
    assert_eq!(ask(&fit, "/debug/vars").await, (StatusCode::OK, variables.to_owned()));
    let metrics = response(&fit, Method::GET, "/metrics").await;
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn what_is_not_there_or_not_to_be_changed_is_refused() {
    let fit = Arc::new(Fake::default());
    for address in ["/", "/livez/", "/livez/linearizable_read", "/readyz/none", "/v3/kv/range"] {
        let expected = (StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
        assert_eq!(ask(&fit, address).await, expected, "{address}");
    }
    for address in ["/health", "/livez", "/readyz/non_learner", "/version", "/debug/vars"] {
        let refused = response(&fit, Method::POST, address).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED, "{address}");
        assert_eq!(refused.headers()["allow"], "GET", "{address}");
    }
}
