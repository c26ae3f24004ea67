//! One file per command: options are checked, the library does the work, the result is shown.

mod align;
mod devices;
mod evaluate_faces;
mod model;
mod quickstart;
mod training;

use std::process::ExitCode;

use ccface_train::Task;

use crate::{
    CliError,
    cli::{Command, DataCommand, EvaluateCommand},
};

pub(crate) fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Distill(args) => training::run(Task::Distill, args),
        Command::Train(args) => training::run(Task::Train, args),
        Command::Evaluate(EvaluateCommand::Faces(args)) => evaluate_faces::run(args).map(done),
        Command::Model(args) => model::run(&args).map(done),
        Command::Data(DataCommand::Align(args)) => align::run(&args).map(done),
        Command::Devices => {
            devices::run();
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn done(_: ()) -> ExitCode {
    ExitCode::SUCCESS
}
