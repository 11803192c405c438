//! The results as a table and as JSON.

use std::{fmt::Write as _, path::Path};

use anyhow::Context;
use serde_json::{Value, json};

use crate::measure::{Measure, Reach};

/// Prints the table.
#[expect(clippy::print_stdout, reason = "the table is what this program is run for")]
pub(crate) fn print(results: &[(&str, Measure)]) {
    print!("{}", table(results));
}

/// Writes the JSON.
pub(crate) fn write(results: &[(&str, Measure)], file: &Path) -> anyhow::Result<()> {
    let rows: Vec<Value> = results.iter().map(|(group, measure)| row(group, measure)).collect();
    let text = serde_json::to_string_pretty(&rows)?;
    std::fs::write(file, text + "\n").with_context(|| format!("{}", file.display()))
}

fn row(group: &str, measure: &Measure) -> Value {
    json!({
        "group": group,
        "name": measure.name,
        "value": measure.value,
        "unit": measure.unit,
        "against": measure.against,
        "ratio": measure.ratio(),
        "reach": measure.bound(),
        "met": measure.is_met(),
    })
}

fn table(results: &[(&str, Measure)]) -> String {
    let head = ["group", "measure", "value", "against", "ratio", "reach", ""];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(results.iter().map(|(group, measure)| cells(group, measure)));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Words to the left, numbers to the right.
            let _ = if column < 2 {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cells(group: &str, measure: &Measure) -> [String; 7] {
    let bound = measure.bound();
    let reach = match measure.reach {
        Reach::RatioAtLeast(_) => format!("ratio ≥ {bound}"),
        Reach::RatioAtMost(_) => format!("ratio ≤ {bound}"),
        Reach::AtLeast(_) => format!("≥ {bound}"),
        Reach::Below(_) => format!("< {bound}"),
    };
    [
        group.to_owned(),
        measure.name.clone(),
        format!("{} {}", number(measure.value), measure.unit),
        measure.against.map(number).unwrap_or_default(),
        measure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        reach,
        if measure.is_met() { "met" } else { "NOT MET" }.to_owned(),
    ]
}

/// A number with as many digits as say something.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures() -> Vec<(&'static str, Measure)> {
        let append = Measure {
            name: "durable append".to_owned(),
            value: 80_000.4,
            unit: "events/s",
            against: Some(100_000.0),
            reach: Reach::RatioAtLeast(0.7),
        };
        let start = Measure {
            name: "start".to_owned(),
            value: 61.5,
            unit: "ms",
            against: None,
            reach: Reach::Below(60.0),
        };
        vec![("log-sqlite", append), ("run", start)]
    }

    #[test]
    fn the_table_lines_up() {
        let expected = "\
group       measure                  value  against  ratio        reach
log-sqlite  durable append  80000 events/s   100000   0.80  ratio ≥ 0.7      met
run         start                 61.50 ms                         < 60  NOT MET
";
        assert_eq!(table(&measures()), expected);
    }

    #[test]
    fn a_json_row_has_the_eight_keys() {
        let (group, measure) = &measures()[1];
        let row = row(group, measure);
        let mut keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["against", "group", "met", "name", "ratio", "reach", "unit", "value"]);
        assert_eq!(row["ratio"], Value::Null);
        assert_eq!(row["met"], Value::Bool(false));
    }
}
