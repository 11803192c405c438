//! Standard error, without secrets.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::{Arc, PoisonError, RwLock},
};

use flexcore_ports::Mask;
use tracing_subscriber::fmt::MakeWriter;

/// Every mask that this process has come across.
#[derive(Debug, Default)]
pub(super) struct Masks(RwLock<Vec<Arc<dyn Mask>>>);

impl Masks {
    pub(super) fn add(&self, mask: Arc<dyn Mask>) {
        let mut masks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !masks.iter().any(|known| Arc::ptr_eq(known, &mask)) {
            masks.push(mask);
        }
    }
}

impl Mask for Masks {
    fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let masks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut shown = Cow::Borrowed(text);
        for mask in masks.iter() {
            if let Cow::Owned(masked) = mask.apply(&shown) {
                shown = Cow::Owned(masked);
            }
        }
        shown
    }

    fn finds(&self, text: &str) -> bool {
        let masks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        masks.iter().any(|mask| mask.finds(text))
    }
}

/// Writes lines to standard error, masked. Each write is a whole line.
#[derive(Debug, Clone)]
pub(super) struct MaskedStderr(pub(super) Arc<Masks>);

impl Write for MaskedStderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr().lock().write_all(self.0.apply(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl<'a> MakeWriter<'a> for MaskedStderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use flexcore_secrets::SecretMask;

    use super::*;

    #[test]
    fn every_mask_counts_and_a_line_without_secrets_stays_as_it_is() {
        let masks = Masks::default();
        assert_eq!(masks.apply("one hunter22"), "one hunter22");
        for secret in ["hunter22", "swordfish"] {
            let mask = SecretMask::default();
            mask.hide(secret);
            masks.add(Arc::new(mask));
        }
        assert_eq!(masks.apply("one hunter22, two swordfish"), "one ***, two ***");
        assert!(matches!(masks.apply("nothing"), Cow::Borrowed("nothing")));
    }
}
