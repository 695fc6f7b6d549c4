//! The keys of a target, wherever they are written.

use std::path::Path;

use pellucid_host::input::PsfOptions;
use pellucid_host::sky::SkyPosition;
use pellucid_host::target::{GAUSSIAN, Target, model_file};
use serde::Deserialize;

use super::NightTarget;
use super::values::{
    AtLeastOne, Centre, Declination, Name, Paths, Positive, Precision, RightAscension, Sampler, Sky,
};

macro_rules! settings {
    ($($key:ident: $kind:ty),* $(,)?) => {
        /// Any of the keys of a target.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings {
            $(pub $key: Option<$kind>,)*
        }

        impl Settings {
            /// These, completed by those of `defaults`.
            pub fn or(self, defaults: &Self) -> Self {
                Self { $($key: self.$key.or_else(|| defaults.$key.clone()),)* }
            }

            /// The names of all keys.
            pub const KEYS: &[&str] = &[$(stringify!($key)),*];
        }
    };
}

settings! {
    name: Name,
    ra: RightAscension,
    dec: Declination,
    exposures: Paths,
    sigma: Positive,
    photon_noise: Positive,
    unit: String,
    pixel_area_corrected: bool,
    dq_bad_bits: u32,
    sky: Sky,
    pixel_scale_data: Positive,
    cutout: AtLeastOne,
    psf: Paths,
    psf_oversample: AtLeastOne,
    psf_centre: Centre,
    psf_pixel_integrated: bool,
    prior: String,
    noise: String,
    accept_noise_mismatch: bool,
    noise_correlation: String,
    pixel_scale: Positive,
    size: AtLeastOne,
    flux_scale: Positive,
    samples: AtLeastOne,
    seed: u64,
    sampler: Sampler,
    steps: AtLeastOne,
    sweeps: usize,
    trajectories: AtLeastOne,
    leapfrog_steps: AtLeastOne,
    precision: Precision,
}

/// What a key of a table's cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    List,
    Logical,
    Number,
}

impl Settings {
    /// What a cell under this key is read as; `None` for a key that there is not.
    pub fn kind(key: &str) -> Option<Kind> {
        Self::KEYS.contains(&key).then_some(match key {
            "exposures" | "psf" => Kind::List,
            "pixel_area_corrected" | "psf_pixel_integrated" | "accept_noise_mismatch" => {
                Kind::Logical
            }
            "name" | "unit" | "sky" | "psf_centre" | "prior" | "noise" | "noise_correlation"
            | "sampler" | "precision" => Kind::Text,
            _ => Kind::Number,
        })
    }

    /// Makes its paths absolute: they are relative to `folder`.
    pub fn at(mut self, folder: &Path) -> Self {
        let absolute =
            |path: &mut String| *path = folder.join(&*path).to_string_lossy().into_owned();
        for list in [&mut self.exposures, &mut self.psf].into_iter().flatten() {
            list.0.iter_mut().for_each(absolute);
        }
        self.noise_correlation.iter_mut().for_each(absolute);
        // A model is a name unless it looks like a file.
        let models = [&mut self.prior, &mut self.noise].into_iter().flatten();
        models.filter(|model| model_file(model).is_some()).for_each(absolute);
        self
    }

    /// A target of a night.
    ///
    /// # Errors
    /// The key that is missing, and what for.
    pub fn target(self, origin: String) -> Result<NightTarget, String> {
        let name = self.name.ok_or("key name: needed a name for the product, got nothing")?.0;
        let missing = |key: &str, need: &str| {
            format!("target {name}: key {key}: needed {need} here or in [defaults], got nothing")
        };
        let position = match (self.ra, self.dec) {
            (Some(ra), Some(dec)) => Some(SkyPosition { ra_deg: ra.0, dec_deg: dec.0 }),
            (None, None) => None,
            (Some(_), None) => return Err(missing("dec", "a declination to go with ra")),
            (None, Some(_)) => return Err(missing("ra", "a right ascension to go with dec")),
        };
        let exposures = self.exposures.ok_or_else(|| missing("exposures", "files"))?.0;
        let psf = self.psf.ok_or_else(|| missing("psf", "a file"))?.0;
        let prior = self.prior.ok_or_else(|| missing("prior", "a model's name or file"))?;
        let count = |n: Option<AtLeastOne>| n.map(|n| n.0);
        let real = |x: Option<Positive>| x.map(|x| x.0);
        let plain = Target::new(Vec::new(), Vec::new(), prior);
        let settings = Target {
            sigma: real(self.sigma),
            photon_noise_s: real(self.photon_noise),
            unit: self.unit,
            pixel_area_corrected: self.pixel_area_corrected.unwrap_or(false),
            dq_bad_bits: self.dq_bad_bits,
            sky: self.sky.map_or(plain.sky, |sky| sky.0),
            pixel_scale_data_arcsec: real(self.pixel_scale_data),
            cutout: count(self.cutout),
            psf_options: PsfOptions {
                oversample: count(self.psf_oversample),
                pixel_integrated: self.psf_pixel_integrated,
                centre: self.psf_centre.map(|centre| centre.0),
            },
            noise: self.noise.unwrap_or_else(|| GAUSSIAN.into()),
            accept_noise_mismatch: self.accept_noise_mismatch.unwrap_or(false),
            position,
            pixel_scale_arcsec: real(self.pixel_scale),
            size: count(self.size),
            flux_scale: real(self.flux_scale),
            samples: count(self.samples).unwrap_or(plain.samples),
            seed: self.seed.unwrap_or(plain.seed),
            sampler: self.sampler.map(|s| s.0),
            steps: count(self.steps),
            sweeps: self.sweeps,
            trajectories: count(self.trajectories),
            leapfrog_steps: count(self.leapfrog_steps),
            precision: self.precision.map(|p| p.0),
            ..plain
        };
        let noise_correlation = self.noise_correlation;
        Ok(NightTarget { name, origin, exposures, psf, noise_correlation, settings })
    }
}
