//! The live page and TensorBoard's files, from the command line.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Stdio},
};

use crate::support::{ccface, program, refuse};

/// A server that is ended with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run_directory(dir: &Path) {
    fs::write(dir.join("run.json"), "{\"state\":\"finished\"}").unwrap();
    fs::write(
        dir.join("metrics.jsonl"),
        "{\"kind\":\"step\",\"epoch\":1,\"step\":1,\"loss\":2.5}\n",
    )
    .unwrap();
}

#[test]
fn watch_prints_an_address_that_answers_with_the_page() {
    let dir = tempfile::tempdir().unwrap();
    run_directory(dir.path());
    let mut child = program()
        .args(["watch", "--port", "0"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = child.stdout.take().unwrap();
    let _watching = Watching(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("http://").unwrap();
    let address = address.strip_suffix('/').unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("<title>CCFace</title>"));
}

#[test]
fn watch_refuses_other_addresses_without_a_token_and_directories_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    run_directory(dir.path());
    let run = dir.path().to_str().unwrap();
    let message = refuse(&["watch", run, "--host", "0.0.0.0"]);
    assert!(message.contains("--token-file"), "{message}");
    let message = refuse(&["watch", "/nowhere/run"]);
    assert!(message.contains("/nowhere/run"), "{message}");
}

#[test]
fn tensorboard_converts_a_run_once_and_refuses_what_is_none() {
    let dir = tempfile::tempdir().unwrap();
    run_directory(dir.path());
    let run = dir.path().to_str().unwrap();
    let output = ccface(&["tensorboard", run]);
    assert!(output.status.success());
    assert!(ccface_train::tensorboard::has_events(
        &dir.path().join("tensorboard")
    ));
    assert!(refuse(&["tensorboard", run]).contains("--out"));
    assert!(refuse(&["tensorboard", "/nowhere"]).contains("/nowhere"));
}
