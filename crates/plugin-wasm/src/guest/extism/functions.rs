//! The functions of `extism:host/env` that reach nothing outside: memory, input, output, settings,
//! variables and log.

use serde_json::Value;
use wasmtime::{Caller, Error, Linker, Result};

use super::{Call, bad_offset};
use crate::services::{Level, MAX_STATE_KEY, MAX_STATE_VALUE, SecretRefusal};

pub(super) const MODULE: &str = "extism:host/env";
/// A setting that is a secret's value is named so.
const SECRET: &str = "secret:";

type Guest<'a> = Caller<'a, Call>;

pub(super) fn add(linker: &mut Linker<Call>) -> Result<()> {
    add_memory(linker)?;
    add_input_and_output(linker)?;
    add_settings_and_variables(linker)?;
    add_log(linker)
}

fn add_memory(linker: &mut Linker<Call>) -> Result<()> {
    linker
        .func_wrap(MODULE, "alloc", |mut guest: Guest<'_>, length: u64| {
            guest.data_mut().alloc(length)
        })?
        .func_wrap(MODULE, "free", |mut guest: Guest<'_>, offset: u64| {
            let call = guest.data_mut();
            if let Some(length) = call.extism.memory.free(offset) {
                call.bound.give_back(length);
            }
        })?
        .func_wrap(MODULE, "length", |guest: Guest<'_>, offset: u64| length_at(&guest, offset))?
        .func_wrap(MODULE, "length_unsafe", |guest: Guest<'_>, offset: u64| {
            length_at(&guest, offset)
        })?
        .func_wrap(MODULE, "load_u8", |guest: Guest<'_>, offset: u64| {
            load::<1>(&guest, offset).map(|[byte]| u32::from(byte))
        })?
        .func_wrap(MODULE, "load_u64", |guest: Guest<'_>, offset: u64| {
            load(&guest, offset).map(u64::from_le_bytes)
        })?
        .func_wrap(MODULE, "store_u8", |mut guest: Guest<'_>, offset: u64, byte: u32| {
            store(&mut guest, offset, &byte.to_le_bytes()[..1])
        })?
        .func_wrap(MODULE, "store_u64", |mut guest: Guest<'_>, offset: u64, value: u64| {
            store(&mut guest, offset, &value.to_le_bytes())
        })?
        .func_wrap(MODULE, "memory_bytes", |guest: Guest<'_>| guest.data().extism.memory.bytes())?
        .func_wrap(MODULE, "reset", |mut guest: Guest<'_>| {
            let host = &mut guest.data_mut().extism;
            host.output = (0, 0);
            host.error = 0;
        })?;
    Ok(())
}

fn add_input_and_output(linker: &mut Linker<Call>) -> Result<()> {
    linker
        .func_wrap(MODULE, "input_offset", |guest: Guest<'_>| guest.data().extism.input.0)?
        .func_wrap(MODULE, "input_length", |guest: Guest<'_>| guest.data().extism.input.1)?
        .func_wrap(MODULE, "input_load_u8", |guest: Guest<'_>, at: u64| {
            load_input::<1>(&guest, at).map(|[byte]| u32::from(byte))
        })?
        .func_wrap(MODULE, "input_load_u64", |guest: Guest<'_>, at: u64| {
            load_input(&guest, at).map(u64::from_le_bytes)
        })?
        .func_wrap(MODULE, "input_set", |mut guest: Guest<'_>, offset: u64, length: u64| {
            guest.data_mut().extism.input = span(&guest, offset, length)?;
            Ok(())
        })?
        .func_wrap(MODULE, "output_set", |mut guest: Guest<'_>, offset: u64, length: u64| {
            guest.data_mut().extism.output = span(&guest, offset, length)?;
            Ok(())
        })?
        .func_wrap(MODULE, "output_offset", |guest: Guest<'_>| guest.data().extism.output.0)?
        .func_wrap(MODULE, "output_length", |guest: Guest<'_>| guest.data().extism.output.1)?
        .func_wrap(MODULE, "error_set", |mut guest: Guest<'_>, offset: u64| {
            if offset != 0 {
                guest.data().block(offset)?;
            }
            guest.data_mut().extism.error = offset;
            Ok(())
        })?
        .func_wrap(MODULE, "error_get", |guest: Guest<'_>| guest.data().extism.error)?;
    Ok(())
}

fn add_settings_and_variables(linker: &mut Linker<Call>) -> Result<()> {
    linker
        .func_wrap_async(MODULE, "config_get", |mut guest: Guest<'_>, (key,): (u64,)| {
            Box::new(async move {
                let name = guest.data().text(key)?;
                match setting(guest.data_mut(), &name).await? {
                    Some(text) => guest.data_mut().put(text.as_bytes()),
                    None => Ok(0),
                }
            })
        })?
        .func_wrap(MODULE, "var_get", |mut guest: Guest<'_>, key: u64| {
            let call = guest.data_mut();
            let name = call.text(key)?;
            match call.kept.get(&name).cloned() {
                Some(value) => call.put(&super::requests::bytes_of(&value)),
                None => Ok(0),
            }
        })?
        .func_wrap(MODULE, "var_set", |mut guest: Guest<'_>, key: u64, value: u64| {
            let call = guest.data_mut();
            let name = call.text(key)?;
            if value == 0 {
                call.kept.remove(&name);
                return Ok(());
            }
            let text = super::requests::text_of(call.block(value)?);
            let fits = name.len() <= MAX_STATE_KEY && text.len() <= MAX_STATE_VALUE;
            if fits && call.keep(name, text) {
                return Ok(());
            }
            Err(Error::msg("a variable is too large: a name has at most 256 bytes, a value 1 MiB"))
        })?;
    Ok(())
}

async fn setting(call: &mut Call, name: &str) -> Result<Option<String>> {
    if let Some(secret) = name.strip_prefix(SECRET) {
        return match call.services.secret(secret).await {
            Ok(value) => Ok(Some(value)),
            Err(SecretRefusal::Denied | SecretRefusal::Missing) => Ok(None),
            Err(SecretRefusal::Unavailable(why)) => Err(Error::msg(why)),
        };
    }
    Ok(call.extism.config.get(name).map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }))
}

fn add_log(linker: &mut Linker<Call>) -> Result<()> {
    for (name, level) in [
        ("log_trace", Level::Debug),
        ("log_debug", Level::Debug),
        ("log_info", Level::Info),
        ("log_warn", Level::Warn),
        ("log_error", Level::Error),
    ] {
        linker.func_wrap(MODULE, name, move |mut guest: Guest<'_>, offset: u64| -> Result<()> {
            let call = guest.data_mut();
            let line = String::from_utf8_lossy(call.block(offset)?).into_owned();
            call.log(level, &line);
            Ok(())
        })?;
    }
    // Everything is taken; what is too much is dropped and counted.
    linker.func_wrap(MODULE, "get_log_level", || 0_i32)?;
    Ok(())
}

fn length_at(guest: &Guest<'_>, offset: u64) -> u64 {
    guest.data().extism.memory.block(offset).map_or(0, |block| block.len() as u64)
}

fn load<const LENGTH: usize>(guest: &Guest<'_>, offset: u64) -> Result<[u8; LENGTH]> {
    let bytes = guest.data().extism.memory.read(offset, LENGTH as u64);
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| bad_offset(offset))
}

fn store(guest: &mut Guest<'_>, offset: u64, bytes: &[u8]) -> Result<()> {
    if guest.data_mut().extism.memory.write(offset, bytes) {
        Ok(())
    } else {
        Err(bad_offset(offset))
    }
}

fn load_input<const LENGTH: usize>(guest: &Guest<'_>, at: u64) -> Result<[u8; LENGTH]> {
    let (offset, length) = guest.data().extism.input;
    let inside = at.checked_add(LENGTH as u64).is_some_and(|end| end <= length);
    if inside { load(guest, offset + at) } else { Err(bad_offset(at)) }
}

/// Part of a block, or a trap.
fn span(guest: &Guest<'_>, offset: u64, length: u64) -> Result<(u64, u64)> {
    let is_there = guest.data().extism.memory.read(offset, length).is_some();
    if is_there { Ok((offset, length)) } else { Err(bad_offset(offset)) }
}
