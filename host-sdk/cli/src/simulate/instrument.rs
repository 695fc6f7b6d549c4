//! Cameras: distortion, optics, detector.

use pellucid_host::fits::Card;
use pellucid_scene::field::FieldConfig;
use pellucid_scene::noise::{DetectorNoise, ReadNoise};

use crate::args::InstrumentName;

/// What a simulated camera is.
pub struct Instrument {
    /// INSTRUME, DETECTOR, FILTER of its headers.
    pub names: [&'static str; 3],
    /// Rows and columns of the chip.
    pub chip: (usize, usize),
    /// CRPIX1, CRPIX2.
    pub reference_pixel: [f64; 2],
    /// CD matrix at roll 0, arcsec a pixel.
    pub linear: [[f64; 2]; 2],
    /// SIP order, and the terms (p, q, coefficient) of A and B.
    pub sip: Option<Sip>,
    /// Where on the chip the target falls in the first exposure, 0-based.
    pub target_pixel: [f64; 2],
    /// Offsets of a four-point box from the first exposure, pixels.
    pub dither: [[f64; 2]; 4],
    /// Filter, from and to, metres.
    pub band: [f64; 2],
    /// Gaussian blur besides diffraction (jitter, charge diffusion), arcsec rms.
    pub blur_arcsec: f64,
    /// Side of the PSF image, samples of a quarter pixel.
    pub psf_size: usize,
    /// Exposure time, seconds.
    pub exposure_time: f64,
    /// Sky and dark current, e-/s a pixel.
    pub background: f64,
    /// Read noise, electrons rms.
    pub read_noise: f64,
    /// Default pixel scale of the model, arcsec.
    pub model_scale: f64,
    /// What `--noise cosmic-rays` simulates; its sky and dark add up to `background`.
    pub noise: DetectorNoise,
    /// READNSEA and so on: calibrated read noise by amplifier, electrons, of a pair of reads on WFC3/IR.
    pub amplifiers: &'static [(&'static str, f64)],
    /// What a blank field holds.
    pub field: FieldConfig,
}

/// A SIP polynomial: order, and (p, q, coefficient) of A and of B.
pub struct Sip {
    /// A_ORDER and B_ORDER.
    pub order: i64,
    /// Terms of A.
    pub a: &'static [(u8, u8, f64)],
    /// Terms of B.
    pub b: &'static [(u8, u8, f64)],
}

impl Instrument {
    /// The camera of a name.
    pub fn new(name: InstrumentName) -> Self {
        match name {
            InstrumentName::Wfc3irF160w => wfc3_ir(),
            InstrumentName::AcsF814w => acs_wfc(),
            InstrumentName::Plain => plain(),
        }
    }

    /// Area of a pixel at the reference pixel, square arcsec.
    pub fn pixel_area_arcsec2(&self) -> f64 {
        let [[a, b], [c, d]] = self.linear;
        (a * d - b * c).abs()
    }

    /// Sky of the simulated noise, e-/s.
    pub fn sky_e_per_s(&self) -> f64 {
        self.noise.sky_e_per_s.unwrap_or(0.0)
    }

    /// Header cards, named as HST's, of the detector that the noise is of.
    pub fn detector_cards(&self) -> Vec<Card> {
        let amplifiers = self.amplifiers.iter().map(|(key, rms)| {
            let name = key.trim_start_matches("READNSE");
            Card::new(key, *rms, &format!("[electron] read noise of amplifier {name}"))
        });
        let mut cards: Vec<_> = amplifiers.collect();
        match self.names[0] {
            "ACS" => cards.extend([
                Card::new("FILTER1", "CLEAR1L", ""),
                Card::new("FILTER2", self.names[2], ""),
            ]),
            "WFC3" => {
                let reads = self.noise.ramp.map_or(1, |r| r.reads);
                cards.push(Card::new("NSAMP", i64::from(reads), "reads of the ramp"));
            }
            _ => {}
        }
        cards
    }
}

/// WFC3/IR F160W. Distortion as in the header of a full-frame F140W exposure (IDCTAB w3m18525i);
/// dither WFC3-IR-DITHER-BOX-MIN.
fn wfc3_ir() -> Instrument {
    Instrument {
        names: ["WFC3", "IR", "F160W"],
        chip: (1014, 1014),
        reference_pixel: [507.0, 507.0],
        linear: [[-0.135_416, 0.0], [0.000_455, 0.120_950]],
        sip: Some(Sip {
            order: 4,
            a: &[
                (0, 2, 2.774_820_308_737_49E-8),
                (0, 3, 4.556_918_398_675_69E-11),
                (0, 4, -2.008_317_997_449_5E-13),
                (1, 1, 2.441_764_371_554_26E-5),
                (1, 2, 3.114_773_382_425_16E-11),
                (1, 3, 6.088_320_456_458_43E-13),
                (2, 0, -2.070_173_555_356_1E-7),
                (2, 1, 1.222_554_992_993_9E-10),
                (2, 2, 1.112_752_478_484_08E-13),
                (3, 0, -1.985_173_361_332_3E-10),
                (3, 1, 4.139_477_118_225_47E-13),
                (4, 0, -3.215_678_474_433_26E-13),
            ],
            b: &[
                (0, 2, 2.988_150_548_684_85E-5),
                (0, 3, -2.277_797_048_811_1E-10),
                (0, 4, 1.039_789_704_749_74E-12),
                (1, 1, -2.853_820_203_353_1E-7),
                (1, 2, 7.472_709_611_185_88E-11),
                (1, 3, 1.699_839_400_104_57E-13),
                (2, 0, 6.922_760_694_945_87E-6),
                (2, 1, -2.383_665_672_868_5E-10),
                (2, 2, 1.385_571_158_141_68E-13),
                (3, 0, 5.140_145_538_904_18E-11),
                (3, 1, 3.810_441_999_630_1E-13),
                (4, 0, -5.735_240_905_590_5E-13),
            ],
        }),
        target_pixel: [620.0, 430.0],
        dither: [[0.0, 0.0], [4.0, 1.5], [2.5, 4.0], [-1.5, 2.5]],
        band: [1.40e-6, 1.70e-6],
        blur_arcsec: 0.030,
        psf_size: 101,
        exposure_time: 600.0,
        background: 0.75,
        read_noise: 12.0,
        model_scale: 0.065,
        noise: DetectorNoise::wfc3_ir_f160w(),
        amplifiers: &[
            ("READNSEA", 20.2),
            ("READNSEB", 19.8),
            ("READNSEC", 19.9),
            ("READNSED", 20.1),
        ],
        field: FieldConfig::f160w(),
    }
}

/// ACS/WFC F814W, chip 2 (WFC1). Distortion as IDCTAB 0461802ej gives it for an exposure of 2002;
/// dither ACS-WFC-DITHER-BOX.
fn acs_wfc() -> Instrument {
    Instrument {
        names: ["ACS", "WFC", "F814W"],
        chip: (2048, 4096),
        reference_pixel: [2048.0, 1024.0],
        linear: [[-0.049_732, 0.0], [0.003_431, 0.050_309]],
        sip: Some(Sip {
            order: 4,
            a: &[
                (0, 2, 2.156_775_816_398_53E-6),
                (1, 1, -5.206_876_979_004_2E-6),
                (2, 0, 8.548_413_295_492_71E-6),
                (0, 3, 9.075_762_389_840_4E-12),
                (1, 2, -5.252_706_822_189E-10),
                (2, 1, -2.833_509_561_8E-11),
                (3, 0, -4.902_046_921_292_9E-10),
                (0, 4, 2.536_092_490_444_7E-14),
                (1, 3, -9.391_171_425_299_7E-15),
                (2, 2, 3.814_129_769_494_56E-14),
                (3, 1, 4.885_954_663_634_6E-15),
                (4, 0, 2.511_177_895_018_17E-14),
            ],
            b: &[
                (0, 2, -7.228_812_142_953_4E-6),
                (1, 1, 6.177_575_650_689_78E-6),
                (2, 0, -1.746_574_369_693_2E-6),
                (0, 3, -3.825_118_681_129_4E-10),
                (1, 2, -7.469_968_999_475_1E-11),
                (2, 1, -5.204_014_914_896_8E-10),
                (3, 0, 1.019_099_181_420_26E-10),
                (0, 4, 1.091_231_714_960_16E-15),
                (1, 3, 1.190_573_474_549_94E-14),
                (2, 2, -3.048_073_978_920_6E-14),
                (3, 1, -3.800_258_304_762_2E-17),
                (4, 0, -1.754_523_595_604_2E-14),
            ],
        }),
        target_pixel: [2300.0, 800.0],
        dither: [[0.0, 0.0], [5.0, 1.5], [2.5, 4.5], [-2.5, 3.0]],
        band: [0.70e-6, 0.95e-6],
        blur_arcsec: 0.024,
        psf_size: 141,
        exposure_time: 500.0,
        background: 0.11,
        read_noise: 4.5,
        model_scale: 0.03,
        noise: DetectorNoise::acs_wfc_f814w(),
        amplifiers: &[("READNSEA", 4.35), ("READNSEB", 3.75)],
        field: FieldConfig::f814w(),
    }
}

/// No distortion, 0.06 arcsec; a CCD as that of ACS, without stripes.
fn plain() -> Instrument {
    Instrument {
        names: ["PLAIN", "PLAIN", "F814W"],
        chip: (1024, 1024),
        reference_pixel: [512.5, 512.5],
        linear: [[-0.06, 0.0], [0.0, 0.06]],
        sip: None,
        target_pixel: [500.0, 530.0],
        dither: [[0.0, 0.0], [4.5, 1.0], [3.0, 4.5], [-1.5, 3.5]],
        band: [0.70e-6, 0.95e-6],
        blur_arcsec: 0.02,
        psf_size: 121,
        exposure_time: 500.0,
        background: 0.15,
        read_noise: 5.0,
        model_scale: 0.03,
        noise: DetectorNoise {
            chip: (1024, 1024),
            sky_e_per_s: Some(0.144),
            read_noise: Some(ReadNoise::uniform(5.0)),
            row_noise: None,
            ..DetectorNoise::acs_wfc_f814w()
        },
        amplifiers: &[],
        field: FieldConfig::f814w(),
    }
}
