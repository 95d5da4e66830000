//! The part of an address behind the question mark.

/// What was asked for, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads `a=1&b&c=x%20y`. What cannot be read is left out.
    pub(super) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|part| !part.is_empty()).filter_map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        });
        Query { pairs: pairs.collect() }
    }

    /// Tells whether the name was given, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The first value of the name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of the name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Replaces `+` and `%20` by what they stand for.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_decoded() {
        let query = Query::parse("exclude=NOSPACE&verbose&exclude=a%2Bb+c&&bad=%4");
        assert_eq!(query.values("exclude").collect::<Vec<_>>(), ["NOSPACE", "a+b c"]);
        assert_eq!(query.first("verbose"), Some(""));
        assert!(query.has("verbose"));
        assert!(!query.has("bad"), "what cannot be read is left out");
        assert_eq!(Query::parse(""), Query::default());
    }
}
