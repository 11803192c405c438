//! Where a project's secrets come from.

use crate::{
    diagnostic::{Code, Diagnostic},
    file::ParsedFile,
    tree::Node,
};

/// What is wrong with its Vaults. Whether anybody answers there is seen when a secret is read.
pub(super) fn check(file: &ParsedFile) -> Vec<Diagnostic> {
    let sources = file.node.get("secrets").map(Node::items).unwrap_or_default();
    let vaults = sources.iter().filter_map(|source| source.get("vault"));
    vaults.flat_map(|vault| check_vault(file, vault)).collect()
}

fn check_vault(file: &ParsedFile, vault: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let address = vault.get("address").and_then(|node| Some((node, node.as_text()?)));
    if let Some((node, why)) = address.and_then(|(node, text)| Some((node, wrong_address(text)?))) {
        let hint = "write it as https://vault.example.com:8200; without TLS only on loopback";
        // It may hold a password.
        let diagnostic = file.at(Code::IllegalValue, node.position, why).hint(hint);
        found.push(diagnostic.without_line(node.position));
    }
    if let (Some(_), Some(second)) = (vault.entry("token_file"), vault.entry("token_env")) {
        let message = "the token of a Vault is in a file or in a variable, not in both";
        found.push(file.at(Code::IllegalValue, second.key_position, message));
    }
    found
}

fn wrong_address(address: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = address.split_once("://") else {
        return Some("the address of a Vault is a URL");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let is_loopback = host == "localhost" || host == "[::1]" || host.starts_with("127.");
    match scheme {
        _ if authority.contains('@') => {
            Some("the address of a Vault has no user and no password; the token says who asks")
        }
        _ if authority.is_empty() || rest.contains(['?', '#']) => {
            Some("the address of a Vault is a scheme, a host and a port")
        }
        "https" => None,
        "http" if is_loopback => None,
        "http" => Some("without TLS the token and every secret would pass in clear"),
        _ => Some("a Vault is asked over https"),
    }
}
