//! Requests and their replies.

use std::{sync::Arc, time::Duration};

use flexcore_api::{Command, Method, Query, ServerHealth};
use reqwest::{
    Response, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use serde::de::DeserializeOwned;

use crate::{
    ClientError, ClientOptions, EventStream, Problem, Watch,
    call::Call,
    error::chain,
    retry::{self, Trouble},
    tls,
};

/// Where the interface begins.
const ROOT: &str = "/api/v1/flexcore";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The largest reply that is read, in bytes.
const MAX_REPLY: usize = 256 << 20;

/// A client of one server. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<str>,
    options: Arc<ClientOptions>,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`ClientError::Options`] if the URL is none, or a file of TLS cannot be used.
    pub fn new(options: ClientOptions) -> Result<Self, ClientError> {
        let base = base_of(&options.server)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &options.key {
            let value = HeaderValue::from_str(&key.authorization());
            let mut value = value
                .map_err(|_| ClientError::Options("the API key fits into no header".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&options.tls)?)
            // What is sent again is decided here, where it is known what is safe.
            .retry(reqwest::retry::never())
            // The key is for this server and for nobody that it names.
            .redirect(Policy::none())
            .referer(false)
            .default_headers(headers)
            .connect_timeout(options.connect_timeout)
            .user_agent(concat!("flexcore-client/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            // Whatever proxy the environment names is not on the way to this machine.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ClientError::Options(chain(&error)))?;
        let base = base.as_str().trim_end_matches('/').into();
        Ok(Self { http, base, options: Arc::new(options) })
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        &self.base
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|base| is_loopback(&base))
    }

    /// Whether what is sent can be read on its way: over plain HTTP, to another machine.
    pub fn is_in_clear(&self) -> bool {
        Url::parse(&self.base).is_ok_and(|base| base.scheme() == "http" && !is_loopback(&base))
    }

    /// Sends a command. One with an idempotency key is sent again after a failure; any other only
    /// if it certainly did not arrive.
    ///
    /// # Errors
    /// [`ClientError::Problem`] if the server refused; the others as they say. After
    /// [`ClientError::Timeout`] and [`ClientError::Unreachable`] it may have happened.
    pub async fn command<C: Command>(&self, command: &C) -> Result<C::Reply, ClientError> {
        self.reply(Call::of_command(command).map_err(|error| unsendable(C::NAME, &error))?).await
    }

    /// Asks a query; it is asked again after a failure.
    ///
    /// # Errors
    /// As for [`Self::command`].
    pub async fn query<Q: Query>(&self, query: &Q) -> Result<Q::Reply, ClientError> {
        self.reply(Call::of_query(query).map_err(|error| unsendable(Q::NAME, &error))?).await
    }

    /// How the server is; it says so to everybody.
    ///
    /// # Errors
    /// As for [`Self::command`]; a server that is about to end is no error.
    pub async fn health(&self) -> Result<ServerHealth, ClientError> {
        let response = self.send(self.http.get(format!("{}/health", self.base))).await;
        let response = response.map_err(|(_, error)| error)?;
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_ours(status, &error.to_string()))
    }

    /// Events as they happen.
    pub fn watch(&self, watch: Watch) -> EventStream {
        EventStream::new(self.clone(), watch)
    }

    async fn reply<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let response = self.exchange(&call).await?;
        let status = response.status().as_u16();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|error| self.not_ours(status, &error.to_string()))
    }

    /// Sends a call until it is answered, or sending it again is no use.
    async fn exchange(&self, call: &Call) -> Result<Response, ClientError> {
        let mut attempt = 0;
        loop {
            let (trouble, asked, error) = match self.send(self.request(call)).await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => {
                    let asked = retry_after(response.headers());
                    let trouble = Trouble::Answered(response.status().as_u16());
                    (trouble, asked, self.problem(response).await)
                }
                Err((trouble, error)) => (trouble, None, error),
            };
            attempt += 1;
            if attempt > self.options.retries || !retry::is_worthwhile(trouble, call.is_repeatable)
            {
                return Err(error);
            }
            tokio::time::sleep(retry::wait(attempt, asked)).await;
        }
    }

    fn request(&self, call: &Call) -> reqwest::RequestBuilder {
        let url = format!("{}{ROOT}/{}", self.base, call.target);
        let mut request = match call.method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
            Method::Put => self.http.put(url),
            Method::Delete => self.http.delete(url),
        };
        request = request.timeout(self.options.timeout);
        if let Some(key) = &call.idempotency_key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        match &call.body {
            Some(body) => {
                request.header(header::CONTENT_TYPE, "application/json").body(body.clone())
            }
            None => request,
        }
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn open(
        &self,
        target: &str,
        last: Option<u64>,
    ) -> Result<Response, ClientError> {
        let mut request = self.http.get(format!("{}{ROOT}/{target}", self.base));
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = self.send(request).await.map_err(|(_, error)| error)?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(self.problem(response).await)
        }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    pub(crate) fn broken(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Unreachable { server: self.base.to_string(), reason: reason.into() }
    }

    pub(crate) fn not_ours(&self, status: u16, reason: &str) -> ClientError {
        let server = self.base.to_string();
        ClientError::Reply { server, status, reason: reason.to_owned() }
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<Response, (Trouble, ClientError)> {
        request.send().await.map_err(|error| {
            let trouble = if error.is_connect() { Trouble::NotSent } else { Trouble::Lost };
            (trouble, self.lost(&error))
        })
    }

    fn lost(&self, error: &reqwest::Error) -> ClientError {
        if error.is_timeout() && !error.is_connect() {
            return ClientError::Timeout { server: self.base.to_string() };
        }
        // The URL is said already, and its query is nobody's business.
        let reason = chain(error);
        let reason = reason.split_once("): ").map_or(&*reason, |(_, cause)| cause);
        self.broken(reason)
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if body.len() + chunk.len() > MAX_REPLY {
                return Err(self.not_ours(response.status().as_u16(), "it does not end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn problem(&self, response: Response) -> ClientError {
        let status = response.status();
        let request_id = response.headers().get(REQUEST_ID);
        let request_id = request_id.and_then(|id| id.to_str().ok()).map(str::to_owned);
        let body = match self.body(response).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match Problem::read(status.as_u16(), request_id, &body) {
            Some(problem) => ClientError::Problem(problem),
            None => self.not_ours(status.as_u16(), status.canonical_reason().unwrap_or("no word")),
        }
    }
}

/// The URL without what has no place in it.
fn base_of(server: &str) -> Result<Url, ClientError> {
    // Whatever follows `@` may be a password, so the text itself is not repeated.
    let wrong = |why: &str| ClientError::Options(format!("the server's URL cannot be used: {why}"));
    let url = Url::parse(server.trim()).map_err(|error| {
        wrong(&format!("{error}; it looks like `https://flexcore.example.org`"))
    })?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("it begins with `http://` or `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a login; a server takes an API key"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it holds a query"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn unsendable(name: &str, error: &serde_json::Error) -> ClientError {
    ClientError::Options(format!("{name} cannot be written as JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(server: &str) -> Result<Client, String> {
        Client::new(ClientOptions::new(server)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_is_a_url_without_secrets() {
        assert_eq!(made("http://127.0.0.1:8080/").unwrap().server(), "http://127.0.0.1:8080");
        assert_eq!(made("https://x.example/below/").unwrap().server(), "https://x.example/below");
        for wrong in ["", "x.example", "ftp://x", "https://u:geheim@x", "https://x/?key=geheim"] {
            let said = made(wrong).unwrap_err();
            assert!(!said.contains("geheim"), "{said}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_in_clear() {
        for (server, clear) in [
            ("http://127.0.0.1:1", false),
            ("http://localhost", false),
            ("http://[::1]:1", false),
            ("https://x.example", false),
            ("http://x.example", true),
            ("http://localhost.example", true),
        ] {
            assert_eq!(made(server).unwrap().is_in_clear(), clear, "{server}");
        }
    }
}
