//! Programs that ask their budget.
//!
//! The rewriting wraps terms in calls of native functions whose names no program can spell. Most are the identity:
//!
//! | Term | becomes | why |
//! |---|---|---|
//! | `def f: BODY` | `def f: !step \| BODY` | recursion; the body stays in tail position, which jaq runs without stack |
//! | `def f(g): BODY` of the program | `def f(g): !deep \| BODY` | without stack too, but `f(g \| g)` nests, and is dropped with stack |
//! | `.[]`, `..`, `A as $x` of a fold | `(A \| !look)[] \| !step` | repetition; iterating copies a shared list |
//! | `[A]`, `{…}`, `"…\(A)…"`, `A + B`, `A \|= B`, `.[A:B]` | `… \| !made` | a new value |
//! | `f(…)`, native | `!look \| f(…) \| !made` | may look at its whole input, may have outputs without end |
//! | `A * B`, `A - B` | `!multiply(A; B) \| !made` | measured before it is done |
//! | `A % B` | `!remainder(A; B) \| !made` | whole numbers, as jq 1.6 has them |
//! | `A[B:C]` | `B as $!from \| C as $!to \| A \| if !nothing then . else .[$!from:$!to] end` | null has parts in jq 1.6 |
//! | `A += B` | `B as $!x \| A \|= . + $!x` | so that the sum is a term |
//! | `indices`, `contains`, regular expressions | `A as $!1 \| !product($!1) \| f($!1)` | input times argument, or worse |
//!
//! What is not wrapped takes a bounded time each time it is evaluated: literals, variables, comparison with a value that
//! was weighed, branches.

use std::collections::BTreeSet;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

use super::library;

/// The name of the definition that holds the program, and a program that calls it. It can be spelled, and calling it in
/// an expression is refused as undefined.
pub(super) const PROGRAM: &str = "levada_program";

pub(super) const STEP: &str = "!step";
pub(super) const DEEP: &str = "!deep";
pub(super) const LOOK: &str = "!look";
pub(super) const MADE: &str = "!made";
pub(super) const PRODUCT: &str = "!product";
pub(super) const REGEX: &str = "!regex";
pub(super) const MULTIPLY: &str = "!multiply";
pub(super) const SUBTRACT: &str = "!subtract";
pub(super) const REMAINDER: &str = "!remainder";
pub(super) const INDEX: &str = "!index";
pub(super) const NOTHING: &str = "!nothing";

/// Functions whose time is more than input plus arguments, and what measures them.
const MEASURED: [(&str, usize, &str); 5] = [
    ("matches", 2, REGEX),
    ("split_matches", 2, REGEX),
    ("split_", 2, REGEX),
    ("indices", 1, PRODUCT),
    ("contains", 1, PRODUCT),
];
/// Variables that no program can spell: one for each of their arguments, one for the right side of `+=`, and the bounds
/// of a slice.
const ARGUMENTS: [&str; 2] = ["$!1", "$!2"];
const RIGHT: &str = "$!x";
const FROM: &str = "$!from";
const TO: &str = "$!to";

/// A program as a definition.
pub(super) fn program(term: Term<&str>) -> Def<&str> {
    Def { name: PROGRAM, args: Vec::new(), body: term }
}

/// Definitions that ask their budget.
pub(super) fn definitions(defs: Vec<Def<&str>>) -> Vec<Def<&str>> {
    Rewrite { native: library::native() }.defs(defs, STEP)
}

/// A text without interpolation.
pub(super) fn literal(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(char) => text.push(*char),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

/// Shows each term that is directly part of `term`.
pub(super) fn parts<'s>(term: &Term<&'s str>, show: &mut dyn FnMut(&Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(term) = part {
                show(term);
            }
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => show(term),
        Term::Obj(members) => members.iter().for_each(|(key, value)| {
            show(key);
            value.iter().for_each(&mut *show);
        }),
        Term::BinOp(left, op, right) => {
            show(left);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                pattern_parts(pattern, show);
            }
            show(right);
        }
        Term::Fold(_, source, pattern, rest) => {
            show(source);
            pattern_parts(pattern, show);
            rest.iter().for_each(show);
        }
        Term::TryCatch(body, catch) => {
            show(body);
            catch.iter().for_each(|term| show(term));
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().for_each(|(condition, branch)| {
                show(condition);
                show(branch);
            });
            otherwise.iter().for_each(|term| show(term));
        }
        Term::Def(defs, body) => {
            defs.iter().for_each(|def| show(&def.body));
            show(body);
        }
        Term::Call(_, args) => args.iter().for_each(show),
        Term::Path(head, Path(path)) => {
            show(head);
            path.iter().for_each(|(part, _)| match part {
                Part::Index(term) => show(term),
                Part::Range(from, to) => from.iter().chain(to).for_each(&mut *show),
            });
        }
    }
}

fn pattern_parts<'s>(pattern: &Pattern<&'s str>, show: &mut dyn FnMut(&Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(patterns) => patterns.iter().for_each(|pattern| pattern_parts(pattern, show)),
        Pattern::Obj(members) => members.iter().for_each(|(key, pattern)| {
            show(key);
            pattern_parts(pattern, show);
        }),
    }
}

fn call<'s>(name: &'s str, args: Vec<Term<&'s str>>) -> Term<&'s str> {
    Term::Call(name, args)
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}

fn bind<'s>(value: Term<&'s str>, variable: &'s str, body: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(value), BinaryOp::Pipe(Some(Pattern::Var(variable))), Box::new(body))
}

fn step(term: Term<&str>) -> Term<&str> {
    pipe(term, call(STEP, Vec::new()))
}

fn made(term: Term<&str>) -> Term<&str> {
    pipe(term, call(MADE, Vec::new()))
}

/// `*` and `-` of texts and lists take longer than their sides are large; `%` is not jaq's.
fn math<'s>(left: Term<&'s str>, op: Math, right: Term<&'s str>) -> Term<&'s str> {
    made(match op {
        Math::Mul => call(MULTIPLY, vec![left, right]),
        Math::Sub => call(SUBTRACT, vec![left, right]),
        Math::Rem => call(REMAINDER, vec![left, right]),
        Math::Add | Math::Div => Term::BinOp(Box::new(left), BinaryOp::Math(op), Box::new(right)),
    })
}

struct Rewrite {
    native: BTreeSet<(&'static str, usize)>,
}

impl Rewrite {
    /// `taking_functions` is asked by definitions that take functions.
    fn defs<'s>(&self, defs: Vec<Def<&'s str>>, taking_functions: &'static str) -> Vec<Def<&'s str>> {
        let def = |Def { name, args, body }: Def<&'s str>| {
            let takes = args.iter().any(|arg| !arg.starts_with('$'));
            let ask = call(if takes { taking_functions } else { STEP }, Vec::new());
            Def { name, args, body: pipe(ask, self.term(body)) }
        };
        defs.into_iter().map(def).collect()
    }

    fn term<'s>(&self, term: Term<&'s str>) -> Term<&'s str> {
        match term {
            Term::Id | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => term,
            Term::Recurse => step(Term::Recurse),
            Term::Str(..) => match literal(&term) {
                Some(_) => self.name(term),
                None => made(self.name(term)),
            },
            Term::Arr(Some(values)) => made(Term::Arr(Some(Box::new(self.term(*values))))),
            Term::Obj(members) => {
                let member = |(key, value): (_, Option<_>)| match value {
                    // `{a}`, `{$a}`: the key is a name of the syntax.
                    None => (self.name(key), None),
                    Some(value) => (self.term(key), Some(self.term(value))),
                };
                made(Term::Obj(members.into_iter().map(member).collect()))
            }
            Term::Neg(number) => made(Term::Neg(Box::new(self.term(*number)))),
            Term::BinOp(left, op, right) => self.operation(*left, op, *right),
            Term::Label(name, body) => Term::Label(name, Box::new(self.term(*body))),
            Term::Fold(name, source, pattern, rest) => {
                let rest = rest.into_iter().map(|term| self.term(term)).collect();
                Term::Fold(name, Box::new(step(self.term(*source))), self.pattern(pattern), rest)
            }
            Term::TryCatch(body, catch) => {
                Term::TryCatch(Box::new(self.term(*body)), catch.map(|term| Box::new(self.term(*term))))
            }
            Term::IfThenElse(branches, otherwise) => {
                let branch = |(condition, then)| (self.term(condition), self.term(then));
                let branches = branches.into_iter().map(branch).collect();
                Term::IfThenElse(branches, otherwise.map(|term| Box::new(self.term(*term))))
            }
            // The library has no such definitions within definitions.
            Term::Def(defs, body) => Term::Def(self.defs(defs, DEEP), Box::new(self.term(*body))),
            Term::Call(name, args) => self.call(name, args),
            Term::Path(head, path) => self.path(*head, path),
        }
    }

    /// A text in place of a name: what is interpolated is rewritten, the text itself stays a text.
    fn name<'s>(&self, term: Term<&'s str>) -> Term<&'s str> {
        let Term::Str(format, parts) = term else { return term };
        let part = |part| match part {
            StrPart::Term(term) => StrPart::Term(self.term(term)),
            part => part,
        };
        Term::Str(format, parts.into_iter().map(part).collect())
    }

    fn operation<'s>(&self, left: Term<&'s str>, op: BinaryOp<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
        let (left, right) = (self.term(left), self.term(right));
        let plain = |left, op, right| Term::BinOp(Box::new(left), op, Box::new(right));
        match op {
            BinaryOp::Pipe(pattern) => plain(left, BinaryOp::Pipe(pattern.map(|pattern| self.pattern(pattern))), right),
            BinaryOp::Comma | BinaryOp::Alt | BinaryOp::Or | BinaryOp::And => plain(left, op, right),
            // Takes as long as one of them is large.
            BinaryOp::Cmp(_) => plain(left, op, made(right)),
            BinaryOp::Math(op) => math(left, op, right),
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => made(plain(left, op, right)),
            BinaryOp::UpdateMath(op) => {
                let sum = math(Term::Id, op, Term::Var(RIGHT));
                made(bind(right, RIGHT, plain(left, BinaryOp::Update, sum)))
            }
        }
    }

    fn pattern<'s>(&self, pattern: Pattern<&'s str>) -> Pattern<&'s str> {
        match pattern {
            Pattern::Var(_) => pattern,
            Pattern::Arr(patterns) => Pattern::Arr(patterns.into_iter().map(|pattern| self.pattern(pattern)).collect()),
            Pattern::Obj(members) => {
                let member = |(key, pattern)| (self.term(key), self.pattern(pattern));
                Pattern::Obj(members.into_iter().map(member).collect())
            }
        }
    }

    /// A definition may hide a native function; then it is wrapped for nothing.
    fn call<'s>(&self, name: &'s str, args: Vec<Term<&'s str>>) -> Term<&'s str> {
        let args: Vec<_> = args.into_iter().map(|term| self.term(term)).collect();
        let measured = MEASURED.iter().find(|(known, arity, _)| *known == name && *arity == args.len());
        if let Some((.., measure)) = measured {
            let variables = &ARGUMENTS[..args.len()];
            let bound = || variables.iter().map(|name| Term::Var(*name)).collect();
            let body = made(pipe(call(measure, bound()), call(name, bound())));
            return variables.iter().zip(args).rev().fold(body, |body, (name, arg)| bind(arg, name, body));
        }
        if self.native.contains(&(name, args.len())) {
            return made(pipe(call(LOOK, Vec::new()), call(name, args)));
        }
        call(name, args)
    }

    /// Each part on its own, so that each iteration looks at what it copies. What stands in brackets is evaluated on
    /// the input of the whole, so that nesting changes nothing.
    fn path<'s>(&self, head: Term<&'s str>, Path(path): Path<Term<&'s str>>) -> Term<&'s str> {
        let extended = |head, part, optional| Term::Path(Box::new(head), Path(vec![(part, optional)]));
        path.into_iter().fold(self.term(head), |head, (part, optional)| match part {
            Part::Index(name) if literal(&name).is_some() || matches!(name, Term::Num(_)) => {
                extended(head, Part::Index(name), optional)
            }
            Part::Index(term) => extended(head, Part::Index(pipe(self.term(term), call(INDEX, Vec::new()))), optional),
            Part::Range(None, None) => {
                step(extended(pipe(head, call(LOOK, Vec::new())), Part::Range(None, None), optional))
            }
            Part::Range(from, to) => {
                let variable = |bound: &Option<_>, name| bound.as_ref().map(|_| Term::Var(name));
                let part = Part::Range(variable(&from, FROM), variable(&to, TO));
                let nothing = (call(NOTHING, Vec::new()), Term::Id);
                let slice = Term::IfThenElse(vec![nothing], Some(Box::new(extended(Term::Id, part, optional))));
                let slice = made(pipe(pipe(head, call(LOOK, Vec::new())), slice));
                [(to, TO), (from, FROM)].into_iter().fold(slice, |slice, (bound, name)| match bound {
                    Some(bound) => bind(self.term(bound), name, slice),
                    None => slice,
                })
            }
        })
    }
}
