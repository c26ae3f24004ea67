//! Who may watch: loopback by default, a token beyond.

use std::net::IpAddr;

use hyper::{HeaderMap, Uri, header};

use crate::CliError;

/// Shortest token, characters.
const SHORTEST: usize = 16;
/// Name of the cookie that holds the token's hash.
const COOKIE: &str = "ccface_watch";

/// The rules of who may watch.
#[derive(Debug)]
pub(super) struct Access {
    /// Hash of the token; comparing hashes takes the same time wherever they differ.
    token: Option<blake3::Hash>,
}

/// What the rules say of a request.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It may be answered.
    Pass,
    /// It brought the token in its address: this cookie keeps it.
    Enter(String),
    /// It may not, for this reason.
    Refuse(&'static str),
}

impl Access {
    /// Rules for this address.
    ///
    /// # Errors
    /// [`CliError::Usage`] beyond loopback without a token, or for a token that is too short.
    pub(super) fn new(host: IpAddr, token: Option<String>) -> Result<Self, CliError> {
        match &token {
            None if !host.is_loopback() => {
                return Err(CliError::Usage(format!(
                    "--host {host} lets other machines watch: give --token-file FILE with a secret of at least {SHORTEST} characters, \
                     or watch through ssh -L on loopback"
                )));
            }
            Some(token) if token.chars().count() < SHORTEST => {
                return Err(CliError::Usage(format!(
                    "the token has fewer than {SHORTEST} characters; make one with: head -c 24 /dev/urandom | base64"
                )));
            }
            _ => {}
        }
        Ok(Self {
            token: token.map(|token| blake3::hash(token.as_bytes())),
        })
    }

    /// Looks at a request's head.
    pub(super) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let Some(token) = &self.token else {
            // A page of another site may point its own name at 127.0.0.1; its requests carry that name.
            let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
            return if host.is_some_and(names_loopback) {
                Verdict::Pass
            } else {
                Verdict::Refuse("this page is for localhost only")
            };
        };
        let given = uri.query().and_then(|query| {
            query
                .split('&')
                .find_map(|part| part.strip_prefix("token="))
        });
        if let Some(given) = given {
            return if blake3::hash(decoded(given).as_slice()) == *token {
                Verdict::Enter(format!(
                    "{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/",
                    token.to_hex()
                ))
            } else {
                Verdict::Refuse("the token is wrong")
            };
        }
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .is_some_and(|given| blake3::hash(given.as_bytes()) == *token);
        let cookie = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
            .filter_map(|value| blake3::Hash::from_hex(value).ok())
            .any(|given| given == *token);
        if bearer || cookie {
            Verdict::Pass
        } else {
            Verdict::Refuse("a token is needed: open this address with /?token=… at its end")
        }
    }
}

/// Whether the value of a `Host` header names this machine to itself.
fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Percent signs of an address resolved; a token may hold `+`, `/` and `=`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn beyond_loopback_a_token_of_some_length_is_needed() {
        let all: IpAddr = "0.0.0.0".parse().unwrap();
        let message = Access::new(all, None).unwrap_err().to_string();
        assert!(message.contains("--token-file"), "{message}");
        assert!(Access::new(all, Some("short".into())).is_err());
        assert!(Access::new(all, Some("long enough to keep".into())).is_ok());
        assert!(Access::new("::1".parse().unwrap(), None).is_ok());
    }

    #[test]
    fn another_sites_name_for_this_machine_is_refused() {
        let access = Access::new("127.0.0.1".parse().unwrap(), None).unwrap();
        let judge =
            |host: &str| access.judge(&"/".parse().unwrap(), &headers(&[(header::HOST, host)]));
        for host in ["localhost:6010", "127.0.0.1", "[::1]:80", "LOCALHOST"] {
            assert_eq!(judge(host), Verdict::Pass, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:6010", "192.168.1.4"] {
            assert!(matches!(judge(host), Verdict::Refuse(_)), "{host}");
        }
        let without = access.judge(&"/".parse().unwrap(), &HeaderMap::new());
        assert!(matches!(without, Verdict::Refuse(_)));
    }

    #[test]
    fn a_token_opens_by_address_cookie_or_header_and_by_nothing_else() {
        let token = "a token/with+marks=";
        let access = Access::new("10.0.0.1".parse().unwrap(), Some(token.into())).unwrap();
        let root: Uri = "/".parse().unwrap();
        let entered = access.judge(
            &"/?token=a%20token%2Fwith%2bmarks=".parse().unwrap(),
            &HeaderMap::new(),
        );
        let Verdict::Enter(cookie) = entered else {
            panic!("{entered:?}");
        };
        let cookie = cookie.split(';').next().unwrap().to_string();
        let with = format!("theme=dark; {cookie}");
        assert_eq!(
            access.judge(&root, &headers(&[(header::COOKIE, with.as_str())])),
            Verdict::Pass
        );
        let bearer = format!("Bearer {token}");
        assert_eq!(
            access.judge(&root, &headers(&[(header::AUTHORIZATION, bearer.as_str())])),
            Verdict::Pass
        );
        for wrong in ["/?token=", "/?token=other"] {
            let verdict = access.judge(&wrong.parse().unwrap(), &HeaderMap::new());
            assert!(matches!(verdict, Verdict::Refuse(_)), "{wrong}");
        }
        let verdict = access.judge(&root, &headers(&[(header::COOKIE, "ccface_watch=00")]));
        assert!(matches!(verdict, Verdict::Refuse(_)));
    }
}
