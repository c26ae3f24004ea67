//! Server-sent events: each watcher is told what it has not seen.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_body_util::{Channel, channel::Sender};
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{routes::Site, run::SeenRun};

/// Pause after which a silent stream says that it lives, and the page learns the time.
const ALIVE: Duration = Duration::from_secs(5);
/// Longest time that a watcher may leave an event unread.
const UNREAD: Duration = Duration::from_secs(30);

/// A stream of events; `place` is held as long as it lives.
pub(super) fn stream(site: &Arc<Site>, place: OwnedSemaphorePermit) -> Channel<Bytes> {
    let (mut sender, body) = Channel::new(4);
    let site = site.clone();
    tokio::spawn(async move {
        tell(&site, &mut sender).await;
        drop(place);
    });
    body
}

async fn tell(site: &Site, sender: &mut Sender<Bytes>) {
    let mut changes = site.changes.subscribe();
    let mut seen = None;
    // The first event also tells browsers how soon to ask again.
    let mut text = String::from("retry: 2000\n");
    loop {
        text += &event("now", &json!({"time": now()}));
        text += &news(site, &mut seen);
        let bytes = Bytes::from(std::mem::take(&mut text));
        if !matches!(timeout(UNREAD, sender.send_data(bytes)).await, Ok(Ok(()))) {
            return;
        }
        let _ = timeout(ALIVE, changes.changed()).await;
    }
}

/// The events about all runs for somebody who has seen `seen`; nothing for who has just come.
fn news(site: &Site, seen: &mut Option<Vec<SeenRun>>) -> String {
    let runs = site.lock();
    let mut text = String::new();
    let names = runs.names();
    if seen.as_ref().map(Vec::len) != Some(names.len()) {
        let seen = seen.get_or_insert_default();
        seen.resize_with(names.len(), SeenRun::default);
        text += &event("runs", &json!({"names": names, "pictures": site.pictures}));
    }
    for ((number, run), seen) in runs.iter().enumerate().zip(seen.iter_mut().flatten()) {
        for (name, mut part) in run.news(seen) {
            part["run"] = number.into();
            text += &event(name, &part);
        }
    }
    text
}

/// One event; JSON has no line ends of its own.
fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |time| time.as_secs_f64())
}
