//! The `radhard` command: parse, call, print, exit code.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod console;
mod exit;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::arguments::{Cli, Command, Data};
use crate::console::Console;
use crate::exit::{Exit, Failure, OrExit};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Where standard output is closed there is nobody left to tell.
            let _ = error.print();
            return if asked { Exit::Done } else { Exit::Usage }.into();
        }
    };
    let console = Console::new(cli.json, cli.quiet);
    match std::panic::catch_unwind(|| dispatch(&cli, &console)) {
        Ok(Ok(exit)) => exit.into(),
        Ok(Err(failure)) => {
            eprintln!("error: {failure}");
            failure.exit.into()
        }
        Err(_) => {
            eprintln!("error: this is a bug of radhard; please report it with the message above");
            Exit::Bug.into()
        }
    }
}

fn dispatch(cli: &Cli, console: &Console) -> Result<Exit, Failure> {
    let threads = usize::from(cli.threads.unwrap_or(0));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().or_exit(Exit::Bug)?;
    match &cli.command {
        Command::Demo(demo) => commands::demo::run(demo, console),
        Command::Data(Data::Prepare(prepare)) => commands::data::prepare(prepare, console),
        Command::Data(Data::Synth(synth)) => commands::data::synth(synth, console),
        Command::Data(Data::Info { file }) => commands::data::info(file, console),
        Command::Train(train) => commands::train::run(train, console),
        Command::Init(init) => commands::init::run(init, console),
        Command::Import(import) => commands::import::import(import, console),
        Command::Convert(convert) => commands::import::convert(convert, console),
        Command::Evaluate(evaluate) => commands::evaluate::run(evaluate, console),
        Command::Inspect(inspect) => commands::inspect::run(inspect, console),
        Command::Inject(inject) => commands::inject::inject(inject, console),
        Command::Apply(apply) => commands::inject::apply(apply, console),
        Command::Undo(undo) => commands::inject::undo(undo, console),
        Command::Run(run) => commands::run::run(run, console),
        Command::Report(report) => commands::report::run(report, console),
        Command::Export(export) => commands::export::run(export, console),
        Command::Reproduce(reproduce) => commands::reproduce::run(reproduce, console),
        Command::Selftest => commands::selftest::run(console),
    }
}
