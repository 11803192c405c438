//! The ids of repeated texts, for the writer.

use std::{collections::HashMap, sync::Arc};

use flexcore_eventsourcing::EventContext;
use rusqlite::Result;

use super::{row::ContextTexts, statements::Statements};

/// How many texts of each kind the writer keeps in memory.
const CAPACITY: usize = 10_000;

/// The writer's cache of the ids of event types and contexts.
///
/// Ids that a transaction made are forgotten if it is rolled back.
#[derive(Debug, Default)]
pub(crate) struct Interned {
    types: HashMap<Arc<str>, i64>,
    contexts: HashMap<ContextTexts, i64>,
    /// The last ones: one command's events mostly share theirs.
    last_type: Option<(Arc<str>, i64)>,
    last_context: Option<(ContextTexts, i64)>,
    new_ids: bool,
}

impl Interned {
    pub(crate) fn type_id(&mut self, rows: &mut Statements<'_>, name: &Arc<str>) -> Result<i64> {
        if let Some((last, id)) = &self.last_type
            && last == name
        {
            return Ok(*id);
        }
        let id = match self.types.get(name) {
            Some(id) => *id,
            None => self.load_type(rows, name)?,
        };
        self.last_type = Some((Arc::clone(name), id));
        Ok(id)
    }

    fn load_type(&mut self, rows: &mut Statements<'_>, name: &Arc<str>) -> Result<i64> {
        let id = rows.type_id(name)?;
        self.new_ids = true;
        bound(&mut self.types);
        self.types.insert(Arc::clone(name), id);
        Ok(id)
    }

    pub(crate) fn context_id(
        &mut self,
        rows: &mut Statements<'_>,
        context: &EventContext,
    ) -> Result<i64> {
        if let Some((texts, id)) = &self.last_context
            && same(texts, context)
        {
            return Ok(*id);
        }
        let texts = ContextTexts {
            tenant: Arc::clone(&context.tenant),
            actor: Arc::clone(&context.actor),
            content_type: Arc::clone(&context.content_type),
        };
        let id = match self.contexts.get(&texts) {
            Some(id) => *id,
            None => self.load_context(rows, &texts)?,
        };
        self.last_context = Some((texts, id));
        Ok(id)
    }

    fn load_context(&mut self, rows: &mut Statements<'_>, texts: &ContextTexts) -> Result<i64> {
        let id = rows.context_id(texts)?;
        self.new_ids = true;
        bound(&mut self.contexts);
        self.contexts.insert(texts.clone(), id);
        Ok(id)
    }

    /// The transaction was committed.
    pub(crate) fn keep(&mut self) {
        self.new_ids = false;
    }

    /// The transaction was rolled back, and the ids that it made with it.
    pub(crate) fn roll_back(&mut self) {
        if self.new_ids {
            *self = Self::default();
        }
    }
}

fn same(texts: &ContextTexts, context: &EventContext) -> bool {
    texts.tenant == context.tenant
        && texts.actor == context.actor
        && texts.content_type == context.content_type
}

fn bound<K, V>(known: &mut HashMap<K, V>) {
    if known.len() >= CAPACITY {
        known.clear();
    }
}
