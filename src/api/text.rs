//! Texts from outside that others will be shown.

use super::error::ApiError;
use crate::limits::{API_TEXT_CHARS_MAX, DISPLAY_NAME_CHARS_MAX};

/// A display name: control characters removed, trimmed, cut at [`DISPLAY_NAME_CHARS_MAX`].
pub(super) fn display_name(raw: &str) -> String {
    let visible: String = raw
        .chars()
        .filter(|c| !c.is_control())
        .take(DISPLAY_NAME_CHARS_MAX)
        .collect();
    visible.trim().to_owned()
}

/// A one-line text that is kept as given or refused.
pub(super) fn line(field: &'static str, raw: String) -> Result<String, ApiError> {
    if raw.chars().count() > API_TEXT_CHARS_MAX || raw.chars().any(char::is_control) {
        return Err(ApiError::unprocessable(
            "invalid_field",
            format!("{field} must be one line of at most {API_TEXT_CHARS_MAX} characters"),
        ));
    }
    Ok(raw)
}

/// [`line`] for a field that may be absent.
pub(super) fn line_opt(
    field: &'static str,
    raw: Option<String>,
) -> Result<Option<String>, ApiError> {
    raw.map(|raw| line(field, raw)).transpose()
}

/// A picture's address: http or https, since browsers will load it.
pub(super) fn picture(raw: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return Ok(None);
    };
    let plausible = raw.starts_with("https://") || raw.starts_with("http://");
    let tidy = raw.len() <= 2_048 && raw.chars().all(|c| !c.is_control() && !c.is_whitespace());
    if plausible && tidy {
        return Ok(Some(raw));
    }
    Err(ApiError::unprocessable(
        "invalid_field",
        "picture must be an http or https address of at most 2048 characters",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_loses_what_could_break_a_line_or_a_terminal() {
        assert_eq!(display_name("  A\u{1b}[31mnn\r\n "), "A[31mnn");
        assert_eq!(display_name(&"é".repeat(1000)).chars().count(), 128);
    }

    #[test]
    fn a_picture_is_an_address_a_browser_may_load() {
        assert!(picture(Some("https://x/y.png".to_owned())).is_ok());
        assert_eq!(picture(Some(String::new())), Ok(None));
        assert!(picture(Some("javascript:alert(1)".to_owned())).is_err());
        assert!(picture(Some("https://x/\n".to_owned())).is_err());
    }
}
