//! Addresses as flags and members give them: `http://host:port`, `unix:///path`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// How one speaks at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// TCP, in the clear.
    Http,
    /// TCP with TLS.
    Https,
    /// A socket in the file system, in the clear.
    Unix,
    /// A socket in the file system, with TLS.
    Unixs,
}

impl Scheme {
    /// Tells whether TLS is spoken.
    #[must_use]
    pub fn is_tls(self) -> bool {
        match self {
            Scheme::Https | Scheme::Unixs => true,
            Scheme::Http | Scheme::Unix => false,
        }
    }

    /// Tells whether the address is a socket in the file system.
    #[must_use]
    pub fn is_unix(self) -> bool {
        match self {
            Scheme::Unix | Scheme::Unixs => true,
            Scheme::Http | Scheme::Https => false,
        }
    }
}

/// One address. It is ordered, compared, hashed into IDs and printed by its text, letter by letter
/// as it was given, except that the scheme is in lower case: so does etcd.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    text: String,
    scheme: Scheme,
    host: String,
    port: u16,
}

/// Why a text is no address. Each says what was wanted, to be put after "wants".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct UrlError {
    expected: &'static str,
}

impl UrlError {
    /// What would have been right.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.expected
    }
}

impl Url {
    /// Reads one address.
    ///
    /// # Errors
    ///
    /// If the scheme is not one of ours, if the port is missing or no port, or if anything follows
    /// it.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let wants = |expected| UrlError { expected };
        let text = text.trim();
        let (scheme, rest) =
            text.split_once(':').ok_or(wants("an URL such as http://host:port"))?;
        let scheme_text = scheme.to_ascii_lowercase();
        let scheme = match scheme_text.as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "unix" => Scheme::Unix,
            "unixs" => Scheme::Unixs,
            _ => return Err(wants("an URL whose scheme is http, https, unix, or unixs")),
        };
        let text = format!("{scheme_text}:{rest}");
        let after_slashes = rest.strip_prefix("//");
        if scheme.is_unix() {
            // A host before the path is part of the socket's name, as etcd has it.
            let host = after_slashes.unwrap_or(rest);
            if host.is_empty() {
                return Err(wants("an URL with the path of a socket, such as unix:///path"));
            }
            return Ok(Url { scheme, host: host.to_owned(), port: 0, text });
        }
        let authority = after_slashes.ok_or(wants("an URL of the form http://host:port"))?;
        if authority.contains('/') {
            return Err(wants("an URL without a path"));
        }
        if authority.contains(['?', '#', '@']) {
            return Err(wants("an URL of a host and a port and nothing else"));
        }
        let (host, port) = split_host_port(authority)
            .ok_or(wants("an URL whose address has the form host:port"))?;
        let port = port.parse().map_err(|_| wants("an URL with a port from 0 to 65535"))?;
        Ok(Url { scheme, host: host.to_owned(), port, text })
    }

    /// Reads a list separated by commas, and returns it sorted, each address once.
    ///
    /// # Errors
    ///
    /// If one is no address; an empty list is none.
    pub fn parse_list(text: &str) -> Result<Vec<Url>, UrlError> {
        let mut urls = text.split(',').map(Url::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        urls.dedup();
        Ok(urls)
    }

    /// The address as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How one speaks there.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host without brackets, empty for "every interface"; the path of a socket in the file
    /// system.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; zero, which asks for a free one, also for sockets in the file system.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as a number, if it is given as one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        if self.scheme.is_unix() {
            return None;
        }
        self.host.parse().ok()
    }

    /// The path, for sockets in the file system.
    #[must_use]
    pub fn socket_path(&self) -> Option<PathBuf> {
        self.scheme.is_unix().then(|| PathBuf::from(&self.host))
    }

    /// `host:port` with the brackets that IPv6 needs; the path of a socket in the file system.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.scheme.is_unix() {
            return self.host.clone();
        }
        if self.host.contains(':') {
            return format!("[{}]:{}", self.host, self.port);
        }
        format!("{}:{}", self.host, self.port)
    }

    /// What two spellings of one address have in common: scheme, and the host as a number if it is
    /// one, so that `[::0001]:1` equals `[::1]:1`.
    #[must_use]
    pub fn normalized(&self) -> (Scheme, String) {
        match self.ip() {
            Some(ip) => (self.scheme, SocketAddr::new(ip.to_canonical(), self.port).to_string()),
            None => (self.scheme, self.authority()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The texts of addresses, joined by commas.
#[must_use]
pub fn joined(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}

/// Splits `host:port` or `[host]:port`. A host with a colon needs brackets.
fn split_host_port(authority: &str) -> Option<(&str, &str)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':')?));
    }
    let (host, port) = authority.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_read_from_all_forms() {
        for (text, host, port, authority) in [
            ("http://localhost:2379", "localhost", 2379, "localhost:2379"),
            ("HTTPS://10.0.0.1:0", "10.0.0.1", 0, "10.0.0.1:0"),
            ("http://[::1]:80", "::1", 80, "[::1]:80"),
            ("http://:2379", "", 2379, ":2379"),
            (" http://a.b-c:1 ", "a.b-c", 1, "a.b-c:1"),
            ("unix:///tmp/a.sock", "/tmp/a.sock", 0, "/tmp/a.sock"),
            ("unix:/tmp/a.sock", "/tmp/a.sock", 0, "/tmp/a.sock"),
            ("unixs://localhost:7", "localhost:7", 0, "localhost:7"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
            assert_eq!(url.authority(), authority, "{text}");
        }
        assert_eq!(Url::parse("HTTP://A:1").unwrap().as_str(), "http://A:1");
    }

    #[test]
    fn what_etcd_refuses_is_refused_with_what_was_wanted() {
        for (text, expected) in [
            ("", "an URL such as http://host:port"),
            ("localhost", "an URL such as http://host:port"),
            ("localhost:2379", "an URL whose scheme is http, https, unix, or unixs"),
            ("ftp://a:1", "an URL whose scheme is http, https, unix, or unixs"),
            ("http:a:1", "an URL of the form http://host:port"),
            ("http://a", "an URL whose address has the form host:port"),
            ("http://::1:80", "an URL whose address has the form host:port"),
            ("http://a:1/", "an URL without a path"),
            ("http://a:1?x", "an URL of a host and a port and nothing else"),
            ("http://a:x", "an URL with a port from 0 to 65535"),
            ("http://a:65536", "an URL with a port from 0 to 65535"),
            ("unix://", "an URL with the path of a socket, such as unix:///path"),
        ] {
            assert_eq!(Url::parse(text).unwrap_err().expected(), expected, "{text}");
        }
    }

    #[test]
    fn list_is_sorted_and_has_each_address_once() {
        let urls = Url::parse_list("http://b:1,http://a:2,http://b:1").unwrap();
        assert_eq!(joined(&urls), "http://a:2,http://b:1");
    }

    #[test]
    fn spellings_of_one_address_are_equal_when_normalized() {
        let normalized = |text: &str| Url::parse(text).unwrap().normalized();
        assert_eq!(normalized("http://[::1]:1"), normalized("http://[0:0::1]:1"));
        assert_eq!(normalized("http://[::ffff:10.0.0.1]:1"), normalized("http://10.0.0.1:1"));
        assert_ne!(normalized("http://[::1]:1"), normalized("https://[::1]:1"));
        assert_ne!(normalized("http://a:1"), normalized("http://a:2"));
    }
}
