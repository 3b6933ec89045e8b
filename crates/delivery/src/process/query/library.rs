//! The functions of jq 1.6, as far as an expression has them.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use jaq_core::box_iter::box_once;
use jaq_core::load::parse::{Def, Term};
use jaq_core::native::{Filter as Named, bome, v};
use jaq_core::{Cv, Error, Native, RunPtr, ValXs};
use jaq_json::{Num, Val};
use jaq_std::ValT as _;

use super::bounds::{Jq, Spent, extent, number};
use super::{differing, input, regex as expression, rewrite, time};

/// What an expression may call, with the number of arguments unless there are none: what jq 1.6 has by its manual,
/// without what reaches outside of the expression (`env`, `$ENV`, `input`, `inputs`, `debug`, `stderr`,
/// `input_filename`, `input_line_number`, `halt`, `halt_error`, modules), without its streaming forms and SQL-style
/// operators, and without what jaq does not have (`@csv`, `@tsv`, `@base32`, `ascii`, `dateadd`, `datesub`).
const FUNCTIONS: &str = "
    @base64 @base64d @html @json @sh @text @uri
    acos acosh add/0 all/0 all/1 all/2 any/0 any/1 any/2 arrays ascii_downcase ascii_upcase asin asinh atan
    atan2/2 atanh booleans bsearch/1 capture/1 capture/2 cbrt ceil combinations/0 combinations/1 contains/1
    copysign/2 cos cosh date del/1 delpaths/1 drem/2 empty endswith/1 error/0 error/1 exp exp10 exp2 explode expm1
    fabs false fdim/2 finites first/0 first/1 flatten/0 flatten/1 floor fma/3 fmax/2 fmin/2 fmod/2 frexp
    from_entries fromdate fromdateiso8601 fromjson gamma getpath/1 gmtime group_by/1 gsub/2 gsub/3 has/1 hypot/2
    implode in/1 index/1 indices/1 infinite inside/1 isempty/1 isfinite isinfinite isnan isnormal isvalid/1
    iterables j0 j1 join/1 keys keys_unsorted last/0 last/1 ldexp/2 leaf_paths length lgamma limit/2 localtime log
    log10 log1p log2 logb ltrimstr/1 map/1 map_values/1 match/1 match/2 max max_by/1 min min_by/1 mktime modf nan
    nearbyint nextafter/2 nexttoward/2 normals not now nth/1 nth/2 null nulls numbers objects path/1 paths/0
    paths/1 pow/2 pow10 range/1 range/2 range/3 recurse/0 recurse/1 recurse/2 recurse_down repeat/1 reverse rindex/1
    rint round rtrimstr/1 scalars scalb/2 scalbln/2 scan/1 select/1 setpath/2 significand sin sinh sort sort_by/1
    split/1 split/2 splits/1 splits/2 sqrt startswith/1 strflocaltime/1 strftime/1 strings strptime/1 sub/2 sub/3 tan
    tanh test/1 test/2 tgamma to_entries todate todateiso8601 tojson tonumber tostring transpose true trunc
    type unique unique_by/1 until/2 utf8bytelength values walk/1 while/2 with_entries/1 y0 y1";

/// What jq 1.6 has and jaq does not, what jaq does by the machine's time zone, and what it does with more than seconds.
const DEFINITIONS: &str = r#"
    def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
    def todate: todateiso8601;
    def date: todateiso8601;
    def leaf_paths: paths(scalars);
    def recurse_down: recurse;
    def isvalid(f): try (f | true) catch false;
    def localtime: gmtime;
    def strflocaltime($format): strftime($format);"#;

/// Functions of jaq that have no business here, or are done here.
const REPLACED: &[&str] = &[
    "env",
    "halt",
    "debug_empty",
    "stderr_empty",
    "tobytes",
    "now",
    "fromjson",
    "todate",
    "todateiso8601",
    "localtime",
    "strflocaltime",
    "gmtime",
    "mktime",
    "strftime",
    "strptime",
    "join",
    "tonumber",
    "ltrimstr",
    "rtrimstr",
    "from_entries",
];

/// The definitions that an expression needs, not rewritten yet. All would take a hundred times the memory, for each
/// delivery stream.
pub(super) fn definitions<'s>(program: &Term<&'s str>) -> Vec<Def<&'s str>> {
    static LIBRARY: OnceLock<Vec<Def<&'static str>>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let ours = jaq_core::load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
        let theirs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        theirs.filter(|def| !REPLACED.contains(&def.name)).chain(ours).collect()
    });
    let mut needed = BTreeSet::new();
    let mut names = Names::default();
    names.term(program);
    while let Some(called) = names.called.pop() {
        if needed.insert(called) {
            let bodies = library.iter().filter(|def| (def.name, def.args.len()) == called).map(|def| &def.body);
            bodies.for_each(|body| names.term(body));
        }
    }
    library.iter().filter(|def| needed.contains(&(def.name, def.args.len()))).cloned().collect()
}

/// All native functions, with those that rewriting calls.
pub(super) fn functions() -> Vec<Named<Native<Jq>>> {
    let theirs = jaq_core::funs::<Jq>().chain(jaq_std::funs::<Jq>()).chain(jaq_json::funs::<Jq>());
    let mut all: Vec<_> = theirs.filter(|(name, ..)| !REPLACED.contains(name)).collect();
    all.push(("now", v(0), native_run(now)));
    all.push(("fromjson", v(0), native_run(from_json)));
    all.push(("gmtime", v(0), native_run(|cv| one(time::gmtime(&cv.1)))));
    all.push(("mktime", v(0), native_run(|cv| one(time::mktime(&cv.1)))));
    all.push((
        "strftime",
        v(1),
        native_run(|mut cv| {
            let format = cv.0.pop_var();
            cv.0.data().budget.text(written(&format));
            one(time::strftime(&cv.1, &format))
        }),
    ));
    all.push((
        "strptime",
        v(1),
        native_run(|mut cv| {
            let format = cv.0.pop_var();
            cv.0.data().budget.text(written(&format));
            one(time::strptime(&cv.1, &format))
        }),
    ));
    all.push(("join", v(1), native_run(|mut cv| one(differing::join(&cv.1, &cv.0.pop_var(), cv.0.data().budget)))));
    all.push(("tonumber", v(0), native_run(|cv| one(differing::to_number(cv.1)))));
    all.push(("ltrimstr", v(1), native_run(|mut cv| one(Ok(differing::trim_start(cv.1, &cv.0.pop_var()))))));
    all.push(("rtrimstr", v(1), native_run(|mut cv| one(Ok(differing::trim_end(cv.1, &cv.0.pop_var()))))));
    all.push(("from_entries", v(0), native_run(|cv| one(differing::from_entries(&cv.1)))));
    all.push((rewrite::STEP, v(0), step()));
    all.push((rewrite::DEEP, v(0), deep()));
    all.push((rewrite::LOOK, v(0), look()));
    all.push((rewrite::MADE, v(0), made()));
    all.push((rewrite::PRODUCT, v(1), native_run(product)));
    all.push((rewrite::REGEX, v(2), native_run(regex)));
    all.push((rewrite::MULTIPLY, v(2), native_run(multiply)));
    all.push((rewrite::SUBTRACT, v(2), native_run(subtract)));
    all.push((rewrite::REMAINDER, v(2), native_run(remainder)));
    all.push((rewrite::INDEX, v(0), native_run(index)));
    all.push((rewrite::NOTHING, v(0), native_run(|cv| one(Ok(Val::Bool(matches!(cv.1, Val::Null)))))));
    all
}

/// Names and numbers of arguments of native functions.
pub(super) fn native() -> BTreeSet<(&'static str, usize)> {
    functions().iter().map(|(name, args, _)| (*name, args.len())).collect()
}

type Outputs<'a> = ValXs<'a, Val>;

fn native_run(run: RunPtr<Jq>) -> Native<Jq> {
    Native::<Jq>::new(run)
}

fn one<'a>(output: Result<Val, Error<Val>>) -> Outputs<'a> {
    bome(output)
}

/// The identity, which takes a step.
fn step() -> Native<Jq> {
    native_run(|cv| {
        cv.0.data().budget.step();
        box_once(Ok(cv.1))
    })
    .with_paths(|cv| {
        cv.0.data().budget.step();
        box_once(Ok(cv.1))
    })
    .with_update(|cv, update| {
        cv.0.data().budget.step();
        update(cv.1)
    })
}

/// The identity, which takes a step that leaves something nested behind.
fn deep() -> Native<Jq> {
    native_run(|cv| {
        cv.0.data().budget.nest();
        box_once(Ok(cv.1))
    })
    .with_paths(|cv| {
        cv.0.data().budget.nest();
        box_once(Ok(cv.1))
    })
    .with_update(|cv, update| {
        cv.0.data().budget.nest();
        update(cv.1)
    })
}

/// The identity, before a function that looks at its whole input.
fn look() -> Native<Jq> {
    native_run(|cv| {
        cv.0.data().budget.looked_at(&cv.1);
        box_once(Ok(cv.1))
    })
    .with_paths(|cv| {
        cv.0.data().budget.looked_at(&cv.1.0);
        box_once(Ok(cv.1))
    })
    .with_update(|cv, update| {
        cv.0.data().budget.looked_at(&cv.1);
        update(cv.1)
    })
}

/// The identity, after a value was made; a number becomes one of jq 1.6. As a path it was not made.
fn made() -> Native<Jq> {
    native_run(|cv| {
        cv.0.data().budget.made(&cv.1);
        box_once(Ok(number(cv.1)))
    })
    .with_paths(|cv| {
        cv.0.data().budget.step();
        box_once(Ok(cv.1))
    })
    .with_update(|cv, update| {
        cv.0.data().budget.step();
        update(cv.1)
    })
}

/// The identity, before a function that looks at all of its input for all of its argument.
fn product(mut cv: Cv<'_, Jq>) -> Outputs<'_> {
    let argument = cv.0.pop_var();
    cv.0.data().budget.product(extent(&cv.1), extent(&argument));
    one(Ok(cv.1))
}

/// The identity, before a regular expression is compiled and searched for: its automaton, then input times automaton,
/// and for each match anew if all are searched for.
fn regex(mut cv: Cv<'_, Jq>) -> Outputs<'_> {
    /// Searching costs less than comparing lists.
    const GLOBAL_SHARE: usize = 32;
    let (flags, text) = (cv.0.pop_var(), cv.0.pop_var());
    let has = |flag: u8| matches!(&flags, Val::TStr(flags) if flags.contains(&flag));
    let searches = if has(b'g') { extent(&cv.1) / GLOBAL_SHARE + 1 } else { 1 };
    let budget = cv.0.data().budget;
    if let Val::TStr(text) | Val::BStr(text) = &text {
        let weight = expression::weight(text, has(b'x'));
        budget.spend(weight.to_compile());
        budget.product(extent(&cv.1).saturating_mul(searches), weight.to_search());
    }
    one(Ok(cv.1))
}

/// `$a * $b`: to multiply a text by a number repeats it, which is measured before it is done.
fn multiply(mut cv: Cv<'_, Jq>) -> Outputs<'_> {
    let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
    if let (Val::TStr(text) | Val::BStr(text), times @ Val::Num(_))
    | (times @ Val::Num(_), Val::TStr(text) | Val::BStr(text)) = (&left, &right)
    {
        let times = times.as_f64().unwrap_or(0.0).clamp(0.0, 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
        cv.0.data().budget.text(text.len().saturating_mul(times as usize));
    }
    one(left * right)
}

/// `$a - $b`: of lists, each element is compared with each.
fn subtract(mut cv: Cv<'_, Jq>) -> Outputs<'_> {
    let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
    if let (Val::Arr(left), Val::Arr(right)) = (&left, &right) {
        cv.0.data().budget.product(left.len(), right.len());
    }
    one(left - right)
}

/// `$a % $b`.
fn remainder(mut cv: Cv<'_, Jq>) -> Outputs<'_> {
    let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
    one(differing::remainder(left, right))
}

/// The identity on what `.[…]` takes, without lists: those are searched for, element by element.
fn index(cv: Cv<'_, Jq>) -> Outputs<'_> {
    one(match cv.1 {
        list @ Val::Arr(_) => Err(Error::typ(list, "index")),
        value => Ok(value),
    })
}

fn now(cv: Cv<'_, Jq>) -> Outputs<'_> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of our time have 41 bits")]
    let seconds = cv.0.data().budget.clock().now_ms() as f64 / 1000.0;
    one(Ok(number(Val::Num(Num::Float(seconds)))))
}

/// One JSON text, by the parser that reads records: jaq's own has no bounds.
fn from_json(cv: Cv<'_, Jq>) -> Outputs<'_> {
    let Val::TStr(text) = &cv.1 else { return one(Err(Error::typ(cv.1, "string"))) };
    one(match input::read(text) {
        Ok((value, units)) => {
            cv.0.data().budget.spend(units);
            Ok(value)
        }
        Err(input::ReadError::Malformed(error)) => Err(Error::str(format_args!("no JSON: {error}"))),
        Err(input::ReadError::TooLarge) => resume_unwind(Box::new(Spent::Units)),
    })
}

/// The first function that an expression calls and that is neither its own nor among [`FUNCTIONS`].
pub(super) fn undefined(term: &Term<&str>) -> Option<String> {
    let mut names = Names::default();
    names.term(term);
    let known = |(name, arity): (&str, usize)| {
        names.defined.contains(&(name, arity))
            || FUNCTIONS.split_whitespace().any(|function| match function.split_once('/') {
                Some((known, args)) => known == name && args.parse() == Ok(arity),
                None => function == name && arity == 0,
            })
    };
    names.called.iter().find(|called| !known(**called)).map(|(name, arity)| format!("{name}/{arity}"))
}

/// What an expression calls, and what it defines anywhere: whether it is in scope is the compiler's to say.
#[derive(Default)]
struct Names<'s> {
    called: Vec<(&'s str, usize)>,
    defined: BTreeSet<(&'s str, usize)>,
}

impl<'s> Names<'s> {
    fn term(&mut self, term: &Term<&'s str>) {
        if let Term::Call(name, args) = term {
            self.called.push((name, args.len()));
        }
        if let Term::Str(Some(format), _) = term {
            self.called.push((format, 0));
        }
        if let Term::Def(defs, _) = term {
            for Def { name, args, .. } in defs {
                self.defined.insert((name, args.len()));
                self.defined.extend(args.iter().map(|arg| (arg.trim_start_matches('$'), 0)));
            }
        }
        rewrite::parts(term, &mut |part| self.term(part));
    }
}

/// Bytes that may come of a format of times before anybody weighs them: `%c` makes some twelve times its length.
fn written(format: &Val) -> usize {
    const MOST: usize = 32;
    if let Val::TStr(text) = format { text.len().saturating_mul(MOST) } else { 0 }
}
