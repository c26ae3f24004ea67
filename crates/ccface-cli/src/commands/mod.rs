//! One file per command: options are checked, the library does the work, the result is shown.

mod compare;
mod config;
mod data;
mod devices;
mod doctor;
mod embed;
mod evaluate_embeddings;
mod evaluate_faces;
mod evaluate_protocol;
mod evaluate_scores;
mod evaluation_output;
mod export;
mod image_embeddings;
mod interrupt;
mod model;
mod quickstart;
mod runs;
mod teacher_import;
mod tensorboard;
mod training;
mod watch;

use std::process::ExitCode;

use ccface_train::Task;

use crate::{
    CliError,
    cli::{Command, EvaluateCommand, TeacherCommand},
};

pub(crate) fn run(command: Command) -> Result<ExitCode, CliError> {
    match command {
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Distill(args) => training::run(Task::Distill, args),
        Command::Train(args) => training::run(Task::Train, args),
        Command::Watch(args) => watch::run(args),
        Command::Tensorboard(args) => tensorboard::run(args).map(done),
        Command::Config(command) => config::run(&command).map(done),
        Command::Runs(args) => runs::run(&args).map(done),
        Command::Evaluate(command) => evaluate(*command).map(done),
        Command::Teacher(TeacherCommand::Import(args)) => teacher_import::run(&args).map(done),
        Command::Doctor(args) => doctor::run(&args).map(done),
        Command::Embed(args) => embed::run(&args),
        Command::Export(args) => export::run(&args).map(done),
        Command::Model(args) => model::run(&args).map(done),
        Command::Compare(args) => compare::run(&args).map(done),
        Command::Data(command) => data::run(&command),
        Command::Devices => {
            devices::run();
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn evaluate(command: EvaluateCommand) -> Result<(), CliError> {
    match command {
        EvaluateCommand::Faces(args) => evaluate_faces::run(args),
        EvaluateCommand::Scores(args) => evaluate_scores::run(&args),
        EvaluateCommand::Embeddings(args) => evaluate_embeddings::run(&args),
        EvaluateCommand::Tinyface(args) => evaluate_protocol::tinyface(&args),
        EvaluateCommand::Scface(args) => evaluate_protocol::scface(&args),
        EvaluateCommand::Survface(args) => evaluate_protocol::survface(&args),
        EvaluateCommand::Lfw(args) => evaluate_protocol::lfw(&args),
        EvaluateCommand::Bin(args) => evaluate_protocol::bin(&args),
        EvaluateCommand::Csv(args) => evaluate_protocol::csv(&args),
    }
}

fn done(_: ()) -> ExitCode {
    ExitCode::SUCCESS
}
