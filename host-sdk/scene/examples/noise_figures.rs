//! What the noise measures, to compare with the published figures: `noise_figures [SEED]`.

use ndarray::{Array2, Axis, s};
use pellucid_scene::noise::{CosmicRays, DetectorNoise, Hit, Readout, dq};

fn quantiles(mut values: Vec<f64>) -> [f64; 5] {
    values.sort_by(f64::total_cmp);
    [0.01, 0.16, 0.5, 0.84, 0.99].map(|q| values[(q * values.len() as f64) as usize])
}

/// Events of a frame, their charges, and pixels above 15 e-.
fn cosmic_rays(name: &str, rays: &CosmicRays, seed: u64) {
    let (shape, time) = ((1014, 1014), 1000.0);
    let hits = rays.hits(shape, time, seed, 0);
    let inside = |h: &&Hit| h.corner.iter().all(|c| (0..1000).contains(c));
    let charges: Vec<f64> =
        hits.iter().filter(inside).map(|h| f64::from(h.charge_e.sum())).collect();
    let mut sizes = [0usize; 16];
    for hit in hits.iter().filter(inside) {
        sizes[hit.charge_e.iter().filter(|q| **q > 25.0).count().min(15)] += 1;
    }
    let area_cm2 = (rays.pixel_um * 1e-4 * 1000.0).powi(2);
    let mut image = Array2::<f32>::zeros(shape);
    hits.iter().flat_map(|h| h.pixels(shape)).for_each(|(at, q)| image[at] += q);
    let hit = image.iter().filter(|q| **q > 15.0).count() as f64 / image.len() as f64;
    println!("{name}: {:.2} events /cm2/s", charges.len() as f64 / area_cm2 / time);
    println!("  charge, e- (1, 16, 50, 84, 99 %): {:.0?}", quantiles(charges));
    println!("  events by pixels above 25 e- (0 to 14, more): {sizes:?}");
    println!("  pixels above 15 e- after 1000 s: {:.2} %", 100.0 * hit);
}

fn detector(name: &str, noise: &DetectorNoise, time: f64, seed: u64) {
    let shape = (1014, 1014);
    let readout = Readout { seed, exposure: 0, exposure_time_s: time, corner: (0, 0) };
    let exposed = noise.expose(&Array2::zeros(shape), &readout);
    let n = exposed.science.len() as f64;
    let share =
        |bit: i16| 100.0 * exposed.quality.iter().filter(|q| **q & bit != 0).count() as f64 / n;
    let unflagged = exposed
        .cosmic_rays
        .indexed_iter()
        .filter(|(at, v)| **v > exposed.error[*at] && exposed.quality[*at] & dq::COSMIC_RAY == 0);
    let unflagged = 100.0 * unflagged.count() as f64 / n;
    // Sky and readout alone.
    let calm =
        DetectorNoise { cosmic_rays: None, snowballs: None, hot_pixels: None, ..noise.clone() };
    let calm = calm.expose(&Array2::zeros(shape), &readout);
    let clean = &calm.science / &calm.error;
    let rms = clean.mapv(|v| v * v).mean().unwrap_or(0.0).sqrt();
    let rows = calm.science.slice(s![.., ..507]).mean_axis(Axis(1)).unwrap_or_default();
    let white = f64::from(calm.error.mean().unwrap_or(0.0)) * time / 507f64.sqrt();
    let neighbour = (&clean.slice(s![.., 1..]) * &clean.slice(s![.., ..1013])).mean();
    println!("{name}, {time} s: ERR {:.4} e-/s", exposed.error[[500, 500]]);
    println!(
        "  DQ: hot {:.2} %, warm {:.2} %, cosmic ray {:.2} %, ramp jump {:.2} %",
        share(dq::HOT),
        share(dq::WARM),
        share(dq::COSMIC_RAY),
        share(dq::RAMP_JUMP)
    );
    println!("  pixels with more than 1 sigma of unflagged cosmic ray: {unflagged:.2} %");
    println!("  SCI / ERR without particles and hot pixels: rms {rms:.3}");
    println!("  correlation of neighbours in a row: {:.4}", neighbour.unwrap_or(0.0) / rms.powi(2));
    let rows = f64::from(rows.std(0.0)) * time;
    println!("  means of half a row: {rows:.3} e- rms, {white:.3} if it were white");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |a| a.parse())?;
    cosmic_rays("ACS/WFC", &CosmicRays::acs_wfc(), seed);
    cosmic_rays("WFC3/IR before the ramp fit", &CosmicRays::wfc3_ir(), seed);
    detector("ACS/WFC F814W", &DetectorNoise::acs_wfc_f814w(), 500.0, seed);
    detector("WFC3/IR F160W", &DetectorNoise::wfc3_ir_f160w(), 600.0, seed);
    Ok(())
}
