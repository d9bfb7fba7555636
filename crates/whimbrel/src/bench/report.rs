//! Figures for people and for machines: a table, or one object.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// A list of figures in the order in which they are printed. Names end with their unit.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<(&'static str, Value)>);

impl Report {
    /// Adds a figure.
    pub(super) fn add(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds a measured number, rounded to what it is good for; `None`, or no number, is null.
    pub(super) fn measured(&mut self, name: &'static str, value: Option<f64>) -> &mut Self {
        let value = value.filter(|value| value.is_finite()).map(rounded);
        self.add(name, json!(value))
    }

    /// Prints it on standard output.
    pub(super) fn print(self, json: bool) {
        if json {
            let object: Map<String, Value> = self.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            println!("{}", Value::Object(object));
            return;
        }
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, value) in self.0 {
            let value = match value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text,
                value => value.to_string(),
            };
            println!("{name:width$}  {value}");
        }
    }
}

/// The time within which so many of a hundred came, in milliseconds; none of nothing.
pub(super) fn share(mut times: Vec<Duration>, percent: usize) -> Option<f64> {
    times.sort();
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map(|time| time.as_secs_f64() * 1000.0)
}

/// Four digits, or all that stand before the point.
fn rounded(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9);
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_numbers_keep_four_digits() {
        for (value, shown) in [(0.0, 0.0), (12345.678, 12346.0), (12.34567, 12.35), (0.001_234_56, 0.001235)] {
            assert_eq!(rounded(value), shown);
        }
    }
}
