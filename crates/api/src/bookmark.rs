//! Bookmarks: how far each sync got.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{Command, Query, Route, Written};

/// The environment of a request that names none.
pub(crate) fn default_environment() -> String {
    "default".to_owned()
}

/// Which bookmark is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BookmarkAddress {
    /// The pipeline's name.
    pub pipeline: String,
    /// The bookmark's name: the step's id unless its sync names another.
    pub state: String,
    /// The environment; `default` unless given.
    #[serde(default = "default_environment")]
    pub environment: String,
    /// The key of a `for_each` item; absent outside `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
}

/// Forgets a bookmark, or one stream's part of it: the next sync starts over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBookmark {
    /// Which one.
    pub bookmark: BookmarkAddress,
    /// Only this Singer stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

impl Command for ResetBookmark {
    type Reply = Written;
    const NAME: &'static str = "ResetBookmark";
    const PERMISSION: &'static str = "bookmark.write";
    const ROUTE: Option<Route> =
        Some(Route::delete("pipelines/{bookmark.pipeline}/bookmarks/{bookmark.state}"));
}

/// Puts another bookmark in place.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBookmark {
    /// Which one.
    pub bookmark: BookmarkAddress,
    /// The whole Singer state, kept as the text that it is.
    #[schemars(with = "Value")]
    pub state: Box<RawValue>,
}

impl Command for SetBookmark {
    type Reply = Written;
    const NAME: &'static str = "SetBookmark";
    const PERMISSION: &'static str = "bookmark.write";
    const ROUTE: Option<Route> =
        Some(Route::put("pipelines/{bookmark.pipeline}/bookmarks/{bookmark.state}"));
}

/// Keeps a bookmark although its tap or target changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepBookmark {
    /// Which one.
    pub bookmark: BookmarkAddress,
}

impl Command for KeepBookmark {
    type Reply = Written;
    const NAME: &'static str = "KeepBookmark";
    const PERMISSION: &'static str = "bookmark.write";
    const ROUTE: Option<Route> =
        Some(Route::post("pipelines/{bookmark.pipeline}/bookmarks/{bookmark.state}/keep"));
}

/// Shows one bookmark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetBookmark {
    /// Which one.
    pub bookmark: BookmarkAddress,
}

impl Query for GetBookmark {
    type Reply = BookmarkView;
    const NAME: &'static str = "GetBookmark";
    const PERMISSION: &'static str = "bookmark.read";
    const ROUTE: Option<Route> =
        Some(Route::get("pipelines/{bookmark.pipeline}/bookmarks/{bookmark.state}"));
}

/// One bookmark.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BookmarkView {
    /// Which one.
    pub bookmark: BookmarkAddress,
    /// The merged Singer state; absent if there is no bookmark.
    #[schemars(with = "Option<Value>")]
    pub state: Option<Box<RawValue>>,
    /// The Singer state before its last change, for a comparison; absent if there was none.
    #[schemars(with = "Option<Value>")]
    pub previous: Option<Box<RawValue>>,
    /// The execution that advanced it last; absent if a person set it.
    pub execution: Option<String>,
    /// When it changed last (RFC 3339).
    pub changed_at: Option<String>,
    /// The tap that made it.
    pub tap: Option<String>,
    /// The target that confirmed it.
    pub target: Option<String>,
    /// The execution that runs this sync now.
    pub holder: Option<String>,
}

/// Lists the bookmarks of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBookmarks {
    /// The pipeline's name.
    pub pipeline: String,
    /// The environment; `default` unless given.
    #[serde(default = "default_environment")]
    pub environment: String,
}

impl Query for ListBookmarks {
    type Reply = BookmarkList;
    const NAME: &'static str = "ListBookmarks";
    const PERMISSION: &'static str = "bookmark.read";
    const ROUTE: Option<Route> = Some(Route::get("pipelines/{pipeline}/bookmarks"));
}

/// The bookmarks of a pipeline, in the order of its steps.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BookmarkList {
    /// One per sync step.
    pub items: Vec<BookmarkView>,
}
