//! Tables for people.

use std::io::{self, Write};

/// Prints rows under headings, each column as wide as what stands in it.
pub(super) fn print(
    out: &mut dyn Write,
    headings: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(at, heading)| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([heading.len()]).max().unwrap_or(0)
        })
        .collect();
    let rule: String = widths.iter().map(|width| "-".repeat(width + 2) + "+").collect();
    let line = |cells: Vec<&str>| -> String {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
        cells.collect()
    };
    writeln!(out, "+{rule}\n|{}\n+{rule}", line(headings.to_vec()))?;
    for row in rows {
        writeln!(out, "|{}", line(row.iter().map(String::as_str).collect()))?;
    }
    writeln!(out, "+{rule}")
}

/// A size that people can read.
pub(super) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
    let mut number = bytes as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or("B");
    for larger in units {
        if number < 1000.0 {
            break;
        }
        number /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{number:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut out = Vec::new();
        let rows = [vec!["a".to_owned(), "long".to_owned()], vec!["bcd".to_owned(), String::new()]];
        print(&mut out, &["X", "YZ"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "+-----+------+\n\
             | X   | YZ   |\n\
             +-----+------+\n\
             | a   | long |\n\
             | bcd |      |\n\
             +-----+------+\n"
        );
    }

    #[test]
    fn sizes_have_one_decimal() {
        let sizes = [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (25_300_000, "25.3 MB")];
        for (bytes, text) in sizes {
            assert_eq!(size(bytes), text);
        }
    }
}
