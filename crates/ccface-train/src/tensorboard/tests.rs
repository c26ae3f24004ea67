#![allow(clippy::unwrap_used)]

use super::*;

fn events(path: &Path) -> Vec<Event> {
    let mut input = File::open(path).unwrap();
    let mut found = Vec::new();
    while let Some(data) = read_frame(&mut input).unwrap() {
        found.push(Event::decode(data.as_slice()).unwrap());
    }
    found
}

fn report() -> Report {
    let mut report = Report::default();
    report.push("loss", 0.5);
    report.push("margin_mean", 0.25);
    report.push("margin_spread", 0.0);
    report.push("nothing", f64::NAN);
    let bins = Bins::count(&[0.25, 0.25], 0.0, 0.5, 5);
    report.histograms.push(("margins".into(), bins));
    report
}

fn values(event: &Event) -> Vec<Value> {
    match &event.what {
        Some(What::Summary(summary)) => summary.value.clone(),
        other => panic!("no summary: {other:?}"),
    }
}

#[test]
fn what_is_written_comes_back_with_tags_steps_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut board = TensorBoard::create(dir.path(), 10).unwrap();
    board.configuration(5.0, "seed = 1\n[data]").unwrap();
    board.step(7.5, 3, &report()).unwrap();
    board.validation(8.5, 3, &report()).unwrap();
    let picture = Value::png("samples/a", 2, 1, vec![1, 2, 3]);
    board.values(9.0, 3, vec![picture.clone()]).unwrap();
    let found = events(board.path());
    assert_eq!(
        found[0].what,
        Some(What::FileVersion("brain.Event:2".into()))
    );
    let Some(Content::Tensor(text)) = &values(&found[1])[0].content else {
        panic!("no text");
    };
    assert_eq!(text.strings, [b"    seed = 1\n    [data]".to_vec()]);
    assert_eq!(
        found[2].what,
        Some(What::SessionLog(SessionLog { status: 1 }))
    );
    assert_eq!((found[3].wall_time, found[3].step), (7.5, 3));
    let step = values(&found[3]);
    let tags: Vec<&str> = step.iter().map(|v| v.tag.as_str()).collect();
    // A number that is none is left out.
    assert_eq!(
        tags,
        [
            "train/loss",
            "train/margin_mean",
            "train/margin_spread",
            "train/margins"
        ]
    );
    assert_eq!(step[0].content, Some(Content::Scalar(0.5)));
    let Some(Content::Histogram(bins)) = &step[3].content else {
        panic!("no histogram");
    };
    assert_eq!(bins.bucket, [0.0, 0.0, 2.0, 0.0, 0.0]);
    assert_eq!(bins.bucket_limit, [0.1, 0.2, 0.3, 0.4, 0.5]);
    assert_eq!((bins.num, bins.sum, bins.sum_squares), (2.0, 0.5, 0.125));
    assert!(bins.min <= 0.25 && bins.max >= 0.25 && bins.max < 0.31);
    assert_eq!(values(&found[4])[0].tag, "validation/loss");
    assert_eq!(values(&found[5]), [picture]);
    assert_eq!(found.len(), 6);
}

#[test]
fn a_second_start_gets_a_second_file_and_both_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!has_events(dir.path()));
    let first = TensorBoard::create(dir.path(), 1).unwrap();
    let second = TensorBoard::create(dir.path(), 1).unwrap();
    assert!(first.path() < second.path());
    assert!(has_events(dir.path()));
}

#[test]
fn a_run_that_was_rolled_back_says_from_where_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut board = TensorBoard::create(dir.path(), 10).unwrap();
    for step in [1, 2, 3, 2, 3] {
        board.step(0.0, step, &report()).unwrap();
    }
    let starts: Vec<i64> = events(board.path())
        .iter()
        .filter(|event| matches!(event.what, Some(What::SessionLog(_))))
        .map(|event| event.step)
        .collect();
    assert_eq!(starts, [1, 2]);
}

#[test]
fn a_long_run_writes_a_bounded_number_of_events() {
    let dir = tempfile::tempdir().unwrap();
    let mut board = TensorBoard::create(dir.path(), 20_000).unwrap();
    for step in 1..=20_000 {
        board.step(0.0, step, &report()).unwrap();
    }
    let found = events(board.path());
    let histograms = found.iter().skip(2).filter(|event| {
        values(event)
            .iter()
            .any(|v| matches!(v.content, Some(Content::Histogram(_))))
    });
    assert_eq!(histograms.count(), 500);
    assert_eq!(found.len(), 2 + 5000);
}

#[test]
fn metrics_of_an_earlier_run_become_events_once() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = concat!(
        "{\"kind\":\"step\",\"epoch\":1,\"step\":1,\"loss\":2.0,\"b\":null,\"margins\":{\"low\":0.0,\"high\":0.5,\"counts\":[1,0]}}\n",
        "{\"kind\":\"validation\",\"epoch\":1,\"step\":1,\"eer_hr\":0.5}\n",
        "{\"kind\":\"alarm\",\"text\":\"unknown kinds are skipped\"}\n",
        "{\"kind\":\"step\",\"epoch\":1,\"step\":2,\"lo",
    );
    let timing = "{\"kind\":\"step\",\"step\":1,\"seconds\":2.0,\"unix_time\":1000.5}\n";
    fs::write(dir.path().join("run.json"), "{}").unwrap();
    fs::write(dir.path().join("metrics.jsonl"), metrics).unwrap();
    fs::write(dir.path().join("timing.jsonl"), timing).unwrap();
    let file = convert(dir.path(), &dir.path().join("tensorboard")).unwrap();
    let found = events(&file);
    let step = found.iter().find(|e| e.wall_time == 1000.5 && e.step == 1);
    assert!(step.is_some());
    let tags: Vec<String> = found[2..]
        .iter()
        .flat_map(values)
        .map(|value| value.tag)
        .collect();
    assert_eq!(tags, ["train/loss", "train/margins", "validation/eer_hr"]);
    let again = convert(dir.path(), &dir.path().join("tensorboard")).unwrap_err();
    assert!(again.to_string().contains("holds event files already"));
}
