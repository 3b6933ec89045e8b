//! Patterns of Java's `DateTimeFormatter`, for printing only, in the locale en-US: weeks begin on Sunday, and the week
//! that holds 1 January is the first of its year. The letters are those of Java 17: AWS was seen to accept `B`, `g` and
//! `v`, which Java 8, whose documentation the Firehose guide links, does not have.
//!
//! Not supported, hence refused: `zzzz` and `v` (names of zones that are not in the time zone database), and what Java
//! refuses too. `z` is the abbreviation of the time zone database, where Java's own data sometimes has
//! another one.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use jiff::Zoned;
use jiff::civil::Date;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];

/// A pattern that can be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    items: Box<[Item]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Text(String),
    /// A letter that [`check`] has accepted, how often it stood there, and the width to which spaces fill it up.
    Field(char, usize, usize),
}

impl Pattern {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        if pattern.is_empty() {
            return Err("empty".into());
        }
        let mut items = Vec::new();
        let mut optional_depth = 0usize;
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '\'' => push_text(&mut items, &quoted(&mut rest).ok_or("a quote is not closed")?),
                // An optional section is printed if all its fields are known, and here they always are.
                '[' => optional_depth += 1,
                ']' => {
                    optional_depth = optional_depth.checked_sub(1).ok_or("] without [")?;
                }
                '{' | '}' | '#' => return Err(format!("{c:?} is reserved")),
                'p' => {
                    let width = 1 + repeats(&mut rest, 'p');
                    let letter = rest.next_if(char::is_ascii_alphabetic).ok_or("p must stand before a letter")?;
                    items.push(Item::Field(letter, counted(&mut rest, letter)?, width));
                }
                letter if letter.is_ascii_alphabetic() => {
                    items.push(Item::Field(letter, counted(&mut rest, letter)?, 0));
                }
                other => push_text(&mut items, &other.to_string()),
            }
        }
        Ok(Self { items: items.into() })
    }

    pub(super) fn write(&self, out: &mut String, time: &Zoned) {
        for item in self.items.iter() {
            match item {
                Item::Text(text) => out.push_str(text),
                Item::Field(letter, count, 0) => field(out, *letter, *count, time),
                // Java throws where the field is wider; an object must have a key.
                Item::Field(letter, count, width) => {
                    let mut text = String::new();
                    field(&mut text, *letter, *count, time);
                    let _ = write!(out, "{text:>width$}");
                }
            }
        }
    }
}

/// How often `letter` still follows.
fn repeats(rest: &mut Peekable<Chars<'_>>, letter: char) -> usize {
    std::iter::from_fn(|| rest.next_if_eq(&letter)).count()
}

/// How often `letter`, which was just read, stands there.
fn counted(rest: &mut Peekable<Chars<'_>>, letter: char) -> Result<usize, String> {
    let count = 1 + repeats(rest, letter);
    check(letter, count).map(|()| count)
}

/// What stands up to the closing quote; two quotes are one. An empty text is a quote itself.
fn quoted(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Some(if text.is_empty() { "'".to_owned() } else { text }),
            c => text.push(c),
        }
    }
}

fn push_text(items: &mut Vec<Item>, text: &str) {
    if let Some(Item::Text(last)) = items.last_mut() {
        last.push_str(text);
    } else {
        items.push(Item::Text(text.to_owned()));
    }
}

fn check(letter: char, count: usize) -> Result<(), String> {
    let allowed = match letter {
        'u' | 'y' | 'Y' | 'A' | 'n' | 'N' | 'g' => 1..=19,
        'M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'G' | 'X' | 'x' | 'Z' => 1..=5,
        'c' if count == 2 => return Err("cc is not allowed".into()),
        'c' => 1..=5,
        'D' | 'z' => 1..=3,
        'd' | 'H' | 'h' | 'k' | 'K' | 'm' | 's' | 'w' => 1..=2,
        'S' => 1..=9,
        'W' | 'F' | 'a' => 1..=1,
        'V' => 2..=2,
        'B' if matches!(count, 4 | 5) => 4..=5,
        'B' => 1..=1,
        'O' if count == 4 => 4..=4,
        'O' => 1..=1,
        _ => return Err(format!("the letter {letter} is not supported")),
    };
    if allowed.contains(&count) { Ok(()) } else { Err(format!("{letter} cannot stand {count} times")) }
}

fn field(out: &mut String, letter: char, count: usize, time: &Zoned) {
    let hour = i64::from(time.hour());
    let nanos = i64::from(time.subsec_nanosecond());
    let of_day = (hour * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    match letter {
        'u' | 'y' => year(out, i64::from(time.year()), count),
        'Y' => year(out, week_of_year(time.date()).0, count),
        'M' | 'L' => name_or_number(out, &MONTHS, i64::from(time.month()), count),
        'Q' | 'q' => quarter(out, (i64::from(time.month()) + 2) / 3, count),
        'D' => number(out, i64::from(time.day_of_year()), count),
        'd' => number(out, i64::from(time.day()), count),
        'w' => number(out, week_of_year(time.date()).1, count),
        'W' => number(out, (i64::from(time.day()) - 1 + weekday(time.date().first_of_month())) / 7 + 1, count),
        'F' => number(out, (i64::from(time.day()) - 1) % 7 + 1, count),
        'E' => name_or_number(out, &DAYS, weekday(time.date()) + 1, count.max(3)),
        'e' | 'c' => name_or_number(out, &DAYS, weekday(time.date()) + 1, count),
        'a' => out.push_str(if hour < 12 { "AM" } else { "PM" }),
        'H' => number(out, hour, count),
        'k' => number(out, if hour == 0 { 24 } else { hour }, count),
        'K' => number(out, hour % 12, count),
        'h' => number(out, if hour % 12 == 0 { 12 } else { hour % 12 }, count),
        'm' => number(out, i64::from(time.minute()), count),
        's' => number(out, i64::from(time.second()), count),
        'S' => out.push_str(&format!("{nanos:09}")[..count]),
        'n' => number(out, nanos, count),
        'A' => number(out, of_day * 1_000 + nanos / 1_000_000, count),
        'N' => number(out, of_day * 1_000_000_000 + nanos, count),
        'B' => out.push_str(day_period(hour, of_day, count)),
        'g' => number(out, i64::from(days_since_1858(time.date())), count),
        'G' => out.push_str(["AD", "AD", "AD", "Anno Domini", "A"][count - 1]),
        'V' => out.push_str(time.time_zone().iana_name().unwrap_or("UTC")),
        'z' => out.push_str(time.time_zone().to_offset_info(time.timestamp()).abbreviation()),
        _ => offset(out, letter, count, time.offset().seconds()),
    }
}

fn number(out: &mut String, value: i64, width: usize) {
    let _ = write!(out, "{value:0width$}");
}

/// Two letters mean the last two digits; a year that outgrows four or more letters gets a sign.
fn year(out: &mut String, value: i64, count: usize) {
    match count {
        2 => number(out, value.rem_euclid(100), 2),
        4.. if value >= 10i64.saturating_pow(count as u32) => {
            let _ = write!(out, "+{value}");
        }
        _ => number(out, value, count),
    }
}

/// One or two letters mean the number, three the short name, four the full name, five the first letter.
fn name_or_number(out: &mut String, names: &[&str], value: i64, count: usize) {
    let name = names.get(value as usize - 1).copied().unwrap_or_default();
    match count {
        1 | 2 => number(out, value, count),
        3 => out.push_str(name.get(..3).unwrap_or(name)),
        4 => out.push_str(name),
        _ => out.push_str(name.get(..1).unwrap_or(name)),
    }
}

fn quarter(out: &mut String, value: i64, count: usize) {
    match count {
        3 => {
            let _ = write!(out, "Q{value}");
        }
        4 => out.push_str(QUARTERS.get(value as usize - 1).copied().unwrap_or_default()),
        5 => number(out, value, 1),
        _ => number(out, value, count),
    }
}

/// English has a name for two moments and for four parts of the day (CLDR).
fn day_period(hour: i64, second_of_day: i64, count: usize) -> &'static str {
    match (hour, second_of_day / 60) {
        (_, 0) if count == 5 => "mi",
        (_, 0) => "midnight",
        (_, 720) if count == 5 => "n",
        (_, 720) => "noon",
        (6..12, _) => "in the morning",
        (12..18, _) => "in the afternoon",
        (18..21, _) => "in the evening",
        _ => "at night",
    }
}

/// The modified Julian day.
fn days_since_1858(date: Date) -> i32 {
    date.since(jiff::civil::date(1858, 11, 17)).map_or(0, |span| span.get_days())
}

/// Days since Sunday.
fn weekday(date: Date) -> i64 {
    i64::from(date.weekday().to_sunday_zero_offset())
}

/// Week-based year and week of it, as in the United States: weeks begin on Sunday, the first has the first Saturday.
pub(crate) fn week_of_year(date: Date) -> (i64, i64) {
    let saturday = date.checked_add(jiff::Span::new().days(6 - weekday(date))).unwrap_or(Date::MAX);
    if saturday.year() > date.year() {
        return (i64::from(saturday.year()), 1);
    }
    (i64::from(date.year()), (i64::from(date.day_of_year()) - 1 + weekday(date.first_of_year())) / 7 + 1)
}

/// `X`, `x`, `Z` and `O`: the distance from UTC.
fn offset(out: &mut String, letter: char, count: usize, seconds: i32) {
    let localized = letter == 'O' || (letter == 'Z' && count == 4);
    if localized {
        out.push_str("GMT");
    }
    if seconds == 0 && (localized || letter == 'X' || (letter == 'Z' && count == 5)) {
        if !localized {
            out.push('Z');
        }
        return;
    }
    let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    out.push(if seconds < 0 { '-' } else { '+' });
    let short_hours = letter == 'O' && count == 1;
    let _ = if short_hours { write!(out, "{hours}") } else { write!(out, "{hours:02}") };
    let minutes_if_any = short_hours || (count == 1 && letter != 'Z');
    if minutes != 0 || !minutes_if_any {
        let colon = localized || matches!((letter, count), (_, 5) | ('X' | 'x', 3));
        let _ = write!(out, "{}{minutes:02}", if colon { ":" } else { "" });
        if rest != 0 && (localized || count >= 4) {
            let _ = write!(out, "{}{rest:02}", if colon { ":" } else { "" });
        }
    }
}
