//! What is answered to which request.

use std::{
    fs,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use http_body_util::{Channel, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Bytes},
    header,
};
use tokio::sync::{Semaphore, watch::Sender};

use super::{
    access::{Access, Verdict},
    events,
    runs::Runs,
};
use crate::report::STYLE;

/// Streams of events at a time.
pub(super) const STREAMS: usize = 16;
/// Largest picture that is served, bytes.
const PICTURE: u64 = 4 << 20;

const PAGE: &str = include_str!("page/index.html");
const ICON: &str = include_str!("page/icon.svg");
const OWN_STYLE: &str = include_str!("page/watch.css");
const SCRIPTS: [&str; 4] = [
    include_str!("page/chart.js"),
    include_str!("page/state.js"),
    include_str!("page/panels.js"),
    include_str!("page/watch.js"),
];
/// Only this server's own files, and nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the answers are made from.
pub(super) struct Site {
    pub(super) access: Access,
    pub(super) pictures: bool,
    pub(super) runs: Mutex<Runs>,
    /// Counts up where something is new; its receivers are the watchers.
    pub(super) changes: Sender<u64>,
    pub(super) streams: Arc<Semaphore>,
}

impl Site {
    pub(super) fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = Response<Either<Full<Bytes>, Channel<Bytes>>>;

/// Answers a request; `streaming` is set where the answer goes on.
pub(super) fn answer<B: Body>(
    site: &Arc<Site>,
    request: &Request<B>,
    streaming: &AtomicBool,
) -> Answer {
    if !request.body().is_end_stream() {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here");
    }
    match site.access.judge(request.uri(), request.headers()) {
        Verdict::Refuse(why) => return text(StatusCode::FORBIDDEN, why),
        Verdict::Enter(cookie) => {
            let mut answer = text(StatusCode::SEE_OTHER, "come in");
            let headers = answer.headers_mut();
            headers.insert(header::LOCATION, header::HeaderValue::from_static("/"));
            if let Ok(cookie) = cookie.parse() {
                headers.insert(header::SET_COOKIE, cookie);
            }
            return answer;
        }
        Verdict::Pass => {}
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered");
        let allow = header::HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(header::ALLOW, allow);
        return answer;
    }
    match request.uri().path() {
        "/" => whole("text/html; charset=utf-8", PAGE),
        "/watch.css" => whole("text/css; charset=utf-8", [STYLE, OWN_STYLE].concat()),
        "/icon.svg" => whole("image/svg+xml", ICON),
        "/watch.js" => whole("text/javascript; charset=utf-8", SCRIPTS.concat()),
        "/events" if request.method() == Method::GET => {
            match site.streams.clone().try_acquire_owned() {
                Ok(place) => {
                    streaming.store(true, Ordering::Relaxed);
                    let body = Either::Right(events::stream(site, place));
                    respond(StatusCode::OK, "text/event-stream", body)
                }
                Err(_) => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "too many watchers; close another page",
                ),
            }
        }
        path => picture(site, path)
            .unwrap_or_else(|| text(StatusCode::NOT_FOUND, "there is nothing here")),
    }
}

/// A sample face: `/runs/NUMBER/samples/NAME.png`, and no other file.
fn picture(site: &Site, path: &str) -> Option<Answer> {
    let (number, name) = path.strip_prefix("/runs/")?.split_once("/samples/")?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let stem = name.strip_suffix(".png")?;
    if !site.pictures || stem.is_empty() || stem.len() > 64 || !stem.chars().all(plain) {
        return None;
    }
    let file = site
        .lock()
        .get(number.parse().ok()?)?
        .path()
        .join("samples")
        .join(name);
    // A link is no file of the run.
    let found = fs::symlink_metadata(&file).ok()?;
    if !found.is_file() || found.len() > PICTURE {
        return None;
    }
    Some(whole("image/png", fs::read(file).ok()?))
}

fn whole(kind: &'static str, content: impl Into<Bytes>) -> Answer {
    respond(
        StatusCode::OK,
        kind,
        Either::Left(Full::new(content.into())),
    )
}

fn text(status: StatusCode, words: &'static str) -> Answer {
    let body = Either::Left(Full::new(Bytes::from_static(words.as_bytes())));
    respond(status, "text/plain; charset=utf-8", body)
}

fn respond(
    status: StatusCode,
    kind: &'static str,
    body: Either<Full<Bytes>, Channel<Bytes>>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    headers.insert(
        header::HeaderName::from_static("cross-origin-resource-policy"),
        header::HeaderValue::from_static("same-origin"),
    );
    answer
}
