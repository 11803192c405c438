//! The SDKs as a plugin's process shows them to a host: the same cases for a plugin in Rust and for
//! its twin in Python.

#![expect(clippy::unwrap_used, clippy::panic, reason = "cases are functions that tests call")]

mod calls;
mod conformance;
mod hostile;
mod process;
mod protocol_file;

use std::path::{Path, PathBuf};

use flexcore_plugin_sdk::testing::TestPlugin;
use serde_json::json;

/// The plugin of these tests.
const RUST: &str = env!("CARGO_BIN_EXE_flexcore-plugin-sdk-author");

/// In which language the plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Author {
    Rust,
    Python,
}

impl Author {
    /// The program and its arguments.
    fn argv(self) -> Vec<String> {
        match self {
            Self::Rust => vec![RUST.to_owned()],
            Self::Python => {
                let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
                let python = crate_folder.join("../../.cache/venvs/flexcore-plugin/bin/python");
                assert!(python.exists(), "the Python SDK is not installed: make setup");
                let program = crate_folder.join("tests/python/author.py");
                // As in a jail: nothing of the folder of the tests, no files of bytecode.
                let text = |path: PathBuf| path.to_string_lossy().into_owned();
                vec![text(python), "-IB".to_owned(), text(program)]
            }
        }
    }

    async fn started(self) -> TestPlugin {
        TestPlugin::start(&self.argv()).await.expect("the author's plugin starts")
    }

    async fn initialized(self) -> TestPlugin {
        let plugin = self.started().await;
        let config = json!({"greeting": "Hello"});
        plugin.initialize(&config, &[("token", "12345")]).await.expect("the settings are right");
        plugin
    }
}

/// Each case once for each language.
macro_rules! cases {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        mod rust {
            $($(#[tokio::test] async fn $case() { crate::$module::$case(crate::Author::Rust).await; })+)+
        }

        mod python {
            $($(#[tokio::test] async fn $case() { crate::$module::$case(crate::Author::Python).await; })+)+
        }
    };
}

cases! {
    conformance:
        a_new_plugin_conforms,
        a_plugin_of_the_sdk_conforms,
        what_differs_from_manifest_or_sample_is_found;
    calls:
        records_come_back_byte_for_byte,
        much_goes_through_little_credit_both_ways,
        the_longest_record_goes_through,
        nothing_in_gives_nothing_out,
        a_call_is_told_what_it_is_about,
        bookmarks_and_lines_of_the_log_come_after_the_records_before_them,
        a_failure_has_its_class_and_text,
        a_panic_fails_the_call_and_the_health,
        a_record_that_is_no_record_names_itself,
        cancelling_ends_calls_that_listen_and_calls_that_do_not,
        as_many_calls_run_as_the_plugin_says,
        settings_are_checked,
        a_call_before_the_settings_is_refused;
    hostile:
        every_breach_is_named_and_the_plugin_goes_on,
        more_than_the_credit_is_refused,
        garbage_on_the_socket_disturbs_nobody;
    process:
        it_says_what_it_is,
        started_by_hand_it_says_what_to_do,
        another_cookie_version_or_folder_is_an_error,
        it_ends_when_asked_in_either_way,
        it_ends_although_a_call_hangs;
}
