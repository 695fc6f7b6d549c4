//! `pellucid inspect`.

use pellucid_host::product::{Product, write_figure};

use crate::args::InspectArgs;
use crate::failure::{Outcome, Run};
use crate::{outputs, summary};

/// Runs the command.
pub fn run(args: &InspectArgs) -> Run {
    if let Some(figure) = &args.figure {
        outputs::check(&[("--figure", figure)], [("POSTERIOR.fits", &*args.posterior)])?;
    }
    let product = Product::read(&args.posterior)?;
    if let Some(figure) = &args.figure {
        write_figure(&product, figure)?;
    }
    summary::print(&product, &args.posterior, args.json);
    Ok(Outcome::Done)
}
