//! Cron schedules: five fields with lists, ranges, steps and names, and the `@` words.
//!
//! As in the real parser (robfig/cron): when both the day of the month and the day of the week are restricted, either is enough.

use chrono::{DateTime, Datelike, Timelike, Utc};

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: Vec<u32>,
    hours: Vec<u32>,
    days: Vec<u32>,
    months: Vec<u32>,
    weekdays: Vec<u32>,
    any_day: bool,
    any_weekday: bool,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Parses a schedule; in the real parser's words why it cannot be.
    pub fn parse(written: &str) -> Result<Self, String> {
        let text = match written.trim() {
            "" => return Err("empty spec string".to_owned()),
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            word if word.starts_with('@') => return Err(format!("unrecognized descriptor: {word}")),
            text => text,
        };
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let open = |field: &str| field.starts_with(['*', '?']);
        Ok(Self {
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &WEEKDAYS)?,
            any_day: open(days),
            any_weekday: open(weekdays),
        })
    }

    fn fits(&self, time: DateTime<Utc>) -> bool {
        let day = self.days.contains(&time.day());
        let weekday = self.weekdays.contains(&time.weekday().num_days_from_sunday());
        let date = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        date && self.months.contains(&time.month()) && self.hours.contains(&time.hour()) && self.minutes.contains(&time.minute())
    }

    /// The first time after a moment, within five years.
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut time = moment.with_second(0)?.with_nanosecond(0)? + chrono::Duration::minutes(1);
        let end = moment + chrono::Duration::days(5 * 366);
        while time < end {
            if self.fits(time) {
                return Some(time);
            }
            let whole_day = !self.months.contains(&time.month());
            let whole_hour = !self.hours.contains(&time.hour());
            time = if whole_day {
                (time + chrono::Duration::days(1)).with_hour(0)?.with_minute(0)?
            } else if whole_hour {
                (time + chrono::Duration::hours(1)).with_minute(0)?
            } else {
                time + chrono::Duration::minutes(1)
            };
        }
        None
    }

    /// How many times lie after one moment and up to another, and the latest of them.
    pub fn missed(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> (usize, Option<DateTime<Utc>>) {
        let (mut count, mut latest) = (0, None);
        while let Some(next) = self.after(latest.unwrap_or(from)).filter(|next| *next <= to) {
            count += 1;
            latest = Some(next);
        }
        (count, latest)
    }
}

fn field(text: &str, least: u32, most: u32, names: &[&str]) -> Result<Vec<u32>, String> {
    let mut values = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let base = u32::from(names.len() == MONTHS.len());
        let value = |word: &str| {
            let named = names.iter().position(|name| word.eq_ignore_ascii_case(name));
            named.map_or_else(|| number(word, part), |position| Ok(position as u32 + base))
        };
        let mut halves = part.split('/');
        let (range, step) = (halves.next().unwrap_or_default(), halves.next());
        if halves.next().is_some() {
            return Err(format!("too many slashes: {part}"));
        }
        let mut ends = range.split('-');
        let (from, to) = (ends.next().unwrap_or_default(), ends.next());
        let is_any = matches!(from, "*" | "?");
        if !is_any && ends.next().is_some() {
            return Err(format!("too many hyphens: {part}"));
        }
        let start = if is_any { least } else { value(from)? };
        let mut end = match to {
            _ if is_any => most,
            Some(to) => value(to)?,
            None => start,
        };
        let every = step.map_or(Ok(1), |step| number(step, part))?;
        if step.is_some() && to.is_none() {
            end = most;
        }
        let why = match () {
            () if start < least => format!("beginning of range ({start}) below minimum ({least})"),
            () if end > most => format!("end of range ({end}) above maximum ({most})"),
            () if start > end => format!("beginning of range ({start}) beyond end of range ({end})"),
            () if every == 0 => "step of range should be a positive number".to_owned(),
            () => {
                values.extend((start..=end).step_by(every as usize));
                continue;
            }
        };
        return Err(format!("{why}: {part}"));
    }
    Ok(values)
}

fn number(word: &str, part: &str) -> Result<u32, String> {
    match word.parse::<i64>() {
        Ok(negative @ ..0) => Err(format!("negative number ({negative}) not allowed: {part}")),
        Ok(number) => u32::try_from(number).map_err(|_| format!("failed to parse int from {word}: value out of range")),
        Err(_) => Err(format!("failed to parse int from {part}: strconv.Atoi: parsing {word:?}: invalid syntax")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, from: &str) -> Option<String> {
        let from = from.parse::<DateTime<Utc>>().ok()?;
        Some(Schedule::parse(schedule).ok()?.after(from)?.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }

    #[test]
    fn the_next_time_is_found() {
        let from = "2026-11-22T20:31:30Z";
        for (schedule, expected) in [
            ("* * * * *", "2026-11-22T20:32:00Z"),
            ("*/15 * * * *", "2026-11-22T20:45:00Z"),
            ("0 3 * * *", "2026-11-23T03:00:00Z"),
            ("30 2 1 jan *", "2027-01-01T02:30:00Z"),
            ("0 9 * * mon-fri", "2026-11-23T09:00:00Z"),
            ("0 0 13 * 5", "2026-11-27T00:00:00Z"),
            ("@hourly", "2026-11-22T21:00:00Z"),
        ] {
            assert_eq!(next(schedule, from).as_deref(), Some(expected), "{schedule}");
        }
        for (broken, why) in [
            ("61 * * * *", "end of range (61) above maximum (59): 61"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
            ("@often", "unrecognized descriptor: @often"),
        ] {
            assert_eq!(Schedule::parse(broken).unwrap_err(), why);
        }
    }

    #[test]
    fn of_many_missed_times_the_latest_counts() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let schedule = Schedule::parse("*/5 * * * *").unwrap();
        let (count, latest) = schedule.missed(at("2026-11-22T00:00:00Z"), at("2026-11-22T20:31:30Z"));
        assert_eq!((count, latest), (246, Some(at("2026-11-22T20:30:00Z"))));
        assert_eq!(schedule.missed(at("2026-11-22T20:30:00Z"), at("2026-11-22T20:34:00Z")), (0, None));
    }
}
