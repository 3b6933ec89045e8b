//! The text of a resource policy: checked for its grammar, and written again as AWS writes it back.
//!
//! Only the grammar is looked at: whether a policy permits what its author meant is a question for whoever enforces
//! it.

use levada_wire::error::AwsError;
use levada_wire::kinesis::errors;
use levada_wire::limits;
use serde_json::{Map, Value};

/// Elements of a policy.
const POLICY: [&str; 3] = ["Version", "Id", "Statement"];

/// Elements of a statement.
const STATEMENT: [&str; 9] =
    ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];

/// The versions of the policy language.
const VERSIONS: [&str; 2] = ["2012-10-17", "2008-10-17"];

/// Checks a policy and writes it without white space, its elements in the order in which they came. A list of one
/// action becomes the action, as was seen at AWS; other lists were not seen and are left alone.
///
/// # Errors
/// AWS's, for the first thing that is wrong.
pub(super) fn normalise(text: &str) -> Result<String, AwsError> {
    if text.len() > limits::POLICY_BYTES {
        return Err(errors::policy_too_long());
    }
    let Ok(Value::Object(mut policy)) = serde_json::from_str(text) else { return Err(errors::policy_not_json()) };
    known_elements(&policy, &POLICY)?;
    let version = policy.get("Version");
    if version.is_some_and(|version| !version.as_str().is_some_and(|version| VERSIONS.contains(&version))) {
        return Err(errors::policy_element_invalid("Version"));
    }
    match policy.get_mut("Statement") {
        None => return Err(errors::policy_lacks("Statement")),
        Some(Value::Array(statements)) if !statements.is_empty() => statements.iter_mut().try_for_each(statement)?,
        Some(only @ Value::Object(_)) => statement(only)?,
        Some(_) => return Err(errors::policy_element_invalid("Statement")),
    }
    Ok(Value::Object(policy).to_string())
}

fn known_elements(object: &Map<String, Value>, known: &[&str]) -> Result<(), AwsError> {
    match object.keys().find(|element| !known.contains(&element.as_str())) {
        Some(unknown) => Err(errors::policy_element_invalid(unknown)),
        None => Ok(()),
    }
}

fn statement(value: &mut Value) -> Result<(), AwsError> {
    let Value::Object(statement) = value else { return Err(errors::policy_element_invalid("Statement")) };
    known_elements(statement, &STATEMENT)?;
    match statement.get("Effect").map(Value::as_str) {
        Some(Some("Allow" | "Deny")) => {}
        Some(_) => return Err(errors::policy_element_invalid("Effect")),
        None => return Err(errors::policy_lacks("Effect")),
    }
    one_of(statement, "Principal", "NotPrincipal", principal)?;
    one_of(statement, "Action", "NotAction", texts)?;
    one_of(statement, "Resource", "NotResource", texts)?;
    if statement.get("Condition").is_some_and(|condition| !condition.is_object()) {
        return Err(errors::policy_element_invalid("Condition"));
    }
    if let Some(actions) = statement.get_mut("Action")
        && let Some([only]) = actions.as_array().map(Vec::as_slice)
    {
        *actions = only.clone();
    }
    Ok(())
}

/// Exactly one of the two elements, of the right kind.
fn one_of(
    statement: &Map<String, Value>,
    element: &str,
    negated: &str,
    is_right: fn(&Value) -> bool,
) -> Result<(), AwsError> {
    match (statement.get(element), statement.get(negated)) {
        (None, None) => Err(errors::policy_lacks(element)),
        (Some(value), None) if is_right(value) => Ok(()),
        (None, Some(value)) if is_right(value) => Ok(()),
        (None, Some(_)) => Err(errors::policy_element_invalid(negated)),
        (Some(_), _) => Err(errors::policy_element_invalid(element)),
    }
}

fn principal(value: &Value) -> bool {
    match value {
        Value::String(everybody) => everybody == "*",
        Value::Object(kinds) => !kinds.is_empty() && kinds.values().all(texts),
        _ => false,
    }
}

/// A text, or a list of texts.
fn texts(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_written_as_aws_writes_it() {
        let given = r#" {"Statement": {"Resource": ["arn:aws:kinesis:us-east-1:1:stream/s"], "Action": ["kinesis:PutRecord"],
            "Principal": {"AWS": ["1", "2"]}, "Sid": "a", "Effect": "Allow"}, "Version": "2012-10-17"}"#;
        let expected = concat!(
            r#"{"Statement":{"Resource":["arn:aws:kinesis:us-east-1:1:stream/s"],"Action":"kinesis:PutRecord","#,
            r#""Principal":{"AWS":["1","2"]},"Sid":"a","Effect":"Allow"},"Version":"2012-10-17"}"#
        );
        let written = normalise(given).unwrap();
        assert_eq!(written, expected);
        assert_eq!(normalise(&written).unwrap(), expected, "writing again changes nothing");
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let json = errors::policy_not_json();
        let (lacks, invalid) = (errors::policy_lacks, errors::policy_element_invalid);
        let rows = [
            ("", json.clone()),
            ("{", json.clone()),
            ("[]", json.clone()),
            ("\"text\"", json.clone()),
            ("{\"Version\"}", json),
            ("{}", lacks("Statement")),
            (r#"{"Statement":[]}"#, invalid("Statement")),
            (r#"{"Statement":[1]}"#, invalid("Statement")),
            (r#"{"Statement":{},"Version":"today"}"#, invalid("Version")),
            (r#"{"Statement":{},"Comment":""}"#, invalid("Comment")),
            (r#"{"Statement":{}}"#, lacks("Effect")),
            (r#"{"Statement":{"Effect":"Maybe"}}"#, invalid("Effect")),
            (r#"{"Statement":{"Effect":"Allow"}}"#, lacks("Principal")),
            (r#"{"Statement":{"Effect":"Allow","Principal":"me"}}"#, invalid("Principal")),
            (r#"{"Statement":{"Effect":"Allow","Principal":"*"}}"#, lacks("Action")),
            (r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":[]}}"#, invalid("Action")),
            (r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"a","NotAction":"b"}}"#, invalid("Action")),
            (r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"a"}}"#, lacks("Resource")),
            (
                r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"a","Resource":"r","Condition":[]}}"#,
                invalid("Condition"),
            ),
        ];
        let long = format!(r#"{{"Id":"{}"}}"#, "i".repeat(limits::POLICY_BYTES));
        assert_eq!(normalise(&long), Err(errors::policy_too_long()));
        for (text, error) in rows {
            assert_eq!(normalise(text), Err(error), "{text}");
        }
    }
}
