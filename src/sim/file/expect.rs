//! `[expect]`: bounds on the figures of a run.
//!
//! ```toml
//! converged_within = "10s"
//! false_failures_at_healthy = 0        # at most
//! detected_full_p99 = "< 20s"
//! members_alive_min = ">= 17"
//! batches_max = [">= 1", "<= 4"]
//! ```

use super::error::{Fault, one_of};
use super::reader::{Reader, as_number, value_fault};
use super::tree::{Item, Value};
use crate::model::parse_duration;
use crate::sim::Expectation;
use crate::sim::scenario::{FIGURES, FigureKind, Relation, Unit};

const BOUND_WANT: &str = r#"a number, or a text such as "< 4.0", "<= 10s" (for times), ">= 17" or "= 1""#;

/// Reads one table of expectations, all of it.
pub(super) fn expectations(mut reader: Reader<'_>) -> Result<Vec<Expectation>, Fault> {
    let mut expectations = Vec::new();
    if let Some(within) = reader.duration("converged_within")? {
        expectations.push(Expectation::ConvergedWithin(within));
    }
    for (key, item) in reader.free().filter(|(key, _)| *key != "converged_within") {
        let path = reader.path_of(key);
        let Some(figure) = FigureKind::named(key) else {
            let known = ["converged_within"].into_iter().chain(FIGURES.iter().map(|figure| figure.name));
            let want = format!("a figure: {}", one_of(key, known));
            return Err(value_fault(&path, item.line, &item.value, want));
        };
        let list = match &item.value {
            Value::List(list) => list.as_slice(),
            _ => std::slice::from_ref(item),
        };
        for item in list {
            let (relation, value) =
                bound(item, figure).ok_or_else(|| value_fault(&path, item.line, &item.value, BOUND_WANT))?;
            expectations.push(Expectation::Figure { name: figure.name, relation, value });
        }
    }
    Ok(expectations)
}

fn bound(item: &Item, figure: &FigureKind) -> Option<(Relation, f64)> {
    if let Some(number) = as_number(&item.value) {
        return Some((Relation::AtMost, number));
    }
    let text = item.as_text()?.trim();
    let relations = [
        ("<=", Relation::AtMost),
        (">=", Relation::AtLeast),
        ("<", Relation::Below),
        (">", Relation::Above),
        ("=", Relation::Exactly),
    ];
    let (relation, rest) = relations
        .into_iter()
        .find_map(|(sign, relation)| Some((relation, text.strip_prefix(sign)?)))
        .unwrap_or((Relation::AtMost, text));
    let rest = rest.trim();
    let number = rest.parse::<f64>().ok().filter(|number| number.is_finite());
    let time = || parse_duration(rest).filter(|_| figure.unit == Unit::Seconds);
    let value = number.or_else(|| time().map(|time| time.as_secs_f64()))?;
    Some((relation, value))
}
