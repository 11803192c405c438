//! What was found.

use flexcore_ports::VerifyFault;

use super::pages::PageFault;

/// The first thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    batch: Option<u64>,
    page: Option<u64>,
    last_good_position: u64,
    reason: String,
}

impl Fault {
    /// In a batch, with the last position of the batch before it.
    pub(crate) fn in_batch(batch: u64, last_good_position: u64, reason: impl Into<String>) -> Self {
        Self { batch: Some(batch), page: None, last_good_position, reason: reason.into() }
    }

    /// On a page of the file. Nothing is proven where the first one, with header and schema, is
    /// damaged.
    pub(crate) fn on_page(page: u64, last_good_position: u64, reason: impl Into<String>) -> Self {
        let last_good_position = if page == 1 { 0 } else { last_good_position };
        Self { batch: None, page: Some(page), last_good_position, reason: reason.into() }
    }

    /// The same fault, and what the page check says.
    pub(crate) fn also_on_page(self, found: &PageFault) -> Self {
        let last_good_position = if found.page == 1 { 0 } else { self.last_good_position };
        let reason = format!("{}; {}", self.reason, found.reason);
        Self { batch: self.batch, page: Some(found.page), last_good_position, reason }
    }
}

impl From<Fault> for VerifyFault {
    fn from(fault: Fault) -> Self {
        let Fault { batch, page, last_good_position, reason } = fault;
        Self { batch, page, last_good_position, reason }
    }
}
