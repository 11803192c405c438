//! How people name a bookmark: `PIPELINE[/STEP[@ITEM][/STREAM]]`.

use std::{fmt, str::FromStr};

/// A pipeline, and below it a sync, the item of a `for_each`, and a Singer stream, as far as they
/// are named. A `/` in an item is written `%2F`, a `%` is written `%25`; a stream is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) pipeline: String,
    pub(crate) sync: Option<SyncAddress>,
}

/// A sync of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyncAddress {
    pub(crate) step: String,
    pub(crate) item: Option<String>,
    pub(crate) stream: Option<String>,
}

/// The address of a sync: one that names at least a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FullAddress {
    pub(crate) pipeline: String,
    pub(crate) sync: SyncAddress,
}

const FORM: &str = "write PIPELINE/STEP[@ITEM][/STREAM], for example flights/load/airports";

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pipeline, rest) = match text.split_once('/') {
            None => (text, None),
            Some((pipeline, rest)) => (pipeline, Some(rest)),
        };
        if pipeline.is_empty() {
            return Err(FORM.to_owned());
        }
        let sync = rest.map(str::parse).transpose()?;
        Ok(Self { pipeline: pipeline.to_owned(), sync })
    }
}

impl FromStr for SyncAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, stream) = match text.split_once('/') {
            None => (text, None),
            Some((place, stream)) => (place, Some(stream)),
        };
        let (step, item) = match place.split_once('@') {
            None => (place, None),
            Some((step, item)) => (step, Some(item)),
        };
        if step.is_empty() || item == Some("") || stream == Some("") {
            return Err(FORM.to_owned());
        }
        Ok(Self {
            step: step.to_owned(),
            item: item.map(decode),
            stream: stream.map(str::to_owned),
        })
    }
}

impl FromStr for FullAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Address { pipeline, sync } = text.parse()?;
        let sync = sync.ok_or_else(|| FORM.to_owned())?;
        Ok(Self { pipeline, sync })
    }
}

impl fmt::Display for FullAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.pipeline, self.sync.step)?;
        if let Some(item) = &self.sync.item {
            write!(formatter, "@{}", item.replace('%', "%25").replace('/', "%2F"))?;
        }
        match &self.sync.stream {
            Some(stream) => write!(formatter, "/{stream}"),
            None => Ok(()),
        }
    }
}

/// In one pass, so that `%252F` is `%2F`.
fn decode(item: &str) -> String {
    let mut parts = item.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (mark, rest) = part.split_at_checked(2).unwrap_or(("", part));
        match mark {
            "2F" | "2f" => decoded.push('/'),
            "25" => decoded.push('%'),
            mark => {
                decoded.push('%');
                decoded.push_str(mark);
            }
        }
        decoded.push_str(rest);
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> FullAddress {
        text.parse().unwrap()
    }

    fn address(item: Option<&str>, stream: Option<&str>) -> FullAddress {
        FullAddress {
            pipeline: "flights".to_owned(),
            sync: SyncAddress {
                step: "load".to_owned(),
                item: item.map(str::to_owned),
                stream: stream.map(str::to_owned),
            },
        }
    }

    #[test]
    fn every_part_below_the_step_may_be_left_out() {
        assert_eq!(full("flights/load"), address(None, None));
        assert_eq!(full("flights/load/airports"), address(None, Some("airports")));
        assert_eq!(full("flights/load@eu"), address(Some("eu"), None));
        assert_eq!(full("flights/load@eu/airports"), address(Some("eu"), Some("airports")));
    }

    #[test]
    fn streams_and_items_may_have_odd_names() {
        assert_eq!(full("flights/load/a/b@c"), address(None, Some("a/b@c")));
        assert_eq!(full("flights/load@a@b"), address(Some("a@b"), None));
        assert_eq!(full("flights/load@a%2Fb/s"), address(Some("a/b"), Some("s")));
    }

    #[test]
    fn an_address_comes_back_from_its_text() {
        for item in [None, Some("eu"), Some("a/b"), Some("100%"), Some("%2F")] {
            for stream in [None, Some("x"), Some("x/y")] {
                let address = address(item, stream);
                assert_eq!(full(&address.to_string()), address, "{address}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_form() {
        for text in [
            "",
            "/",
            "flights",
            "flights/",
            "flights//x",
            "flights/@x",
            "flights/load@",
            "flights/load/",
        ] {
            let error = text.parse::<FullAddress>().unwrap_err();
            assert!(error.contains("PIPELINE/STEP"), "{text}");
        }
        let only_pipeline: Address = "flights".parse().unwrap();
        assert_eq!(only_pipeline.sync, None);
        assert!("flights/".parse::<Address>().is_err());
    }
}
