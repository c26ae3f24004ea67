//! The normal distribution, and the naive binomial intervals that stand beside the bootstrap.

/// The standard normal quantile for probability `p` in (0, 1).
///
/// Acklam's rational approximation with one Newton step; absolute error below 1e-12 in the range used here.
///
/// Source: reconstructed, from P. J. Acklam's published algorithm.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    let tail = |q: f64| {
        (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5])
            / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let x = if p < 0.02425 {
        tail((-2.0 * p.ln()).sqrt())
    } else if p > 1.0 - 0.02425 {
        -tail((-2.0 * (1.0 - p).ln()).sqrt())
    } else {
        let q = p - 0.5;
        let r = q * q;
        (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q
            / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
    };
    let error = normal_cdf(x) - p;
    x - error * (2.0 * std::f64::consts::PI).sqrt() * (x * x / 2.0).exp()
}

/// The standard normal distribution function.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    // Series near the middle, continued fraction in the tails; both converge to double precision.
    let z = x.abs();
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let upper = if z < 3.0 {
        let (mut term, mut sum, mut k) = (z, z, 1.0);
        while term > 1e-18 * sum && k < 400.0 {
            k += 2.0;
            term *= z * z / k;
            sum += term;
        }
        0.5 - density * sum
    } else {
        let mut fraction = 0.0;
        for k in (1..=120).rev() {
            fraction = f64::from(k) / (z + fraction);
        }
        density / (z + fraction)
    };
    if x > 0.0 { 1.0 - upper } else { upper }
}

/// The Wilson score interval for `hits` of `n` independent trials.
///
/// ```text
/// (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
/// ```
///
/// Naive for biometric comparisons, which share subjects: it is the check beside the bootstrap, not the headline.
/// With `n = 0` it is (0, 1).
///
/// ```
/// let (low, high) = ccface_eval::wilson(2747.0, 3728.0, 0.95);
/// assert!((low - 0.722).abs() < 1e-3 && (high - 0.750).abs() < 1e-3);
/// ```
#[must_use]
pub fn wilson(hits: f64, n: f64, level: f64) -> (f64, f64) {
    if n <= 0.0 {
        return (0.0, 1.0);
    }
    wilson_with(hits / n, n, normal_quantile(0.5 + level / 2.0))
}

/// Wilson's interval around the share `p` of `n` trials with the quantile `z`.
pub(crate) fn wilson_with(p: f64, n: f64, z: f64) -> (f64, f64) {
    let zz = z * z / n;
    let half = z * (p * (1.0 - p) / n + zz / (4.0 * n)).sqrt();
    let (low, high) = (
        (p + zz / 2.0 - half) / (1.0 + zz),
        (p + zz / 2.0 + half) / (1.0 + zz),
    );
    (
        if p <= 0.0 { 0.0 } else { low.max(0.0) },
        if p >= 1.0 { 1.0 } else { high.min(1.0) },
    )
}

/// The Clopper–Pearson interval for `hits` of `n` independent trials: never covers less than `level`.
///
/// The ends solve P(X ≥ hits) = α/2 and P(X ≤ hits) = α/2, by bisection on the binomial sum.
#[must_use]
pub fn clopper_pearson(hits: usize, n: usize, level: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let alpha = (1.0 - level) / 2.0;
    let solve = |rising: &dyn Fn(f64) -> bool| {
        let (mut a, mut b) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = (a + b) / 2.0;
            if rising(middle) {
                b = middle;
            } else {
                a = middle;
            }
        }
        (a + b) / 2.0
    };
    let low = if hits == 0 {
        0.0
    } else {
        solve(&|p| 1.0 - binomial_cdf(hits - 1, n, p) > alpha)
    };
    let high = if hits == n {
        1.0
    } else {
        solve(&|p| binomial_cdf(hits, n, p) < alpha)
    };
    (low, high)
}

/// P(X ≤ k) for X ~ Binomial(n, p).
pub(crate) fn binomial_cdf(k: usize, n: usize, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let (log_p, log_q) = (p.ln(), (-p).ln_1p());
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for i in 0..=k {
        if i > 0 {
            log_choose += ((n - i + 1) as f64 / i as f64).ln();
        }
        sum += (log_choose + i as f64 * log_p + (n - i) as f64 * log_q).exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_functions_agree_with_tables_and_each_other() {
        for (p, x) in [
            (0.975, 1.959_963_984_540_054),
            (0.5, 0.0),
            (0.01, -2.326_347_874_040_841),
            (0.999, 3.090_232_306_167_813),
            (1e-6, -4.753_424_308_822_899),
        ] {
            assert!((normal_quantile(p) - x).abs() < 1e-9, "{p}");
            assert!((normal_cdf(x) - p).abs() < 1e-13, "{x}");
        }
        assert!((normal_cdf(-8.0) / 6.220_960_574_271_785e-16 - 1.0).abs() < 1e-9);
    }

    #[test]
    fn wilson_agrees_with_published_examples() {
        let (low, high) = wilson(631.0, 650.0, 0.95);
        assert!((low - 0.955).abs() < 5e-4 && (high - 0.981).abs() < 5e-4);
        assert_eq!(wilson(0.0, 50.0, 0.95).0, 0.0);
        assert_eq!(wilson(50.0, 50.0, 0.95).1, 1.0);
        assert_eq!(wilson(0.0, 0.0, 0.95), (0.0, 1.0));
    }

    #[test]
    fn clopper_pearson_agrees_with_the_closed_form_at_the_edges_and_a_table() {
        let (low, high) = clopper_pearson(0, 100, 0.95);
        assert_eq!(low, 0.0);
        assert!((high - (1.0 - 0.025_f64.powf(0.01))).abs() < 1e-12);
        // 10 of 100: [0.0490, 0.1762].
        let (low, high) = clopper_pearson(10, 100, 0.95);
        assert!((low - 0.0490).abs() < 1e-4 && (high - 0.1762).abs() < 1e-4);
        assert_eq!(clopper_pearson(5, 5, 0.95).1, 1.0);
    }
}
