//! One Authorization header: reading it and computing what it should say.

use super::DigestAlgorithm;
use crate::sip::header::{InvalidHeader, split_unquoted};

/// The fields of an `Authorization: Digest ...` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestResponse {
    /// Whose credentials.
    pub username: String,
    /// Realm as echoed.
    pub realm: String,
    /// Nonce as echoed.
    pub nonce: String,
    /// The URI that was hashed, as sent.
    pub uri: String,
    /// The hash, lower case.
    pub response: String,
    /// `MD5` where nothing is said.
    pub algorithm: String,
    /// Nonce count; `None` without qop (RFC 2069 clients).
    pub nc: Option<u32>,
    cnonce: String,
    nc_raw: String,
    qop: Option<String>,
}

impl DigestResponse {
    /// Reads the header. `Ok(None)`: another scheme than Digest.
    pub fn parse(value: &str) -> Result<Option<Self>, InvalidHeader> {
        let value = value.trim();
        let (scheme, fields) = value.split_once([' ', '\t']).unwrap_or((value, ""));
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Ok(None);
        }
        let fields = Fields::parse(fields)?;
        let qop = fields.get("qop").map(str::to_owned);
        let nc_raw = fields.get("nc").unwrap_or_default().to_owned();
        let nc = match qop.as_deref() {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Some(parse_nc(&nc_raw)?),
            Some(_) => return Err(InvalidHeader),
        };
        let cnonce = fields.get("cnonce").map(str::to_owned);
        if qop.is_some() && cnonce.is_none() {
            return Err(InvalidHeader);
        }
        Ok(Some(Self {
            username: fields.required("username")?,
            realm: fields.required("realm")?,
            nonce: fields.required("nonce")?,
            uri: fields.required("uri")?,
            response: fields.required("response")?.to_ascii_lowercase(),
            algorithm: fields.get("algorithm").unwrap_or("MD5").to_owned(),
            nc,
            cnonce: cnonce.unwrap_or_default(),
            nc_raw,
            qop,
        }))
    }

    /// The hash these fields should carry (RFC 7616 §3.4.1), lower-case hex.
    pub fn expected(&self, algorithm: DigestAlgorithm, ha1: &str, method: &str) -> String {
        let ha2 = algorithm.hash_hex(&[method, &self.uri]);
        match &self.qop {
            Some(qop) => {
                algorithm.hash_hex(&[ha1, &self.nonce, &self.nc_raw, &self.cnonce, qop, &ha2])
            }
            None => algorithm.hash_hex(&[ha1, &self.nonce, &ha2]),
        }
    }
}

/// Up to eight hex digits: after 9 comes `a`.
fn parse_nc(text: &str) -> Result<u32, InvalidHeader> {
    let is_hex = (1..=8).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match is_hex {
        true => u32::from_str_radix(text, 16).map_err(|_| InvalidHeader),
        false => Err(InvalidHeader),
    }
}

/// `name=value` and `name="value"` pairs; which fields are quoted is not looked at, since phones
/// disagree.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, InvalidHeader> {
        let mut fields: Vec<(&str, &str)> = Vec::new();
        for item in split_unquoted(text, b',') {
            let item = item.trim();
            if item.is_empty() {
                continue;
            }
            let (name, value) = item.split_once('=').ok_or(InvalidHeader)?;
            let (name, value) = (name.trim(), value.trim());
            let value = match value.strip_prefix('"') {
                Some(value) => value.strip_suffix('"').ok_or(InvalidHeader)?,
                None => value,
            };
            if fields
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(name))
            {
                return Err(InvalidHeader);
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self
            .0
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }

    fn required(&self, name: &str) -> Result<String, InvalidHeader> {
        self.get(name).map(str::to_owned).ok_or(InvalidHeader)
    }
}

#[cfg(test)]
mod tests {
    use super::super::ha1;
    use super::*;

    fn read(value: &str) -> DigestResponse {
        DigestResponse::parse(value).unwrap().unwrap()
    }

    #[test]
    fn the_example_of_rfc_2617_verifies() {
        let response = read(
            "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", qop=auth, \
             nc=00000001, cnonce=\"0a4f113b\", response=\"6629fae49393a05397450978507c4ef1\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
        );
        let ha1 = ha1(
            DigestAlgorithm::Md5,
            "Mufasa",
            "testrealm@host.com",
            "Circle Of Life",
        );
        assert_eq!(ha1, "939e7578ed9e3c518a452acee763bce9");
        assert_eq!(
            response.expected(DigestAlgorithm::Md5, &ha1, "GET"),
            response.response
        );
    }

    #[test]
    fn the_examples_of_rfc_7616_verify_with_both_algorithms() {
        for (algorithm, expected) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                DigestAlgorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let response = read(&format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                 uri=\"/dir/index.html\", algorithm={}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
                 response=\"{expected}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
                algorithm.token(),
            ));
            let ha1 = ha1(
                algorithm,
                "Mufasa",
                "http-auth@example.org",
                "Circle of Life",
            );
            assert_eq!(response.expected(algorithm, &ha1, "GET"), expected);
        }
    }

    #[test]
    fn phones_quote_what_they_like_and_write_in_any_case() {
        let response = read(
            "DIGEST Username=\"a,b\",REALM=\"r\", nonce=n ,uri=\"sip:x,y@z\",response=\"AB\",\
             algorithm=\"md5\",qop=\"auth\",nc=\"0000000a\",cnonce=c,",
        );
        assert_eq!((response.username.as_str(), response.nc), ("a,b", Some(10)));
        assert_eq!(
            (response.uri.as_str(), response.response.as_str()),
            ("sip:x,y@z", "ab")
        );
    }

    #[test]
    fn headers_that_lack_or_repeat_a_field_are_refused() {
        let whole = "Digest username=u,realm=r,nonce=n,uri=\"sip:x\",response=r";
        assert!(DigestResponse::parse(whole).is_ok());
        for broken in [
            "Digest",
            "Digest username",
            "Digest username=u,realm=r,nonce=n,uri=\"sip:x\"",
            &format!("{whole},username=v"),
            &format!("{whole},qop=auth-int,nc=1,cnonce=c"),
            &format!("{whole},qop=auth,nc=zz,cnonce=c"),
            &format!("{whole},qop=auth,nc=123456789,cnonce=c"),
            &format!("{whole},qop=auth,nc=1"),
            &format!("{whole},cnonce=\"open"),
        ] {
            assert_eq!(
                DigestResponse::parse(broken),
                Err(InvalidHeader),
                "{broken}"
            );
        }
        assert_eq!(
            DigestResponse::parse("NoOneKnowsThisScheme opaque-data=here"),
            Ok(None)
        );
    }
}
