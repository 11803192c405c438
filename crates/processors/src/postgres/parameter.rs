//! Values of statements, as text: the server knows which type it is to be.

use std::{collections::BTreeMap, error::Error};

use bytes::BytesMut;
use flexcore_plugin_sdk::{Failure, Record};
use serde_json::value::RawValue;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A JSON value that stands for `$1`. Numbers keep the digits that they came with.
#[derive(Debug, Clone)]
pub(super) struct Parameter(Box<RawValue>);

impl Parameter {
    pub(super) fn new(json: Box<RawValue>) -> Self {
        Self(json)
    }

    /// The values of a record's fields, in the order of `names`; a field that is not there is null.
    pub(super) fn of_record(record: &Record, names: &[String]) -> Result<Vec<Self>, Failure> {
        let mut fields: BTreeMap<String, Box<RawValue>> = record.parse()?;
        Ok(names
            .iter()
            .map(|name| Self(fields.remove(name).unwrap_or_else(|| RawValue::NULL.to_owned())))
            .collect())
    }
}

impl ToSql for Parameter {
    fn to_sql(
        &self,
        column_type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let json = self.0.get();
        if json == "null" {
            return Ok(IsNull::Yes);
        }
        let is_json = matches!(*column_type, Type::JSON | Type::JSONB);
        if json.starts_with('"') && !is_json {
            out.extend_from_slice(serde_json::from_str::<String>(json)?.as_bytes());
        } else {
            out.extend_from_slice(json.as_bytes());
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
