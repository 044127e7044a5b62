//! Cron expressions, as far as telling when the next run is due needs them.
//!
//! Source: the five fields and macros of `robfig/cron` that `batch/v1` takes. A day fits when either day field does, unless one of
//! them is `*`. Times are read as UTC; who asks allows for time zones.

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

/// A parsed expression: which values of each field fit, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields are given: either may fit.
    either_day: bool,
}

/// No schedule that we read has longer gaps.
const HORIZON: TimeDelta = TimeDelta::days(366);

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Reads an expression; `None` for what we do not understand (`@every`, a `TZ=` prefix, seconds).
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
        let any = |field: &str| field.starts_with('*') || field == "?";
        let weekdays = field(weekday, 0, 7, WEEKDAYS)?;
        Some(Self {
            minutes: field(minute, 0, 59, &[])?,
            hours: field(hour, 0, 23, &[])?,
            days: field(day, 1, 31, &[])?,
            months: field(month, 1, 12, MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: weekdays | (weekdays >> 7 & 1),
            either_day: !any(day) && !any(weekday),
        })
    }

    /// The first run after that moment.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut at = moment.with_second(0)?.with_nanosecond(0)? + TimeDelta::minutes(1);
        let end = moment + HORIZON;
        while at < end {
            at = if !has(self.months, at.month()) || !self.fits_day(at) {
                (at + TimeDelta::days(1)).with_hour(0)?.with_minute(0)?
            } else if !has(self.hours, at.hour()) {
                (at + TimeDelta::hours(1)).with_minute(0)?
            } else if has(self.minutes, at.minute()) {
                return Some(at);
            } else {
                at + TimeDelta::minutes(1)
            };
        }
        None
    }

    /// How many runs were due in between, counted up to `most`.
    pub fn due_between(&self, from: DateTime<Utc>, to: DateTime<Utc>, most: usize) -> usize {
        std::iter::successors(self.next_after(from), |at| self.next_after(*at)).take(most).take_while(|at| *at <= to).count()
    }

    fn fits_day(&self, at: DateTime<Utc>) -> bool {
        let (day, weekday) = (has(self.days, at.day()), has(self.weekdays, at.weekday().num_days_from_sunday()));
        if self.either_day { day || weekday } else { day && weekday }
    }
}

fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

/// `*`, `*/5`, `1-5`, `10-50/10`, `mon,wed` as bits.
fn field(text: &str, least: u32, most: u32, names: &[&str]) -> Option<u64> {
    let value = |word: &str| -> Option<u32> {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(word));
        let number = named.map_or_else(|| word.parse().ok(), |at| Some(u32::try_from(at).ok()? + least))?;
        (least..=most).contains(&number).then_some(number)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (value(from)?, value(to)?),
            None if range == "*" || range == "?" => (least, most),
            None if part.contains('/') => (value(range)?, most),
            None => (value(range)?, value(range)?),
        };
        bits |= (from..=to).step_by(step as usize).fold(0, |bits, at| bits | 1 << at);
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expression: &str, after: &str) -> String {
        let after: DateTime<Utc> = after.parse().expect("a time");
        Schedule::parse(expression).and_then(|s| s.next_after(after)).map(|t| t.to_rfc3339()).unwrap_or_default()
    }

    #[test]
    fn the_next_run_is_told() {
        assert_eq!(next("*/10 * * * *", "2026-11-22T20:31:30Z"), "2026-11-22T20:40:00+00:00");
        assert_eq!(next("0 2 * * *", "2026-11-22T20:31:30Z"), "2026-11-23T02:00:00+00:00");
        assert_eq!(next("0 9-17 * * 1-5", "2026-11-20T17:30:00Z"), "2026-11-23T09:00:00+00:00");
        assert_eq!(next("30 3 1 JAN *", "2026-11-22T20:31:30Z"), "2027-01-01T03:30:00+00:00");
        assert_eq!(next("0 0 13 * fri", "2026-11-22T20:31:30Z"), "2026-11-27T00:00:00+00:00");
        assert_eq!(next("0 0 * * 7", "2026-11-22T20:31:30Z"), "2026-11-29T00:00:00+00:00");
        assert_eq!(next("@hourly", "2026-12-31T23:00:00Z"), "2027-01-01T00:00:00+00:00");
    }

    #[test]
    fn what_is_not_understood_is_not_judged() {
        for text in ["@every 5m", "TZ=UTC 0 2 * * *", "61 * * * *", "0 0 0 0 0 0", "*/0 * * * *", ""] {
            assert_eq!(Schedule::parse(text), None, "{text}");
        }
        assert_eq!(next("0 0 31 2 *", "2026-11-22T20:31:30Z"), "");
    }
}
