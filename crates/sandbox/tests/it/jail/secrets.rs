//! Attempts on secrets.

use flexcore_sandbox::Secret;

use super::cage::{Cage, Stage};

#[tokio::test]
async fn a_secret_comes_through_its_descriptor_and_no_other_way() {
    let script = r#"
        for pair in $(echo "$FLEXCORE_SECRET_FDS" | tr , ' '); do
            number=${pair#*=}
            echo "${pair%%=*}: $(eval "cat <&$number")"
            echo "again: $(eval "cat <&$number")"
        done
    "#;
    let secrets = [
        Secret { name: "password".into(), value: b"correct horse".to_vec() },
        Secret { name: "token".into(), value: vec![b'x'; 40_000] },
    ];
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (printed, _) = cage.run(&["/bin/bash", "-c", script], cage.spec(), &secrets).await;
        let token = "x".repeat(40_000);
        let expected = format!("password: correct horse\nagain: \ntoken: {token}\nagain: \n");
        assert_eq!(printed, expected, "{stage:?}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn neither_the_environment_nor_proc_shows_a_secret_or_anything_of_the_server() {
    let secrets = [Secret { name: "password".into(), value: b"correct horse".to_vec() }];
    let script =
        "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; echo looked";
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (printed, _) = cage.run(&["/bin/sh", "-c", script], cage.spec(), &secrets).await;
        assert!(printed.contains("looked") && !printed.contains("correct horse"), "{stage:?}");
        // What only the launcher, and only this process, have in theirs.
        assert!(!printed.contains("LAUNCHER_ONLY"), "{stage:?}: {printed}");
        assert!(!printed.contains("CARGO_"), "{stage:?}: {printed}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn too_many_or_too_long_secrets_are_refused_by_name() {
    let cage = Cage::new(Stage::all()[0]).await;
    let long = Secret { name: "certificate".into(), value: vec![0; 100_000] };
    let request = cage.request(&["/bin/true"]);
    let refused = cage.jailer.spawn(request, cage.spec(), &[long]).await.unwrap_err();
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
