//! Runs schedules by the thousand and says how it went; a failing one is made small and shown.

mod arguments;
mod progress;
mod run;

use std::process::ExitCode;

use arguments::{Arguments, Order};

fn main() -> ExitCode {
    let order = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Order::Help) => {
            println!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Ok(Order::Run(order)) => order,
        Err(error) => {
            eprintln!("simulate: {error}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let kept = match &order.replay {
        Some(record) => order
            .kinds
            .iter()
            .all(|kind| run::replay(*kind, record, &order.span)),
        None => order.kinds.iter().all(|kind| run::seeds(*kind, &order)),
    };
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
