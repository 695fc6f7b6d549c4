//! `pellucid plot`.

use pellucid_night::report::write_plots;

use crate::args::PlotArgs;
use crate::failure::{Outcome, Run};
use crate::outputs;

/// Runs the command.
pub fn run(args: &PlotArgs) -> Run {
    let inputs = args.files.iter().map(|file| ("FILE", &**file));
    outputs::check(&[("-o", &args.output)], inputs)?;
    write_plots(&args.files, &args.output)?;
    Ok(Outcome::Done)
}
