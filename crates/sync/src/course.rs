//! The course of a sync once both programs run: who ended when, and who must be ended.
//!
//! * The tap ends: the pump hands over what is left and closes the target's input, the target
//!   confirms and ends.
//! * The target ends before it was given everything: the tap is killed, whatever it says then.
//! * Cancel: SIGTERM to the tap, which may write a last STATE; when it has ended, or was killed after
//!   the grace period, the target reads the end of its input and has another grace period to confirm;
//!   then it is sent SIGTERM, and after a last grace period killed.
//! * A bookmark cannot be recorded: both are killed at once, for another owner may be at work.
//!
//! What went wrong is kept in the order in which it happened.

use std::time::Duration;

use flexcore_ports::attempt::{AttemptObserver, BookmarkRefused};
use flexcore_sandbox::{ExitStatus, Process};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    plugin::Role,
    pump::{
        PumpError,
        thread::{PumpEnd, PumpView},
    },
};

/// How often progress is reported while there is some.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Something that makes a sync fail.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A program ended by itself, and not well.
    Ended {
        /// Which.
        role: Role,
        /// How.
        status: ExitStatus,
    },
    /// The tap's output could not be handed over.
    Pump(PumpError),
    /// The target ended, or closed its input, without a word of failure but with input left.
    StoppedReading {
        /// Bytes in its input that it left; further ones may not have been written any more.
        unread: u64,
    },
    /// A bookmark or schema could not be recorded.
    Refused(BookmarkRefused),
    /// The thread of the pump panicked.
    PumpPanicked,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Ending {
    /// What went wrong, first things first.
    pub(crate) faults: Vec<Fault>,
    /// It was cancelled before both programs had ended well.
    pub(crate) cancelled: bool,
}

/// Whom we wait for after something was asked to end, and until when.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Running,
    /// The tap was sent SIGTERM.
    TapEnding(Instant),
    /// The target reads what is left and confirms it.
    TargetDraining(Instant),
    /// The target was sent SIGTERM.
    TargetEnding(Instant),
    /// Nothing is waited for but its death.
    TargetKilled,
}

/// A sync whose programs run.
pub(crate) struct Course<'a> {
    pub(crate) tap: &'a Process,
    pub(crate) target: &'a Process,
    pub(crate) view: &'a PumpView,
    pub(crate) observer: &'a dyn AttemptObserver,
    pub(crate) grace: Duration,
}

/// What has happened so far.
struct Events<'a> {
    course: Course<'a>,
    stage: Stage,
    tap: Option<ExitStatus>,
    tap_was_killed: bool,
    target: Option<ExitStatus>,
    target_was_asked: bool,
    was_refused: bool,
    pump: Option<PumpEnd>,
    /// A message without its end, and how many faults came before it.
    half_line: Option<(usize, PumpError)>,
    ending: Ending,
    reported: u64,
}

impl Course<'_> {
    /// Follows both programs to their end; none of their processes is alive then.
    pub(crate) async fn run(
        self,
        mut pump: oneshot::Receiver<PumpEnd>,
        refusals: &mut mpsc::Receiver<BookmarkRefused>,
        cancel: &CancellationToken,
    ) -> Ending {
        let (tap, target) = (self.tap, self.target);
        let mut events = Events::new(self);
        let mut ticks = interval(PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !events.is_over() {
            let deadline = events.stage.deadline();
            let overdue = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                status = tap.wait(), if events.tap.is_none() => events.tap_ended(status),
                status = target.wait(), if events.target.is_none() => {
                    events.target_ended(status);
                }
                end = &mut pump, if events.pump.is_none() => events.pump_ended(end.ok()),
                Some(refusal) = refusals.recv() => events.refused(refusal),
                () = cancel.cancelled(), if !events.ending.cancelled => events.cancelled(),
                () = overdue => events.overdue(),
                _ = ticks.tick() => events.report(),
            }
        }
        events.into_ending()
    }
}

impl Stage {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Running | Self::TargetKilled => None,
            Self::TapEnding(deadline)
            | Self::TargetDraining(deadline)
            | Self::TargetEnding(deadline) => Some(deadline),
        }
    }
}

impl<'a> Events<'a> {
    fn new(course: Course<'a>) -> Self {
        Self {
            course,
            stage: Stage::Running,
            tap: None,
            tap_was_killed: false,
            target: None,
            target_was_asked: false,
            was_refused: false,
            pump: None,
            half_line: None,
            ending: Ending { faults: Vec::new(), cancelled: false },
            reported: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.tap.is_some() && self.target.is_some() && self.pump.is_some()
    }

    fn fault(&mut self, fault: Fault) {
        self.ending.faults.push(fault);
    }

    fn in_grace(&self) -> Instant {
        Instant::now() + self.course.grace
    }

    fn tap_ended(&mut self, status: ExitStatus) {
        self.tap = Some(status);
        if !status.is_success() && !self.tap_was_killed {
            self.fault(Fault::Ended { role: Role::Tap, status });
        }
        if let Stage::TapEnding(_) = self.stage {
            self.stage = Stage::TargetDraining(self.in_grace());
        }
    }

    fn target_ended(&mut self, status: ExitStatus) {
        self.target = Some(status);
        let too_early = !self.course.view.has_ended_input();
        if !status.is_success() && !self.target_was_asked {
            self.fault(Fault::Ended { role: Role::Target, status });
        } else if too_early && !self.was_refused {
            self.fault(Fault::StoppedReading { unread: 0 });
        }
        if too_early {
            self.kill_tap();
        }
    }

    fn pump_ended(&mut self, end: Option<PumpEnd>) {
        let Some(mut end) = end else {
            self.fault(Fault::PumpPanicked);
            self.kill_tap();
            self.pump = Some(PumpEnd::panicked());
            return;
        };
        match std::mem::replace(&mut end.result, Ok(())) {
            Ok(()) => {}
            // Whose fault that is the target's end will tell.
            Err(PumpError::TargetClosed) => {
                self.kill_tap();
                if self.target.is_none() && matches!(self.stage, Stage::Running) {
                    self.stage = Stage::TargetDraining(self.in_grace());
                }
            }
            // Whether that is a fault the tap's end will tell.
            Err(error @ PumpError::HalfLine { .. }) => {
                self.half_line = Some((self.ending.faults.len(), error));
            }
            Err(error) => {
                self.fault(Fault::Pump(error));
                self.kill_tap();
            }
        }
        self.pump = Some(end);
    }

    fn refused(&mut self, refusal: BookmarkRefused) {
        self.fault(Fault::Refused(refusal));
        self.kill_tap();
        self.target_was_asked = true;
        self.was_refused = true;
        self.course.target.begin_kill();
    }

    fn cancelled(&mut self) {
        self.ending.cancelled = true;
        if self.tap.is_none() {
            self.course.tap.terminate();
            self.stage = Stage::TapEnding(self.in_grace());
        } else if matches!(self.stage, Stage::Running) {
            self.stage = Stage::TargetDraining(self.in_grace());
        }
    }

    fn overdue(&mut self) {
        match self.stage {
            Stage::Running | Stage::TargetKilled => {}
            Stage::TapEnding(_) => {
                self.kill_tap();
                self.stage = Stage::TargetDraining(self.in_grace());
            }
            Stage::TargetDraining(_) => {
                self.target_was_asked = true;
                self.course.target.terminate();
                self.stage = Stage::TargetEnding(self.in_grace());
            }
            Stage::TargetEnding(_) => {
                self.course.target.begin_kill();
                self.stage = Stage::TargetKilled;
            }
        }
    }

    fn kill_tap(&mut self) {
        if self.tap.is_none() && !self.tap_was_killed {
            self.tap_was_killed = true;
            self.course.tap.begin_kill();
        }
    }

    fn report(&mut self) {
        let counts = self.course.view.counts();
        if counts.records() != self.reported {
            let progress = counts.progress();
            drop(counts);
            self.reported = progress.records;
            self.course.observer.progress(&progress);
        }
    }

    fn into_ending(mut self) -> Ending {
        let tap_ended_well = self.tap.is_some_and(ExitStatus::is_success) && !self.tap_was_killed;
        if let Some((position, error)) = self.half_line.filter(|_| tap_ended_well) {
            self.ending.faults.insert(position, Fault::Pump(error));
        }
        let unread = self.pump.as_ref().map_or(0, PumpEnd::bytes_unread);
        if self.target.is_some_and(ExitStatus::is_success) && unread > 0 {
            self.ending.faults.push(Fault::StoppedReading { unread });
        }
        self.ending
    }
}
