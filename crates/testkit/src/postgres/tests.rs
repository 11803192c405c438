//! Servers are real, durable, and gone afterwards.

use std::path::Path;

use super::*;

#[tokio::test]
async fn what_was_committed_survives_a_kill() {
    let server = Server::start().await.unwrap();
    let url = server.database().await.unwrap();
    let durable = server
        .sql(&url, "SHOW fsync; SHOW synchronous_commit; SHOW full_page_writes;")
        .await
        .unwrap();
    assert_eq!(durable, "on\non\non");
    server.sql(&url, "CREATE TABLE t (x int); INSERT INTO t VALUES (7);").await.unwrap();
    server.kill().await.unwrap();
    assert!(server.sql(&url, "SELECT 1").await.is_err());
    server.restart(Shutdown::Immediate).await.unwrap();
    assert_eq!(server.sql(&url, "SELECT x FROM t").await.unwrap(), "7");
    server.restart(Shutdown::Immediate).await.unwrap();
    server.pause().await.unwrap();
    let late = {
        let (server, url) = (Arc::clone(&server.cluster), url.clone());
        tokio::spawn(async move { sql(&server, &url, "SELECT x + 1 FROM t").await })
    };
    server.resume().await.unwrap();
    assert_eq!(late.await.unwrap().unwrap(), "8");
}

#[tokio::test]
async fn roles_and_settings_are_as_asked_for() {
    let server = Server::start_with(&[("work_mem", "9MB")]).await.unwrap();
    assert_eq!(server.sql("x/postgres", "SHOW work_mem").await.unwrap(), "9MB");
    let urls = server.database_with_roles().await.unwrap();
    assert!(urls.app.contains(&urls.app_role) && !urls.owner.contains(&urls.app_role));
    let owners = "SELECT rolname || '_' FROM pg_database JOIN pg_roles r ON r.oid = datdba \
                  WHERE datname = current_database()";
    let owner = server.sql(&urls.owner, owners).await.unwrap();
    assert!(urls.owner.contains(&owner), "{owner}");
}

/// Waits for a file to be gone.
async fn gone(path: &Path) {
    let mut pause = tokio::time::interval(std::time::Duration::from_millis(20));
    for _ in 0..1_000 {
        if !path.exists() {
            return;
        }
        pause.tick().await;
    }
    panic!("{} is still there", path.display());
}

#[tokio::test]
async fn a_server_ends_with_its_user() {
    let server = Server::start().await.unwrap();
    let data = server.data();
    let pid = processes::postmaster(&data).unwrap();
    drop(server);
    gone(&data).await;
    gone(Path::new(&format!("/proc/{}/cwd/PG_VERSION", pid.as_raw_pid()))).await;
}

#[tokio::test]
async fn a_paused_or_killed_server_ends_too() {
    let (paused, killed) = (Server::start().await.unwrap(), Server::start().await.unwrap());
    paused.pause().await.unwrap();
    killed.kill().await.unwrap();
    let data = [paused.data(), killed.data()];
    drop((paused, killed));
    gone(&data[0]).await;
    gone(&data[1]).await;
}

#[tokio::test]
async fn everybody_shares_one_server_and_nobody_a_database() {
    let (first, second) = tokio::join!(Server::shared(), Server::shared());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.cluster.port(), second.cluster.port());
    let (one, other) = (first.database().await.unwrap(), second.database().await.unwrap());
    assert_ne!(one, other);
    first.sql(&one, "CREATE TABLE t ()").await.unwrap();
    assert!(second.sql(&other, "TABLE t").await.is_err());
}
