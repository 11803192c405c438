//! One measurement and what it has to reach.

/// What a measurement is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reach {
    /// Value and limit, of which more is better, have at least this ratio.
    RatioAtLeast(f64),
    /// Value and limit, of which less is better, have at most this ratio.
    RatioAtMost(f64),
    /// The value is at least this.
    AtLeast(f64),
    /// The value is below this.
    Below(f64),
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measure {
    /// What is measured, and beside what.
    pub(crate) name: String,
    /// The measured value, in [`Measure::unit`].
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The limit's value in the same unit; `None` where a fixed number is the limit.
    pub(crate) against: Option<f64>,
    /// What has to be reached.
    pub(crate) reach: Reach,
}

impl Measure {
    /// Value over limit.
    pub(crate) fn ratio(&self) -> Option<f64> {
        self.against.map(|against| self.value / against)
    }

    /// The number in [`Measure::reach`].
    pub(crate) fn bound(&self) -> f64 {
        match self.reach {
            Reach::RatioAtLeast(bound)
            | Reach::RatioAtMost(bound)
            | Reach::AtLeast(bound)
            | Reach::Below(bound) => bound,
        }
    }

    /// Whether it is reached. A ratio that there is none of is not.
    pub(crate) fn is_met(&self) -> bool {
        match self.reach {
            Reach::RatioAtLeast(bound) => self.ratio().is_some_and(|ratio| ratio >= bound),
            Reach::RatioAtMost(bound) => self.ratio().is_some_and(|ratio| ratio <= bound),
            Reach::AtLeast(bound) => self.value >= bound,
            Reach::Below(bound) => self.value < bound,
        }
    }
}

/// The measurements of a part of a group. A part that fails is one measurement that is not met, so
/// that the others are not lost with it.
pub(crate) fn of_part(
    name: &str,
    part: impl FnOnce() -> anyhow::Result<Vec<Measure>>,
) -> Vec<Measure> {
    part().unwrap_or_else(|error| {
        vec![Measure {
            name: format!("{name}: FAILED: {error:#}"),
            value: f64::NAN,
            unit: "",
            against: None,
            reach: Reach::AtLeast(0.0),
        }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_is_met_on_the_right_side_of_its_bound() {
        let measure = |value, against, reach| {
            let name = "a measure".to_owned();
            Measure { name, value, unit: "events/s", against, reach }.is_met()
        };
        assert!(measure(7.0, Some(10.0), Reach::RatioAtLeast(0.7)));
        assert!(!measure(6.9, Some(10.0), Reach::RatioAtLeast(0.7)));
        assert!(!measure(7.0, None, Reach::RatioAtLeast(0.7)));
        assert!(measure(10.3, Some(10.0), Reach::RatioAtMost(1.03)));
        assert!(measure(5.0, None, Reach::AtLeast(5.0)));
        assert!(!measure(60.0, None, Reach::Below(60.0)));
        assert!(!measure(f64::NAN, None, Reach::Below(60.0)));
    }

    #[test]
    fn a_part_that_fails_is_not_met() {
        let failed = of_part("calls", || anyhow::bail!("no server"));
        assert!(failed[0].name.contains("no server") && !failed[0].is_met());
        assert!(of_part("calls", || Ok(vec![])).is_empty());
    }
}
