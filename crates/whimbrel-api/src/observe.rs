//! The outermost layer: every request gets a name, a limit in time and a line in the figures; every fault one line in
//! the log.
//!
//! Paths are counted by their pattern, so that no client can invent names for figures. Nothing of a query, a header or
//! a body is logged.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::error::{ApiError, Cause, Code, chain};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken from a client, bytes.
const REQUEST_ID_MAX: usize = 64;

fn request_id(request: &Request) -> HeaderValue {
    let good = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty()
            && bytes.len() <= REQUEST_ID_MAX
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
    };
    request.headers().get(REQUEST_ID).filter(good).cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&Uuid::new_v4().to_string()).expect("a UUID's text is a header's value")
    })
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Names, counts and logs a request.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let (id, method, began) = (request_id(&request), method_name(request.method()), Instant::now());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    let path = path.as_ref().map_or("unknown", |path| path.as_str()).to_owned();
    let status = response.status();
    if status.is_server_error() {
        let id = id.to_str().unwrap_or_default();
        match response.extensions_mut().remove::<Cause>() {
            Some(Cause(cause)) => {
                tracing::error!(id, method, path, status = status.as_u16(), error = %chain(&*cause), "a request failed");
            }
            // Refused for a named reason (busy, stopping, too slow): the figures tell how often.
            None => tracing::debug!(id, method, path, status = status.as_u16(), "a request was not done"),
        }
    }
    metrics::counter!("whimbrel_api_requests_total",
        "method" => method, "path" => path.clone(), "status" => status.as_str().to_owned())
    .increment(1);
    metrics::histogram!("whimbrel_api_request_seconds", "method" => method, "path" => path)
        .record(began.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Gives up on a request after this time. A change that it began runs to its end.
pub(crate) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(Code::Timeout).into_response(),
    }
}

/// The answer when a handler panicked.
pub(crate) fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| cause.downcast_ref().cloned());
    ApiError::internal(format!("a handler panicked: {}", text.unwrap_or_default())).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;
    use whimbrel_store::StoreError;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_fault_is_one_line_in_the_log_and_nothing_of_it_is_told() {
        // Idea: handlers that fail with a telling text, in three ways; the text is in the log once, in no answer.
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let router: Router = Router::new()
            .route("/corrupt", get(async || ApiError::from(StoreError::Corrupt("SELECT secret".into()))))
            .route("/away", get(async || ApiError::from(StoreError::Unavailable("SELECT secret".into()))))
            .route("/panic", get(async || -> ApiError { panic!("SELECT secret") }))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(observe));
        for (path, status, code) in
            [("/corrupt", 500, "internal"), ("/away", 503, "unavailable"), ("/panic", 500, "internal")]
        {
            lines.0.lock().expect("not poisoned").clear();
            let request = Request::builder().uri(path).header("x-request-id", "id-7").body(Body::empty());
            let response = router.clone().oneshot(request.expect("a request")).await.expect("an answer");
            assert_eq!(response.status(), status);
            let body = to_bytes(response.into_body(), 1 << 16).await.expect("a body");
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(body.contains(code) && !body.contains("SELECT"), "{body}");
            let log = String::from_utf8_lossy(&lines.0.lock().expect("not poisoned")).into_owned();
            assert_eq!(log.matches("SELECT secret").count(), 1, "{log}");
            assert!(log.contains("id-7") && log.contains(path), "{log}");
        }
    }
}
