//! Time as jq 1.6 has it, by C's functions: whole seconds, UTC, the forms of C's own locale. jaq's functions keep
//! fractions of a second, which would make a partition of each, and let large numbers overflow.

use jaq_core::{Error, ValR};
use jaq_json::{Num, Val};
use jaq_std::ValT as _;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

/// What a time in parts has: year, month from 0, day, hour, minute, second, day of the week and of the year from 0.
const PARTS: usize = 8;

/// `gmtime`: the parts of a time in seconds; the seconds of it keep their fraction.
///
/// # Errors
/// What is no number, or a time that lies outside of the years -9999 to 9999.
pub(super) fn gmtime(time: &Val) -> ValR<Val> {
    let seconds = seconds(time)?;
    let parts = zoned(seconds)?;
    let second = f64::from(parts.second()) + (seconds - seconds.floor());
    let whole = [
        i64::from(parts.year()),
        i64::from(parts.month()) - 1,
        i64::from(parts.day()),
        i64::from(parts.hour()),
        i64::from(parts.minute()),
    ];
    let days = [i64::from(parts.weekday().to_sunday_zero_offset()), i64::from(parts.day_of_year()) - 1];
    let number = |part| Val::Num(Num::from_integral(part));
    let parts = whole.map(number).into_iter().chain([super::bounds::number(Val::from(second))]);
    Ok(parts.chain(days.map(number)).collect())
}

/// `mktime`: the whole seconds of a time in parts. Parts beyond their end carry over, as in C.
///
/// # Errors
/// What are no parts.
pub(super) fn mktime(parts: &Val) -> ValR<Val> {
    Ok(Val::Num(Num::from_integral(seconds_of_parts(parts)?)))
}

/// `strftime`: a time in seconds or in parts, as `format` says.
///
/// # Errors
/// What is no time, or a conversion that is not known.
pub(super) fn strftime(time: &Val, format: &Val) -> ValR<Val> {
    let time = match time {
        #[expect(clippy::cast_precision_loss, reason = "the years that there are have 39 bits")]
        Val::Arr(_) => seconds_of_parts(time)? as f64,
        _ => seconds(time)?,
    };
    strtime::format(plain(text(format)?), &zoned(time)?).map(Val::from).map_err(Error::str)
}

/// `strptime`: the parts of the time that a text says.
///
/// # Errors
/// What is no text, or not of this form.
pub(super) fn strptime(said: &Val, format: &Val) -> ValR<Val> {
    let (mut said, mut format) = (text(said)?, text(format)?);
    // C reads the name of a zone and does nothing with it.
    if let Some(before) = format.strip_suffix("%Z") {
        (said, format) = (said.trim_end_matches(|char: char| char.is_ascii_alphabetic()), before);
    }
    let mut parts = BrokenDownTime::parse(plain(format), said).map_err(Error::str)?;
    if parts.offset().is_none() && parts.iana_time_zone().is_none() {
        parts.set_offset(Some(Offset::UTC));
    }
    let time: DateTime = parts.to_zoned().map_err(Error::str)?.into();
    let time = time.to_zoned(TimeZone::UTC).map_err(Error::str)?.timestamp();
    gmtime(&Val::Num(Num::from_integral(time.as_second())))
}

fn text(value: &Val) -> Result<&str, Error<Val>> {
    let Val::TStr(text) = value else { return Err(Error::typ(value.clone(), "string")) };
    std::str::from_utf8(text).map_err(Error::str)
}

fn seconds(time: &Val) -> Result<f64, Error<Val>> {
    time.as_f64().filter(|time| time.is_finite()).ok_or_else(|| Error::typ(time.clone(), "number"))
}

/// Towards zero, as C makes a number whole.
fn zoned(seconds: f64) -> Result<Zoned, Error<Val>> {
    #[expect(clippy::cast_possible_truncation, reason = "the largest number is no time either")]
    let time = Timestamp::from_second(seconds as i64).map_err(Error::str)?;
    Ok(time.to_zoned(TimeZone::UTC))
}

fn seconds_of_parts(parts: &Val) -> Result<i64, Error<Val>> {
    let fail = || Error::str(format_args!("cannot convert {parts} to time"));
    let Val::Arr(numbers) = parts else { return Err(fail()) };
    #[expect(clippy::cast_possible_truncation, reason = "the largest number is no time either")]
    let number = |part: &Val| part.as_f64().map(|part| i128::from(part as i64));
    let numbers: Option<Vec<_>> = numbers.iter().take(PARTS).map(number).collect();
    let Some([year, month, day, hour, minute, second, _, _]) = numbers.as_deref() else { return Err(fail()) };
    let months = year * 12 + month;
    let days = days_before(months.div_euclid(12), months.rem_euclid(12)) + day - 1;
    i64::try_from(((days * 24 + hour) * 60 + minute) * 60 + second).map_err(|_| fail())
}

/// Days from 1970 to the beginning of a month, which counts from 0, of the Gregorian calendar.
fn days_before(year: i128, month: i128) -> i128 {
    /// Of a year that is none with a leap day.
    const BEFORE_MONTH: [i128; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |years: i128| years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    let is_leap = leap_days(year) > leap_days(year - 1);
    let before_month =
        usize::try_from(month).ok().and_then(|month| BEFORE_MONTH.get(month)).copied().unwrap_or_default();
    365 * (year - 1970) + leap_days(year - 1) - leap_days(1969) + before_month + i128::from(is_leap && month > 1)
}

/// A format whose conversions do not depend on a locale: jiff's own is none of C's.
fn plain(format: &str) -> String {
    let mut plain = String::with_capacity(format.len());
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            plain.push(char);
            continue;
        }
        let mut conversion = chars.next();
        // The other forms that a locale may have; C's has none.
        if matches!(conversion, Some('E' | 'O')) {
            conversion = chars.next();
        }
        match conversion {
            Some('c') => plain.push_str("%a %b %e %H:%M:%S %Y"),
            Some('x') => plain.push_str("%m/%d/%y"),
            Some('X') => plain.push_str("%H:%M:%S"),
            Some('r') => plain.push_str("%I:%M:%S %p"),
            other => {
                plain.push('%');
                plain.extend(other);
            }
        }
    }
    plain
}
