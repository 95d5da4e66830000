//! Durations as Go writes them: `1h15m`, `1.5s`, `300ms`.

use std::time::Duration;

/// The units, the longer name first where one begins with the other, and their nanoseconds.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// Reads a duration: numbers, whole or with a decimal point, each with its unit; or a bare `0`.
/// `None` if it is anything else, is negative, or exceeds 292 years, which is where Go's ends.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" || rest == "-0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_len);
        let unit_len = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let (_, unit_nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, *unit_nanos)?)?;
        rest = after;
    }
    (nanos <= i64::MAX.unsigned_abs()).then(|| Duration::from_nanos(nanos))
}

/// A decimal number times `unit`, rounded down.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(unit)?;
    let mut digit_worth = unit;
    for digit in fraction.bytes() {
        digit_worth /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * digit_worth)?;
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_are_read() {
        for (text, nanos) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("+30s", 30_000_000_000),
            ("1h15m30.5s", 4_530_500_000_000),
            ("100ms", 100_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("2µs", 2_000),
            ("7ns", 7),
            ("1m1ms", 60_001_000_000),
        ] {
            assert_eq!(parse_duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", ".s", "-1s", "1x", "1.2.3s", "1 s", "99999999h", "1e3s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
