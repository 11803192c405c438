//! The store against the reference: whatever is appended, both say the same.

use std::sync::Arc;

use flexcore_eventsourcing::Append;
use flexcore_ports::{AppendError, Appended, EventStore};
use flexcore_store_sqlite::SqliteStore;
use flexcore_testkit::{ModelLog, ModelOutcome, append_strategy};
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use tokio::runtime::Runtime;

use crate::support::{assert_whole, folder, writer};

fn outcome(result: Result<Appended, AppendError>) -> Result<ModelOutcome, AppendError> {
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
        Err(error) => Err(error),
    }
}

async fn compare(store: &SqliteStore, model: &ModelLog) -> TestCaseResult {
    for stream in model.streams() {
        let stored = store.events().read_stream(stream, 1, 10_000).await.unwrap();
        let stored: Vec<_> =
            stored.into_iter().map(|event| (event.position, event.event)).collect();
        prop_assert_eq!(&stored[..], model.events(stream));
    }
    let head = store.events().head().await.unwrap();
    prop_assert_eq!(head.position, model.last_position());
    Ok(())
}

async fn follow(appends: Vec<Append>, reopen_each: usize) -> TestCaseResult {
    let folder = folder();
    let mut model = ModelLog::default();
    let mut store = writer(folder.path()).unwrap();
    for (index, append) in appends.into_iter().enumerate() {
        if index % reopen_each == reopen_each - 1 {
            // Heads are then read from their rows, not from memory.
            store.close().await.unwrap();
            store = writer(folder.path()).unwrap();
        }
        let expected = model.append(&append);
        let found = outcome(store.events().append(append).await).unwrap();
        prop_assert_eq!(found, expected);
    }
    compare(&store, &model).await?;
    drop(store);
    assert_whole(folder.path()).await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_reference_does(
        appends in vec(append_strategy(), 1..40), reopen_each in 5_usize..60
    ) {
        Runtime::new().unwrap().block_on(follow(appends, reopen_each))?;
    }

    /// Appends that are handed over at once are taken in some order, and what they come to is what
    /// the reference says for the order of their positions.
    #[test]
    fn appends_of_one_group_do_not_mix(appends in vec(append_strategy(), 1..40)) {
        Runtime::new().unwrap().block_on(async {
            let folder = folder();
            let store = writer(folder.path()).unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            for append in appends {
                let events = store.events();
                tasks.spawn(async move { (append.clone(), events.append(append).await) });
            }
            let mut accepted: Vec<(u64, Append)> = Vec::new();
            while let Some(finished) = tasks.join_next().await {
                if let (append, Ok(Appended { last_position, repeated: false })) = finished.unwrap()
                    && last_position > 0
                {
                    accepted.push((last_position, append));
                }
            }
            accepted.sort_by_key(|(position, _)| *position);
            let mut model = ModelLog::default();
            for (position, append) in accepted {
                // A guard of a stream that a later append changed held when it was checked.
                prop_assert_eq!(model.append(&append), ModelOutcome::Written(position));
            }
            compare(&store, &model).await?;
            drop(Arc::new(store));
            assert_whole(folder.path()).await;
            Ok(())
        })?;
    }
}
