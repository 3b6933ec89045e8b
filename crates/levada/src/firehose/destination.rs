//! A delivery stream's destination: brought from the wire to the domain, checked, changed, and described.

mod check;
mod configuration;
mod description;
mod processing;
mod update;

#[cfg(test)]
mod tests;

pub(super) use self::check::{check, check_change, deliverable};
pub(super) use self::configuration::{key, of};
pub(super) use self::description::describe;
pub(super) use self::update::of as update;
