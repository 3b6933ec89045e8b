//! CBOR for a request that is given as JSON, in all the ways in which it can be written.

use levada_wire::model::{Kind, Shape};
use serde_json::Value;

use crate::Dice;

/// Encodes `value`: blobs as byte strings, points in time as whole milliseconds; lengths definite or not, strings whole
/// or in pieces, numbers in as many bytes as the dice say.
pub(crate) fn encode(value: &Value, shape: Option<&Shape>, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    push(value, shape, dice, &mut out);
    out
}

fn push(value: &Value, shape: Option<&Shape>, dice: &mut Dice, out: &mut Vec<u8>) {
    let kind = shape.map(|shape| &shape.kind);
    match (value, kind) {
        (Value::Null, _) => out.push(0xf6 + dice.roll(2) as u8),
        (Value::Bool(truth), _) => out.push(0xf4 + u8::from(*truth)),
        (Value::Number(number), Some(Kind::Timestamp)) => {
            if dice.roll(4) > 0 {
                out.push(0xc1);
            }
            push_integer((number.as_f64().unwrap() * 1000.0).round() as i64, dice, out);
        }
        (Value::Number(number), kind) => match number.as_i64() {
            Some(number) if !matches!(kind, Some(Kind::Double(_))) => push_integer(number, dice, out),
            _ => push_float(number.as_f64().unwrap(), out),
        },
        (Value::String(text), Some(Kind::Blob(_))) => match base64_simd::STANDARD.decode_to_vec(text) {
            Ok(bytes) => push_string(0x40, &bytes, dice, out),
            Err(_) => push_string(0x60, text.as_bytes(), dice, out),
        },
        (Value::String(text), _) => {
            let at_once = !text.is_ascii() || dice.roll(10) > 0;
            if at_once {
                push_whole(0x60, text.as_bytes(), dice, out)
            } else {
                push_string(0x60, text.as_bytes(), dice, out)
            }
        }
        (Value::Array(items), kind) => {
            let member = match kind {
                Some(Kind::List { member, .. }) => Some(*member),
                _ => None,
            };
            let definite = begin(0x80, items.len(), dice, out);
            items.iter().for_each(|item| push(item, member, dice, out));
            out.extend((!definite).then_some(0xff));
        }
        (Value::Object(members), kind) => {
            let definite = begin(0xa0, members.len(), dice, out);
            for (name, value) in members {
                let below = match kind {
                    Some(Kind::Structure(_)) => shape.and_then(|s| s.member(name)).map(|member| member.shape),
                    Some(Kind::Map { value, .. }) => Some(*value),
                    _ => None,
                };
                push_whole(0x60, name.as_bytes(), dice, out);
                push(value, below, dice, out);
            }
            out.extend((!definite).then_some(0xff));
        }
    }
}

fn begin(major: u8, len: usize, dice: &mut Dice, out: &mut Vec<u8>) -> bool {
    let definite = dice.roll(2) == 0;
    if definite {
        push_head(major, len as u64, dice, out)
    } else {
        out.push(major | 31)
    }
    definite
}

/// A number in the fewest bytes that hold it, or in more.
fn push_head(major: u8, number: u64, dice: &mut Dice, out: &mut Vec<u8>) {
    let least = match number {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 3,
        _ => 4,
    };
    let width = if dice.roll(8) == 0 { least + dice.roll(5 - least) } else { least };
    match width {
        0 => out.push(major | number as u8),
        _ => {
            let bytes = 1 << (width - 1);
            out.push(major | (23 + width as u8));
            out.extend_from_slice(&number.to_be_bytes()[8 - bytes..]);
        }
    }
}

fn push_integer(number: i64, dice: &mut Dice, out: &mut Vec<u8>) {
    match u64::try_from(number) {
        Ok(number) => push_head(0x00, number, dice, out),
        Err(_) => push_head(0x20, !number as u64, dice, out),
    }
}

fn push_float(number: f64, out: &mut Vec<u8>) {
    let single = number as f32;
    if f64::from(single) == number {
        out.push(0xfa);
        out.extend_from_slice(&single.to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn push_whole(major: u8, bytes: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    push_head(major, bytes.len() as u64, dice, out);
    out.extend_from_slice(bytes);
}

fn push_string(major: u8, bytes: &[u8], dice: &mut Dice, out: &mut Vec<u8>) {
    if dice.roll(4) > 0 {
        return push_whole(major, bytes, dice, out);
    }
    out.push(major | 31);
    let (first, second) = bytes.split_at(dice.roll(bytes.len() as u64 + 1) as usize);
    push_whole(major, first, dice, out);
    push_whole(major, second, dice, out);
    out.push(0xff);
}
