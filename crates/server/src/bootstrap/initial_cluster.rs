//! What `--initial-cluster` says.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::{Url, UrlError};

/// The first members: names, each with its peer addresses, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitialCluster {
    members: BTreeMap<String, Vec<Url>>,
}

/// Why a text is no list of first members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitialClusterError {
    /// An item has no address.
    #[error("wants name=peer-url for each member, separated by commas, and holds `{0}`")]
    NoAddress(String),
    /// An item has something else for an address.
    #[error("wants, for {name}, {}, and holds `{given}`", source.expected())]
    NotAnAddress {
        /// The member's name.
        name: String,
        /// What stands there.
        given: String,
        /// What should.
        source: UrlError,
    },
}

impl InitialCluster {
    /// One member.
    #[must_use]
    pub fn alone(name: &str, peer_urls: &[Url]) -> InitialCluster {
        InitialCluster { members: BTreeMap::from([(name.to_owned(), peer_urls.to_vec())]) }
    }

    /// Reads `name=url,name=url`. A name that comes again adds an address to its member.
    ///
    /// # Errors
    ///
    /// If an item is not of that form.
    pub fn parse(text: &str) -> Result<InitialCluster, InitialClusterError> {
        let mut members: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (name, url) = item
                .split_once('=')
                .ok_or_else(|| InitialClusterError::NoAddress(item.to_owned()))?;
            let url = Url::parse(url).map_err(|source| InitialClusterError::NotAnAddress {
                name: name.to_owned(),
                given: url.to_owned(),
                source,
            })?;
            members.entry(name.to_owned()).or_default().push(url);
        }
        for urls in members.values_mut() {
            urls.sort();
        }
        Ok(InitialCluster { members })
    }

    /// The addresses of one member; `None` if there is none of this name.
    #[must_use]
    pub fn peer_urls(&self, name: &str) -> Option<&[Url]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// The members in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = (&str, &[Url])> {
        self.members.iter().map(|(name, urls)| (name.as_str(), urls.as_slice()))
    }

    /// How many members there are.
    #[must_use]
    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    /// The addresses of all members but this one: whom it can ask who is in the cluster.
    pub fn peer_urls_of_others(&self, name: &str) -> impl Iterator<Item = &Url> {
        self.members.iter().filter(move |(other, _)| *other != name).flat_map(|(_, urls)| urls)
    }

    /// An address that stands here twice.
    pub(super) fn duplicate(&self) -> Option<&Url> {
        let mut urls: Vec<&Url> = self.members.values().flatten().collect();
        urls.sort();
        urls.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

impl fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        for (name, urls) in &self.members {
            for url in urls {
                write!(f, "{before}{name}={url}")?;
                before = ",";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_collected_by_name() {
        let cluster =
            InitialCluster::parse("b=http://b:1,a=http://a:2,,a=http://a:1,c=unix:///c").unwrap();
        assert_eq!(cluster.to_string(), "a=http://a:1,a=http://a:2,b=http://b:1,c=unix:///c");
        assert_eq!(cluster.members_len(), 3);
        assert_eq!(cluster.peer_urls("b").unwrap().len(), 1);
        assert_eq!(cluster.peer_urls("d"), None);
        assert_eq!(cluster.peer_urls_of_others("a").count(), 2);
    }

    #[test]
    fn what_is_no_member_is_refused_by_name() {
        for (text, error) in [
            ("a", "wants name=peer-url for each member, separated by commas, and holds `a`"),
            ("a=b", "wants, for a, an URL such as http://host:port, and holds `b`"),
            (
                "a=http://a:1,b=http://b",
                "wants, for b, an URL whose address has the form host:port, and holds `http://b`",
            ),
        ] {
            assert_eq!(InitialCluster::parse(text).unwrap_err().to_string(), error);
        }
    }
}
