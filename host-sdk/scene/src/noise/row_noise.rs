//! Low-frequency noise of the readout electronics: stripes along rows.

use ndarray::Array2;
use rand_distr::{Distribution, StandardNormal};

use super::{Effect, stream};

/// Correlation lengths of the relaxations that make up the noise, rows.
const LENGTHS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0];

/// An offset of every row whose spectrum from row to row is close to 1/f.
///
/// A sum of relaxations (Ornstein-Uhlenbeck sequences) of equal variance and correlation lengths in
/// geometric progression, which has that spectrum between the lengths' inverses (van der Ziel 1950). Its
/// autocorrelation is the mean of exp(-rows / length).
#[derive(Clone, Debug, PartialEq)]
pub struct RowNoise {
    /// What all columns of a row share, electrons rms.
    pub shared_rms_e: f64,
    /// What is the amplifier's own, electrons rms. Amplifiers read quadrants, from the outermost row inwards.
    pub amplifier_rms_e: f64,
}

impl RowNoise {
    /// Bias stripes of ACS/WFC since Servicing Mission 4, as they are without `acs_destripe`.
    pub fn acs_wfc() -> Self {
        // Two amplifiers differ by 0.3 e- rms.
        Self { shared_rms_e: 0.87, amplifier_rms_e: 0.21 }
    }

    /// Correlation of two rows of an amplifier that are `rows` apart.
    pub fn correlation(rows: f64) -> f64 {
        LENGTHS.iter().map(|l| (-rows / l).exp()).sum::<f64>() / LENGTHS.len() as f64
    }

    /// The noise of a frame of `shape` (ny, nx), electrons, whose first pixel is `corner` (y, x) of a chip of
    /// `chip` (ny, nx).
    pub fn draw(
        &self,
        shape: (usize, usize),
        corner: (usize, usize),
        chip: (usize, usize),
        seed: u64,
        exposure: u64,
    ) -> Array2<f32> {
        let series = |effect, part, rows: usize, rms: f64| {
            let mut rng = stream(seed, effect, part, exposure);
            let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
            let mut states = LENGTHS.map(|_| normal());
            let scale = rms / (LENGTHS.len() as f64).sqrt();
            let mut step = || {
                let value = scale * states.iter().sum::<f64>();
                for (state, length) in states.iter_mut().zip(LENGTHS) {
                    let keep = (-1.0 / length).exp();
                    *state = keep * *state + (1.0 - keep * keep).sqrt() * normal();
                }
                value as f32
            };
            (0..rows).map(|_| step()).collect::<Vec<f32>>()
        };
        let shared = series(Effect::Rows, 0, chip.0, self.shared_rms_e);
        let own: Vec<Vec<f32>> = (0..4)
            .map(|q| series(Effect::QuadrantRows, q, chip.0.div_ceil(2), self.amplifier_rms_e))
            .collect();
        Array2::from_shape_fn(shape, |(i, j)| {
            let (y, x) = (corner.0 + i, corner.1 + j);
            let upper = y >= chip.0 / 2;
            let from_edge = if upper { chip.0 - 1 - y } else { y };
            let quadrant = 2 * usize::from(upper) + usize::from(x >= chip.1 / 2);
            shared[y] + own[quadrant][from_edge]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHIP: (usize, usize) = (400, 60);

    #[test]
    fn rows_scatter_as_asked_and_columns_do_not() {
        let noise = RowNoise { shared_rms_e: 0.9, amplifier_rms_e: 0.0 };
        let mut square = 0.0;
        for exposure in 0..200 {
            let drawn = noise.draw(CHIP, (0, 0), CHIP, 1, exposure);
            for row in drawn.rows() {
                assert!(row.iter().all(|v| *v == row[0]), "nothing changes along a row");
                square += f64::from(row[0]).powi(2) / 400.0 / 200.0;
            }
        }
        assert!((square / 0.81 - 1.0).abs() < 0.1, "{square}");
    }

    #[test]
    fn rows_are_correlated_as_pink_noise() {
        let noise = RowNoise { shared_rms_e: 1.0, amplifier_rms_e: 0.0 };
        let lags = [1, 8, 64];
        let mut sums = [0.0; 3];
        let exposures = 1000;
        for exposure in 0..exposures {
            let drawn = noise.draw((400, 1), (0, 0), CHIP, 2, exposure);
            for (sum, lag) in sums.iter_mut().zip(lags) {
                let pairs = (0..400 - lag).map(|y| drawn[[y, 0]] * drawn[[y + lag, 0]]);
                *sum += f64::from(pairs.sum::<f32>()) / (400 - lag) as f64 / exposures as f64;
            }
        }
        for (sum, lag) in sums.into_iter().zip(lags) {
            let expected = RowNoise::correlation(lag as f64);
            assert!((sum - expected).abs() < 0.04, "lag {lag}: {sum}, not {expected}");
        }
    }

    #[test]
    fn amplifiers_have_their_own_noise_and_frames_their_place() {
        let noise = RowNoise { shared_rms_e: 0.0, amplifier_rms_e: 1.0 };
        let all = noise.draw(CHIP, (0, 0), CHIP, 1, 0);
        let (mut both, mut single) = (0.0, 0.0);
        for row in all.rows() {
            both += row[0] * row[59];
            single += row[0] * row[29];
        }
        assert!(both.abs() < 0.5 * single, "{both} {single}");
        let part = noise.draw((10, 20), (195, 25), CHIP, 1, 0);
        assert_eq!(part, all.slice(ndarray::s![195..205, 25..45]));
    }
}
