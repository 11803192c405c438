//! API keys, roles, and what was asked by whom.

use flexcore_api::{ApiKeyCreated, ApiKeyPage, AuditPage, RoleList};

use super::{
    Align, Style, Table,
    execution::{more, time_text},
};

/// A new key: nothing but the key, so that it can be piped into what keeps it; the id where a
/// certificate stands for it.
pub(crate) fn api_key_created_text(created: &ApiKeyCreated, _: Style) -> String {
    format!("{}\n", created.key.as_ref().unwrap_or(&created.info.id))
}

/// A page of keys.
pub(crate) fn api_key_page_text(page: &ApiKeyPage, style: Style) -> String {
    if page.items.is_empty() {
        return "no keys\n".to_owned();
    }
    let mut table = Table::new([
        ("key", Align::Left),
        ("name", Align::Left),
        ("status", Align::Left),
        ("roles", Align::Left),
        ("permissions", Align::Left),
        ("made", Align::Left),
        ("ends", Align::Left),
    ]);
    for key in &page.items {
        let ends = key.expires_at.as_deref().map(time_text).unwrap_or_default();
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.status.clone(),
            key.roles.join(", "),
            key.permissions.join(", "),
            time_text(&key.created_at),
            ends,
        ]);
    }
    table.text(style) + &more(page.next.as_deref(), style)
}

/// The roles.
pub(crate) fn role_list_text(list: &RoleList, style: Style) -> String {
    let mut table = Table::new([
        ("role", Align::Left),
        ("", Align::Left),
        ("what it is for", Align::Left),
        ("permissions", Align::Left),
    ]);
    for role in &list.items {
        table.row([
            role.name.clone(),
            if role.built_in { "built in".to_owned() } else { String::new() },
            role.description.clone().unwrap_or_default(),
            role.permissions.join(", "),
        ]);
    }
    table.text(style)
}

/// A page of the audit trail.
pub(crate) fn audit_page_text(page: &AuditPage, style: Style) -> String {
    let next = page.next.map(|next| next.to_string());
    if page.items.is_empty() {
        return "no records\n".to_owned() + &more(next.as_deref(), style);
    }
    let mut table = Table::new([
        ("position", Align::Right),
        ("at", Align::Left),
        ("actor", Align::Left),
        ("request", Align::Left),
        ("outcome", Align::Left),
        ("code", Align::Left),
        ("times", Align::Right),
        ("subject", Align::Left),
    ]);
    for record in &page.items {
        let times = if record.times == 1 { String::new() } else { record.times.to_string() };
        table.row([
            record.position.to_string(),
            time_text(&record.at),
            record.actor.clone(),
            record.request.clone(),
            record.outcome.clone(),
            record.code.clone().unwrap_or_default(),
            times,
            record.subject.clone().unwrap_or_default(),
        ]);
    }
    table.text(style) + &more(next.as_deref(), style)
}

#[cfg(test)]
mod tests {
    use flexcore_api::{ApiKeyView, AuditRecordView, RoleView};

    use super::*;

    const TIME: &str = "2026-01-02T03:04:05.000000Z";

    fn key() -> ApiKeyView {
        ApiKeyView {
            id: "ak_01900000000070008000000000000004".to_owned(),
            name: "nightly loads".to_owned(),
            status: "active".to_owned(),
            roles: vec!["operator".to_owned()],
            permissions: vec![],
            created_at: TIME.to_owned(),
            expires_at: Some(TIME.to_owned()),
        }
    }

    #[test]
    fn keys_are_listed_with_what_they_allow() {
        let page = ApiKeyPage { items: vec![key()], next: Some(key().id) };
        insta::assert_snapshot!(api_key_page_text(&page, Style::PLAIN));
    }

    #[test]
    fn a_new_key_is_printed_and_nothing_else() {
        let created = ApiKeyCreated { key: Some("flx_x".to_owned()), info: key(), position: 3 };
        assert_eq!(api_key_created_text(&created, Style::PLAIN), "flx_x\n");
        assert!(!format!("{created:?}").contains("flx_x"));
    }

    #[test]
    fn roles_say_what_they_are_for() {
        let role = |name: &str, built_in| RoleView {
            name: name.to_owned(),
            built_in,
            description: built_in.then(|| "reads".to_owned()),
            permissions: vec!["event.read".to_owned(), "pipeline.read".to_owned()],
        };
        let list = RoleList { items: vec![role("viewer", true), role("loader", false)] };
        insta::assert_snapshot!(role_list_text(&list, Style::PLAIN));
    }

    #[test]
    fn records_say_who_asked_what() {
        let record = |outcome: &str, code: Option<&str>, times| AuditRecordView {
            position: 7,
            at: TIME.to_owned(),
            actor: "user:ann".to_owned(),
            request: "CancelExecution".to_owned(),
            outcome: outcome.to_owned(),
            code: code.map(str::to_owned),
            subject: None,
            times,
            correlation: None,
        };
        let items = vec![record("accepted", None, 1), record("denied", Some("FC0205"), 12)];
        let page = AuditPage { items, next: None };
        insta::assert_snapshot!(audit_page_text(&page, Style::PLAIN));
    }
}
