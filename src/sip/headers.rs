//! The header container: one text, and where in it each name and value stands. A message's headers
//! cost two allocations, however many they are.
//!
//! Values are as they were sent: where a peer's text goes back on the wire it is never printed
//! anew.

/// Headers in order. Items of list headers stand apart, one header each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: String,
    fields: Vec<Field>,
}

/// One header: its value is `text[start..end]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    name: Name,
    start: u32,
    end: u32,
}

/// A header's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Index into [`KNOWN`].
    Known(u8),
    /// This many octets before the value.
    Other(u32),
}

/// Names we look for or that have a compact form, in order of length; the flag: whether a comma
/// separates values. Authorization and Date have commas that do not.
const KNOWN: [(&str, bool); 65] = [
    ("To", false),
    ("Via", true),
    ("From", false),
    ("CSeq", false),
    ("RAck", false),
    ("RSeq", false),
    ("Date", false),
    ("Path", true),
    ("Allow", true),
    ("Event", false),
    ("Route", true),
    ("Accept", true),
    ("Min-SE", false),
    ("Reason", true),
    ("Server", false),
    ("Call-ID", false),
    ("Contact", true),
    ("Expires", false),
    ("Privacy", false),
    ("Require", true),
    ("Subject", false),
    ("Warning", false),
    ("Identity", false),
    ("Priority", false),
    ("Refer-To", false),
    ("Replaces", false),
    ("Reply-To", false),
    ("Refer-Sub", false),
    ("Supported", true),
    ("Timestamp", false),
    ("Call-Info", false),
    ("Diversion", true),
    ("Alert-Info", false),
    ("Error-Info", false),
    ("Flow-Timer", false),
    ("User-Agent", false),
    ("Min-Expires", false),
    ("Referred-By", false),
    ("Retry-After", false),
    ("Unsupported", true),
    ("Allow-Events", true),
    ("Content-Type", false),
    ("History-Info", true),
    ("Max-Forwards", false),
    ("MIME-Version", false),
    ("Organization", false),
    ("Record-Route", true),
    ("User-to-User", false),
    ("Authorization", false),
    ("P-Early-Media", false),
    ("Proxy-Require", true),
    ("Accept-Contact", false),
    ("Content-Length", false),
    ("Reject-Contact", false),
    ("Accept-Encoding", true),
    ("Accept-Language", false),
    ("Remote-Party-ID", true),
    ("Session-Expires", false),
    ("Content-Encoding", true),
    ("WWW-Authenticate", false),
    ("Content-Disposition", false),
    ("P-Asserted-Identity", true),
    ("Proxy-Authorization", false),
    ("Request-Disposition", false),
    ("P-Preferred-Identity", true),
];

/// Longest of them.
const KNOWN_LEN_MAX: usize = 20;

/// For each length, which of [`KNOWN`] may have it: first and one past the last.
const BY_LENGTH: [(u8, u8); KNOWN_LEN_MAX + 1] = {
    let mut ranges = [(u8::MAX, 0); KNOWN_LEN_MAX + 1];
    let mut index = 0;
    while index < KNOWN.len() {
        let range = &mut ranges[KNOWN[index].0.len()];
        if range.0 > index as u8 {
            range.0 = index as u8;
        }
        range.1 = index as u8 + 1;
        index += 1;
    }
    ranges
};

fn known(name: &str) -> Option<u8> {
    let (first, end) = *BY_LENGTH.get(name.len())?;
    (first..end).find(|&index| KNOWN[usize::from(index)].0.eq_ignore_ascii_case(name))
}

/// Whether a header of this name holds a list.
pub(super) fn is_list(name: &str) -> bool {
    known(name).is_some_and(|index| KNOWN[usize::from(index)].1)
}

impl Headers {
    /// Without headers, with room for so many octets of them.
    pub fn with_capacity(octets: usize) -> Self {
        Self {
            text: String::with_capacity(octets),
            // A header of a phone has some 40 octets.
            fields: Vec::with_capacity(octets / 32),
        }
    }

    /// Appends one header; known names become canonical.
    pub fn push(&mut self, name: &str, value: impl AsRef<str>) {
        let name = match known(name) {
            Some(index) => Name::Known(index),
            None => {
                self.text.push_str(name);
                Name::Other(name.len() as u32)
            }
        };
        let start = self.text.len() as u32;
        self.text.push_str(value.as_ref());
        let end = self.text.len() as u32;
        self.fields.push(Field { name, start, end });
    }

    /// First value of this name, in any case.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All values of this name in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = known(name);
        self.fields
            .iter()
            .filter(move |field| match (wanted, field.name) {
                (Some(wanted), Name::Known(index)) => wanted == index,
                (None, Name::Other(_)) => self.name(field).eq_ignore_ascii_case(name),
                _ => false,
            })
            .map(|field| self.value(field))
    }

    /// Whether a list header has this token, in any case: `Supported: timer`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|field| (self.name(field), self.value(field)))
    }

    fn name(&self, field: &Field) -> &str {
        match field.name {
            Name::Known(index) => KNOWN[usize::from(index)].0,
            Name::Other(len) => &self.text[(field.start - len) as usize..field.start as usize],
        }
    }

    fn value(&self, field: &Field) -> &str {
        &self.text[field.start as usize..field.end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case_and_keep_their_order_and_text() {
        let mut headers = Headers::default();
        headers.push("via", "SIP/2.0/UDP a;Branch=X");
        headers.push("X-Thing", "one");
        headers.push("VIA", "SIP/2.0/TCP b");
        assert_eq!(
            headers.all("Via").collect::<Vec<_>>(),
            ["SIP/2.0/UDP a;Branch=X", "SIP/2.0/TCP b"]
        );
        assert_eq!(headers.get("x-thing"), Some("one"));
        assert_eq!(
            headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            ["Via", "X-Thing", "Via"]
        );
    }

    #[test]
    fn every_known_name_is_found_by_its_length() {
        for (index, (name, _)) in KNOWN.iter().enumerate() {
            let found = known(&name.to_ascii_lowercase());
            assert_eq!(found, Some(index as u8), "{name}");
        }
        for name in ["", "X", "Tos", &"x".repeat(KNOWN_LEN_MAX + 1)] {
            assert_eq!(known(name), None, "{name}");
        }
    }
}
