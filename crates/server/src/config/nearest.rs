//! Which known name somebody meant.

/// The known name that is nearest to `given`, if any is near enough to be meant: a third of its
/// letters may be wrong, an exchange of two neighbours being one mistake.
pub(crate) fn nearest<'a>(
    given: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = given.to_lowercase();
    let (distance, name) = known
        .into_iter()
        .map(|name| (edit_distance(&given, &name.to_lowercase()), name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance <= given.chars().count().max(3) / 3).then_some(name)
}

/// How many letters must be put in, left out, replaced or exchanged with their neighbour to make
/// one text of the other.
fn edit_distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    // Three rows of the table of distances between beginnings: two above, one above, this one.
    let mut above_that: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let replaced = above[j] + usize::from(letter != other);
            let mut best = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if 0 < i && 0 < j && *letter == to[j - 1] && from[i - 1] == *other {
                best = best.min(above_that[j - 1] + 1);
            }
            row.push(best);
        }
        above_that = above;
        above = row;
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_definition() {
        for (from, to, distance) in [
            ("", "", 0),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("data-dri", "data-dir", 1),
            ("ab", "ba", 1),
            ("election", "election", 0),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
            assert_eq!(edit_distance(to, from), distance, "{to} {from}");
        }
    }

    #[test]
    fn nearest_name_is_found_only_if_it_may_be_meant() {
        let known = ["data-dir", "name", "wal-dir"];
        assert_eq!(nearest("datadir", known), Some("data-dir"));
        assert_eq!(nearest("NAME", known), Some("name"));
        assert_eq!(nearest("something-else", known), None);
        assert_eq!(nearest("x", []), None);
    }
}
