//! A host: exposures of one galaxy in, posterior samples out.
//!
//! cargo run --release --example host -- SAMPLES.fits PSF.fits EXPOSURE.fits...

use pellucid_host::fits::FitsOutput;
use pellucid_host::input::{ExposureFile, ExposureOptions, PsfImage, PsfOptions};
use pellucid_host::ndarray::{Axis, stack};
use pellucid_host::session::{Engine, EngineOptions, JobBuilder, Plugin};
use pellucid_host::sky::ModelGrid;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [output, psf, exposures @ ..] = &arguments[..] else {
        return Err("usage: host SAMPLES.fits PSF.fits EXPOSURE.fits...".into());
    };
    let open = |file: &String| ExposureFile::open(&(&**file).into(), &ExposureOptions::default());
    let mut files = exposures.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let centre = files.first().ok_or("no exposures")?.chips()[0].centre();
    let grid = ModelGrid { nx: 64, ny: 64, centre, pixel_scale_arcsec: 0.03 };

    let engine = Engine::create(&Plugin::find(None)?, &EngineOptions::default())?;
    let psf = PsfImage::read(&(&**psf).into(), PsfOptions::default())?;
    let psf = engine.psf(psf.kernel.view(), psf.oversample, psf.pixel_integrated)?;
    let mut taken = Vec::new();
    for file in &mut files {
        let chip = file.chip_at(Some(centre))?;
        let region = file.chips()[chip].footprint(&grid).ok_or("an exposure misses the galaxy")?;
        taken.push(file.stamp(chip, region)?.to_exposure(&engine, &psf, None)?);
    }
    let job = JobBuilder { samples: 4, seed: 1, ..JobBuilder::new(&taken, grid, "galaxies64-ve") };
    let samples = engine.submit(&job)?.finish()?.samples()?;
    let images: Vec<_> = samples.iter()?.flatten().collect();

    let mut file = FitsOutput::create(output.as_ref(), &[])?;
    file.image("SAMPLES", 1, stack(Axis(0), &images)?.view(), &grid.cards())?;
    file.commit()?;
    println!("{} samples in {output}", images.len());
    Ok(())
}
