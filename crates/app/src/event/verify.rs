//! VerifyLog.

use async_trait::async_trait;
use flexcore_api::{LogFault, VerifyLog, VerifyReply};
use flexcore_ports::VerifyFault;

use crate::{HandleQuery, RequestContext, Services, UseCaseError};

#[async_trait]
impl HandleQuery<VerifyLog> for Services {
    async fn answer(
        &self,
        _context: &RequestContext,
        _query: VerifyLog,
    ) -> Result<VerifyReply, UseCaseError> {
        let report = self.ports.verifier.verify().await?;
        Ok(VerifyReply {
            intact: report.fault.is_none(),
            batches: report.batches,
            events: report.events,
            streams: report.streams,
            head: report.head.to_string(),
            fault: report.fault.map(fault),
        })
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
