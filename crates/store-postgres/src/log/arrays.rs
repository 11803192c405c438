//! Arrays in the protocol's binary form, built without a value per element.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// An array parameter. Elements are its values as the server receives them, each behind its length.
#[derive(Debug, Default)]
pub(crate) struct ArrayBytes {
    elements: Vec<u8>,
    count: i32,
    has_value: bool,
    has_null: bool,
}

impl ArrayBytes {
    fn push(&mut self, bytes: &[u8]) {
        self.elements.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.elements.extend_from_slice(bytes);
        self.count += 1;
        self.has_value = true;
    }

    fn push_null(&mut self) {
        self.elements.put_i32(-1);
        self.count += 1;
        self.has_null = true;
    }

    pub(crate) fn push_i32(&mut self, value: i32) {
        self.push(&value.to_be_bytes());
    }

    pub(crate) fn push_i64(&mut self, value: i64) {
        self.push(&value.to_be_bytes());
    }

    /// A number of ours, none of which exceeds the database's.
    pub(crate) fn push_u64(&mut self, value: u64) {
        self.push_i64(i64::try_from(value).unwrap_or(i64::MAX));
    }

    pub(crate) fn push_bytes(&mut self, value: &[u8]) {
        self.push(value);
    }

    pub(crate) fn push_optional_bytes(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    pub(crate) fn push_uuid(&mut self, value: Option<Uuid>) {
        match value {
            Some(value) => self.push(value.as_bytes()),
            None => self.push_null(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }
}

impl ToSql for ArrayBytes {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let tokio_postgres::types::Kind::Array(element) = ty.kind() else {
            return Err(format!("{ty} is no array").into());
        };
        // Where all are null an empty array does: `unnest` fills it up with nulls.
        if !self.has_value {
            out.put_i32(0);
            out.put_i32(0);
            out.put_u32(element.oid());
            return Ok(IsNull::No);
        }
        out.put_i32(1);
        out.put_i32(i32::from(self.has_null));
        out.put_u32(element.oid());
        out.put_i32(self.count);
        out.put_i32(1);
        out.put_slice(&self.elements);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), tokio_postgres::types::Kind::Array(_))
    }

    to_sql_checked!();
}
