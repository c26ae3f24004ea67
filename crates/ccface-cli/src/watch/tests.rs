#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    thread::JoinHandle,
};

use super::*;

struct Served {
    dir: tempfile::TempDir,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn new(token: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("<b>run");
        fs::create_dir_all(run.join("samples")).unwrap();
        fs::write(run.join("run.json"), "{\"state\":\"running\"}").unwrap();
        fs::write(run.join("samples/0_8px.png"), b"picture").unwrap();
        fs::write(dir.path().join("secret.png"), b"secret").unwrap();
        let server = WatchServer::bind(WatchOptions {
            runs: vec![run],
            host: "127.0.0.1".parse().unwrap(),
            port: Some(0),
            token: token.map(Into::into),
            pictures: false,
        })
        .unwrap();
        let (address, stop) = (server.address(), Arc::new(AtomicBool::new(false)));
        let end = stop.clone();
        let thread = thread::spawn(move || server.run(&end).unwrap());
        Self {
            dir,
            address,
            stop,
            thread: Some(thread),
        }
    }

    fn run(&self) -> PathBuf {
        self.dir.path().join("<b>run")
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str, headers: &str) -> String {
        let host = self.address;
        let mut stream = self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n"
        ));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_some_and(|e| e.is_ok()));
    }
}

fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The data of the next event of this name.
fn next(lines: &mut impl BufRead, name: &str) -> serde_json::Value {
    let wanted = format!("event: {name}\n");
    let mut line = String::new();
    loop {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the stream ended");
        if line == wanted {
            line.clear();
            lines.read_line(&mut line).unwrap();
            return serde_json::from_str(line.strip_prefix("data: ").unwrap()).unwrap();
        }
    }
}

#[test]
fn a_line_that_is_appended_reaches_whoever_watches() {
    let served = Served::new(None);
    let host = served.address;
    let stream = served.send(&format!("GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let mut lines = BufReader::new(stream);
    let runs = next(&mut lines, "runs");
    assert_eq!(runs["names"][0], "<b>run");
    assert_eq!(next(&mut lines, "facts")["state"], "running");
    let metrics = served.run().join("metrics.jsonl");
    append(
        &metrics,
        "{\"kind\":\"step\",\"epoch\":1,\"step\":1,\"loss\":2.5}\n",
    );
    let news = next(&mut lines, "steps");
    assert_eq!(news["rows"], serde_json::json!([[1, 1.0, 2.5]]));
    append(
        &metrics,
        "{\"kind\":\"step\",\"epoch\":1,\"step\":2,\"loss\":1.5}\n",
    );
    let news = next(&mut lines, "steps");
    assert_eq!(news["from"], 0);
    assert_eq!(news["rows"][1], serde_json::json!([2, 1.0, 1.5]));
}

#[test]
fn the_page_and_its_parts_come_from_here_alone_and_no_name_is_in_them() {
    let served = Served::new(None);
    for (path, kind) in [
        ("/", "text/html"),
        ("/watch.css", "text/css"),
        ("/watch.js", "text/javascript"),
    ] {
        let answer = served.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains(&format!("content-type: {kind}")), "{path}");
        assert!(answer.contains("default-src 'none'"), "{path}");
        assert!(!answer.contains("<b>run"), "{path}");
        // The name of SVG's vocabulary is the only address.
        let addresses = answer.matches("://").count();
        assert_eq!(
            addresses,
            answer.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(!answer.contains("innerHTML"), "{path}");
    }
}

#[test]
fn a_sample_face_is_served_and_no_other_file() {
    let served = Served::new(None);
    assert!(
        served
            .get("/runs/0/samples/0_8px.png", "")
            .ends_with("picture")
    );
    for path in [
        "/runs/0/samples/../../secret.png",
        "/runs/0/samples/..%2f..%2fsecret.png",
        "/runs/0/samples/%2e%2e/run.json",
        "/runs/0/samples/",
        "/runs/0/run.json",
        "/runs/7/samples/0_8px.png",
        "/runs/-1/samples/0_8px.png",
        "/etc/passwd",
        "//",
    ] {
        let answer = served.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("secret\n") && !answer.contains("running"));
    }
    #[cfg(unix)]
    {
        let link = served.run().join("samples/link.png");
        std::os::unix::fs::symlink(served.dir.path().join("secret.png"), link).unwrap();
        let answer = served.get("/runs/0/samples/link.png", "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
}

#[test]
fn other_methods_bodies_and_names_of_the_machine_are_refused() {
    let served = Served::new(None);
    let host = served.address;
    let status = |request: String| {
        let mut answer = String::new();
        served.send(&request).read_to_string(&mut answer).unwrap();
        answer.lines().next().unwrap_or_default().to_string()
    };
    let post = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(status(post), "HTTP/1.1 405 Method Not Allowed");
    let body = format!("GET / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(status(body), "HTTP/1.1 413 Payload Too Large");
    let name = "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_string();
    assert_eq!(status(name), "HTTP/1.1 403 Forbidden");
    let long = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    assert!(status(long).starts_with("HTTP/1.1 431"));
}

#[test]
fn watchers_beyond_the_limit_are_told_so_and_those_who_leave_make_room() {
    let served = Served::new(None);
    let host = served.address;
    let request = format!("GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let status = |stream: TcpStream| {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    let streams: Vec<TcpStream> = (0..routes::STREAMS)
        .map(|_| {
            let stream = served.send(&request);
            let copy = stream.try_clone().unwrap();
            assert!(status(copy).starts_with("HTTP/1.1 200"));
            stream
        })
        .collect();
    assert!(status(served.send(&request)).starts_with("HTTP/1.1 503"));
    drop(streams);
    let again = (0..100).any(|_| {
        thread::sleep(Duration::from_millis(100));
        status(served.send(&request)).starts_with("HTTP/1.1 200")
    });
    assert!(again);
}

#[test]
fn with_a_token_nothing_is_shown_before_it_is_given() {
    let served = Served::new(Some("0123456789abcdef"));
    for path in ["/", "/events", "/watch.js", "/runs/0/samples/0_8px.png"] {
        let answer = served.get(path, "");
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
    let answer = served.get("/?token=0123456789abcdef", "");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let cookie = answer
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "))
        .unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let answer = served.get("/", &format!("Cookie: {cookie}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn another_address_than_loopback_needs_a_token_and_a_missing_run_is_named() {
    let options = |host: &str, run: &Path| WatchOptions {
        runs: vec![run.into()],
        host: host.parse().unwrap(),
        port: Some(0),
        token: None,
        pictures: false,
    };
    let dir = tempfile::tempdir().unwrap();
    let refused = |options| WatchServer::bind(options).err().unwrap().to_string();
    assert!(refused(options("0.0.0.0", dir.path())).contains("--token-file"));
    let nowhere = dir.path().join("nowhere");
    assert!(refused(options("127.0.0.1", &nowhere)).contains("nowhere"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let busy = WatchOptions {
        port: Some(port),
        ..options("127.0.0.1", dir.path())
    };
    assert!(refused(busy).contains("--port"));
}
