//! Everything that reads FITS files, on one file.

use pellucid_host::fits::{Extension, FitsAddress, FitsInput, Region};
use pellucid_host::input::{
    ExposureFile, ExposureOptions, HashCache, NoiseCorrelation, PsfFile, PsfImage, PsfOptions,
    SkyLevel,
};
use pellucid_host::product::Product;
use pellucid_host::sky::{ModelGrid, SkyPosition};

use crate::scratch::Scratch;

/// Largest rectangle that is read: the time of a run, not its safety, grows with it.
const LARGEST: usize = 256;

/// Reads `data` as an exposure, a PSF, a noise correlation and a product.
pub fn run(data: &[u8]) {
    let file = Scratch::new("fits", data);
    let whole = FitsAddress::file(file.path());
    let Ok(input) = FitsInput::open(file.path()) else {
        return;
    };
    headers(&input);
    exposure(&whole, &ExposureOptions::default());
    exposure(
        &whole,
        &ExposureOptions {
            fallback_sigma: Some(1.0),
            unit: Some("ELECTRONS/S".into()),
            pixel_scale_arcsec: Some(0.05),
            sky: SkyLevel::Header,
            target: Some(SkyPosition { ra_deg: 10.0, dec_deg: 5.0 }),
            ..ExposureOptions::default()
        },
    );
    let second = FitsAddress { extension: Some(Extension::Number(1)), ..whole.clone() };
    exposure(&second, &ExposureOptions { sigma: Some(1.0), ..ExposureOptions::default() });
    let centre = "1,1.5".parse().ok();
    let _ = PsfImage::read(&whole, PsfOptions::default());
    let _ = PsfImage::read(&second, PsfOptions { centre, ..PsfOptions::default() });
    if let Ok(PsfFile::Grid(grid)) =
        PsfFile::open(&whole, PsfOptions::default(), &HashCache::default())
    {
        for chip in [None, Some(1), Some(2)] {
            for at in [[0.0, 0.0], [1e3, -5.0], [1e300, f64::NAN]] {
                let _ = grid.at(at, chip, "a chip");
            }
        }
    }
    let _ = NoiseCorrelation::read(&whole);
    if let Ok(product) = Product::read(file.path()) {
        assert!(product.fluxes().len() <= product.samples.dim().0);
        assert_eq!(product.grid.outline().len(), 36);
    }
}

fn headers(input: &FitsInput) {
    for hdu in input.hdus() {
        let (header, _) = (&hdu.header, hdu.describe());
        let moved = header.shifted(3, 4);
        // A finite number survives; NaN would be written as undefined.
        if let Some(crpix) = header.real("CRPIX1").filter(|x| x.is_finite()) {
            assert_eq!(moved.real("CRPIX1"), Some(crpix - 3.0));
        }
        assert!(header.wcs_cards().len() <= header.text().len() / 80);
    }
}

fn exposure(address: &FitsAddress, options: &ExposureOptions) {
    let Ok(mut file) = ExposureFile::open(address, options) else {
        return;
    };
    let target = options.target.or_else(|| file.chips().first().map(|chip| chip.centre()));
    let Ok(_) = file.chip_at(target) else {
        return;
    };
    for index in 0..file.chips().len().min(3) {
        let chip = &file.chips()[index];
        let (ny, nx) = chip.shape;
        let centre = chip.centre();
        let grid =
            ModelGrid { nx: 8, ny: 6, centre, pixel_scale_arcsec: chip.wcs.pixel_scale_arcsec() };
        let corner = Region { x0: 0, y0: 0, nx: nx.min(LARGEST), ny: ny.min(LARGEST) };
        let cut = chip.locate(centre).map(|at| chip.cutout(at, 5));
        let seen = chip.footprint(&grid).filter(|r| r.nx * r.ny <= LARGEST * LARGEST);
        for region in [Some(corner), cut, seen].into_iter().flatten() {
            if let Ok(stamp) = file.stamp(index, region) {
                assert_eq!(stamp.pixels.dim(), (region.ny, region.nx));
                assert_eq!(stamp.good().dim(), stamp.sigma.dim());
            }
        }
        if seen.is_some() {
            let _ = file.edge_light(index, &grid);
        }
    }
}
