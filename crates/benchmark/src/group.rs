//! The groups of measurements.

use std::path::Path;

use anyhow::bail;

use crate::{log_postgres, log_sqlite, measure::Measure, plugins, pump, run, server, views};

/// A group of measurements that share their preparation.
#[derive(Debug)]
pub(crate) struct Group {
    /// What `ONLY=` and the results call it.
    pub(crate) name: &'static str,
    /// Takes the measurements, with an empty folder to work in.
    pub(crate) run: fn(&Path) -> anyhow::Result<Vec<Measure>>,
}

/// All groups, in the order in which they run.
pub(crate) const GROUPS: &[Group] = &[
    Group { name: "log-sqlite", run: log_sqlite::run },
    Group { name: "log-postgres", run: log_postgres::run },
    Group { name: "views", run: views::run },
    Group { name: "pump", run: pump::run },
    Group { name: "run", run: run::run },
    Group { name: "plugins", run: plugins::run },
    Group { name: "server", run: server::run },
];

/// The groups with these names; all of them if there are none.
pub(crate) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Group>> {
    if let Some(unknown) = names.iter().find(|name| GROUPS.iter().all(|g| g.name != **name)) {
        let known: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        bail!("there is no group `{unknown}`; there are: {}", known.join(", "));
    }
    Ok(GROUPS
        .iter()
        .filter(|group| names.is_empty() || names.iter().any(|name| name == group.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), GROUPS.len());
        assert_eq!(chosen(&["log-sqlite".to_owned()]).unwrap()[0].name, "log-sqlite");
        let error = chosen(&["nothing".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`nothing`") && error.contains("log-sqlite"), "{error}");
    }
}
