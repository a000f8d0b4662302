//! The `radhard` command: parse, call, print, exit code.
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod console;
mod exit;
mod output;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use radhard_memory::TooLittleMemory;

use crate::arguments::{Cli, Command, Data};
use crate::console::{Console, StopFlag};
use crate::exit::{Exit, Failure, OrExit};

/// Tells of memory that the system refuses; nothing else of the standard library does.
#[global_allocator]
static ALLOCATOR: radhard_memory::Allocator = radhard_memory::Allocator;

fn main() -> ExitCode {
    prepare_for_the_worst();
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
            console::tell(&format!("error: {failure}"));
            failure.exit.into()
        }
        Err(panic) => {
            if let Some(too_little) = panic.downcast_ref::<TooLittleMemory>() {
                console::tell(&format!("error: {too_little}"));
                return Exit::Input.into();
            }
            console::tell("error: this is a bug of radhard; please report it with the message above");
            Exit::Bug.into()
        }
    }
}

/// Failures that can come from anywhere get a line of their own and an exit code: memory, a file that is cut, a signal.
fn prepare_for_the_worst() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // Too little memory is told at the end, and is no bug.
        if !panic.payload().is::<TooLittleMemory>() {
            usual(panic);
        }
    }));
    radhard_memory::on_refusal(|bytes| {
        let there = radhard_memory::available_bytes()
            .map_or_else(String::new, |there| format!(", and {there} are there"));
        console::tell(&format!("error: the system refused {bytes} bytes of memory{there}"));
        console::end(Exit::Input)
    });
    radhard_memory::end_where_files_are_cut(Exit::Input as i32);
    StopFlag::install();
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
