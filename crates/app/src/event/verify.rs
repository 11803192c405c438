//! VerifyLog.

use async_trait::async_trait;
use flexcore_api::{LogFault, VerifyLog, VerifyReply};
use flexcore_ports::{VerifyFault, VerifyReport};

use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<VerifyLog> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        _query: VerifyLog,
    ) -> Result<VerifyReply, UseCaseError> {
        Ok(verify_reply(self.ports.verifier.verify(&[]).await?))
    }
}

/// What a proof of the log came to, as callers see it. A log that no longer opens is proven without
/// a store: by its verifier alone.
pub fn verify_reply(report: VerifyReport) -> VerifyReply {
    VerifyReply {
        intact: report.fault.is_none(),
        batches: report.batches,
        events: report.events,
        streams: report.streams,
        head: report.head.to_string(),
        fault: report.fault.map(fault),
        checkpoints: None,
    }
}

fn fault(fault: VerifyFault) -> LogFault {
    LogFault {
        batch: fault.batch,
        page: fault.page,
        last_good_position: fault.last_good_position,
        reason: fault.reason,
    }
}
