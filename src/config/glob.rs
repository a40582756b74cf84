//! Patterns with `*`, for user agents in profiles.

/// A pattern in which `*` stands for any run of characters; case is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Keeps `pattern`; every text is a valid pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase())
    }

    /// As written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` is described. Linear in `text` times the number of stars: the
    /// text is the peer's, so nothing here may back-track without bound.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for middle in parts {
            let Some(at) = rest.find(middle) else {
                return false;
            };
            rest = &rest[at + middle.len()..];
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("Twilio*", "Twilio Gateway", true),
            ("twilio*", "TWILIO", true),
            ("Twilio", "Twilio Gateway", false),
            ("*linphone*", "LinphoneiOS/5.0 (iPhone) LinphoneSDK", true),
            ("Z 5.* v2.10.*", "Z 5.6.1 v2.10.19.9", true),
            ("Z 5.* v2.10.*", "Z 5.6.1 v2.11", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
    }
}
