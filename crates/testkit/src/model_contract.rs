//! An event store against its reference: whatever is done, both say the same.
//!
//! All cases of a property run on one store, each with streams and events of its own: a database
//! for each case would take most of the time.

use std::cell::{Cell, RefCell};

use flexcore_eventsourcing::{Append, EventData, RecordedEvent, StreamName};
use flexcore_ports::{AppendError, Appended, ReadFilter};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseResult, TestError, TestRunner},
};
use tokio::task::JoinSet;

use crate::{
    ModelLog, ModelOutcome, append_strategy, event, event_store_contract::Fixture, stream,
};

/// More than the numbers that [`append_strategy`] makes events of.
const NUMBERS: u64 = 100;
/// One more than the keys that it makes streams of.
const KEYS: u8 = 3;

/// What is done to a store.
#[derive(Debug, Clone)]
enum Step {
    Append(Append),
    /// An earlier append once more; which, is counted from the first, around and around.
    Again(usize),
    ReadStream {
        key: u8,
        from: u64,
        limit: usize,
    },
    ReadAll {
        after: u64,
        limit: usize,
    },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        60 => append_strategy().prop_map(Step::Append),
        15 => any::<prop::sample::Index>().prop_map(|index| Step::Again(index.index(1_000))),
        10 => (0..=KEYS, 0..20_u64, 0..12_usize)
            .prop_map(|(key, from, limit)| Step::ReadStream { key, from, limit }),
        10 => (0..40_u64, 0..40_usize).prop_map(|(after, limit)| Step::ReadAll { after, limit }),
        1 => Just(Step::Reopen),
    ];
    vec(step, 1..30)
}

/// A store and how far it is, between the cases of a property.
struct Stage {
    fixture: RefCell<Option<Fixture>>,
    case: Cell<u64>,
}

impl Stage {
    fn new(fixture: Fixture) -> Self {
        Self { fixture: RefCell::new(Some(fixture)), case: Cell::new(0) }
    }

    fn next_case(&self) -> u64 {
        self.case.set(self.case.get() + 1);
        self.case.get()
    }

    fn take(&self) -> Fixture {
        self.fixture.borrow_mut().take().expect("a case that ended gave it back")
    }
}

/// Appends, repetitions, reads and restarts, one after the other: `cases` times some.
///
/// # Panics
/// If the store ever says something else than the reference, with the shortest such case.
pub fn the_store_does_what_the_reference_does<F>(cases: u32, fixture: impl Fn() -> F)
where
    F: Future<Output = Fixture>,
{
    let runtime = runtime();
    let stage = Stage::new(runtime.block_on(fixture()));
    let follow = |steps| {
        let (current, case) = (stage.take(), stage.next_case());
        let (current, result) = runtime.block_on(follow(current, case, steps));
        *stage.fixture.borrow_mut() = Some(current);
        result
    };
    let result = TestRunner::new(config(cases)).run(&steps(), follow);
    finish(&result);
    runtime.block_on(async { stage.take().assert_whole().await });
}

/// Appends that are handed over at once are taken in some order, and what they come to is what the
/// reference says for the order of their positions.
///
/// # Panics
/// If no such order explains what the store did, with the shortest such case.
pub fn appends_at_once_are_taken_in_some_order<F>(cases: u32, fixture: impl Fn() -> F)
where
    F: Future<Output = Fixture>,
{
    let runtime = runtime();
    let stage = Stage::new(runtime.block_on(fixture()));
    let race = |appends| {
        let (current, case) = (stage.take(), stage.next_case());
        let result = runtime.block_on(race(&current, case, appends));
        *stage.fixture.borrow_mut() = Some(current);
        result
    };
    let result = TestRunner::new(config(cases)).run(&vec(append_strategy(), 1..40), race);
    finish(&result);
    runtime.block_on(async { stage.take().assert_whole().await });
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("threads can be started")
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

#[track_caller]
fn finish<T: std::fmt::Debug>(result: &Result<(), TestError<T>>) {
    assert!(result.is_ok(), "{result:#?}");
}

/// The same append with the streams and events of one case.
fn of_case(case: u64, append: &Append) -> Append {
    let mut append = append.clone();
    for write in &mut append.writes {
        write.stream = name_of_case(case, &write.stream);
        for given in &mut write.events {
            let number = given.occurred_at.as_micros() - event(0).occurred_at.as_micros();
            *given = event(case * NUMBERS + number.unsigned_abs());
        }
    }
    append
}

fn name_of_case(case: u64, name: &StreamName) -> StreamName {
    let key = name.parts().last().unwrap_or_default();
    stream(&format!("{case}-{key}"))
}

/// Gives the store back, which may have been opened again.
async fn follow(mut fixture: Fixture, case: u64, steps: Vec<Step>) -> (Fixture, TestCaseResult) {
    let mut model = ModelLog::after(position(&fixture).await);
    let mut earlier: Vec<Append> = Vec::new();
    for step in steps {
        if let Step::Reopen = step {
            fixture = fixture.reopened().await;
        } else if let Err(error) = take(&fixture, &mut model, &mut earlier, case, step).await {
            return (fixture, Err(error));
        }
    }
    let result = compare(&fixture, &model).await;
    (fixture, result)
}

async fn take(
    fixture: &Fixture,
    model: &mut ModelLog,
    earlier: &mut Vec<Append>,
    case: u64,
    step: Step,
) -> TestCaseResult {
    match step {
        Step::Append(append) => earlier.push(of_case(case, &append)),
        Step::Again(_) if earlier.is_empty() => return Ok(()),
        Step::Again(index) => earlier.push(earlier[index % earlier.len()].clone()),
        Step::ReadStream { key, from, limit } => {
            return read_stream(fixture, model, &stream(&format!("{case}-{key}")), from, limit)
                .await;
        }
        Step::ReadAll { after, limit } => return read_all(fixture, model, after, limit).await,
        Step::Reopen => return Ok(()),
    }
    if let Some(append) = earlier.last() {
        let wanted = model.append(append);
        prop_assert_eq!(outcome(fixture.store.append(append.clone()).await)?, wanted);
    }
    Ok(())
}

async fn read_stream(
    fixture: &Fixture,
    model: &ModelLog,
    stream: &StreamName,
    from: u64,
    limit: usize,
) -> TestCaseResult {
    let found = fixture.store.read_stream(stream, from, limit).await;
    let first = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
    let wanted = model.events(stream).iter().skip(first).take(limit).cloned();
    prop_assert_eq!(places(found?), wanted.collect::<Vec<_>>());
    Ok(())
}

async fn read_all(fixture: &Fixture, model: &ModelLog, after: u64, limit: usize) -> TestCaseResult {
    let after = model.first_position() - 1 + after;
    let found = fixture.store.read_all(after, limit, &ReadFilter::default()).await;
    let wanted = model.all().into_iter().filter(|(position, _)| *position > after).take(limit);
    prop_assert_eq!(places(found?), wanted.collect::<Vec<_>>());
    Ok(())
}

fn places(events: Vec<RecordedEvent>) -> Vec<(u64, EventData)> {
    events.into_iter().map(|event| (event.position, event.event)).collect()
}

async fn position(fixture: &Fixture) -> u64 {
    fixture.store.head().await.expect("the log can be read").position
}

async fn compare(fixture: &Fixture, model: &ModelLog) -> TestCaseResult {
    for stream in model.streams() {
        let found = fixture.store.read_stream(stream, 1, 10_000).await?;
        prop_assert_eq!(&places(found)[..], model.events(stream));
    }
    prop_assert_eq!(position(fixture).await, model.last_position());
    Ok(())
}

async fn race(fixture: &Fixture, case: u64, appends: Vec<Append>) -> TestCaseResult {
    let mut model = ModelLog::after(position(fixture).await);
    let mut tasks = JoinSet::new();
    for append in appends {
        let (store, append) = (std::sync::Arc::clone(&fixture.store), of_case(case, &append));
        tasks.spawn(async move { (append.clone(), store.append(append).await) });
    }
    let mut accepted: Vec<(u64, Append)> = Vec::new();
    for (append, answer) in tasks.join_all().await {
        if let ModelOutcome::Written(position) = outcome(answer)?
            && position > 0
        {
            accepted.push((position, append));
        }
    }
    accepted.sort_by_key(|(position, _)| *position);
    for (position, append) in accepted {
        prop_assert_eq!(model.append(&append), ModelOutcome::Written(position));
    }
    compare(fixture, &model).await
}

fn outcome(result: Result<Appended, AppendError>) -> Result<ModelOutcome, TestCaseError> {
    match result {
        Ok(Appended { last_position, repeated: false }) => Ok(ModelOutcome::Written(last_position)),
        Ok(Appended { last_position, repeated: true }) => Ok(ModelOutcome::Repeated(last_position)),
        Err(AppendError::Conflict { stream, actual, .. }) => {
            Ok(ModelOutcome::Conflict { stream, actual })
        }
        Err(AppendError::Fenced { stream, owner, .. }) => {
            Ok(ModelOutcome::Fenced { stream, owner })
        }
        Err(AppendError::Invalid(_)) => Ok(ModelOutcome::Invalid),
        Err(error) => Err(TestCaseError::fail(error.to_string())),
    }
}
