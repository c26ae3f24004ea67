//! The numbers of many steps in a bounded number of rows.

use serde_json::{Map, Value, json};

/// Rows after which two neighbours become one.
const ROWS: usize = 2000;

/// Numbers by step; long series hold means over equal numbers of steps.
#[derive(Debug, Default)]
pub(super) struct Series {
    names: Vec<String>,
    rows: Vec<Row>,
    /// Steps that a row takes up.
    stride: u32,
    /// Ends of the distribution's range.
    range: Option<(f64, f64)>,
    /// Changes where rows that were given out are no longer what they were.
    generation: u64,
    /// Changes with every step.
    version: u64,
}

#[derive(Clone, Debug, Default)]
struct Row {
    last: u64,
    steps: u32,
    /// Sum and count of each number.
    sums: Vec<(f64, u32)>,
    bins: Vec<u64>,
}

impl Row {
    fn absorb(&mut self, other: &Self) {
        self.last = other.last;
        self.steps += other.steps;
        if self.sums.len() < other.sums.len() {
            self.sums.resize(other.sums.len(), (0.0, 0));
        }
        for (mine, more) in self.sums.iter_mut().zip(&other.sums) {
            *mine = (mine.0 + more.0, mine.1 + more.1);
        }
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        for (mine, more) in self.bins.iter_mut().zip(&other.bins) {
            *mine += more;
        }
    }

    fn json(&self) -> Value {
        let means = self.sums.iter().map(|(sum, count)| match count {
            0 => Value::Null,
            _ => json!(sum / f64::from(*count)),
        });
        std::iter::once(json!(self.last)).chain(means).collect()
    }
}

impl Series {
    /// Adds a step: every number of the line, and its distribution of margins. A step that was there already replaces
    /// it and what came after: the run was taken up again.
    pub(super) fn push(&mut self, step: u64, line: &Map<String, Value>) {
        self.version += 1;
        if self.rows.last().is_some_and(|row| row.last >= step) {
            self.rows.retain(|row| row.last < step);
            self.generation += 1;
        }
        let row = self.row(step, line);
        match self.rows.last_mut().filter(|last| last.steps < self.stride) {
            Some(last) => last.absorb(&row),
            None => self.rows.push(row),
        }
        if self.rows.len() > ROWS {
            self.halve();
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self {
            generation: self.generation + 1,
            version: self.version + 1,
            ..Self::default()
        };
    }

    /// What has to be sent to somebody who has seen `seen`; nothing where that is all.
    pub(super) fn news(&self, seen: &mut Seen) -> Option<Value> {
        let from = seen.advance(self.generation, self.version, self.rows.len())?;
        let rows: Vec<Value> = self.rows[from..].iter().map(Row::json).collect();
        let mut news = json!({"from": from, "names": self.names, "rows": rows});
        if let Some((low, high)) = self.range {
            let bins: Vec<&[u64]> = self.rows[from..]
                .iter()
                .map(|r| r.bins.as_slice())
                .collect();
            news["bins"] = json!({"low": low, "high": high, "rows": bins});
        }
        Some(news)
    }

    fn row(&mut self, step: u64, line: &Map<String, Value>) -> Row {
        let mut row = Row {
            last: step,
            steps: 1,
            ..Row::default()
        };
        for (name, value) in line {
            if ["kind", "step"].contains(&name.as_str()) {
                continue;
            }
            if let Some(number) = value.as_f64() {
                let place = self.place(name);
                if row.sums.len() <= place {
                    row.sums.resize(place + 1, (0.0, 0));
                }
                row.sums[place] = (number, 1);
            } else if name == "margins" {
                let end = |which: &str| value.get(which).and_then(Value::as_f64);
                let counts = value.get("counts").and_then(Value::as_array);
                if let (Some(low), Some(high), Some(counts)) = (end("low"), end("high"), counts) {
                    self.range = Some((low, high));
                    let counts = counts.iter().take(256);
                    row.bins = counts.map(|n| n.as_u64().unwrap_or(0)).collect();
                }
            }
        }
        row
    }

    /// The column of a name; a stream has few, and no more than 256 are kept.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return place;
        }
        if self.names.len() < 256 {
            self.names.push(name.into());
        }
        self.names.len() - 1
    }

    fn halve(&mut self) {
        self.stride = self.stride.max(1) * 2;
        self.generation += 1;
        self.rows = self
            .rows
            .chunks(2)
            .map(|pair| {
                let mut row = pair[0].clone();
                if let Some(second) = pair.get(1) {
                    row.absorb(second);
                }
                row
            })
            .collect();
    }
}

/// What somebody has seen of a series or a list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    generation: u64,
    version: u64,
    rows: usize,
}

impl Seen {
    /// The first row that has to be sent (the last one sent may have grown), or nothing where all has been seen.
    pub(super) fn advance(&mut self, generation: u64, version: u64, rows: usize) -> Option<usize> {
        if (self.generation, self.version) == (generation, version) {
            return None;
        }
        let from = if self.generation == generation {
            self.rows.saturating_sub(1).min(rows)
        } else {
            0
        };
        *self = Self {
            generation,
            version,
            rows,
        };
        Some(from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(loss: f64) -> Map<String, Value> {
        let line = json!({"kind": "step", "step": 0, "loss": loss, "nothing": null,
            "margins": {"low": 0.0, "high": 0.5, "counts": [1, 2]}});
        line.as_object().unwrap().clone()
    }

    #[test]
    fn only_what_is_new_is_sent_and_the_last_row_again() {
        let mut series = Series::default();
        let mut seen = Seen::default();
        assert_eq!(series.news(&mut seen), None);
        series.push(1, &line(4.0));
        series.push(2, &line(3.0));
        let news = series.news(&mut seen).unwrap();
        assert_eq!(
            news,
            json!({"from": 0, "names": ["loss"], "rows": [[1, 4.0], [2, 3.0]],
                "bins": {"low": 0.0, "high": 0.5, "rows": [[1, 2], [1, 2]]}})
        );
        assert_eq!(series.news(&mut seen), None);
        series.push(3, &line(2.0));
        let news = series.news(&mut seen).unwrap();
        assert_eq!(
            (&news["from"], &news["rows"]),
            (&json!(1), &json!([[2, 3.0], [3, 2.0]]))
        );
    }

    #[test]
    fn a_long_series_keeps_its_mean_and_its_counts_in_few_rows() {
        let mut series = Series::default();
        let steps = 10_001;
        for step in 1..=steps {
            series.push(step, &line(step as f64));
        }
        let news = series.news(&mut Seen::default()).unwrap();
        let rows = news["rows"].as_array().unwrap();
        assert!(rows.len() <= ROWS && rows.len() > ROWS / 3);
        assert_eq!(rows[0], json!([8, 4.5]));
        assert_eq!(rows.last().unwrap()[0], json!(steps));
        let counted: u64 = news["bins"]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[1].as_u64().unwrap())
            .sum();
        assert_eq!(counted, 2 * steps);
    }

    #[test]
    fn a_run_that_is_taken_up_again_replaces_what_came_after() {
        let mut series = Series::default();
        let mut seen = Seen::default();
        for step in 1..=5 {
            series.push(step, &line(9.0));
        }
        series.news(&mut seen);
        series.push(3, &line(1.0));
        let news = series.news(&mut seen).unwrap();
        assert_eq!(
            (&news["from"], &news["rows"]),
            (&json!(0), &json!([[1, 9.0], [2, 9.0], [3, 1.0]]))
        );
    }
}
