//! Answers for people and for programs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::word;

/// Heading and member.
pub(super) type Column = (&'static str, &'static str);

/// As it came, or in words.
pub(super) fn either(as_json: bool, data: &Value, words: impl Fn(&Value) -> String) -> String {
    match as_json {
        true => format!("{data:#}\n"),
        false => words(data),
    }
}

/// A list as a table; one thing as its members.
pub(super) fn table(data: &Value, columns: &[Column]) -> String {
    let Some(items) = data.as_array() else {
        return members(data);
    };
    let head = columns.iter().map(|(heading, _)| (*heading).to_owned());
    let mut rows: Vec<Vec<String>> = vec![head.collect()];
    for item in items {
        rows.push(
            columns
                .iter()
                .map(|(_, member)| word(&item[*member]))
                .collect(),
        );
    }
    let width = |column: usize| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(word, width)| format!("{word:<width$}"))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.join("  ").trim_end());
    }
    text
}

/// A call with its ladder.
pub(super) fn call(data: &Value) -> String {
    let mut shown = data.clone();
    let timeline = shown
        .as_object_mut()
        .and_then(|call| call.remove("timeline"));
    let mut text = members(&shown);
    let Some(timeline) = timeline else {
        return text;
    };
    let _ = writeln!(
        text,
        "\n{:>9}   phone                        ringbridge",
        "s"
    );
    for fact in timeline["facts"].as_array().into_iter().flatten() {
        let at = fact["at_ms"].as_f64().unwrap_or_default() / 1e3;
        let what = tame(fact["text"].as_str().unwrap_or_default());
        let _ = match fact["direction"].as_str() {
            Some("in") => writeln!(text, "{at:>9.3}     │{:─^30}►│", format!(" {what} ")),
            Some("out") => writeln!(text, "{at:>9.3}     │◄{:─^30}│", format!(" {what} ")),
            _ => writeln!(text, "{at:>9.3}     │{:31}│  {what}", ""),
        };
    }
    if let Some(skipped) = timeline["skipped"].as_u64().filter(|skipped| *skipped > 0) {
        let _ = writeln!(text, "{:>9}     {skipped} more in the middle", "…");
    }
    text
}

/// What others named may hold terminal escapes.
pub(super) fn tame(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { '·' } else { letter })
        .collect()
}

fn members(data: &Value) -> String {
    let mut text = String::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        if let Some(inner) = value.as_object() {
            for (inner_name, value) in inner {
                let _ = writeln!(
                    text,
                    "{:<26} {}",
                    format!("{name}.{inner_name}"),
                    word(value)
                );
            }
        } else {
            let _ = writeln!(text, "{name:<26} {}", word(value));
        }
    }
    text
}

/// To standard output; a reader that closed the pipe is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_a_table_and_what_others_wrote_forges_nothing() {
        let data = json!([
            { "id": "1", "title": "Stand\u{1b}[2Jup", "n": null },
            { "id": "22", "title": "x", "n": 0.25 },
        ]);
        let columns: &[Column] = &[("ID", "id"), ("TITLE", "title"), ("N", "n")];
        let text = table(&data, columns);
        assert_eq!(
            text,
            "ID  TITLE        N\n1   Stand·[2Jup  -\n22  x            0.2\n"
        );
    }

    #[test]
    fn a_call_is_shown_with_its_ladder() {
        let fact = |direction, text| json!({ "at_ms": 1.5, "direction": direction, "text": text });
        let facts = [
            fact("in", "INVITE"),
            fact("out", "200 OK"),
            fact("inside", "in the session"),
        ];
        let data = json!({ "id": "1", "timeline": { "facts": facts, "skipped": 2 } });
        let text = call(&data);
        assert!(text.contains(" INVITE ") && text.contains("►│"), "{text}");
        assert!(
            text.contains("│◄") && text.ends_with("2 more in the middle\n"),
            "{text}"
        );
        assert!(text.contains("│  in the session"), "{text}");
    }
}
