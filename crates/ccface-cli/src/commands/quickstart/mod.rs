//! `ccface quickstart`: people that never were, a teacher, a control, a student, and what came of it.

mod plan;
mod summary;

use std::{
    fs, io,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ccface_data::{
    Selection,
    synthetic::{PictureFormat, SyntheticConfig, SyntheticSource, contact_sheet, write_folder},
};
use ccface_train::{
    DeviceSpec, Resume, RunConfig, RunRequest, Task, TrainError,
    faces::{FacesEvaluation, FacesRequest, evaluate_faces},
    renderer::ProgressSink,
    run_dir::RunState,
};

use super::interrupt::Signals;
use crate::{CliError, cli::QuickstartArgs, output, progress::Progress, report};
use plan::{HELD_OUT, PICTURES, Plan, SIZES};

/// The file that marks a directory as a quickstart's, so that a second start may go on in it.
const MARK: &str = "quickstart.json";

/// The steps, for "step 3 of 6".
const STEPS: usize = 6;

pub(crate) fn run(args: &QuickstartArgs) -> Result<ExitCode, CliError> {
    let people = plan::people(&args.identities)?;
    let device: DeviceSpec = args.device.parse()?;
    let plan = Plan::new(&args.out, args.seed, &people, &args.device)?;
    claim(&args.out, args, &people)?;
    let signals = Signals::listen();
    let work = Work {
        args,
        people,
        signals,
        progress: Arc::new(Mutex::new(io::stderr())),
        started: Instant::now(),
    };

    work.step(1, "faces: people that never were");
    if !work.faces()? {
        return Ok(work.stopped());
    }
    for (number, name, task, config) in [
        (2, "teacher", Task::Train, &plan.teacher),
        (3, "control", Task::Train, &plan.control),
        (4, "student", Task::Distill, &plan.student),
    ] {
        let what = match name {
            "teacher" => "teacher: ArcFace on full-resolution faces",
            "control" => "control: ArcFace and the same low-resolution views, trainable prototypes",
            _ => "student: the CCFace objective, the teacher's prototypes frozen",
        };
        work.step(number, what);
        if !work.train(name, task, config.clone())? {
            return Ok(work.stopped());
        }
    }
    work.step(
        5,
        &format!("evaluation: {HELD_OUT} people nobody was trained on"),
    );
    let device = device.resolve()?;
    let mut evaluations = Vec::new();
    for name in ["teacher", "control", "student"] {
        evaluations.push((name, work.evaluate(name, &device)?));
        if work.signals.run.stopping() {
            return Ok(work.stopped());
        }
    }
    work.step(6, "report");
    work.report(&evaluations)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the directory ours, or refuses one that holds something else.
fn claim(out: &Path, args: &QuickstartArgs, people: &Range<u64>) -> Result<(), CliError> {
    let mark = serde_json::json!({ "seed": args.seed, "first": people.start, "end": people.end });
    let path = out.join(MARK);
    if path.is_file() {
        let text = fs::read_to_string(&path).map_err(CliError::io(&path, "read"))?;
        if serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .as_ref()
            == Some(&mark)
        {
            return Ok(());
        }
        return Err(CliError::Usage(format!(
            "{} holds a quickstart with another --seed or --identities. Give another --out, or remove it",
            out.display()
        )));
    }
    if out.exists()
        && fs::read_dir(out)
            .map_err(CliError::io(out, "read"))?
            .next()
            .is_some()
    {
        return Err(CliError::Usage(format!(
            "{} is not empty and holds no quickstart. Give another --out",
            out.display()
        )));
    }
    fs::create_dir_all(out).map_err(CliError::io(out, "create"))?;
    output::write_to(&path, &format!("{mark}\n"))
}

struct Work<'a> {
    args: &'a QuickstartArgs,
    people: Range<u64>,
    signals: Signals,
    progress: ProgressSink,
    started: Instant,
}

impl Work<'_> {
    fn step(&self, number: usize, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        let text = format!(
            "\n[{number}/{STEPS}] {what}  ({}:{:02} so far)",
            seconds / 60,
            seconds % 60
        );
        let mut sink = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(sink, "{text}");
    }

    fn stopped(&self) -> ExitCode {
        output::note(
            "stopped; the same command goes on with the faces that are there and trains anew",
        );
        self.signals.exit_code()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.args.out.join(name)
    }

    /// Draws the people; `false` where it was stopped.
    fn faces(&self) -> Result<bool, CliError> {
        let config = SyntheticConfig::default();
        let sheet = self.path("contact_sheet.png");
        let shown = self.people.start..self.people.end.min(self.people.start + 24);
        contact_sheet(&config, self.args.seed, shown, 6)
            .save(&sheet)
            .map_err(|e| CliError::Usage(format!("{}: cannot write: {e}", sheet.display())))?;
        output::note(&format!("have a look: {}", sheet.display()));
        let held_out = self.people.end..self.people.end + HELD_OUT;
        for (name, people) in [("train", self.people.clone()), ("test", held_out)] {
            let source = SyntheticSource::new(config.clone(), self.args.seed, people, PICTURES)?;
            let progress = Mutex::new(Progress::new());
            let drawn = write_folder(
                &self.path("faces").join(name),
                &source,
                PictureFormat::Png,
                &|done, total| {
                    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                    progress.update(&format!("{name}: faces drawn"), done, total);
                    if self.signals.run.stopping() {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                },
            )?;
            if !drawn.complete {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Trains one of the three; `false` where it was stopped.
    fn train(&self, name: &str, task: Task, config: RunConfig) -> Result<bool, CliError> {
        let summary = match ccface_train::run(RunRequest {
            task,
            config,
            origin: format!("quickstart, {name}"),
            out: self.path(name),
            overwrite: true,
            resume: Resume::Never,
            tui: false,
            progress: self.progress.clone(),
            signals: self.signals.run.clone(),
        }) {
            Err(TrainError::Stopped) => return Ok(false),
            other => other?,
        };
        Ok(summary.state != RunState::Interrupted)
    }

    fn evaluate(
        &self,
        name: &str,
        device: &ccface_train::Device,
    ) -> Result<FacesEvaluation, CliError> {
        let mut request =
            FacesRequest::new(self.path(name), self.path("faces/test"), device.clone());
        request.identities = Selection::All;
        request.sizes = SIZES.to_vec();
        // The three are judged side by side, each by itself.
        request.alone = true;
        let mut progress = Progress::new();
        Ok(evaluate_faces(&request, &mut |who, done, total| {
            progress.update(&format!("{name} ({who}): views embedded"), done, total);
        })?)
    }

    fn report(&self, evaluations: &[(&str, FacesEvaluation)]) -> Result<(), CliError> {
        let summary = summary::Summary::new(self.args.seed, &self.people, evaluations)?;
        let path = self.path("report.json");
        output::write_to(&path, &output::json(&summary.json)?)?;
        let models: Vec<(&str, &FacesEvaluation)> =
            evaluations.iter().map(|(name, e)| (*name, e)).collect();
        let page =
            report::comparison_report(&models, &summary.words, &report::ReportOptions::default());
        let html = self.path("report.html");
        output::write_to(&html, &page.unwrap_or_default())?;
        output::result(&summary.table);
        let seconds = self.started.elapsed().as_secs();
        output::note(&format!(
            "\n{}:{:02} in all. Open {}",
            seconds / 60,
            seconds % 60,
            html.display()
        ));
        Ok(())
    }
}
