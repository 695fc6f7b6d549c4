//! Morphology of galaxies, as astronomers measure it, and the distance of two populations.

use tch::{Kind, Tensor};

/// Names of the statistics of [`measure`].
pub const NAMES: [&str; 10] = [
    "concentration",
    "asymmetry",
    "ellipticity",
    "Gini",
    "half-light radius",
    "total flux",
    "power, k 1-2",
    "power, k 3-5",
    "power, k 6-12",
    "power, k 13-32",
];

/// Statistics of one image [n, n], row-major: concentration 5 log10(r80 / r20), asymmetry under a
/// half turn (Conselice 2003), ellipticity of the second moments, Gini coefficient (Lotz et al.
/// 2004), half-light radius (pixels), total flux, and log10 power in four bands of |k| (cycles a
/// frame).
pub fn measure(image: &[f32], n: usize) -> [f64; 10] {
    let flux: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
    let total: f64 = flux.iter().sum();
    let at = |i: usize| ((i % n) as f64, (i / n) as f64);
    // Moments and radii use positive light: noise of a sample must not move the centre.
    let light: Vec<f64> = flux.iter().map(|v| v.max(0.0)).collect();
    let sum: f64 = light.iter().sum::<f64>().max(1e-12);
    let mean = |f: &dyn Fn(f64, f64) -> f64| {
        light.iter().enumerate().map(|(i, l)| l * f(at(i).0, at(i).1)).sum::<f64>() / sum
    };
    let (cx, cy) = (mean(&|x, _| x), mean(&|_, y| y));
    let (xx, yy, xy) = (
        mean(&|x, _| (x - cx).powi(2)),
        mean(&|_, y| (y - cy).powi(2)),
        mean(&|x, y| (x - cx) * (y - cy)),
    );
    let spread = (((xx - yy) / 2.0).powi(2) + xy * xy).sqrt();
    let (major, minor) = ((xx + yy) / 2.0 + spread, (xx + yy) / 2.0 - spread);
    let ellipticity = 1.0 - (minor.max(0.0) / major).sqrt();

    let mut by_radius: Vec<(f64, f64)> =
        light.iter().enumerate().map(|(i, l)| ((at(i).0 - cx).hypot(at(i).1 - cy), *l)).collect();
    by_radius.sort_by(|a, b| a.0.total_cmp(&b.0));
    let radius = |share: f64| {
        let mut inside = 0.0;
        for (r, l) in &by_radius {
            inside += l;
            if inside >= share * sum {
                return r.max(0.5);
            }
        }
        n as f64
    };
    let concentration = 5.0 * (radius(0.8) / radius(0.2)).log10();

    let turned: f64 = flux.iter().zip(flux.iter().rev()).map(|(a, b)| (a - b).abs()).sum();
    let absolute: f64 = flux.iter().map(|v| v.abs()).sum::<f64>().max(1e-12);
    let mut sorted: Vec<f64> = flux.iter().map(|v| v.abs()).collect();
    sorted.sort_by(f64::total_cmp);
    let m = sorted.len() as f64;
    let ranked: f64 =
        sorted.iter().enumerate().map(|(i, v)| (2.0 * (i as f64 + 1.0) - m - 1.0) * v).sum();
    let gini = ranked / (absolute / m) / (m * (m - 1.0));

    let power = bands(image, n);
    [
        concentration,
        turned / (2.0 * absolute),
        ellipticity,
        gini,
        radius(0.5),
        total,
        power[0],
        power[1],
        power[2],
        power[3],
    ]
}

fn bands(image: &[f32], n: usize) -> [f64; 4] {
    let n = n as i64;
    let spectrum =
        Tensor::from_slice(image).reshape([n, n]).fft_fft2(None::<&[i64]>, [-2, -1], "ortho");
    let power = Vec::<f64>::try_from(spectrum.abs().square().to_kind(Kind::Double).flatten(0, -1));
    let power = power.expect("a vector");
    let frequency = |i: i64| i.min(n - i) as f64;
    let mut sums = [0f64; 4];
    for (i, p) in power.iter().enumerate() {
        let k = frequency(i as i64 / n).hypot(frequency(i as i64 % n));
        let band = [(0.5, 2.5), (2.5, 5.5), (5.5, 12.5), (12.5, 32.5)]
            .iter()
            .position(|(low, high)| (*low..*high).contains(&k));
        if let Some(band) = band {
            sums[band] += p;
        }
    }
    sums.map(|s| s.max(1e-12).log10())
}

/// Kolmogorov-Smirnov distance of two samples.
pub fn ks_distance(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |v: &[f64]| {
        let mut v = v.to_vec();
        v.sort_by(f64::total_cmp);
        v
    };
    let (a, b) = (sorted(a), sorted(b));
    let share = |v: &[f64], x: f64| v.partition_point(|&u| u <= x) as f64 / v.len() as f64;
    a.iter().chain(&b).map(|&x| (share(&a, x) - share(&b, x)).abs()).fold(0.0, f64::max)
}
