//! The contract of coordinators.

async fn local() -> flexcore_coordination::LocalCoordinator {
    flexcore_coordination::LocalCoordinator::new("here")
}

flexcore_testkit::coordinator_contract!(local);
