//! What a regular expression costs, before it is compiled.
//!
//! jaq's regular expressions are compiled anew in each call, into an automaton that holds a copy for each repetition:
//! `(?:a{500}){500}` has 250,000 states, and a search looks at all of them for each character. Nothing can be asked
//! within such a call, so its text is weighed before. Its text is walked as regex-bites parses it; where they differ,
//! the weight is too high.

/// An automaton has no more states than its library's limit of 10 MiB has room for, at 32 bytes each.
const MOST_STATES: u64 = 10 * 1024 * 1024 / 32;

/// What a regular expression becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// States of the automaton, at most or nearly so.
    pub(super) states: u64,
    /// Groups that capture, and the whole.
    pub(super) captures: u64,
}

impl Weight {
    /// Units of a budget for making the automaton, and the tables that a search fills: of states by captures, at 32
    /// bytes. One of more than 64 MiB takes all there are.
    pub(super) fn to_compile(self) -> u64 {
        const MOST_PLACES: u64 = 2 * 1024 * 1024;
        let places = self.states.saturating_mul(self.captures);
        if places > MOST_PLACES { u64::MAX } else { self.states + places / 16 }
    }

    /// States that are looked at for each byte of the input. To go on from one copies what its groups have captured.
    pub(super) fn to_search(self) -> usize {
        let states = self.states.saturating_mul(1 + self.captures / 8);
        usize::try_from(states).unwrap_or(usize::MAX)
    }
}

/// What stands between two parentheses, as far as it was read.
#[derive(Default)]
struct Level {
    before: u64,
    /// What a repetition would repeat.
    last: u64,
}

impl Level {
    fn push(&mut self, states: u64) {
        self.before = self.before.saturating_add(self.last);
        self.last = states;
    }

    /// `open`: not exactly so often, which takes a state more for each time.
    fn repeat(&mut self, times: u64, open: bool) {
        self.last = self.last.saturating_add(u64::from(open)).saturating_mul(times.max(1)).saturating_add(2);
    }

    fn states(&self) -> u64 {
        self.before.saturating_add(self.last)
    }
}

/// Weighs an expression; `extended` with the flag `x`. There, spaces and comments may stand anywhere, within numbers
/// too: whatever is repeated so is taken for the largest automaton there can be. What is no regular expression weighs
/// something.
pub(super) fn weight(text: &[u8], extended: bool) -> Weight {
    let text = String::from_utf8_lossy(text);
    let opened = text.bytes().filter(|byte| *byte == b'(').count() as u64;
    match states(text.as_bytes()).filter(|_| !extended) {
        Some((states, captures)) => Weight { states: states.min(MOST_STATES), captures },
        None if text.contains('{') => Weight { states: MOST_STATES, captures: opened + 1 },
        None => Weight { states: 4 * text.len() as u64 + 1, captures: opened + 1 },
    }
}

/// States and captures, unless the flag `x` is set within the expression.
fn states(text: &[u8]) -> Option<(u64, u64)> {
    let (mut outer, mut level) = (Vec::<Level>::new(), Level::default());
    let (mut at, mut captures) = (0, 1);
    while let Some(&byte) = text.get(at) {
        let rest = &text[at..];
        at += match byte {
            b'\\' => {
                level.push(1);
                escape(rest)
            }
            b'[' => {
                let length = class(rest);
                // A class is one state, and a list of ranges.
                level.push(1 + length as u64 / 4);
                length
            }
            b'(' => match group(rest) {
                Group::Capture(length) => {
                    captures += 1;
                    outer.push(std::mem::take(&mut level));
                    length
                }
                Group::Plain(length) => {
                    outer.push(std::mem::take(&mut level));
                    length
                }
                // It is nothing that could be repeated: what follows repeats what was before.
                Group::Flags(length) => length,
                Group::Extended => return None,
            },
            b')' => {
                if let Some(parent) = outer.pop() {
                    let inner = std::mem::replace(&mut level, parent);
                    level.push(inner.states().saturating_add(2));
                }
                1
            }
            b'|' => {
                level.push(2);
                1
            }
            b'?' | b'*' | b'+' => {
                level.repeat(1, true);
                1
            }
            b'{' => repetition(rest, &mut level),
            _ => {
                level.push(1);
                1
            }
        };
    }
    let states = outer.iter().fold(level.states(), |sum, level| sum.saturating_add(level.states()));
    Some((states.saturating_add(3), captures))
}

enum Group {
    Capture(usize),
    Plain(usize),
    Flags(usize),
    Extended,
}

/// What begins with a parenthesis, and how long its beginning is.
fn group(text: &[u8]) -> Group {
    if text.starts_with(b"(?P<") || text.starts_with(b"(?<") {
        // Brackets may stand in a name.
        return Group::Capture(until(text, |byte| byte == b'>'));
    }
    if !text.starts_with(b"(?") {
        return Group::Capture(1);
    }
    let length = until(text, |byte| matches!(byte, b':' | b')'));
    match &text[..length] {
        flags if flags.contains(&b'x') => Group::Extended,
        flags if flags.ends_with(b")") => Group::Flags(length),
        _ => Group::Plain(length),
    }
}

/// Bytes up to the first of these, with it.
fn until(text: &[u8], end: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| end(*byte)).map_or(text.len(), |at| at + 1)
}

/// Length of an escape: of a hexadecimal one up to its number, which may stand in braces.
fn escape(text: &[u8]) -> usize {
    match text {
        [_, b'x' | b'u' | b'U', b'{', ..] => until(text, |byte| byte == b'}'),
        _ => 2,
    }
}

/// Length of a class. A bracket in it begins a name as `[:alpha:]`, or the expression is none.
fn class(text: &[u8]) -> usize {
    let mut at = 1 + usize::from(text.get(1) == Some(&b'^'));
    at += usize::from(text.get(at) == Some(&b']'));
    while let Some(&byte) = text.get(at) {
        at += match byte {
            b']' => return at + 1,
            b'[' => until(&text[at..], |byte| byte == b']'),
            b'\\' => 2,
            _ => 1,
        };
    }
    text.len()
}

/// `{m,n}` repeats what was before, and answers how long it is. What holds no number is no repetition.
fn repetition(text: &[u8], level: &mut Level) -> usize {
    let length = until(text, |byte| byte == b'}');
    let within = String::from_utf8_lossy(&text[1..length]);
    let numbers = within.trim_end_matches('}').split(',').filter_map(|number| number.trim().parse().ok());
    match numbers.max() {
        Some(times) => {
            level.repeat(times, within.contains(','));
            length
        }
        None => {
            level.push(1);
            1
        }
    }
}
