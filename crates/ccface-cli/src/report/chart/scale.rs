//! From values to places along an axis.

use ccface_eval::normal_quantile;

use crate::report::numbers::target;

/// How values are spread along an axis from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Spread {
    /// Evenly.
    Linear,
    /// By their logarithm; values must be above 0.
    Log,
    /// By the normal quantile, as DET curves are drawn; values must lie within 0 and 1.
    Deviate,
}

/// An axis' range and spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    spread: Spread,
    low: f64,
    high: f64,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Where.
    pub(crate) value: f64,
    /// What it says; nothing for a minor mark.
    pub(crate) label: String,
}

impl Scale {
    /// A scale over `low..high`, widened where it would be empty or outside what the spread can show.
    pub(crate) fn new(spread: Spread, low: f64, high: f64) -> Self {
        let (least, most) = match spread {
            Spread::Linear => (f64::MIN, f64::MAX),
            Spread::Log => (1e-9, f64::MAX),
            Spread::Deviate => (1e-9, 1.0 - 1e-9),
        };
        let low = if low.is_finite() {
            low.clamp(least, most)
        } else {
            0.0_f64.clamp(least, most)
        };
        let high = if high.is_finite() {
            high.clamp(least, most)
        } else {
            low
        };
        if high > low {
            return Self { spread, low, high };
        }
        match spread {
            Spread::Linear => Self {
                spread,
                low,
                high: low + 1.0,
            },
            Spread::Log => Self {
                spread,
                low,
                high: low * 10.0,
            },
            Spread::Deviate => Self {
                spread,
                low: (low / 10.0).max(least),
                high: (low + 0.1).min(most),
            },
        }
    }

    /// The value's place: 0 at the low end, 1 at the high end; beyond the ends a little outside, never further.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let bend = |v: f64| match self.spread {
            Spread::Linear => v,
            Spread::Log => v.max(1e-300).ln(),
            Spread::Deviate => normal_quantile(v.clamp(1e-12, 1.0 - 1e-12)),
        };
        let (low, high) = (bend(self.low), bend(self.high));
        ((bend(value) - low) / (high - low)).clamp(-0.2, 1.2)
    }

    /// The low end.
    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    /// The high end.
    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// Marks for an axis of shares, labelled in per cent.
    pub(crate) fn share_ticks(&self) -> Vec<Tick> {
        let labelled = |values: &[f64]| -> Vec<Tick> {
            values
                .iter()
                .map(|v| Tick {
                    value: *v,
                    label: target(*v),
                })
                .collect()
        };
        let mut ticks = match self.spread {
            Spread::Linear => self
                .even()
                .into_iter()
                .map(|v| Tick {
                    value: v,
                    label: target(v),
                })
                .collect(),
            Spread::Log => self.decades(),
            Spread::Deviate => labelled(&[
                1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999,
            ]),
        };
        ticks.retain(|tick| self.holds(tick.value));
        ticks
    }

    /// Marks for an axis of plain numbers.
    pub(crate) fn number_ticks(&self) -> Vec<Tick> {
        let plain = |v: f64| {
            let text = ((v * 1e6).round() / 1e6).to_string();
            text.strip_prefix('-')
                .map_or(text.clone(), |positive| format!("−{positive}"))
        };
        self.even()
            .into_iter()
            .filter(|v| self.holds(*v))
            .map(|v| Tick {
                value: v,
                label: plain(v),
            })
            .collect()
    }

    fn holds(&self, value: f64) -> bool {
        let slack = 1e-9 * (self.high - self.low);
        value >= self.low - slack && value <= self.high + slack
    }

    /// Multiples of 1, 2 or 5 · 10ᵏ, a handful of them.
    fn even(&self) -> Vec<f64> {
        let span = self.high - self.low;
        let raw = span / 7.0;
        let unit = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .iter()
            .map(|m| m * unit)
            .find(|s| *s >= raw * 0.999)
            .unwrap_or(10.0 * unit);
        let first = (self.low / step - 1e-9).ceil();
        (0..20)
            .map(|i| (first + f64::from(i)) * step)
            .take_while(|v| *v <= self.high + 1e-9 * span)
            .collect()
    }

    /// Powers of ten with labels, their multiples without; the multiples 2 and 5 labelled on a short axis.
    fn decades(&self) -> Vec<Tick> {
        let (first, last) = (
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        );
        let short = (self.high / self.low).log10() <= 1.6;
        let mut ticks = Vec::new();
        for decade in first..=last {
            for multiple in 1..=9 {
                let value = 10f64.powi(decade) * f64::from(multiple);
                let labelled = multiple == 1 || (short && (multiple == 2 || multiple == 5));
                ticks.push(Tick {
                    value,
                    label: if labelled {
                        target(value)
                    } else {
                        String::new()
                    },
                });
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<String> {
        ticks
            .iter()
            .filter(|t| !t.label.is_empty())
            .map(|t| t.label.replace('\u{a0}', " "))
            .collect()
    }

    #[test]
    fn each_spread_puts_its_ends_at_0_and_1_and_its_middle_where_it_should_be() {
        for (spread, low, middle, high) in [
            (Spread::Linear, -1.0, 0.0, 1.0),
            (Spread::Log, 1e-4, 1e-2, 1.0),
            (Spread::Deviate, 0.01, 0.5, 0.99),
        ] {
            let scale = Scale::new(spread, low, high);
            for (value, place) in [(low, 0.0), (middle, 0.5), (high, 1.0)] {
                assert!(
                    (scale.place(value) - place).abs() < 1e-9,
                    "{spread:?} {value}"
                );
            }
        }
    }

    #[test]
    fn values_no_axis_can_show_stay_near_its_ends() {
        for spread in [Spread::Linear, Spread::Log, Spread::Deviate] {
            let scale = Scale::new(spread, 0.001, 0.5);
            for value in [0.0, -5.0, 1.0, 1e12] {
                let place = scale.place(value);
                assert!((-0.2..=1.2).contains(&place), "{spread:?} {value} {place}");
            }
        }
    }

    #[test]
    fn an_empty_range_is_widened() {
        for spread in [Spread::Linear, Spread::Log, Spread::Deviate] {
            let scale = Scale::new(spread, 0.3, 0.3);
            assert!(scale.high() > scale.low() && scale.place(0.3).is_finite());
        }
        let scale = Scale::new(Spread::Log, 0.0, f64::NAN);
        assert!(scale.place(1.0).is_finite());
    }

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(
            labels(&Scale::new(Spread::Linear, 0.0, 0.43).share_ticks()),
            ["0 %", "10 %", "20 %", "30 %", "40 %"]
        );
        assert_eq!(
            labels(&Scale::new(Spread::Log, 1e-4, 1.0).share_ticks()),
            ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]
        );
        assert_eq!(
            labels(&Scale::new(Spread::Deviate, 0.0005, 0.6).share_ticks())[..3],
            ["0.1 %", "1 %", "5 %"]
        );
        assert_eq!(
            labels(&Scale::new(Spread::Linear, -0.31, 0.5).number_ticks()),
            ["−0.2", "0", "0.2", "0.4"]
        );
        let ticks = Scale::new(Spread::Log, 0.02, 0.4).share_ticks();
        assert_eq!(labels(&ticks), ["2 %", "5 %", "10 %", "20 %"]);
    }
}
