//! All of it together: what a detector and its pipeline make of a noiseless rate image.

use ndarray::{Array2, Zip, s};

use super::cosmic_rays::CosmicRays;
use super::hit::Hit;
use super::hot_pixels::HotPixels;
use super::kernel::Kernel3x3;
use super::ramp::UpTheRamp;
use super::read_noise::ReadNoise;
use super::row_noise::RowNoise;
use super::snowballs::Snowballs;
use super::{Effect, count, dead_pixels, stream};

/// DQ bits, as HST's.
pub mod dq {
    /// Bad detector pixel.
    pub const BAD: i16 = 4;
    /// Hot pixel.
    pub const HOT: i16 = 16;
    /// Warm pixel.
    pub const WARM: i16 = 64;
    /// Cosmic ray, found by comparison with other exposures.
    pub const COSMIC_RAY: i16 = 4096;
    /// Cosmic ray, found and removed in the ramp.
    pub const RAMP_JUMP: i16 = 8192;
}

/// A detector. `None` leaves a component out.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorNoise {
    /// Rows and columns of the chip.
    pub chip: (usize, usize),
    /// Photon noise of the light.
    pub source: bool,
    /// Photon noise of the sky, e-/s a pixel.
    pub sky_e_per_s: Option<f64>,
    /// Photon noise of the dark current of ordinary pixels, e-/s.
    pub dark_e_per_s: Option<f64>,
    /// Share of dead pixels; they read zero.
    pub dead_share: Option<f64>,
    /// Hot and warm pixels.
    pub hot_pixels: Option<HotPixels>,
    /// Cosmic rays.
    pub cosmic_rays: Option<CosmicRays>,
    /// Snowballs.
    pub snowballs: Option<Snowballs>,
    /// Ramp fit that removes cosmic rays and snowballs.
    pub ramp: Option<UpTheRamp>,
    /// Inter-pixel capacitance: what is on the detector before it is read out, but for the mean of the light.
    pub interpixel_capacitance: Option<Kernel3x3>,
    /// White noise of the readout.
    pub read_noise: Option<ReadNoise>,
    /// Stripes.
    pub row_noise: Option<RowNoise>,
    /// Cosmic rays that add this many sigma (of ERR) are found and flagged, as AstroDrizzle does by
    /// comparison with other exposures; the noise of this exposure does not enter.
    pub found_sigma: Option<f32>,
}

/// One exposure of a frame of the chip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readout {
    /// Seed: the detector.
    pub seed: u64,
    /// Which exposure of that detector.
    pub exposure: u64,
    /// Exposure time, seconds.
    pub exposure_time_s: f64,
    /// (y, x) of the frame's first pixel on the chip.
    pub corner: (usize, usize),
}

/// What the pipeline delivers, e-/s, sky and dark subtracted, and the truth.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposed {
    /// SCI.
    pub science: Array2<f32>,
    /// ERR: rms from photon and read noise. It knows of no cosmic rays, stripes or correlations.
    pub error: Array2<f32>,
    /// DQ, see [`dq`].
    pub quality: Array2<i16>,
    /// What cosmic rays and snowballs added to SCI.
    pub cosmic_rays: Array2<f32>,
    /// What hot pixels that the dark reference does not know added to SCI.
    pub hot_pixels: Array2<f32>,
}

impl DetectorNoise {
    /// ACS/WFC F814W: chip WFC1 (amplifiers A, left, and B, right), after Servicing Mission 4.
    pub fn acs_wfc_f814w() -> Self {
        Self {
            chip: (2048, 4096),
            source: true,
            sky_e_per_s: Some(0.104),
            dark_e_per_s: Some(0.006),
            dead_share: Some(0.004),
            hot_pixels: Some(HotPixels::acs_wfc()),
            cosmic_rays: Some(CosmicRays::acs_wfc()),
            snowballs: None,
            ramp: None,
            interpixel_capacitance: None,
            read_noise: Some(ReadNoise { rms_e: [[4.35, 3.75]; 2] }),
            row_noise: Some(RowNoise::acs_wfc()),
            found_sigma: Some(3.0),
        }
    }

    /// WFC3/IR F160W: 16 reads, calwf3's ramp fit.
    pub fn wfc3_ir_f160w() -> Self {
        let ramp = UpTheRamp::wfc3_ir();
        // Amplifiers A, B, C, D read upper left, lower left, lower right, upper right.
        let read_noise = [[19.8, 19.9], [20.2, 20.1]].map(|row| row.map(|cds| ramp.noise_e(cds)));
        Self {
            chip: (1014, 1014),
            source: true,
            sky_e_per_s: Some(0.702),
            dark_e_per_s: Some(0.048),
            dead_share: Some(0.004),
            hot_pixels: Some(HotPixels::wfc3_ir()),
            cosmic_rays: Some(CosmicRays::wfc3_ir()),
            snowballs: Some(Snowballs::wfc3_ir()),
            ramp: Some(ramp),
            interpixel_capacitance: Some(Kernel3x3 { edge: 0.015, corner: 0.0008 }),
            read_noise: Some(ReadNoise { rms_e: read_noise }),
            row_noise: Some(RowNoise { shared_rms_e: 0.0, amplifier_rms_e: ramp.noise_e(0.95) }),
            found_sigma: Some(3.0),
        }
    }

    /// A chip without any noise.
    pub fn none(chip: (usize, usize)) -> Self {
        Self {
            chip,
            source: false,
            sky_e_per_s: None,
            dark_e_per_s: None,
            dead_share: None,
            hot_pixels: None,
            cosmic_rays: None,
            snowballs: None,
            ramp: None,
            interpixel_capacitance: None,
            read_noise: None,
            row_noise: None,
            found_sigma: None,
        }
    }

    /// Exposes `light`, e-/s a pixel, noiseless and without sky. The frame must lie on the chip.
    ///
    /// # Panics
    /// If it does not.
    pub fn expose(&self, light: &Array2<f32>, readout: &Readout) -> Exposed {
        let shape = light.dim();
        let &Readout { seed, exposure, exposure_time_s, corner } = readout;
        let (bottom, right) = (corner.0 + shape.0, corner.1 + shape.1);
        assert!(bottom <= self.chip.0 && right <= self.chip.1, "the frame lies on the chip");
        let time = exposure_time_s as f32;

        // A margin of a pixel, so that neighbours outside the frame leak into it.
        let wide = (shape.0 + 2, shape.1 + 2);
        let outer = [corner.0, corner.1].map(|c| c as isize - 1);
        let hot = self.hot_pixels.as_ref().map(|h| h.draw(wide, outer, self.chip, seed));
        let mut charge_e = self.mean_charge(light, time);
        let mut unknown = Array2::zeros(wide);
        if let Some(hot) = &hot {
            charge_e.scaled_add(time, &hot.excess);
            Zip::from(&mut unknown)
                .and(&hot.excess)
                .and(&hot.known)
                .for_each(|u, e, known| *u = if *known { 0.0 } else { *e });
        }
        let photons = photon_noise(&charge_e, seed, exposure);
        let hot_pixels = self.couple(unknown);

        let read_rms = match &self.read_noise {
            Some(noise) => noise.map(shape, corner, self.chip),
            None => Array2::zeros(shape),
        };
        let mut noise_e = self.couple(photons) + &ReadNoise::draw(&read_rms, seed, exposure);
        if let Some(rows) = &self.row_noise {
            noise_e += &rows.draw(shape, corner, self.chip, seed, exposure);
        }
        let mut quality = Array2::zeros(shape);
        let cosmic_rays = self.cosmic_rays(shape, readout, &mut quality);
        let error = Zip::from(inner(&charge_e))
            .and(&read_rms)
            .map_collect(|mean, read| (mean + read * read).sqrt() / time);
        if let Some(sigma) = self.found_sigma {
            Zip::from(&mut quality).and(&cosmic_rays).and(&error).for_each(|q, added, error| {
                *q |= if *added > sigma * error { dq::COSMIC_RAY } else { 0 };
            });
        }
        if let (Some(hot), Some(config)) = (&hot, &self.hot_pixels) {
            Zip::from(&mut quality)
                .and(inner(&hot.excess))
                .and(inner(&hot.known))
                .for_each(|q, excess, known| *q |= if *known { flag(config, *excess) } else { 0 });
        }
        let science = light + &(noise_e / time) + &cosmic_rays + &hot_pixels;
        let mut exposed = Exposed { science, error, quality, cosmic_rays, hot_pixels };
        if let Some(share) = self.dead_share {
            exposed.kill(&dead_pixels(share, shape, corner, self.chip, seed));
        }
        exposed
    }

    /// Electrons expected in every pixel of a frame and its margin, but for hot pixels'.
    fn mean_charge(&self, light: &Array2<f32>, time: f32) -> Array2<f32> {
        let (ny, nx) = light.dim();
        let background = self.sky_e_per_s.unwrap_or(0.0) + self.dark_e_per_s.unwrap_or(0.0);
        // The light goes on beyond the edge as it is there.
        let nearest = |i: usize, n: usize| i.saturating_sub(1).min(n - 1);
        Array2::from_shape_fn((ny + 2, nx + 2), |(i, j)| {
            let source = if self.source { light[[nearest(i, ny), nearest(j, nx)]] } else { 0.0 };
            (source.max(0.0) + background as f32) * time
        })
    }

    /// A frame with its margin as it is read out, without the margin.
    fn couple(&self, image: Array2<f32>) -> Array2<f32> {
        match &self.interpixel_capacitance {
            Some(kernel) => inner(&inner(&kernel.convolve(&image)).to_owned()).to_owned(),
            None => inner(&image).to_owned(),
        }
    }

    /// What particles add, e-/s; marks the jumps that the ramp fit has removed.
    fn cosmic_rays(
        &self,
        shape: (usize, usize),
        readout: &Readout,
        quality: &mut Array2<i16>,
    ) -> Array2<f32> {
        let &Readout { seed, exposure, exposure_time_s: time, .. } = readout;
        let rays = self.cosmic_rays.as_ref().map(|r| r.hits(shape, time, seed, exposure));
        let snow = self.snowballs.as_ref().map(|s| s.hits(shape, self.chip, time, seed, exposure));
        let mut added = Array2::zeros(shape);
        for mut hit in rays.into_iter().chain(snow).flatten() {
            if let Some(kernel) = &self.interpixel_capacitance {
                hit = hit.spread(kernel);
            }
            self.collect(&hit, &mut added, quality);
        }
        added / time as f32
    }

    fn collect(&self, hit: &Hit, added_e: &mut Array2<f32>, quality: &mut Array2<i16>) {
        for (at, charge) in hit.pixels(added_e.dim()) {
            match &self.ramp {
                None => added_e[at] += charge,
                Some(ramp) if f64::from(charge) > ramp.jump_threshold_e => {
                    quality[at] |= dq::RAMP_JUMP;
                }
                Some(_) => added_e[at] += charge * UpTheRamp::remnant(hit.arrival) as f32,
            }
        }
    }
}

impl Exposed {
    /// Dead pixels hold nothing.
    fn kill(&mut self, dead: &Array2<bool>) {
        for image in [&mut self.science, &mut self.cosmic_rays, &mut self.hot_pixels] {
            Zip::from(image).and(dead).for_each(|v, dead| *v *= f32::from(!dead));
        }
        Zip::from(&mut self.quality).and(dead).for_each(|q, dead| {
            *q |= if *dead { dq::BAD } else { 0 };
        });
    }
}

/// The bit of a known pixel.
fn flag(hot: &HotPixels, excess: f32) -> i16 {
    let above = |level: f64| f64::from(excess) > level;
    match hot.warm_e_per_s {
        _ if above(hot.hot_e_per_s) => dq::HOT,
        Some(level) if above(level) => dq::WARM,
        _ => 0,
    }
}

/// An image without its outermost pixels.
fn inner<T>(image: &Array2<T>) -> ndarray::ArrayView2<'_, T> {
    let (ny, nx) = image.dim();
    image.slice(s![1..ny - 1, 1..nx - 1])
}

/// Poisson deviates of the given means, less the means.
fn photon_noise(mean_e: &Array2<f32>, seed: u64, exposure: u64) -> Array2<f32> {
    let mut rng = stream(seed, Effect::Photons, 0, exposure);
    mean_e.mapv(|mean| (count(&mut rng, f64::from(mean)) - f64::from(mean)) as f32)
}
