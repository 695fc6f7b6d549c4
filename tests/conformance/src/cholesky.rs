//! Cholesky factors of small dense matrices.

/// Lower-triangular L, row-major.
pub(crate) struct Cholesky {
    n: usize,
    l: Vec<f64>,
}

impl Cholesky {
    /// L with L L' = `a` (n x n, row-major); None unless `a` is positive definite.
    pub(crate) fn new(a: &[f64], n: usize) -> Option<Self> {
        let mut l = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let (row_i, row_j) = (&l[i * n..i * n + j], &l[j * n..j * n + j]);
                let rest = a[i * n + j] - row_i.iter().zip(row_j).map(|(a, b)| a * b).sum::<f64>();
                if i == j && rest.is_nan() | (rest <= 0.0) {
                    return None;
                }
                l[i * n + j] = if i == j { rest.sqrt() } else { rest / l[j * n + j] };
            }
        }
        Some(Self { n, l })
    }

    /// L^-1 b.
    pub(crate) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in 0..self.n {
            let row = &self.l[i * self.n..];
            let sum: f64 = (0..i).map(|j| row[j] * x[j]).sum();
            x[i] = (x[i] - sum) / row[i];
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_solves() {
        let a = [4.0, 2.0, 2.0, 5.0];
        let factor = Cholesky::new(&a, 2).expect("positive definite");
        assert_eq!(factor.forward(&[2.0, 3.0]), [1.0, 1.0]);
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
    }
}
