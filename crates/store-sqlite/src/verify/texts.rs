//! The texts that events refer to, loaded as a whole: there are few.

use std::{collections::HashMap, sync::Arc};

use rusqlite::{Connection, Result};

use crate::log::ContextTexts;

/// Event types and contexts, by id.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) types: HashMap<i64, Arc<str>>,
    pub(crate) contexts: HashMap<i64, ContextTexts>,
}

impl Texts {
    /// Loads what can be read. What cannot is missed by the first event that refers to it.
    pub(crate) fn load(connection: &Connection) -> Result<Self> {
        let mut types = HashMap::new();
        let mut statement = connection.prepare("SELECT id, name FROM event_type")?;
        let mut rows = statement.query([])?;
        while let Ok(Some(row)) = rows.next() {
            if let (Ok(id), Ok(name)) = (row.get(0), row.get(1)) {
                types.insert(id, name);
            }
        }
        let mut contexts = HashMap::new();
        let mut statement =
            connection.prepare("SELECT id, tenant, actor, content_type FROM context")?;
        let mut rows = statement.query([])?;
        while let Ok(Some(row)) = rows.next() {
            if let (Ok(id), Ok(tenant), Ok(actor), Ok(content_type)) =
                (row.get(0), row.get(1), row.get(2), row.get(3))
            {
                contexts.insert(id, ContextTexts { tenant, actor, content_type });
            }
        }
        Ok(Self { types, contexts })
    }
}
