//! Figures of one kind from one system.

/// Figures of one kind from one system.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// In order.
    pub(crate) values: Vec<f64>,
    /// Runs in which it did not come to pass while it was waited for.
    pub(crate) missed: usize,
}

impl Figures {
    pub(crate) fn add(&mut self, value: Option<f64>) {
        match value {
            Some(value) => self.values.insert(self.values.partition_point(|v| *v < value), value),
            None => self.missed += 1,
        }
    }

    /// How often it was looked for.
    pub(crate) fn runs(&self) -> usize {
        self.values.len() + self.missed
    }

    pub(crate) fn median(&self) -> Option<f64> {
        let middle = self.values.len() / 2;
        let upper = *self.values.get(middle)?;
        let even = self.values.len().is_multiple_of(2);
        Some(if even { f64::midpoint(self.values[middle - 1], upper) } else { upper })
    }

    /// The smallest value that at most one in a hundred is above.
    pub(crate) fn p99(&self) -> Option<f64> {
        let above = self.values.len() / 100;
        self.values.iter().rev().nth(above).copied()
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        let count = self.values.len() as f64;
        (count > 0.0).then(|| self.values.iter().sum::<f64>() / count)
    }
}
