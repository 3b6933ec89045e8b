//! What can go wrong, and when.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::random::Seeded;

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing.
    None,
    /// Takes nothing, answers so.
    Status {
        /// The status.
        status: u16,
        /// The body, sent as JSON.
        body: Option<String>,
    },
    /// Takes nothing, never answers.
    Hang,
    /// Takes nothing, closes the connection.
    Cut,
    /// Takes nothing, answers 200 with a web page.
    Garbage,
    /// Waits, then takes and answers.
    Slow {
        /// How long, in ms.
        ms: u64,
    },
    /// Takes, closes the connection.
    CutAfter,
    /// Takes, closes the connection in the middle of the answer.
    HalfAnswer,
    /// Takes, answers without `Content-Length`.
    NoLength,
    /// Takes, answers as `text/plain`.
    WrongType,
    /// Takes, answers with so many spaces more.
    LargeAnswer {
        /// How many.
        bytes: usize,
    },
    /// HTTP endpoint: takes nothing, repeats another request's id.
    WrongRequestId,
    /// HTTP endpoint: takes, but leaves out the timestamp.
    NoTimestamp,
    /// HTTP endpoint: takes, but says more than it may.
    MoreMembers,
    /// Splunk: takes, acknowledges never.
    NeverAck,
    /// Splunk: takes, acknowledges when it is asked so many times more.
    AckAfter {
        /// How many questions are answered by no.
        questions: u32,
    },
    /// Splunk: takes, but acknowledgement is off.
    NoAckId,
    /// `_bulk`: each so many-th document fails, from the first on; the others are taken.
    SomeItems {
        /// Distance between those that fail, at least 1.
        every: usize,
        /// Their status.
        status: u16,
        /// The type of their error.
        error: String,
    },
    /// `_bulk`: takes, but leaves out the last item of the answer. Function: leaves out the last record.
    FewerItems,
}

/// Faults drawn at random.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomFaults {
    /// What they follow from.
    pub seed: u64,
    /// How many of 1,000 requests have one.
    pub per_mille: u64,
    /// What is drawn from.
    pub faults: Vec<Fault>,
}

/// What goes wrong from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// With the next requests, one each.
    pub next: VecDeque<Fault>,
    /// With all after these.
    pub always: Option<Fault>,
    /// With some after these, if nothing is always wrong.
    pub random: Option<RandomFaults>,
    /// Whether questions for acknowledgements are meant too.
    pub questions: bool,
}

impl Plan {
    /// What goes wrong with the next request.
    pub(super) fn next(&mut self, is_question: bool) -> Option<Fault> {
        if is_question && !self.questions {
            return None;
        }
        let fault = self.next.pop_front().or_else(|| self.always.clone()).or_else(|| self.random.as_mut()?.draw());
        fault.filter(|fault| *fault != Fault::None)
    }
}

impl RandomFaults {
    fn draw(&mut self) -> Option<Fault> {
        let mut random = Seeded::new(self.seed);
        self.seed = random.next_u64();
        let hit = random.below(1000) < self.per_mille && !self.faults.is_empty();
        hit.then(|| self.faults[random.below(self.faults.len() as u64) as usize].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_json() {
        let json = r#"{"next":[{"fault":"none"},{"fault":"status","status":413}],"always":{"fault":"never-ack"}}"#;
        let mut plan: Plan = serde_json::from_str(json).unwrap();
        assert_eq!(plan.next(true), None);
        assert_eq!(plan.next(false), None);
        assert_eq!(plan.next(false), Some(Fault::Status { status: 413, body: None }));
        assert_eq!(plan.next(false), Some(Fault::NeverAck));
        assert_eq!(plan.next(false), Some(Fault::NeverAck));
        assert!(serde_json::from_str::<Plan>(r#"{"allways":null}"#).is_err());
    }

    #[test]
    fn random_faults_repeat_with_their_seed_and_come_as_often_as_said() {
        let draw = || {
            let random = RandomFaults { seed: 7, per_mille: 300, faults: vec![Fault::Cut, Fault::Garbage] };
            let mut plan = Plan { random: Some(random), ..Plan::default() };
            (0..1000).map(|_| plan.next(false)).collect::<Vec<_>>()
        };
        let (once, again) = (draw(), draw());
        assert_eq!(once, again);
        let hits = once.iter().flatten().count();
        assert!((200..400).contains(&hits), "{hits}");
        assert!(once.contains(&Some(Fault::Cut)) && once.contains(&Some(Fault::Garbage)));
    }
}
