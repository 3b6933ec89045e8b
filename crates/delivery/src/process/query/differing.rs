//! Functions of which jaq's differ from jq 1.6's, so that another key or none would come of them. What jq 1.6 says was
//! asked of itself (`tests/jq16.rs`).

use jaq_core::ops::Math;
use jaq_core::{Error, ValR};
use jaq_json::{Map, Num, Val};
use jaq_std::ValT as _;

use super::bounds::Budget;

/// The elements of a list or the values of an object.
fn elements(value: &Val) -> Result<Vec<&Val>, Error<Val>> {
    match value {
        Val::Arr(values) => Ok(values.iter().collect()),
        Val::Obj(members) => Ok(members.values().collect()),
        _ => Err(Error::typ(value.clone(), "iterable (array or object)")),
    }
}

/// `join`: null is nothing, numbers and booleans are their JSON. The result is measured while it is made.
///
/// # Errors
/// Lists and objects among the elements; a separator that is no text, if there is anything to part.
pub(super) fn join(values: &Val, separator: &Val, budget: &Budget<'_>) -> ValR<Val> {
    let mut joined = Vec::new();
    let mut add = |bytes: &[u8]| {
        budget.text(bytes.len());
        joined.extend_from_slice(bytes);
    };
    for (place, value) in elements(values)?.into_iter().enumerate() {
        match separator {
            Val::TStr(separator) if place > 0 => add(separator),
            other if place > 0 && !matches!(other, Val::Null) => return Err(Error::typ(other.clone(), "string")),
            _ => {}
        }
        match value {
            Val::Null => {}
            Val::TStr(text) => add(text),
            Val::Num(_) | Val::Bool(_) => add(value.to_string().as_bytes()),
            other => return Err(Error::typ(other.clone(), "string")),
        }
    }
    Ok(Val::utf8_str(joined))
}

/// `tonumber`: C's decimal numbers, of which JSON has no leading zeros, no `+` and no point without digits.
///
/// # Errors
/// What is no number.
pub(super) fn to_number(value: Val) -> ValR<Val> {
    let text = match &value {
        Val::Num(_) => return Ok(value),
        Val::TStr(text) => std::str::from_utf8(text).unwrap_or_default(),
        _ => "",
    };
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    // Rust's numbers are C's, but for names as `inf`.
    let number = if text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        None
    } else {
        let whole = text.parse::<i64>().ok().map(Num::from_integral);
        whole.or_else(|| text.parse().ok().map(Num::Float))
    };
    number.map(Val::Num).ok_or_else(|| Error::str(format_args!("{value} cannot be parsed as a number")))
}

/// `ltrimstr`: what is no text, or trimmed by what is none, stays as it is.
pub(super) fn trim_start(value: Val, start: &Val) -> Val {
    match (&value, start) {
        (Val::TStr(text), Val::TStr(start)) if text.starts_with(start) => Val::utf8_str(text.slice(start.len()..)),
        _ => value,
    }
}

/// `rtrimstr`, likewise.
pub(super) fn trim_end(value: Val, end: &Val) -> Val {
    match (&value, end) {
        (Val::TStr(text), Val::TStr(end)) if text.ends_with(end) => Val::utf8_str(text.slice(..text.len() - end.len())),
        _ => value,
    }
}

/// `from_entries`: a name is called `key`, `Key`, `name` or `Name`, a value `value` or `Value`, as AWS's tags are.
///
/// # Errors
/// Entries that are no objects, or without a name that is a text.
pub(super) fn from_entries(entries: &Val) -> ValR<Val> {
    let name = |name: &str| Val::from(name.to_owned());
    let names = ["key", "Key", "name", "Name"].map(name);
    let values = ["value", "Value"].map(name);
    let mut object = Map::default();
    for entry in elements(entries)? {
        let Val::Obj(entry) = entry else { return Err(Error::typ(entry.clone(), "object")) };
        let said = |name: &&Val| !matches!(name, Val::Null | Val::Bool(false));
        match names.iter().filter_map(|name| entry.get(name)).find(said) {
            Some(name @ Val::TStr(_)) => {
                let value = values.iter().find_map(|value| entry.get(value));
                object.insert(name.clone(), value.cloned().unwrap_or_default());
            }
            other => return Err(Error::typ(other.cloned().unwrap_or_default(), "string")),
        }
    }
    Ok(Val::obj(object))
}

/// `$left % $right`: of what is whole in each.
///
/// # Errors
/// What is no number, and a right side of which nothing is whole.
pub(super) fn remainder(left: Val, right: Val) -> ValR<Val> {
    match (whole(&left), whole(&right)) {
        (Some(whole), Some(by)) if by != 0 => Ok(Val::Num(Num::from_integral(whole.wrapping_rem(by)))),
        _ => Err(Error::math(left, Math::Rem, right)),
    }
}

/// The whole part of a number. What is not among 64 bits is the least of them, as C has it on AWS's usual machines.
fn whole(value: &Val) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    let float = value.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    let whole = if (-END..END).contains(&float) { float as i64 } else { i64::MIN };
    Some(value.as_isize().map_or(whole, |whole| whole as i64))
}
