//! Where REST has a request.

/// A method of HTTP, as far as requests use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes something, or does something to it.
    Post,
    /// Puts something in the place of what is there.
    Put,
    /// Takes something away.
    Delete,
}

impl Method {
    /// Its word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Where REST has a request, below the root of the interface.
///
/// A name in braces is a field of the request (`{name}`; `{bookmark.pipeline}` for one inside
/// another; `{*stream}` for one that may hold slashes and is the last). Fields that the path does
/// not name come from the query of a GET or DELETE, and from the JSON body otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// How it is asked.
    pub method: Method,
    /// Where, without a slash at the beginning.
    pub path: &'static str,
    /// The status of a reply.
    pub status: u16,
    /// The field that the header `Idempotency-Key` fills.
    pub idempotency_field: Option<&'static str>,
    /// The field that the header `If-Match` fills.
    pub match_field: Option<&'static str>,
    /// The field of the reply that is its `ETag`; without one the tag is a hash of the reply.
    pub tag_field: Option<&'static str>,
}

impl Route {
    /// Reads at `path`.
    pub const fn get(path: &'static str) -> Self {
        Self::new(Method::Get, path)
    }

    /// Does something at `path`.
    pub const fn post(path: &'static str) -> Self {
        Self::new(Method::Post, path)
    }

    /// Puts something at `path`.
    pub const fn put(path: &'static str) -> Self {
        Self::new(Method::Put, path)
    }

    /// Takes away what is at `path`.
    pub const fn delete(path: &'static str) -> Self {
        Self::new(Method::Delete, path)
    }

    const fn new(method: Method, path: &'static str) -> Self {
        Self {
            method,
            path,
            status: 200,
            idempotency_field: None,
            match_field: None,
            tag_field: None,
        }
    }

    /// Replies with another status than 200, such as 201 or 202.
    #[must_use]
    pub const fn replying(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// Takes the header `Idempotency-Key` as the value of a field.
    #[must_use]
    pub const fn keyed_by(self, field: &'static str) -> Self {
        Self { idempotency_field: Some(field), ..self }
    }

    /// Takes the header `If-Match` as the value of a field, which is a number.
    #[must_use]
    pub const fn matched_by(self, field: &'static str) -> Self {
        Self { match_field: Some(field), ..self }
    }

    /// Gives a field of the reply, which is a number, as the header `ETag`: the one that
    /// `If-Match` of a change takes.
    #[must_use]
    pub const fn tagged_by(self, field: &'static str) -> Self {
        Self { tag_field: Some(field), ..self }
    }
}
