//! The promise that everything else stands on: kill the process at any moment, resume, and the
//! result is exactly that of a run which nobody disturbed.
//!
//! Kill moments are random, seeded, and stratified over the length of an undisturbed run and a
//! little more, so that they fall before, into and after everything that a run does.

mod example;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use example::Example;

use crate::{
    project::{Event, Project, Running, attempts_alive, children_of, kill, wait_until},
    random::Random,
};

/// Four tests of this many kills each; a third of the resumed runs is killed once more.
const KILLS: u32 = 27;

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_if_it_had_not_been() {
    kill_and_resume(1, Example::fresh);
}

#[test]
fn a_run_that_is_killed_at_any_moment_ends_as_if_it_had_not_been_with_another_seed() {
    kill_and_resume(2, Example::fresh);
}

#[test]
fn a_run_that_goes_on_from_bookmarks_can_be_killed_at_any_moment() {
    kill_and_resume(3, Example::after_a_first_run);
}

#[test]
fn a_run_that_goes_on_from_bookmarks_can_be_killed_at_any_moment_with_another_seed() {
    kill_and_resume(4, Example::after_a_first_run);
}

pub(crate) fn kill_and_resume(seed: u64, stage: impl Fn() -> Example) {
    let mut random = Random::seeded(seed);
    let undisturbed = stage();
    let length = undisturbed.run_to_the_end();
    let expected = undisturbed.results();
    undisturbed.assert_complete();
    let mut tally = Tally::default();
    for kill in 0..KILLS {
        let example = stage();
        let moment = moment(&mut random, kill, KILLS, length);
        let killed = example.project.start(&["run", "pipeline.yaml"]).kill_after(moment);
        if random.below(3) == 0 {
            let moment = length.mul_f64(random.unit());
            example.resume().kill_after(moment);
        }
        let context = format!("seed {seed}, kill {kill} after {moment:?}");
        finish(&example, &context);
        assert_eq!(example.results(), expected, "{context}");
        tally.count(killed, &example);
    }
    tally.assert_worth_it();
}

/// A moment in the stratum of this kill, of so many.
pub(crate) fn moment(random: &mut Random, kill: u32, kills: u32, length: Duration) -> Duration {
    let share = (f64::from(kill) + random.unit()) / f64::from(kills);
    length.mul_f64(share * 1.15)
}

/// Resumes to the end, and holds what the log and the machine look like against the promise.
fn finish(example: &Example, context: &str) {
    watch(example, example.resume(), context);
    if example.executions() < example.expected_executions {
        // It was killed before the log knew of it, so the newest execution is a former one.
        watch(example, example.project.start(&["run", "pipeline.yaml"]), context);
    }
    assert_eq!(example.executions(), example.expected_executions, "{context}");
    let execution = example.project.last_execution();
    assert_eq!(execution["status"], "completed", "{context}: {execution:#}");
    let id = execution["id"].as_str().expect("an id");
    assert_eq!(attempts_alive(id), Vec::<String>::new(), "{context}");
    example.project.assert_log_verifies();
    let events = example.project.events();
    assert_completed_steps_ran_once(&events, context);
    example.assert_command_ran_once_completed(&events, context);
}

/// Looks at the machine until a run has ended, as it must: completed.
fn watch(example: &Example, mut run: Running, context: &str) {
    while !run.ends_within(Duration::from_millis(15)) {
        assert_no_two_attempts_of_one_step(example, context);
    }
    let finished = run.finish();
    assert_eq!(finished.status.code(), Some(0), "{context}: {finished}");
}

/// While a resumed attempt runs, nothing of an earlier attempt of its step is alive.
fn assert_no_two_attempts_of_one_step(example: &Example, context: &str) {
    let several = |markers: &[Marker]| {
        let mut attempts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for marker in markers {
            attempts.entry(&marker.step).or_default().push(marker.attempt);
        }
        attempts.retain(|_, numbers| numbers.iter().min() != numbers.iter().max());
        attempts.into_keys().map(str::to_owned).collect::<Vec<_>>()
    };
    let first = example.markers_alive();
    // /proc is not read in one moment: what seems to overlap must be there in a second look.
    if !several(&first).is_empty() {
        let second = example.markers_alive();
        assert!(several(&second).is_empty(), "{context}: attempts side by side: {second:?}");
    }
}

/// A living process of an attempt.
#[derive(Debug)]
struct Marker {
    step: String,
    attempt: u32,
}

fn assert_completed_steps_ran_once(events: &[Event], context: &str) {
    let mut completed: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for event in events {
        let Some(step) = event.step() else { continue };
        let key = (event.stream.as_str(), step);
        let before = completed.get(&key);
        match event.kind.as_str() {
            "StepStarted" => {
                assert_eq!(before, None, "{context}: `{step}` ran again at {}", event.position);
            }
            "StepCompleted" => {
                assert_eq!(before, None, "{context}: `{step}` completed twice");
                completed.insert(key, event.position);
            }
            _ => {}
        }
    }
}

/// Where the kills fell: a test whose kills all miss proves nothing.
#[derive(Debug, Default)]
struct Tally {
    killed: u32,
    resumed: u32,
    lost_attempts: u32,
    advanced_before: u32,
}

impl Tally {
    fn count(&mut self, killed: bool, example: &Example) {
        let events = example.events_of_last_execution();
        let of_kind = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
        self.killed += u32::from(killed);
        self.resumed += u32::from(of_kind("PipelineExecutionClaimed") > 1);
        let lost = |event: &&Event| event.payload.to_string().contains("node_lost");
        self.lost_attempts += u32::from(events.iter().find(lost).is_some());
        self.advanced_before += u32::from(example.advanced_before_second_claim());
    }

    fn assert_worth_it(&self) {
        assert!(self.killed >= KILLS / 2, "{self:?}");
        assert!(self.resumed >= KILLS / 4, "{self:?}");
        assert!(self.lost_attempts >= KILLS / 4, "{self:?}");
        assert!(self.advanced_before >= 2, "{self:?}");
    }
}

#[test]
fn a_completed_execution_is_not_resumed() {
    let example = Example::fresh();
    example.run_to_the_end();
    let before = example.project.events().len();
    let again = example.resume().finish();
    assert_eq!(again.status.code(), Some(0), "{again}");
    assert!(again.stderr.contains("completed already"), "{again}");
    assert_eq!(example.project.events().len(), before);
}

/// With the launcher killed too, nobody is left who could end the processes at once: the kernel
/// does where they are in a PID namespace, else the resume finds them by their mark.
#[test]
fn a_run_whose_launcher_is_killed_too_leaves_nothing_that_goes_on() {
    let project = Project::with(
        "pipeline: slow\nsteps:\n  - id: wait\n    command:\n      run: |\n        \
         echo \"start $FLEXCORE_ATTEMPT\" >> trace\n        \
         if [ \"$(wc -l < trace)\" -eq 1 ]; then sleep 600 & sleep 600; fi\n",
    );
    let running = project.start(&["run", "pipeline.yaml"]);
    wait_until("the step runs", || project.read("trace").lines().count() == 1);
    let launchers = children_of(running.pid());
    assert!(!launchers.is_empty());
    running.kill_after(Duration::ZERO);
    for launcher in launchers {
        kill(launcher);
    }
    let finished = project.start(&["run", "--resume", "pipeline.yaml"]).finish();
    assert_eq!(finished.status.code(), Some(0), "{finished}");
    let id = project.last_execution()["id"].as_str().expect("an id").to_owned();
    assert_eq!(attempts_alive(&id), Vec::<String>::new());
    assert_eq!(project.read("trace").lines().count(), 2);
    project.assert_log_verifies();
}
