//! What one evaluation may use.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::time::Duration;

use jaq_core::data::HasLut;
use jaq_core::{DataT, Lut};
use jaq_json::{Num, Val};
use levada_core::env::Clock;

/// Units of one evaluation. A value that is made costs one for each value in it, as if nothing were shared, and one for
/// each 16 bytes of text. So they bound time (some 0.1 s of a free core) and memory (some 60 MiB).
const UNITS: u64 = 2 * 1024 * 1024;
/// A step of evaluation: a call, an iteration, a function, a value made. So there are 262,144 at most.
const UNITS_PER_STEP: u64 = 8;
/// A step that leaves something nested behind, whose end is a frame on the stack: there are 32,768 at most.
const UNITS_PER_LEVEL: u64 = 64;
/// Bytes of text for a unit.
const BYTES_PER_UNIT: usize = 16;
/// Values within values that are made: dropping, comparing and printing one takes a frame for each.
const MAX_DEPTH: usize = 512;
/// Behind all of that, for what a unit may cost on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// Units between two looks at the clock.
const CLOCK_EVERY: u64 = 4096;

/// What evaluation unwinds with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Spent {
    #[error("The query took too many steps.")]
    Units,
    #[error("The query made a value of more than {MAX_DEPTH} levels.")]
    Depth,
    #[error("The query recursed too deep.")]
    Stack,
    #[error("The query took more than {} s.", TIME_LIMIT.as_secs())]
    Time,
}

/// The rest of what an evaluation may use.
pub(super) struct Budget<'a> {
    left: Cell<u64>,
    next_look: Cell<u64>,
    stack_base: usize,
    stack_bytes: usize,
    clock: &'a dyn Clock,
    deadline: Duration,
}

impl<'a> Budget<'a> {
    /// A whole one. Evaluation begins about where this is called.
    pub(super) fn new(clock: &'a dyn Clock, stack_bytes: usize) -> Self {
        Self {
            left: Cell::new(UNITS),
            next_look: Cell::new(UNITS - CLOCK_EVERY),
            stack_base: stack_position(),
            stack_bytes,
            clock,
            deadline: clock.monotonic() + TIME_LIMIT,
        }
    }

    /// Takes units, or unwinds.
    pub(super) fn spend(&self, units: u64) {
        let Some(left) = self.left.get().checked_sub(units) else { resume_unwind(Box::new(Spent::Units)) };
        self.left.set(left);
        if left <= self.next_look.get() {
            self.next_look.set(left.saturating_sub(CLOCK_EVERY));
            if self.clock.monotonic() > self.deadline {
                resume_unwind(Box::new(Spent::Time));
            }
        }
    }

    /// One step of evaluation.
    pub(super) fn step(&self) {
        self.spend(UNITS_PER_STEP);
        if stack_position().abs_diff(self.stack_base) > self.stack_bytes {
            resume_unwind(Box::new(Spent::Stack));
        }
    }

    /// One that leaves something nested behind.
    pub(super) fn nest(&self) {
        self.step();
        self.spend(UNITS_PER_LEVEL - UNITS_PER_STEP);
    }

    /// A value that was made.
    pub(super) fn made(&self, value: &Val) {
        self.step();
        self.weigh(value, 0);
    }

    fn weigh(&self, value: &Val, depth: usize) {
        if depth > MAX_DEPTH {
            resume_unwind(Box::new(Spent::Depth));
        }
        match value {
            Val::Arr(values) => {
                self.spend(values.len() as u64);
                values.iter().for_each(|value| self.weigh(value, depth + 1));
            }
            Val::Obj(members) => {
                self.spend(2 * members.len() as u64);
                for (key, value) in members.iter() {
                    self.weigh(key, depth + 1);
                    self.weigh(value, depth + 1);
                }
            }
            Val::TStr(text) | Val::BStr(text) => self.text(text.len()),
            Val::Null | Val::Bool(_) | Val::Num(_) => {}
        }
    }

    /// So many bytes of text are looked at.
    pub(super) fn text(&self, bytes: usize) {
        self.spend((bytes / BYTES_PER_UNIT) as u64);
    }

    /// Every byte of one is looked at for every byte of the other, or every element.
    pub(super) fn product(&self, one: usize, other: usize) {
        self.spend((one as u64).saturating_mul(other as u64) / BYTES_PER_UNIT as u64);
    }

    /// A function looks at a value, not into those within it.
    pub(super) fn looked_at(&self, value: &Val) {
        self.step();
        self.text(extent(value));
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock
    }
}

/// Bytes of a text, elements of anything else.
pub(super) fn extent(value: &Val) -> usize {
    match value {
        Val::TStr(text) | Val::BStr(text) => text.len(),
        Val::Arr(values) => values.len(),
        Val::Obj(members) => members.len(),
        Val::Null | Val::Bool(_) | Val::Num(_) => 1,
    }
}

/// About where the stack ends now.
#[inline(never)]
fn stack_position() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(std::hint::black_box(&marker)).addr()
}

/// A number as jq 1.6 has it, where all are floating-point: whole ones print as such, and beyond 64 bits they lose
/// digits instead of growing.
pub(super) fn number(value: Val) -> Val {
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    match value {
        Val::Num(Num::BigInt(number)) => Val::Num(Num::from_dec_str(&number.to_string())),
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and has at most 53 bits")]
        Val::Num(Num::Float(number)) if number.fract() == 0.0 && number.abs() <= WHOLE => {
            Val::Num(Num::Int(number as isize))
        }
        value => value,
    }
}

/// jaq's values, with a budget beside the program.
pub(super) struct Jq;

impl DataT for Jq {
    type V<'a> = Val;
    type Data<'a> = &'a World<'a>;
}

/// What native functions see.
pub(super) struct World<'a> {
    pub(super) lut: &'a Lut<Jq>,
    pub(super) budget: &'a Budget<'a>,
}

impl<'a> HasLut<'a, Jq> for &'a World<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        self.lut
    }
}
