//! The plugin as a process: how it starts, what else it serves, how it ends.

use std::{process::Command, time::Duration};

use flexcore_plugin_protocol::protobuf::goplugin::{ConnInfo, Empty};
use flexcore_plugin_sdk::{
    grpc::goplugin::{grpc_broker_client::GrpcBrokerClient, grpc_stdio_client::GrpcStdioClient},
    testing::{Cookie, TestCall, TestPlugin},
};

use crate::Author;

const LIMIT: Duration = Duration::from_secs(10);

pub(crate) async fn it_says_what_it_is(author: Author) {
    let plugin = author.started().await;
    let info = plugin.info();
    assert_eq!((info.name.as_str(), info.version.as_str()), ("author", "1.2.3"));
    assert_eq!((info.max_concurrent_executions, info.stateless), (4, true));
    assert!(plugin.is_serving().await.unwrap());
    assert!(plugin.config_schema().await.unwrap().contains("greeting"));
}

pub(crate) async fn started_by_hand_it_says_what_to_do(author: Author) {
    let output = command(author).env_remove("FLEXCORE_PLUGIN").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(stderr.starts_with("author 1.2.3: this program is a plugin"), "{stderr}");
    assert!(stderr.contains("flexcore plugin conformance"), "{stderr}");
    assert_eq!(output.stdout, b"");
}

pub(crate) async fn another_cookie_version_or_folder_is_an_error(author: Author) {
    let cookie = Cookie { key: "OTHER".to_owned(), value: "x".to_owned() };
    let error = TestPlugin::start_with(&author.argv(), &cookie, &[]).await.unwrap_err();
    assert!(error.to_string().contains("magic_cookie"), "{error}");
    let start = |name, value| {
        let output = command(author)
            .envs([("FLEXCORE_PLUGIN", "flexcore.plugin.v1"), (name, value)])
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(start("PLUGIN_PROTOCOL_VERSIONS", "7").contains("the versions 7"));
    assert!(start("PLUGIN_UNIX_SOCKET_DIR", "/nowhere").contains("cannot listen on /nowhere/"));
    assert!(start("PLUGIN_CLIENT_CERT", "-----BEGIN").contains("turn AutoMTLS off"));
}

pub(crate) async fn it_ends_when_asked_in_either_way(author: Author) {
    let plugin = author.initialized().await;
    let socket = plugin.socket().to_owned();
    // Hosts of go-plugin hold these open until the end.
    let stdio = GrpcStdioClient::new(plugin.channel()).stream_stdio(()).await.unwrap();
    let nothing = tokio_stream::pending::<ConnInfo>();
    let broker = GrpcBrokerClient::new(plugin.channel()).start_stream(nothing).await.unwrap();
    assert!(plugin.shut_down(LIMIT).await.unwrap());
    assert!(!socket.exists());
    drop((stdio, broker));
    let _ = Empty {};
    assert!(author.started().await.shut_down_by_controller(LIMIT).await.unwrap());
}

pub(crate) async fn it_ends_although_a_call_hangs(author: Author) {
    let plugin = author.initialized().await;
    let hanging = plugin.call(TestCall::records([]).operation("hang").limit(LIMIT));
    let mut hanging = Box::pin(hanging);
    // The call is under way once it was polled and another call was answered.
    assert!(futures_poll(&mut hanging).await.is_none());
    assert!(plugin.health().await.unwrap().is_ok());
    drop(hanging);
    assert!(plugin.shut_down(LIMIT).await.unwrap());
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

fn command(author: Author) -> Command {
    let argv = author.argv();
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    command
}
