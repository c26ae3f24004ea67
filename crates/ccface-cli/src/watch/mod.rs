//! A live page about runs, served on loopback.
//!
//! ```text
//! metrics.jsonl, timing.jsonl, samples/ ──► tail ──► run ──► series ──► events ──► page
//! ```
//!
//! The trainer only appends to its files; one thread here follows them while somebody watches, and each watcher gets what
//! is new as server-sent events. Names from files travel as JSON and reach the page as text, never as markup.

mod access;
mod events;
mod routes;
mod run;
mod runs;
mod series;
mod tail;

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::{Semaphore, watch::Sender},
    time::timeout,
};

use crate::CliError;
use access::Access;
use routes::Site;
use runs::Runs;

/// The first port that is tried where none is given, and how many after it.
const PORTS: std::ops::Range<u16> = 6010..6030;
/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Longest time for a request's head to arrive.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest life of a connection that is no stream of events.
const ANSWER_TIME: Duration = Duration::from_secs(30);
/// Longest life of a stream of events; browsers then ask again by themselves.
const STREAM_TIME: Duration = Duration::from_secs(3600);
/// Pause between two looks at the files.
const PAUSE: Duration = Duration::from_millis(400);

/// What is shown, and to whom.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// Run directories, or directories that hold runs.
    pub runs: Vec<PathBuf>,
    /// Address to listen on.
    pub host: IpAddr,
    /// Port; `None` takes the first free one from 6010, 0 any.
    pub port: Option<u16>,
    /// A secret that watchers have to know; needed beyond loopback.
    pub token: Option<String>,
    /// Whether sample faces are shown beyond loopback.
    pub pictures: bool,
}

/// A server that listens and has not begun to answer.
pub struct WatchServer {
    listener: TcpListener,
    address: SocketAddr,
    site: Arc<Site>,
}

impl WatchServer {
    /// Checks the options and takes the port.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a path that is not there, an address beyond loopback without a token, a token that is too
    /// short, or a port that is taken.
    pub fn bind(options: WatchOptions) -> Result<Self, CliError> {
        let access = Access::new(options.host, options.token)?;
        let runs = Runs::open(options.runs)?;
        let listener = listen(options.host, options.port)?;
        let address = listener
            .local_addr()
            .map_err(|e| CliError::Usage(format!("the port has no address: {e}")))?;
        let (changes, _) = tokio::sync::watch::channel(0);
        Ok(Self {
            listener,
            address,
            site: Arc::new(Site {
                access,
                pictures: options.pictures || options.host.is_loopback(),
                runs: Mutex::new(runs),
                changes,
                streams: Arc::new(Semaphore::new(routes::STREAMS)),
            }),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    /// [`CliError::Usage`] where the system gives no thread or no events for the socket.
    pub fn run(self, stop: &Arc<AtomicBool>) -> Result<(), CliError> {
        let failed = |what: &str, e: std::io::Error| CliError::Usage(format!("{what}: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| failed("the server cannot start", e))?;
        self.listener
            .set_nonblocking(true)
            .map_err(|e| failed("the socket cannot be used", e))?;
        let (site, end) = (self.site.clone(), stop.clone());
        let follower = thread::Builder::new()
            .name("watch-files".into())
            .spawn(move || follow(&site, &site.changes, &end))
            .map_err(|e| failed("no thread for the files", e))?;
        let result = runtime.block_on(accept(self.listener, self.site, stop));
        stop.store(true, Ordering::Relaxed);
        runtime.shutdown_background();
        let _ = follower.join();
        result.map_err(|e| failed("the server stopped", e))
    }
}

fn listen(host: IpAddr, port: Option<u16>) -> Result<TcpListener, CliError> {
    let ports = match port {
        Some(port) => port..port.saturating_add(1),
        None => PORTS,
    };
    let mut last = None;
    for port in ports {
        match TcpListener::bind((host, port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = Some((port, error)),
        }
    }
    let (port, error) = last.map_or((0, String::new()), |(port, e)| (port, e.to_string()));
    Err(CliError::Usage(format!(
        "{host}:{port} cannot be listened on: {error}. Give another --port or --host"
    )))
}

/// Follows the files while somebody watches.
fn follow(site: &Site, changes: &Sender<u64>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if changes.receiver_count() > 0 {
            loop {
                let found = site.lock().refresh();
                if found.changed {
                    changes.send_modify(|version| *version += 1);
                }
                if !found.more || stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        thread::sleep(PAUSE);
    }
}

async fn accept(
    listener: TcpListener,
    site: Arc<Site>,
    stop: &AtomicBool,
) -> Result<(), std::io::Error> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while !stop.load(Ordering::Relaxed) {
        let Ok(Ok(place)) = timeout(PAUSE, places.clone().acquire_owned()).await else {
            continue;
        };
        let stream = match timeout(PAUSE, listener.accept()).await {
            Err(_) => continue,
            Ok(Ok((stream, _))) => stream,
            Ok(Err(error)) => {
                // Too many open files, a peer that is gone: the next one may do better.
                log::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let site = site.clone();
        tokio::spawn(async move {
            let streaming = Arc::new(AtomicBool::new(false));
            let flag = streaming.clone();
            let service = service_fn(move |request| {
                let (site, flag) = (site.clone(), flag.clone());
                async move { Ok::<_, std::convert::Infallible>(routes::answer(&site, &request, &flag)) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .keep_alive(false)
                .max_buf_size(16 << 10)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            if timeout(ANSWER_TIME, connection.as_mut()).await.is_err()
                && streaming.load(Ordering::Relaxed)
            {
                let _ = timeout(STREAM_TIME, connection).await;
            }
            drop(place);
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
