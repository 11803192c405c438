//! What a caller shows.

use std::fmt;

/// An API key or a token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key as it was given, without what surrounds it; `None` if it is empty or holds what no
    /// header can.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The value of the header `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_fits_into_a_header_and_is_not_shown() {
        assert_eq!(ApiKey::parse(" flx_1_a\n").unwrap().authorization(), "Bearer flx_1_a");
        assert_eq!(format!("{:?}", ApiKey::parse("flx_1_a").unwrap()), "ApiKey(***)");
        for wrong in ["", "  ", "a b", "a\r\nHost: x", "schlüssel"] {
            assert_eq!(ApiKey::parse(wrong), None, "{wrong}");
        }
    }
}
