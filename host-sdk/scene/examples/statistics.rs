//! What the scenes measure, by percentiles: `statistics [SEED] [COUNT]`.

use ndarray::Array2;
use pellucid_scene::{SceneConfig, galaxy};

/// Measurements of one scene, in the order of [`NAMES`].
fn measure(scene: &Array2<f32>) -> [f64; 7] {
    let n = scene.nrows();
    let flux: f64 = scene.iter().map(|v| f64::from(*v)).sum();
    let moment = |f: &dyn Fn(f64, f64) -> f64| {
        scene.indexed_iter().map(|((y, x), v)| f(x as f64, y as f64) * f64::from(*v)).sum::<f64>()
            / flux
    };
    let (x0, y0) = (moment(&|x, _| x), moment(&|_, y| y));
    let xx = moment(&|x, _| (x - x0).powi(2));
    let yy = moment(&|_, y| (y - y0).powi(2));
    let xy = moment(&|x, y| (x - x0) * (y - y0));
    let spread = ((xx - yy) / 2.0).hypot(xy);
    let q = (((xx + yy) / 2.0 - spread) / ((xx + yy) / 2.0 + spread)).sqrt();

    let mut by_radius: Vec<(f64, f64)> = scene
        .indexed_iter()
        .map(|((y, x), v)| ((x as f64 - x0).hypot(y as f64 - y0), f64::from(*v)))
        .collect();
    by_radius.sort_by(|a, b| a.0.total_cmp(&b.0));
    let within = |share: f64| {
        let mut sum = 0.0;
        by_radius
            .iter()
            .find(|(_, v)| {
                sum += v;
                sum >= share * flux
            })
            .map_or(0.0, |p| p.0)
    };
    let border = scene
        .indexed_iter()
        .filter(|((y, x), _)| *y == 0 || *x == 0 || *y == n - 1 || *x == n - 1)
        .map(|(_, v)| f64::from(*v))
        .sum::<f64>();
    let rms = (scene.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / (n * n) as f64).sqrt();
    let peak = f64::from(scene.fold(0f32, |m, v| m.max(*v)));
    [
        flux.log10(),
        within(0.5),
        5.0 * (within(0.8) / within(0.2)).log10(),
        q,
        rms,
        peak,
        border / flux,
    ]
}

const NAMES: [&str; 7] =
    ["log10 flux", "half-light", "concentration", "q", "rms", "peak", "border"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(Ok(default), |a| a.parse());
    let (seed, count) = (number(1)?, number(500)?);
    let rows: Vec<_> =
        (0..count).map(|k| measure(&galaxy(&SceneConfig::default(), seed, k))).collect();
    println!(
        "{:14}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "5 %", "16 %", "50 %", "84 %", "95 %", "max"
    );
    for (i, name) in NAMES.iter().enumerate() {
        let mut column: Vec<f64> = rows.iter().map(|r| r[i]).collect();
        column.sort_by(f64::total_cmp);
        print!("{name:14}");
        for share in [0.05, 0.16, 0.5, 0.84, 0.95, 1.0] {
            print!("{:10.4}", column[(share * (column.len() - 1) as f64) as usize]);
        }
        println!();
    }
    Ok(())
}
