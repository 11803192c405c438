//! One execution: a conversation over one stream.

mod input;
mod results;

use std::{sync::Arc, time::Duration};

use flexcore_domain::ErrorClass;
use flexcore_plugin_protocol::protobuf::v1::{
    self, execute_request::Message as Request, execute_response::Message as Response,
};
use flexcore_ports::{AttemptLog, LogSource, PluginCall, PluginOutput};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Fault,
    grpc::{Call, Connection, GrpcError},
};
use input::Input;
use results::Results;

const PATH: &str = "/flexcore.plugin.v1.Plugin/Execute";
/// What the plugin may send before we have read it.
const CREDIT: v1::Credit = v1::Credit { chunks: 64, bytes: 32 << 20 };

/// The limits of one execution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Until it must be done.
    pub(crate) timeout: Option<Duration>,
    /// Until it must have said something.
    pub(crate) idle: Option<Duration>,
    /// Until it must have ended after it was asked to.
    pub(crate) stop: Duration,
    /// The longest message.
    pub(crate) message: usize,
    /// All that it may hand over, in bytes.
    pub(crate) output: u64,
}

/// How an execution ended.
#[derive(Debug)]
pub(crate) struct ExecutionEnd {
    pub(crate) outcome: Result<PluginOutput, Fault>,
    /// Whether the plugin kept to the protocol to the end, so that it can be called again.
    pub(crate) is_over: bool,
}

/// Carries out one call on a connection.
pub(crate) async fn execute(
    connection: &Connection,
    (call, initial_credit): (&PluginCall, Option<v1::Credit>),
    bounds: Bounds,
    log: &Arc<dyn AttemptLog>,
    cancel: &CancellationToken,
) -> ExecutionEnd {
    let mut input = match Input::new(&call.input, initial_credit) {
        Ok(input) => input,
        Err(fault) => return ExecutionEnd { outcome: Err(fault), is_over: true },
    };
    let stream = match connection.call_under(PATH, bounds.message, call.trace).await {
        Ok(stream) => stream,
        Err(error) => return ExecutionEnd { outcome: Err(error.into()), is_over: false },
    };
    let mut conversation =
        Conversation { stream, results: Results::new(CREDIT, bounds.output), log };
    let begin = begin(call, &input, bounds.timeout);
    conversation.stream.sending.push(&request(Request::Begin(begin)));
    if let Err(fault) = input.send(&mut conversation.stream.sending) {
        return ExecutionEnd { outcome: Err(fault), is_over: false };
    }
    conversation.hold(&mut input, bounds, cancel).await
}

fn request(message: Request) -> v1::ExecuteRequest {
    v1::ExecuteRequest { message: Some(message) }
}

fn begin(call: &PluginCall, input: &Input<'_>, timeout: Option<Duration>) -> v1::BeginExecution {
    // `<execution>/<step>/<attempt>`, or the id of a call by hand.
    let mut parts = call.id.splitn(3, '/');
    let (execution, step) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    v1::BeginExecution {
        execution_id: execution.to_owned(),
        step_id: step.to_owned(),
        attempt: call.attempt,
        operation: call.operation.clone(),
        parameters_json: input.parameters_json(),
        bookmark_json: call.state.clone().unwrap_or_default(),
        encoding: v1::Encoding::Jsonl.into(),
        schemas: input.schemas(),
        credit: Some(CREDIT),
        timeout_ms: timeout
            .map_or(0, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1)),
        idempotency_key: call.idempotency_key.clone(),
    }
}

/// Why the plugin was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    Cancelled,
    TooLate(Duration),
}

impl Stopping {
    fn fault(self) -> Fault {
        match self {
            Self::Cancelled => Fault::Cancelled,
            Self::TooLate(after) => Fault::TooLate {
                what: format!("it was not done after {after:?}, and was asked to stop"),
            },
        }
    }
}

/// What comes next in a conversation.
enum Next {
    Message(Result<Option<v1::ExecuteResponse>, GrpcError>),
    Cancelled,
    TimeIsUp,
}

/// How far a conversation is after a message.
enum Progress {
    GoesOn,
    Ended(Result<PluginOutput, Fault>),
}

struct Conversation<'a> {
    stream: Call,
    results: Results,
    log: &'a Arc<dyn AttemptLog>,
}

impl Conversation<'_> {
    /// Speaks with the plugin until one side ends it.
    async fn hold(
        mut self,
        input: &mut Input<'_>,
        bounds: Bounds,
        cancel: &CancellationToken,
    ) -> ExecutionEnd {
        let began = Instant::now();
        let deadline = bounds.timeout.map(|timeout| began + timeout);
        let mut stopping = None;
        let mut alarm = Alarm::new(earlier(deadline, bounds.idle.map(|idle| began + idle)));
        let mut outcome = None;
        loop {
            match self.next(&mut alarm, cancel, stopping.is_none()).await {
                Next::Message(Ok(Some(message))) => {
                    if outcome.is_some() {
                        return self.broken("sent something after the end of its answer");
                    }
                    match self.take(message, input) {
                        Ok(Progress::GoesOn) => {}
                        Ok(Progress::Ended(end)) => {
                            outcome = Some(end);
                            self.stream.sending.end();
                        }
                        Err(fault) => return self.break_off(fault),
                    }
                    if stopping.is_none()
                        && let Some(idle) = bounds.idle
                    {
                        alarm.set(earlier(deadline, Some(Instant::now() + idle)));
                    }
                }
                Next::Message(Ok(None)) => return over(outcome, stopping),
                Next::Message(Err(error)) => return failed(error, stopping),
                Next::Cancelled => {
                    self.ask_to_stop(&mut stopping, Stopping::Cancelled);
                    alarm.set(Some(Instant::now() + bounds.stop));
                }
                Next::TimeIsUp => {
                    if let Some(stopping) = stopping {
                        return self.break_off(stopping.fault());
                    }
                    let is_late = deadline.is_some_and(|deadline| deadline <= Instant::now());
                    if !is_late {
                        let idle = bounds.idle.unwrap_or_default();
                        let what = format!(
                            "it said nothing for {idle:?}, and was ended; `idle` in its limits says how long it may be silent"
                        );
                        return self.break_off(Fault::TooLate { what });
                    }
                    let after = bounds.timeout.unwrap_or_default();
                    self.ask_to_stop(&mut stopping, Stopping::TooLate(after));
                    alarm.set(Some(Instant::now() + bounds.stop));
                }
            }
        }
    }

    async fn next(
        &mut self,
        alarm: &mut Alarm,
        cancel: &CancellationToken,
        may_be_cancelled: bool,
    ) -> Next {
        let receiving = &mut self.stream.receiving;
        tokio::select! {
            biased;
            message = receiving.next() => Next::Message(message),
            () = cancel.cancelled(), if may_be_cancelled => Next::Cancelled,
            () = alarm.rings() => Next::TimeIsUp,
        }
    }

    /// Acts on one message of the plugin.
    fn take(
        &mut self,
        message: v1::ExecuteResponse,
        input: &mut Input<'_>,
    ) -> Result<Progress, Fault> {
        match message.message {
            Some(Response::Data(chunk)) => {
                if let Some(credit) = self.results.take(chunk)? {
                    self.stream.sending.push(&request(Request::Credit(credit)));
                }
            }
            Some(Response::Credit(credit)) => {
                input.allow(credit)?;
                input.send(&mut self.stream.sending)?;
            }
            Some(Response::Bookmark(bookmark)) => self.results.remember(bookmark)?,
            Some(Response::Log(line)) => self.log.line(LogSource::Stderr, &logged(&line)),
            Some(Response::Completed(completed)) => {
                return self.results.complete(&completed).map(|output| Progress::Ended(Ok(output)));
            }
            Some(Response::Failed(failed)) => return Ok(Progress::Ended(Err(fault_of(failed)))),
            None => return Err(Fault::protocol("sent a message of no known kind")),
        }
        Ok(Progress::GoesOn)
    }

    fn ask_to_stop(&mut self, stopping: &mut Option<Stopping>, why: Stopping) {
        let reason = match why {
            Stopping::Cancelled => "cancelled",
            Stopping::TooLate(_) => "out of time",
        };
        let cancel = request(Request::Cancel(v1::Cancel { reason: reason.to_owned() }));
        self.stream.sending.push(&cancel);
        *stopping = Some(why);
    }

    fn broken(self, what: &str) -> ExecutionEnd {
        self.break_off(Fault::protocol(what))
    }

    /// The call ends with its stream, which goes with this.
    fn break_off(self, fault: Fault) -> ExecutionEnd {
        drop(self);
        ExecutionEnd { outcome: Err(fault), is_over: false }
    }
}

/// The call ended with an error of gRPC. One that was asked to stop may end so.
fn failed(error: GrpcError, stopping: Option<Stopping>) -> ExecutionEnd {
    let is_over = matches!(&error, GrpcError::Status(_));
    let fault = match stopping {
        Some(stopping) => stopping.fault(),
        None => error.into(),
    };
    ExecutionEnd { outcome: Err(fault), is_over }
}

/// The plugin ended the stream with success.
fn over(outcome: Option<Result<PluginOutput, Fault>>, stopping: Option<Stopping>) -> ExecutionEnd {
    let outcome = match (outcome, stopping) {
        // It was done before it heard that it was to stop.
        (Some(Ok(output)), _) => Ok(output),
        (_, Some(stopping)) => Err(stopping.fault()),
        (Some(Err(fault)), None) => Err(fault),
        (None, None) => {
            let what = "ended its answer without saying that it was done; that is half an answer";
            return ExecutionEnd { outcome: Err(Fault::protocol(what)), is_over: false };
        }
    };
    ExecutionEnd { outcome, is_over: true }
}

fn fault_of(failed: v1::ExecutionFailed) -> Fault {
    let class = match failed.class() {
        v1::FailureClass::Configuration => ErrorClass::Refused,
        v1::FailureClass::Network => ErrorClass::Network,
        _ => ErrorClass::ExitCode,
    };
    let message = if failed.message.is_empty() {
        "it failed and did not say why".to_owned()
    } else {
        failed.message
    };
    Fault::Failed { class, message }
}

fn logged(line: &v1::LogLine) -> String {
    let level = match line.level() {
        v1::LogLevel::Debug => "debug",
        v1::LogLevel::Unspecified | v1::LogLevel::Info => "info",
        v1::LogLevel::Warn => "warn",
        v1::LogLevel::Error => "error",
    };
    let facts = if line.fields_json.is_empty() { "" } else { " " };
    format!("{level}: {}{facts}{}", line.message, line.fields_json)
}

fn earlier(one: Option<Instant>, two: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(two).min()
}

/// Rings at a time, if there is one.
struct Alarm(Option<std::pin::Pin<Box<Sleep>>>);

impl Alarm {
    fn new(at: Option<Instant>) -> Self {
        Self(at.map(|at| Box::pin(tokio::time::sleep_until(at))))
    }

    fn set(&mut self, at: Option<Instant>) {
        match (&mut self.0, at) {
            (Some(sleep), Some(at)) => sleep.as_mut().reset(at),
            (slot, at) => *slot = Self::new(at).0,
        }
    }

    async fn rings(&mut self) {
        match &mut self.0 {
            Some(sleep) => sleep.await,
            None => std::future::pending().await,
        }
    }
}
