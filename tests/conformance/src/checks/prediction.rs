//! A x, through the extension org.pellucid.predict/1, against the definition.

use pellucid_ffi::*;

use crate::arrays::{agree, array, sized, take};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{GRID, Host, SIDE, Shot};
use crate::session::{Session, fail, succeed};
use crate::telescope::{Kernel, Tan, apply, centroid, operator};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "prediction.constant-sky",
        "a constant sky is the constant, whatever WCS and PSF",
        constant_sky,
    ),
    Check::new(
        "prediction.point-position",
        "a point source lands at its WCS position",
        point_position,
    ),
    Check::new(
        "prediction.point-flux",
        "a point source keeps its flux: value times model over detector pixel area",
        point_flux,
    ),
    Check::new(
        "prediction.half-pixel",
        "sub-pixel k of s of pixel i lies at i + (k + 1/2)/s - 1/2, in both grids",
        half_pixel,
    ),
    Check::new(
        "prediction.definition",
        "A x is bilinear sky, true convolution, pixel average, for tilted dithers too",
        definition,
    ),
    Check::new("prediction.linear", "A is linear", linear),
    Check::new("prediction.outside", "beyond the model the sky is 0", outside),
    Check::new(
        "prediction.per-pixel",
        "PELLUCID_PER_PIXEL multiplies by the pixel's relative area",
        per_pixel,
    ),
    Check::new(
        "prediction.several",
        "several exposures are predicted in order; on failure no array is written",
        several,
    ),
    Check::new("prediction.bad", "positions, scales and models that cannot be are E_ARG", bad),
];

/// Model images reach well beyond the exposures here.
const WIDE: usize = 40;

fn tilted() -> Shot {
    let wcs = Tan::centred([GRID.ra, GRID.dec], SIDE, 0.08, 0.5).shifted([0.4, 0.1]);
    Shot { wcs, psf: Kernel::skew(3), ..Shot::plain() }
}

fn constant_sky(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut worst = 0.0_f32;
    for shot in [Shot::plain(), tilted(), Shot { psf: Kernel::gaussian(8, 1.5, 4), ..tilted() }] {
        let got = host.predict(&host.exposure(&shot)?, shot.shape, &vec![2.0; WIDE * WIDE])?;
        worst = worst.max(agree("a sky of 2", &got, &vec![2.0; got.len()], 2e-4)?);
    }
    Ok(format!("largest difference {worst:.1e} of 2").into())
}

fn point_position(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let grid = GRID.of(WIDE);
    let mut worst = 0.0_f64;
    let mut shot = Shot { psf: Kernel::gaussian(9, 1.5, 2), ..tilted() };
    for turn in [0.0, 0.5, 2.0] {
        shot.wcs = Tan::centred([GRID.ra, GRID.dec], SIDE, 0.05, turn).shifted([0.0, 0.25]);
        let exposure = host.exposure(&shot)?;
        for (x, y) in [(20, 19), (17, 22), (24, 18)] {
            let mut model = vec![0.0; WIDE * WIDE];
            model[y * WIDE + x] = 1.0;
            let got = centroid(&host.predict(&exposure, shot.shape, &model)?, SIDE);
            let need = shot.wcs.pixel(grid.tan.sky([x as f64, y as f64]));
            let off = (got[0] - need[0]).abs().max((got[1] - need[1]).abs());
            // Of the 0.05 for pixels of another orientation, sampled twice a pixel, most is aliasing.
            ensure!(off < 0.05, "turned by {turn}: it lands at {got:.4?}, need {need:.4?}");
            worst = worst.max(off);
        }
    }
    Ok(format!("at most {worst:.4} pixel off").into())
}

fn point_flux(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut worst = 0.0_f64;
    for (scale, psf) in
        [(0.05, Kernel::skew(1)), (0.1, Kernel::skew(2)), (0.1, Kernel::gaussian(7, 1.0, 2))]
    {
        let wcs = Tan::centred([GRID.ra, GRID.dec], SIDE, scale, 0.0);
        let shot = Shot { wcs, psf, ..Shot::plain() };
        let mut model = vec![0.0; WIDE * WIDE];
        model[19 * WIDE + 20] = 5.0;
        let got: f32 = host.predict(&host.exposure(&shot)?, shot.shape, &model)?.iter().sum();
        let need = 5.0 * (GRID.scale_arcsec / scale).powi(2);
        let off = (f64::from(got) / need - 1.0).abs();
        ensure!(off < 1e-3, "pixels of {scale} arcsec: the sum is {got}, need {need}");
        worst = worst.max(off);
    }
    Ok(format!("within {worst:.1e}").into())
}

fn half_pixel(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    // Detector pixels twice the model's with a common centre: each covers 2 x 2 model pixels, so
    // that a model pixel is seen by one detector pixel, which gets a quarter of it.
    let n = SIDE / 2;
    let wcs = Tan::centred([GRID.ra, GRID.dec], n, 2.0 * GRID.scale_arcsec, 0.0);
    let psf = Kernel { oversample: 2, ..Kernel::point() };
    let ones = vec![1.0; n * n];
    let shot = Shot { wcs, psf, shape: [n, n], sci: ones.clone(), sigma: ones };
    let exposure = host.exposure(&shot)?;
    for (x, y) in [(6, 6), (7, 6), (6, 7), (9, 12)] {
        let mut model = vec![0.0; SIDE * SIDE];
        model[y * SIDE + x] = 4.0;
        let got = host.predict(&exposure, shot.shape, &model)?;
        let mut need = vec![0.0; n * n];
        need[y / 2 * n + x / 2] = 1.0;
        agree(&format!("model pixel ({x}, {y})"), &got, &need, 1e-4)?;
    }
    pass()
}

fn definition(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let model: Vec<f64> = (0..SIDE * SIDE).map(|k| ((k * k) % 23) as f64).collect();
    let mut worst = 0.0_f32;
    for shot in [Shot::plain(), tilted(), Shot { psf: Kernel::gaussian(8, 1.5, 4), ..tilted() }] {
        let a = operator(&GRID.of(SIDE), &shot.wcs, shot.shape, &shot.psf);
        let need: Vec<f32> = apply(&a, &model).into_iter().map(|v| v as f32).collect();
        let got = host.predict(&host.exposure(&shot)?, shot.shape, &model)?;
        worst = worst.max(agree("A x", &got, &need, 2e-3)?);
    }
    Ok(format!("largest difference {worst:.1e} of 22").into())
}

fn linear(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = tilted();
    let exposure = host.exposure(&shot)?;
    let [a, b]: [Vec<f64>; 2] =
        [7, 13].map(|p| (0..SIDE * SIDE).map(|k| ((k * k) % p) as f64).collect());
    let both: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 3.0 * a - 2.0 * b).collect();
    let see = |model: &[f64]| host.predict(&exposure, shot.shape, model);
    let (of_a, of_b) = (see(&a)?, see(&b)?);
    let need: Vec<f32> = of_a.iter().zip(&of_b).map(|(a, b)| 3.0 * a - 2.0 * b).collect();
    agree("A (3 a - 2 b)", &see(&both)?, &need, 1e-3)?;
    pass()
}

fn outside(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let wcs = Tan::centred([GRID.ra, GRID.dec], SIDE, 0.12, 0.0);
    let shot = Shot { wcs, ..Shot::plain() };
    let got = host.predict(&host.exposure(&shot)?, shot.shape, &[1.0; 16])?;
    let corners = [got[0], got[SIDE * SIDE - 1]];
    // A convolution by FFT leaves rounding errors.
    let dark = corners.iter().all(|v| v.abs() < 1e-6);
    ensure!(dark, "corners beyond the model see {corners:?} of a sky of 1");
    ensure!(got.iter().any(|v| *v > 0.9), "the middle sees nothing");
    pass()
}

fn per_pixel(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    // Columns that grow by 2 % a pixel to the right, symmetric about the middle in x^2.
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let base = GRID.of(SIDE).tan;
    let stretch = |x: f64| x - middle + 0.01 * (x - middle).powi(2) + middle;
    let nodes = 13;
    let at = |k: usize| k as f64 * 4.0 - 16.0;
    let radec: Vec<f64> = (0..nodes * nodes)
        .flat_map(|k| base.sky([stretch(at(k % nodes)), at(k / nodes)]))
        .collect();
    let radec = array(&radec, &[nodes, nodes, 2]);
    let mut wcs = std::ptr::null_mut();
    ok!(host.api, wcs_from_grid(host.raw(), &radec, -16.0, -16.0, 4.0, &mut wcs))?;
    let wcs = crate::session::Handle::new(wcs, host.api.wcs_release)?;
    let exposure = host.exposure_with(&Shot::plain(), |desc| {
        (desc.wcs, desc.flux_convention) = (wcs.get(), PELLUCID_PER_PIXEL);
    })?;
    let got = host.predict(&exposure, [SIDE; 2], &vec![1.0; WIDE * WIDE])?;
    // d stretch / dx, 1 at the middle.
    let need: Vec<f32> =
        (0..SIDE * SIDE).map(|k| (1.0 + 0.02 * ((k % SIDE) as f64 - middle)) as f32).collect();
    let worst = agree("a constant sky", &got, &need, 2e-3)?;
    Ok(format!("areas 0.85 to 1.15 within {worst:.1e}").into())
}

fn several(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let table = session.predict()?;
    let wide = Shot { shape: [SIDE, 8], ..tilted() };
    let narrow = Shot {
        sci: wide.sci[..SIDE * 8].into(),
        sigma: wide.sigma[..SIDE * 8].into(),
        ..wide.clone()
    };
    let exposures = [host.exposure(&Shot::plain())?, host.exposure(&narrow)?];
    let model: Vec<f32> = (0..SIDE * SIDE).map(|k| (k % 5) as f32).collect();
    let image = array(&model, &[SIDE, SIDE]);
    let mut out = [sized::<pellucid_array>(); 2];
    let mut list = [exposures[0].get(), exposures[1].get()];
    let first = out.as_mut_ptr();
    let call = |list: *const *mut pellucid_exposure, e| {
        slot!(
            table,
            predict(host.raw(), list, 2, GRID.ra, GRID.dec, GRID.scale_arcsec, &image, first, e)
        )
    };
    succeed(host.api, "predict", |e| call(list.as_ptr(), e))?;
    let double: Vec<f64> = model.iter().map(|v| f64::from(*v)).collect();
    for ((exposure, shape), out) in exposures.iter().zip([[SIDE, SIDE], narrow.shape]).zip(out) {
        let alone = host.predict(exposure, shape, &double)?;
        agree("together for alone", &take(out, &shape)?, &alone, 0.0)?;
    }
    let mut spoiled = [sized::<pellucid_array>(); 2];
    list[1] = std::ptr::null_mut();
    let first = spoiled.as_mut_ptr();
    fail(host.api, PELLUCID_E_ARG, "predict", |e| {
        let list = list.as_ptr();
        slot!(
            table,
            predict(host.raw(), list, 2, GRID.ra, GRID.dec, GRID.scale_arcsec, &image, first, e)
        )
    })?;
    ensure!(spoiled.iter().all(|a| a.data.is_null()), "an array was written on failure");
    pass()
}

fn bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let table = session.predict()?;
    let exposure = host.exposure(&Shot::plain())?.release();
    let live = host.exposure(&Shot::plain())?;
    let model = [1.0_f32; SIDE];
    let (row, flat) = (array(&model, &[SIDE]), array(&model, &[4, 4]));
    let refuse = |exposure, n, ra, dec, scale, model: &pellucid_array| -> Result<(), Fault> {
        let mut out: pellucid_array = sized();
        fail(host.api, PELLUCID_E_ARG, "predict", |e| {
            slot!(table, predict(host.raw(), &exposure, n, ra, dec, scale, model, &mut out, e))
        })
        .map(drop)
    };
    refuse(exposure, 1, 150.0, 2.0, 0.05, &flat)?;
    refuse(live.get(), 0, 150.0, 2.0, 0.05, &flat)?;
    refuse(live.get(), 1, f64::NAN, 2.0, 0.05, &flat)?;
    refuse(live.get(), 1, 150.0, -90.5, 0.05, &flat)?;
    refuse(live.get(), 1, 150.0, 2.0, 0.0, &flat)?;
    refuse(live.get(), 1, 150.0, 2.0, f64::INFINITY, &flat)?;
    refuse(live.get(), 1, 150.0, 2.0, 0.05, &row)?;
    pass()
}
