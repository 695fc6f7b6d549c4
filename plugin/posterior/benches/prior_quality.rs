//! Is the shipped prior a prior over galaxies? Unconditional samples next to fresh scenes: the
//! Kolmogorov-Smirnov distance of each morphological statistic.
//!
//! Two samples of 512 from the same population differ by 0.054 on average and by less than 0.085 in
//! 95 % of cases (Smirnov 1948).

mod shared;

use pellucid_scene::{SceneConfig, galaxy};
use shared::morphology::{NAMES, ks_distance, measure};
use shared::report::{Report, Target};
use shared::shipped::{argument, prior, samples};

/// Samples and scenes, unless `--samples N` says otherwise.
const COUNT: usize = 512;
/// Scenes of the training seed beyond the training and validation sets.
const FIRST_FRESH_SCENE: u64 = 1_000_000;

fn main() {
    let mut report = Report::new("prior_quality");
    let model = prior();
    let flux_scale = model.metadata.flux_scale.expect("a prior trained at a known flux scale");
    let n = model.metadata.image_size[0];
    let count = argument("--samples").and_then(|v| v.parse().ok()).unwrap_or(COUNT);
    let drawn = samples(&model, count, 77);
    let flat = Vec::<f32>::try_from(drawn.flatten(0, -1)).expect("a vector");
    let mine: Vec<_> = flat.chunks(n * n).map(|image| measure(image, n)).collect();
    let config = SceneConfig { size: n, ..SceneConfig::default() };
    let fresh = |first: u64| -> Vec<_> {
        (first..first + count as u64)
            .map(|k| {
                let scene = galaxy(&config, 1, k).mapv(|v| v / flux_scale as f32);
                measure(scene.as_slice().expect("a standard layout"), n)
            })
            .collect()
    };
    let scenes = fresh(FIRST_FRESH_SCENE);
    let others = fresh(2 * FIRST_FRESH_SCENE);
    for (i, name) in NAMES.iter().enumerate() {
        let column = |rows: &[[f64; 10]]| rows.iter().map(|r| r[i]).collect::<Vec<_>>();
        let distance = ks_distance(&column(&mine), &column(&scenes));
        report.row(name, "KS distance, samples to scenes", distance, Target::AtMost(0.10));
        let floor = ks_distance(&column(&others), &column(&scenes));
        report.row(name, "KS distance, scenes to scenes", floor, Target::None);
    }
    report.finish();
}
