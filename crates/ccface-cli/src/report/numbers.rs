//! Numbers as people read them.

/// A rate in per cent for a sentence: one decimal from 1 % up, two below.
pub(crate) fn percent(rate: f64) -> String {
    let value = 100.0 * rate;
    if value == 0.0 {
        "0 %".into()
    } else if value.abs() < 0.005 {
        "under 0.01 %".into()
    } else if value.abs() < 0.995 {
        format!("{value:.2} %")
    } else {
        format!("{value:.1} %")
    }
    .replace(' ', "\u{a0}")
}

/// A rate in per cent for a column of numbers, without the sign.
pub(crate) fn cell(rate: f64) -> String {
    format!("{:.2}", 100.0 * rate)
}

/// A wanted rate such as 0.01 or 0.001 in per cent: no superfluous decimals.
pub(crate) fn target(rate: f64) -> String {
    let rounded = (100.0 * rate * 1e6).round() / 1e6;
    format!("{rounded}\u{a0}%")
}

/// A cosine.
pub(crate) fn cosine(value: f64) -> String {
    let text = format!("{value:.3}");
    match text.strip_prefix('-') {
        Some("0.000") => "0.000".into(),
        Some(positive) => format!("−{positive}"),
        None => text,
    }
}

/// A count with thousands set apart.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 probe", "2 probes".
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", count(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_keep_the_decimals_that_matter() {
        let shown: Vec<String> = [0.0, 0.00001, 0.0036, 0.044, 0.4068, 1.0]
            .iter()
            .map(|r| percent(*r))
            .collect();
        let plain: Vec<String> = shown.iter().map(|s| s.replace('\u{a0}', " ")).collect();
        assert_eq!(
            plain,
            [
                "0 %",
                "under 0.01 %",
                "0.36 %",
                "4.4 %",
                "40.7 %",
                "100.0 %"
            ]
        );
        assert_eq!(
            [target(0.01), target(0.001), target(0.05)],
            ["1\u{a0}%", "0.1\u{a0}%", "5\u{a0}%"]
        );
    }

    #[test]
    fn counts_are_grouped_and_cosines_signed() {
        assert_eq!(
            [count(0), count(999), count(1800), count(1_234_567)],
            ["0", "999", "1,800", "1,234,567"]
        );
        assert_eq!(
            [cosine(-0.0001), cosine(-0.25), cosine(0.5)],
            ["0.000", "−0.250", "0.500"]
        );
        assert_eq!(counted(1, "probe", "probes"), "1\u{a0}probe");
    }
}
