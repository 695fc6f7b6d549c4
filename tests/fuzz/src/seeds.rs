//! Small valid inputs to start from, by target.

use pellucid_host::fits::{Card, Column, ColumnValues, FitsOutput};
use pellucid_host::ndarray::{Array2, Array3};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use crate::scratch::Scratch;

/// Name and bytes.
pub type Seed = (&'static str, Vec<u8>);

/// The seeds of a target; none for an unknown one.
pub fn of(target: &str) -> Vec<Seed> {
    match target {
        "fits" => vec![
            ("exposure", exposure()),
            ("product", product()),
            ("kernel", kernel()),
            ("grid", grid()),
            ("compressed", include_bytes!("../seeds/compressed.fits").to_vec()),
        ],
        "wcs" => headers(),
        "models" => models(),
        "abi" => calls(),
        "manifest" => manifests(),
        "text" => vec![
            ("address", b"a/b[1].fits[SCI, 2]".to_vec()),
            ("centre", b"31.5,32".to_vec()),
            ("header", SIP.as_bytes().to_vec()),
            ("long", format!("CONFIG  = '{}&'\nCONTINUE  'b'\n", "a''".repeat(20)).into_bytes()),
        ],
        _ => Vec::new(),
    }
}

const SIP: &str = "\
CTYPE1  = 'RA---TAN-SIP'
CTYPE2  = 'DEC--TAN-SIP'
CRPIX1  = 3.0
CRPIX2  = 2.5
CRVAL1  = 10.0
CRVAL2  = 5.0
CD1_1   = -1E-5
CD1_2   = 0.0
CD2_1   = 0.0
CD2_2   = 1D-5
A_ORDER = 2
B_ORDER = 2
A_2_0   = 1E-6
B_1_1   = 2E-6
RADESYS = 'ICRS    '
";

fn file(
    write: impl FnOnce(&mut FitsOutput) -> pellucid_host::Result<()>,
    primary: &[Card],
) -> Vec<u8> {
    let scratch = Scratch::new("seed", b"");
    let made = FitsOutput::create(scratch.path(), primary).and_then(|mut output| {
        write(&mut output)?;
        output.commit()
    });
    made.expect("the temporary folder can be written to");
    std::fs::read(scratch.path()).expect("it was just written")
}

fn sip_cards() -> Vec<Card> {
    let mut cards = vec![
        Card::new("CTYPE1", "RA---TAN-SIP", ""),
        Card::new("CTYPE2", "DEC--TAN-SIP", ""),
        Card::new("BUNIT", "ELECTRONS", ""),
        Card::new("MDRIZSKY", 0.5, ""),
        Card::new("A_ORDER", 2, ""),
        Card::new("B_ORDER", 2, ""),
        Card::new("CPDIS1", "Lookup", ""),
        Card::new("DP1", "EXTVER: 1", ""),
        Card::new("D2IMDIS2", "Lookup", ""),
    ];
    let numbers = [
        ("CRPIX1", 3.0),
        ("CRPIX2", 2.5),
        ("CRVAL1", 10.0),
        ("CRVAL2", 5.0),
        ("CD1_1", -1e-5),
        ("CD1_2", 0.0),
        ("CD2_1", 0.0),
        ("CD2_2", 1e-5),
        ("A_2_0", 1e-6),
        ("B_1_1", 2e-6),
    ];
    cards.extend(numbers.map(|(key, value)| Card::new(key, value, "")));
    cards
}

/// Two chips with errors, quality and tables.
fn exposure() -> Vec<u8> {
    let primary = [
        Card::new("EXPTIME", 500.0, ""),
        Card::new("INSTRUME", "ACS", ""),
        Card::new("DETECTOR", "WFC", ""),
    ];
    let image = Array2::from_shape_fn((5, 6), |(y, x)| (x + y) as f32);
    let quality = Array2::from_elem((5, 6), 64_i16);
    let write = |output: &mut FitsOutput| {
        for version in [1, 2] {
            output.image("SCI", version, image.view(), &sip_cards())?;
            output.image("ERR", version, image.view(), &[])?;
            output.image_i16("DQ", version, quality.view(), &[])?;
        }
        output.image("WCSDVARR", 1, image.view(), &[Card::new("CDELT1", 2.0, "")])?;
        output.image("D2IMARR", 2, image.view(), &[])
    };
    file(write, &primary)
}

/// A PSF that is also a noise correlation.
fn kernel() -> Vec<u8> {
    let image =
        Array2::from_shape_fn((3, 5), |(y, x)| if (y, x) == (1, 2) { 1.0 } else { 0.1_f32 });
    let cards = [Card::new("OVERSAMP", 2, ""), Card::new("PIXINT", true, "")];
    file(|output| output.image("PSF", 1, image.view(), &cards), &[])
}

/// PSFs at two by two places.
fn grid() -> Vec<u8> {
    let planes = Array3::from_elem((4, 3, 3), 0.1_f32);
    let places = [("IPSFX01", 0), ("IPSFX02", 9), ("JPSFY01", 0), ("JPSFY02", 1)];
    let mut cards: Vec<Card> = places.map(|(key, place)| Card::new(key, place, "")).into();
    cards.extend([Card::new("NXPSFS", 2, ""), Card::new("NYPSFS", 2, "")]);
    file(|output| output.image("PSF", 1, planes.view(), &cards), &[])
}

/// What `pellucid sample` writes, as small as it gets.
fn product() -> Vec<u8> {
    let centre = SkyPosition { ra_deg: 150.1, dec_deg: -2.5 };
    let grid = ModelGrid { nx: 4, ny: 4, centre, pixel_scale_arcsec: 0.03 };
    let image = Array2::from_elem((4, 4), 0.5_f32);
    let samples = Array3::from_elem((2, 4, 4), 0.5_f32);
    let text = |name: &str, value: &str| Column::new(name, ColumnValues::Text(vec![value.into()]));
    let real = |name: &str, rows: usize| Column::new(name, ColumnValues::Real(vec![0.5; rows]));
    let write = |output: &mut FitsOutput| {
        output.image("SAMPLES", 1, samples.view(), &grid.cards())?;
        for name in ["MEDIAN", "MEAN", "STD", "P16", "P84"] {
            output.image(name, 1, image.view(), &grid.cards())?;
        }
        for name in ["DATA_1", "SIGMA_1", "MODEL_1", "RESIDUAL_1"] {
            output.image(name, 1, image.view(), &grid.cards())?;
        }
        let rows = [
            Column::new("SAMPLE", ColumnValues::Integer(vec![0, 1])),
            Column::new("EXPOSURE", ColumnValues::Integer(vec![1, 1])),
            real("CHI2", 2),
            real("WHITENESS", 2),
            real("P_VALUE", 2),
            real("EDGE_FLUX", 2),
            real("NOISE_Z", 2),
        ];
        output.table("DIAGNOSTICS", &rows, &[])?;
        let row = [
            text("ID", "one"),
            text("SOURCE", "a.fits"),
            text("SOURCE_SHA256", "0"),
            text("PSF", "p.fits"),
            text("PSF_SHA256", "0"),
            text("FLAGS", "chi2"),
            text("NOISE_WORST", "bias"),
            real("PIXEL_SCALE", 1),
            real("DOF", 1),
            real("PPP", 1),
            real("CHI2_MEAN_REDUCED", 1),
            real("EFFECTIVE_PARAMETERS", 1),
            real("WHITENESS_SE", 1),
        ];
        output.table("EXPOSURES", &row, &[])
    };
    file(write, &[Card::new("SEED", "7", ""), Card::new("PROPOSAL", 3.0, "")])
}

fn headers() -> Vec<Seed> {
    let tan = SIP.replace("-SIP", "");
    let plain: String = tan
        .lines()
        .filter(|line| !line.starts_with(['A', 'B']))
        .map(|l| format!("{l}\n"))
        .collect();
    let others = "WCSAXES = 2\nPV1_1   = 0.0\nPV2_1   = 45.0\nLONPOLE = 180.0\nLATPOLE = 90.0\nEQUINOX = 2000.0\n\
                  CDELT1  = 1.0\nPC1_1   = 1.0\nPC1_2   = 0.1\nCROTA2  = 3.0\nCPDIS1  = 'Polynomial'\n\
                  DP1     = 'NAXES: 2'\nDP1     = 'AXIS.1: 1'\nDP1     = 'TERM.1.COEFF: 1E-3'\nCQDIS1  = 'TPD'\n\
                  DQ1     = 'TPD.FWD.1: 0.1'\n";
    vec![
        ("sip", SIP.into()),
        ("cards", SIP.lines().map(|line| format!("{line:80}")).collect::<String>().into()),
        ("plain", plain.clone().into()),
        ("others", format!("{plain}{others}").into()),
        ("conic", format!("{}{others}", plain.replace("-TAN", "-COE")).into()),
    ]
}

fn models() -> Vec<Seed> {
    let side = 4;
    let metadata = |architecture: Value| {
        json!({
            "format": 1, "kind": "prior", "architecture": architecture,
            "sde": {"name": "ve", "sigma_min": 0.002, "sigma_max": 50.0}, "image_size": [side, side],
            "channels": 1, "pixel_scale_arcsec": 0.05, "flux_convention": "surface_brightness",
            "licence": "MIT", "trained_on": "nothing",
        })
    };
    let noise = json!({
        "format": 1, "kind": "noise", "architecture": {"name": "stationary_gaussian"}, "instrument": "ACS",
        "detector": null, "filter": null, "exposure_time_s": [1.0, 2.0], "pixel_scale_data_arcsec": 0.05,
        "pixel_scale_model_arcsec": 0.05, "flux_convention": "surface_brightness", "unit": "e-/s",
        "core_sigma_e_per_s": 1.0, "largest_level_e_per_s": 1.0, "largest_white_e_per_s": 1.0,
        "psf": "none", "licence": "MIT", "trained_on": "nothing",
    });
    let unet = json!({"name": "edm_unet", "sigma_d": 0.5, "unet": {
        "widths": [2], "blocks": 1, "head": 1, "embedding": 2, "attention_head": 0, "group": 1,
    }});
    let mut turbulent = metadata(json!({"name": "gaussian_field"}));
    turbulent["sde"] =
        json!({"name": "tsve", "sigma_min": 0.002, "sigma_max": 50.0, "t_star": 0.5});
    let image: &[usize] = &[1, side, side];
    let stack: &[usize] = &[2, 1, side, side];
    vec![
        (
            "field",
            model(
                &metadata(json!({"name": "gaussian_field"})),
                &[("mean", image), ("power", image)],
            ),
        ),
        ("turbulent", model(&turbulent, &[("mean", image), ("power", image)])),
        (
            "mixture",
            model(
                &metadata(json!({"name": "gaussian_mixture"})),
                &[("weights", &[2]), ("means", stack), ("power", stack)],
            ),
        ),
        (
            "unet",
            model(&metadata(unet), &[("mean", image), ("power", image), ("net.stem.bias", &[2])]),
        ),
        ("noise", model(&noise, &[("core", &[3, 3]), ("forward", &[1, 1])])),
        ("options", br#"{"sampler": "calibrated", "steps": 25, "flux_scale": 1.0}"#.to_vec()),
        ("config", br#"{"device": "cpu", "threads": 1, "queue_capacity": 3}"#.to_vec()),
    ]
}

/// Tensors of ones.
fn model(metadata: &Value, tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| 1_f32.to_le_bytes().repeat(shape.iter().product()))
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        (*name, view.expect("the shape fits"))
    });
    let metadata = [("pellucid".to_owned(), metadata.to_string())].into();
    serialize(views, Some(metadata)).expect("a small file")
}

fn manifests() -> Vec<Seed> {
    let night = "format = 1\nname = 'n'\noutput = 'out'\n[defaults]\npsf = 'p.fits'\nprior = 'galaxies64-ve'\n\
                 samples = 2\nsize = 64\nsky = 'none'\n[run]\nin_flight = 4\nbackoff_s = 5.0\n[slurm]\nworkers = 2\n\
                 extra = ['--x']\n[[target]]\nname = 'a'\nra = 150.1\ndec = 2.2\nexposures = ['a/*.fits']\n";
    let target = "[[target]]\nname = 'b'\nexposures = ['w.fits[SCI,1]']\npsf_centre = '31.5,31.5'\nsigma = 0.002\n\
                  dq_bad_bits = 4096\nsky = 0.01\nsampler = 'calibrated'\nprecision = 'f32'\n";
    let table = "name,ra,dec,exposures,samples,sky\n# none\na, 150.1, 2.2, \"a.fits;b.fits\", 3, none\nb,1,2,c.fits,4,0.5\n";
    let text = |name: &str, value: &str| Column::new(name, ColumnValues::Text(vec![value.into()]));
    let columns = [
        text("NAME", "a"),
        text("EXPOSURES", "a.fits;b.fits"),
        Column::new("RA", ColumnValues::Real(vec![1.0])),
        Column::new("SAMPLES", ColumnValues::Integer(vec![3])),
    ];
    vec![
        ("night", night.into()),
        ("two", format!("{night}{target}").into()),
        ("csv", table.into()),
        ("fits", file(|output| output.table("TARGETS", &columns, &[]), &[])),
    ]
}

/// Calls with the usual arguments, in an order that makes sense and in some that do not.
fn calls() -> Vec<Seed> {
    let usual = |slots: &[u8]| slots.iter().flat_map(|slot| [*slot, 0]).collect();
    // A call with `arguments`.
    let with = |slot: u8, arguments: &[u8]| [&[slot, arguments.len() as u8], arguments].concat();
    let all: Vec<u8> = (0..29).chain(0..29).collect();
    vec![
        ("life", usual(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 24, 23, 19])),
        ("functions", usual(&[0, 11, 12, 3, 14, 4, 15, 26, 5, 6, 19, 8])),
        ("grids", usual(&[0, 10, 13, 3, 9, 4, 19, 5, 6, 7, 27, 27])),
        ("every", usual(&all)),
        ("backwards", usual(&all.into_iter().rev().collect::<Vec<u8>>())),
        (
            "odd",
            [with(0, &[0, 0]), with(1, &[255, 3]), with(2, &[0, 0, 255]), with(3, &[0; 9])]
                .concat(),
        ),
    ]
}
