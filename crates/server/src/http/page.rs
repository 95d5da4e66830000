//! Pages that are put together at once, and the headers that Go gives to such.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value};

use super::Versions;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A page with a text.
pub(super) fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    page(status, &[(CONTENT_TYPE, TEXT)], body)
}

/// A page with a text that nobody shall take for anything else.
pub(super) fn text_only(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    page(status, &[(CONTENT_TYPE, TEXT), (X_CONTENT_TYPE_OPTIONS, NOSNIFF)], body)
}

/// What went wrong, on a line of its own.
pub(super) fn error(status: StatusCode, reason: &str) -> Response<Full<Bytes>> {
    text_only(status, format!("{reason}\n"))
}

/// There is no such page.
pub(super) fn not_found() -> Response<Full<Bytes>> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

/// There is, but it is only to be looked at.
pub(super) fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut page = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    page
}

/// `/version`.
pub(super) fn versions(versions: &Versions) -> Response<Full<Bytes>> {
    let json = HeaderValue::from_static("application/json");
    let cluster = versions.cluster.as_deref().unwrap_or("not_decided");
    let storage = versions.storage.as_deref().unwrap_or("unknown");
    let [server, cluster, storage] =
        [&versions.server, cluster, storage].map(|text| Value::from(text).to_string());
    let body = format!(r#"{{"etcdserver":{server},"etcdcluster":{cluster},"storage":{storage}}}"#);
    page(StatusCode::OK, &[(CONTENT_TYPE, json)], body)
}

/// `/metrics`.
pub(super) fn metrics(body: String) -> Response<Full<Bytes>> {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    page(StatusCode::OK, &[(CONTENT_TYPE, kind)], body)
}

/// `/debug/vars`: one variable a line.
pub(super) fn variables(variables: &Map<String, Value>) -> Response<Full<Bytes>> {
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    let lines: Vec<String> = variables
        .iter()
        .map(|(name, value)| format!("{}: {value}", Value::from(&**name)))
        .collect();
    page(StatusCode::OK, &[(CONTENT_TYPE, json)], format!("{{\n{}\n}}\n", lines.join(",\n")))
}

fn page(
    status: StatusCode,
    headers: &[(HeaderName, HeaderValue)],
    body: String,
) -> Response<Full<Bytes>> {
    let mut page = Response::new(Full::new(Bytes::from(body)));
    *page.status_mut() = status;
    page.headers_mut().extend(headers.iter().cloned());
    page
}
