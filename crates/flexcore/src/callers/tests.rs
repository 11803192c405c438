use flexcore_identity::KeySource;

use super::options::token_options;
use crate::settings::auth::AuthSettings;

fn settings(text: &str) -> AuthSettings {
    toml::from_str(text).unwrap()
}

fn problem(text: &str) -> String {
    token_options(&settings(text).jwt).unwrap_err().message
}

#[test]
fn a_server_is_configured_once_it_says_how_callers_are_known() {
    for (text, is_configured) in [
        ("", false),
        ("api_keys = false", false),
        ("api_keys = true", true),
        ("[jwt]\nsecret_file = \"s\"", true),
    ] {
        assert_eq!(settings(text).is_configured(), is_configured, "{text}");
    }
}

#[test]
fn tokens_are_believed_as_the_settings_say() {
    let text = "[jwt]\nissuer = \"https://id.example\"\naudience = \"flexcore\"\n\
                jwks_url = \"https://id.example/jwks\"\nleeway = \"5s\"\ntenant_claim = \"org\"\n";
    let options = token_options(&settings(text).jwt).unwrap();
    assert_eq!(options.keys, KeySource::Url("https://id.example/jwks".into()));
    assert_eq!((options.audience, options.leeway.as_secs()), (vec!["flexcore".to_owned()], 5));
    let names: Vec<String> = options.algorithms.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["RS256", "EdDSA"]);
    assert_eq!(options.roles_claim, "roles");
}

#[test]
fn settings_that_cannot_be_say_why() {
    assert!(problem("[jwt]").contains("exactly one of"));
    let two = "[jwt]\naudience = \"a\"\njwks_file = \"a\"\nsecret_file = \"b\"";
    assert!(problem(two).contains("exactly one of"));
    assert!(problem("[jwt]\njwks_file = \"a\"").contains("audience"));
    let none = "[jwt]\nsecret_file = \"a\"\nalgorithms = [\"none\"]";
    assert!(problem(none).contains("`none` is not an algorithm"));
    assert!(toml::from_str::<AuthSettings>("[jwt]\nkeys = \"x\"").is_err());
    assert!(toml::from_str::<AuthSettings>("basic = true").is_err());
}
