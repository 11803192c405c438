//! When a plugin that fails may be tried again: backoff, circuit and crash loop.
//!
//! A pure state machine. Time is an argument, counted from any moment that stays the same; so is
//! chance.

use std::{collections::VecDeque, time::Duration};

/// The wait after the first fault; each further one in a row doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// So many faults in [`WINDOW`] open the circuit.
const FAULTS: usize = 5;
/// How long a fault counts.
const WINDOW: Duration = Duration::from_mins(1);
/// How long an open circuit lets nobody through.
const OPEN: Duration = Duration::from_secs(30);
/// So many openings without a single good call in between are a crash loop.
const OPENINGS: u32 = 3;

/// What is known of how calls of a plugin went.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    state: State,
    /// When the last faults happened.
    faults: VecDeque<Duration>,
    /// How many faults there were since the last good call.
    in_a_row: u32,
    /// How often it opened since the last good call.
    openings: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// The last call was a fault: the next one waits.
    Waiting { until: Duration },
    /// Nobody is let through.
    Open { until: Duration },
    /// One call is under way to see whether it works again.
    Trying,
}

/// Whether a call may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Now.
    Go,
    /// After a wait.
    Wait(Duration),
    /// Not now, and for so long yet.
    Open(Duration),
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consequence {
    /// The next call waits.
    Wait,
    /// Nobody is let through for a while.
    Opened,
    /// It fails again and again: only an operator can tell what to do. So many faults it was.
    CrashLoop(u32),
}

impl Circuit {
    /// Whether a call may go on at `now`. Who goes says afterwards how it went.
    pub(super) fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            State::Closed => Admission::Go,
            State::Waiting { until } | State::Open { until } if now >= until => {
                if matches!(self.state, State::Open { .. }) {
                    self.state = State::Trying;
                }
                Admission::Go
            }
            State::Waiting { until } => Admission::Wait(until.saturating_sub(now)),
            State::Open { until } => Admission::Open(until.saturating_sub(now)),
            State::Trying => Admission::Open(Duration::ZERO),
        }
    }

    /// Whether nobody is let through.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// The plugin did as it should, even if it refused what it was asked.
    pub(super) fn went_well(&mut self) {
        *self = Self::default();
    }

    /// A call was given up before anything could be said about the plugin.
    pub(super) fn was_given_up(&mut self, now: Duration) {
        if self.state == State::Trying {
            // The next one tries.
            self.state = State::Open { until: now };
        }
    }

    /// The plugin failed at `now`. `chance` is anything from 0 to 1 and spreads the wait.
    pub(super) fn failed(&mut self, now: Duration, chance: f64) -> Consequence {
        if let State::Open { .. } = self.state {
            // It went together with those that opened it.
            return Consequence::Opened;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.faults.push_back(now);
        while self.faults.front().is_some_and(|first| now.saturating_sub(*first) > WINDOW) {
            self.faults.pop_front();
        }
        let again = self.state == State::Trying;
        if !again && self.faults.len() < FAULTS {
            self.state = State::Waiting { until: now + wait(self.in_a_row, chance) };
            return Consequence::Wait;
        }
        self.faults.clear();
        self.openings += 1;
        self.state = State::Open { until: now + OPEN };
        if self.openings >= OPENINGS {
            Consequence::CrashLoop(self.in_a_row)
        } else {
            Consequence::Opened
        }
    }
}

/// Between half of the doubled wait and all of it.
fn wait(in_a_row: u32, chance: f64) -> Duration {
    let doublings = in_a_row.saturating_sub(1).min(16);
    let whole = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
    whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A circuit that opened at second 4.
    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        for second in 0..4 {
            assert_eq!(circuit.failed(at(second * 1_000), 1.0), Consequence::Wait);
        }
        assert_eq!(circuit.failed(at(4_000), 1.0), Consequence::Opened);
        circuit
    }

    #[test]
    fn each_fault_in_a_row_doubles_the_wait_up_to_half_a_minute() {
        assert_eq!(wait(1, 1.0), at(100));
        assert_eq!(wait(2, 1.0), at(200));
        assert_eq!(wait(2, 0.0), at(100));
        assert_eq!(wait(9, 1.0), at(25_600));
        assert_eq!(wait(10, 1.0), LONGEST_WAIT);
        assert_eq!(wait(u32::MAX, 1.0), LONGEST_WAIT);
    }

    #[test]
    fn a_fault_lets_the_next_call_wait_and_a_good_one_forgets_it() {
        let mut circuit = Circuit::default();
        circuit.failed(at(0), 1.0);
        assert_eq!(circuit.admit(at(40)), Admission::Wait(at(60)));
        assert_eq!(circuit.admit(at(100)), Admission::Go);
        circuit.went_well();
        circuit.failed(at(200), 1.0);
        assert_eq!(circuit.admit(at(200)), Admission::Wait(at(100)));
    }

    #[test]
    fn five_faults_in_a_minute_open_it_for_half_a_minute_and_then_one_tries() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(4_000)), Admission::Open(OPEN));
        assert_eq!(circuit.admit(at(34_000)), Admission::Go);
        assert_eq!(circuit.admit(at(34_000)), Admission::Open(Duration::ZERO));
        circuit.went_well();
        assert_eq!(circuit.admit(at(34_001)), Admission::Go);
        assert_eq!(circuit.admit(at(34_001)), Admission::Go);
    }

    #[test]
    fn a_trial_that_was_given_up_leaves_the_next_one_to_try() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(34_000)), Admission::Go);
        circuit.was_given_up(at(35_000));
        assert_eq!(circuit.admit(at(35_000)), Admission::Go);
    }

    #[test]
    fn faults_that_are_far_apart_never_open_it() {
        let mut circuit = Circuit::default();
        for minute in 0..100 {
            assert_eq!(circuit.failed(at(minute * 61_000 / 4), 1.0), Consequence::Wait);
        }
    }

    #[test]
    fn three_openings_without_a_good_call_are_a_crash_loop() {
        let mut circuit = opened();
        for (trial, expected) in
            [(40_000, Consequence::Opened), (80_000, Consequence::CrashLoop(7))]
        {
            assert_eq!(circuit.admit(at(trial)), Admission::Go);
            assert_eq!(circuit.failed(at(trial), 1.0), expected);
        }
    }

    #[test]
    fn faults_of_calls_that_went_together_open_it_once() {
        let mut circuit = opened();
        for _ in 0..100 {
            assert_eq!(circuit.failed(at(4_001), 1.0), Consequence::Opened);
        }
        assert_eq!(circuit.openings, 1);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_through(
            steps in proptest::collection::vec((0..3_u8, 0..40_000_u64, 0.0..1.0_f64), 0..60)
        ) {
            let mut circuit = Circuit::default();
            let mut now = Duration::ZERO;
            for (what, millis, chance) in steps {
                now += at(millis);
                if let Admission::Wait(wait) | Admission::Open(wait) = circuit.admit(now) {
                    now += wait;
                    prop_assert_eq!(circuit.admit(now), Admission::Go);
                }
                match what {
                    0 => circuit.went_well(),
                    1 => circuit.was_given_up(now),
                    _ => drop(circuit.failed(now, chance)),
                }
            }
        }
    }
}
