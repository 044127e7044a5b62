//! Values that JSON writes otherwise: times and base64.

use chrono::{DateTime, SecondsFormat, Utc};

use super::wire;

/// A `meta.v1.Time` message; none when it is not set (an empty message).
pub fn time(data: &[u8]) -> Option<DateTime<Utc>> {
    let (mut bytes, mut seconds, mut nanos) = (data, None, 0);
    while let Ok(Some(raw)) = wire::next(&mut bytes) {
        match raw.number {
            1 => seconds = Some(raw.scalar.cast_signed()),
            2 => nanos = u32::try_from(raw.scalar).unwrap_or(0),
            _ => {}
        }
    }
    DateTime::from_timestamp(seconds?, nanos)
}

/// The text JSON has for a time with whole seconds, without an allocation: lists are full of them.
pub fn seconds_text(at: DateTime<Utc>, out: &mut [u8; 20]) -> Option<&str> {
    use chrono::{Datelike, Timelike};
    let date = at.date_naive();
    let year = u32::try_from(date.year()).ok().filter(|year| *year < 10_000)?;
    let time = at.time();
    out.copy_from_slice(b"0000-00-00T00:00:00Z");
    let mut put = |place: usize, value: u32| {
        if let Some([tens, ones]) = out.get_mut(place..place + 2) {
            *tens = b'0' + (value / 10) as u8;
            *ones = b'0' + (value % 10) as u8;
        }
    };
    put(0, year / 100);
    put(2, year % 100);
    put(5, date.month());
    put(8, date.day());
    put(11, time.hour());
    put(14, time.minute());
    put(17, time.second());
    std::str::from_utf8(out).ok()
}

/// The text JSON has for a time with microseconds.
pub fn micros_text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_the_server_writes_it() {
        for seconds in [0, 951_782_400, 1_790_000_000, 4_102_444_799] {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            assert_eq!(seconds_text(at, &mut [0; 20]), Some(&*at.to_rfc3339_opts(SecondsFormat::Secs, true)));
        }
    }
}
