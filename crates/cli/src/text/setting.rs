//! The settings of a server.

use flexcore_api::SettingList;
use serde_json::Value;

use super::{Align, Style, Table};

/// Every setting and where it came from.
pub(crate) fn settings_text(list: &SettingList, style: Style) -> String {
    let mut table = Table::new([
        ("setting", Align::Left),
        ("value", Align::Left),
        ("from", Align::Left),
        ("variable", Align::Left),
    ]);
    for item in &list.items {
        table.row([&*item.key, &value_text(&item.value), &*item.origin, &*item.variable]);
    }
    let file = match &list.file {
        Some(file) => format!("settings of {file}\n"),
        None => "no file of settings\n".to_owned(),
    };
    format!("{}\n{file}", table.text(style))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(value_text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use flexcore_api::SettingView;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_is_shown_with_where_it_came_from() {
        let item = |key: &str, value: Value, origin: &str| SettingView {
            key: key.to_owned(),
            variable: format!("FLEXCORE_{}", key.to_uppercase()),
            value,
            origin: origin.to_owned(),
        };
        let list = SettingList {
            file: Some("/etc/flexcore/server.toml".to_owned()),
            items: vec![
                item("port", json!(8081), "--port"),
                item("roles", json!(["api", "worker"]), "default"),
                item("certificate", Value::Null, "default"),
                item("address", json!("127.0.0.1"), "/etc/flexcore/server.toml:2"),
            ],
        };
        insta::assert_snapshot!(settings_text(&list, Style::PLAIN), @r#"
        setting      value        from                         variable
        port         8081         --port                       FLEXCORE_PORT
        roles        api, worker  default                      FLEXCORE_ROLES
        certificate  -            default                      FLEXCORE_CERTIFICATE
        address      127.0.0.1    /etc/flexcore/server.toml:2  FLEXCORE_ADDRESS

        settings of /etc/flexcore/server.toml
        "#);
    }
}
