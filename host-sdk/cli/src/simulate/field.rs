//! `--field`: exposures of a blank field, as noise models are trained on.
//!
//! Made without the plugin: sources are drawn in the detector's frame, 4 samples a pixel and axis, through the
//! local Jacobian of the exposure's WCS, and convolved with the PSF there.

use ndarray::{Array2, s};
use pellucid_host::HostError;
use pellucid_host::sky::{ModelGrid, SkyPosition, TanSip};
use pellucid_scene::field::{MODEL_SCALE_ARCSEC, Placement, Source};

use super::convolve::Convolver;
use super::instrument::Instrument;
use super::pointing::{self, Pointing};
use super::{PSF_OVERSAMPLE, detector, files, make_folder, optics};
use crate::args::SimulateArgs;
use crate::failure::{Outcome, Run};
use crate::interrupt;
use crate::terminal::say;

/// Pixels beyond the frame that dithers and large galaxies may bring into it.
const MARGIN: f64 = 60.0;

/// Runs the command for `side` x `side` pixels.
pub fn run(instrument: &Instrument, args: &SimulateArgs, side: usize) -> Run {
    let target = SkyPosition { ra_deg: args.ra, dec_deg: args.dec };
    let pointings: Result<Vec<Pointing>, HostError> = (0..args.exposures)
        .map(|k| pointing::frame(instrument, target, side, args.seed, k))
        .collect();
    let pointings = pointings?;
    let scale = instrument.pixel_area_arcsec2().sqrt();
    let kernel = optics::psf(instrument, scale);
    let convolver = Convolver::new(&kernel);

    let first = wcs(&pointings[0])?;
    let centre = first.pixel_to_sky([(side as f64 - 1.0) / 2.0; 2]);
    // A grid of one pixel: its plane is the field's.
    let grid = ModelGrid { nx: 1, ny: 1, centre, pixel_scale_arcsec: MODEL_SCALE_ARCSEC };
    let plane = TanSip::from_header(&grid.header(), "field")?;
    // The frame may stand on its corner; pixels are not square.
    let widest = 1.1 * scale * (side as f64 + 2.0 * MARGIN) * 2f64.sqrt();
    let sources: Vec<(SkyPosition, Source)> = instrument
        .field
        .clone()
        .scaled(args.density)
        .draw(widest, args.seed)
        .into_iter()
        .map(|source| (plane.pixel_to_sky(source.position), source))
        .collect();

    let folder = &args.output;
    make_folder(folder)?;
    for (k, pointing) in pointings.iter().enumerate() {
        interrupt::check()?;
        let sky = Sky { plane: &plane, frame: wcs(pointing)?, side };
        let light = sky.expose(instrument, &sources, &convolver, kernel.nrows() / 2);
        let exposed = detector::observe(instrument, &light, &pointing.region, args, k);
        files::write_exposure(folder, instrument, pointing, &exposed, args, k)?;
        files::write_frame_truth(folder, &light, pointing, &exposed, args, k)?;
    }
    files::write_psf(folder, instrument, &kernel, args)?;
    files::write_sources(folder, &sources, args)?;
    say(format_args!(
        "{}: {} exposures of {side} x {side} pixels and their truth, {} sources, psf.fits",
        folder.display(),
        args.exposures,
        sources.len(),
    ));
    Ok(Outcome::Done)
}

fn wcs(pointing: &Pointing) -> Result<TanSip, HostError> {
    TanSip::from_header(&pointing.wcs.iter().cloned().collect(), "simulated exposure")
}

/// The field as an exposure sees it.
struct Sky<'a> {
    /// Model pixels on the sky.
    plane: &'a TanSip,
    /// Pixels of the frame on the sky.
    frame: TanSip,
    side: usize,
}

impl Sky<'_> {
    /// e-/s a pixel, noiseless, in the convention of flat-fielded exposures: surface brightness times the area of
    /// the reference pixel. `reach` is the PSF's half size, samples.
    fn expose(
        &self,
        instrument: &Instrument,
        sources: &[(SkyPosition, Source)],
        convolver: &Convolver,
        reach: usize,
    ) -> Array2<f32> {
        const FINE: usize = PSF_OVERSAMPLE;
        let reference_area = instrument.pixel_area_arcsec2() / MODEL_SCALE_ARCSEC.powi(2);
        let fine = FINE * self.side + 2 * reach;
        let mut image = Array2::<f32>::zeros((fine, fine));
        for (sky, source) in sources {
            let Some(pixel) = self.frame.sky_to_pixel(*sky) else { continue };
            let outside = |p: &f64| *p < -MARGIN || *p > self.side as f64 + MARGIN;
            if pixel.iter().any(outside) {
                continue;
            }
            let Some(jacobian) = self.jacobian(pixel) else { continue };
            let [[a, b], [c, d]] = jacobian;
            let place = Placement {
                // Sample k of s lies at i + (k + 0.5) / s - 0.5.
                pixel: pixel.map(|p| FINE as f64 * (p + 0.5) - 0.5 + reach as f64),
                jacobian: jacobian.map(|row| row.map(|v| v / FINE as f64)),
            };
            source.paint(&mut image, &place, reference_area / (a * d - b * c).abs());
        }
        let seen = convolver.valid(&image);
        Array2::from_shape_fn((self.side, self.side), |(y, x)| {
            seen.slice(s![FINE * y..FINE * (y + 1), FINE * x..FINE * (x + 1)]).sum()
        })
    }

    /// Model pixels by pixel of the frame.
    fn jacobian(&self, [x, y]: [f64; 2]) -> Option<[[f64; 2]; 2]> {
        let model = |p: [f64; 2]| self.plane.sky_to_pixel(self.frame.pixel_to_sky(p));
        let (left, right) = (model([x - 0.5, y])?, model([x + 0.5, y])?);
        let (below, above) = (model([x, y - 0.5])?, model([x, y + 0.5])?);
        Some([0, 1].map(|axis| [right[axis] - left[axis], above[axis] - below[axis]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InstrumentName;

    /// A star's light arrives where the WCS says, all of it.
    #[test]
    fn stars_land_where_the_wcs_says() {
        let mut instrument = Instrument::new(InstrumentName::Wfc3irF160w);
        instrument.psf_size = 61;
        let target = SkyPosition { ra_deg: 150.0, dec_deg: -40.0 };
        let side = 64;
        let pointing = pointing::frame(&instrument, target, side, 3, 1).unwrap();
        let frame = wcs(&pointing).unwrap();
        let grid =
            ModelGrid { nx: 1, ny: 1, centre: target, pixel_scale_arcsec: MODEL_SCALE_ARCSEC };
        let plane = TanSip::from_header(&grid.header(), "field").unwrap();
        let sky = Sky { plane: &plane, frame, side };
        let kernel = optics::psf(&instrument, instrument.pixel_area_arcsec2().sqrt());
        let star =
            Source { position: [0.0; 2], magnitude: 20.0, flux_e_per_s: 100.0, galaxy: None };
        let position = sky.frame.pixel_to_sky([30.3, 33.6]);
        let light = sky.expose(&instrument, &[(position, star)], &Convolver::new(&kernel), 30);
        let sum = light.iter().map(|v| f64::from(*v)).sum::<f64>();
        let moment = |f: &dyn Fn((usize, usize)) -> usize| {
            light.indexed_iter().map(|(at, v)| f(at) as f64 * f64::from(*v)).sum::<f64>() / sum
        };
        let centroid = [moment(&|at| at.1), moment(&|at| at.0)];
        assert!((centroid[0] - 30.3).abs() < 0.02 && (centroid[1] - 33.6).abs() < 0.02);
        // The pixel area varies by some per cent over the detector.
        assert!((sum / 100.0 - 1.0).abs() < 0.05, "{sum}");
    }
}
