//! `docs/COMPATIBILITY.md` is held to the model: what it says of each member that CreateDeliveryStream may have.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "a test reads a document of the repository")]

use std::collections::{BTreeMap, BTreeSet};

use levada_wire::firehose::shapes;
use levada_wire::model::{Kind, Shape};
use levada_wire::operation::FirehoseOp;

const COMPATIBILITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/COMPATIBILITY.md");
const BEGIN: &str = "<!-- members of CreateDeliveryStream:";
const END: &str = "<!-- end of the members -->";

/// What the table says of each member, by structure and member.
type Said = BTreeMap<(String, String), String>;

/// The names in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn table(text: &str) -> Said {
    let (_, rest) = text.split_once(BEGIN).unwrap();
    let (rows, _) = rest.split_once(END).unwrap();
    let mut said = Said::new();
    let mut structures = Vec::new();
    for row in rows.lines().filter(|line| line.starts_with('|')).skip(2) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        if !cells[0].is_empty() {
            structures = names(cells[0]);
        }
        for structure in &structures {
            for member in names(cells[1]) {
                let key = (structure.clone(), member);
                assert_eq!(said.insert(key, cells[2].to_owned()), None, "twice: {structure} in {row}");
            }
        }
    }
    said
}

/// Goes through the members of a structure and of what they hold, but not into what is refused.
fn walk(shape: &'static Shape, said: &Said, met: &mut BTreeSet<(String, String)>, missing: &mut Vec<String>) {
    match &shape.kind {
        Kind::Structure(members) => {
            for member in *members {
                let key = (shape.name.to_owned(), member.name.to_owned());
                let Some(verdict) = said.get(&key) else {
                    missing.push(format!("{}.{}", key.0, key.1));
                    continue;
                };
                assert!(matches!(verdict.as_str(), "works" | "kept" | "refused"), "{key:?}: {verdict}");
                if met.insert(key) && verdict != "refused" {
                    walk(member.shape, said, met, missing);
                }
            }
        }
        Kind::List { member, .. } => walk(member, said, met, missing),
        Kind::Map { value, .. } => walk(value, said, met, missing),
        Kind::String { .. }
        | Kind::Integer(_)
        | Kind::Long(_)
        | Kind::Double(_)
        | Kind::Boolean
        | Kind::Timestamp
        | Kind::Blob(_) => {}
    }
}

#[test]
fn every_member_of_a_delivery_stream_is_told_of() {
    let said = table(&std::fs::read_to_string(COMPATIBILITY).unwrap());
    let (mut met, mut missing) = (BTreeSet::new(), Vec::new());
    walk(&shapes::CREATE_DELIVERY_STREAM_INPUT, &said, &mut met, &mut missing);
    assert_eq!(missing, Vec::<String>::new(), "the model has members that the table does not tell of");
    let gone: Vec<_> = said.keys().filter(|key| !met.contains(*key)).collect();
    assert!(gone.is_empty(), "the table tells of members that the model does not have: {gone:?}");
}

#[test]
fn every_operation_is_told_of() {
    let text = std::fs::read_to_string(COMPATIBILITY).unwrap();
    let (_, firehose) = text.split_once("\n## Firehose\n").unwrap();
    let (operations, _) = firehose.split_once(BEGIN).unwrap();
    let first_cells = operations.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let told: BTreeSet<&str> = first_cells.flat_map(|cell| cell.split(", ")).collect();
    let missing: Vec<_> = FirehoseOp::ALL.iter().map(|op| op.name()).filter(|name| !told.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// An update says what a configuration says, by the same names.
#[test]
fn updates_have_the_members_of_configurations() {
    let renamed = [("S3Update", "S3Configuration"), ("S3BackupUpdate", "S3BackupConfiguration")];
    for (update, configuration) in [
        (&shapes::S3_DESTINATION_UPDATE, &shapes::S3_DESTINATION_CONFIGURATION),
        (&shapes::EXTENDED_S3_DESTINATION_UPDATE, &shapes::EXTENDED_S3_DESTINATION_CONFIGURATION),
        (&shapes::HTTP_ENDPOINT_DESTINATION_UPDATE, &shapes::HTTP_ENDPOINT_DESTINATION_CONFIGURATION),
        (&shapes::SPLUNK_DESTINATION_UPDATE, &shapes::SPLUNK_DESTINATION_CONFIGURATION),
        (
            &shapes::AMAZONOPENSEARCHSERVICE_DESTINATION_UPDATE,
            &shapes::AMAZONOPENSEARCHSERVICE_DESTINATION_CONFIGURATION,
        ),
        (&shapes::ELASTICSEARCH_DESTINATION_UPDATE, &shapes::ELASTICSEARCH_DESTINATION_CONFIGURATION),
        (
            &shapes::AMAZON_OPEN_SEARCH_SERVERLESS_DESTINATION_UPDATE,
            &shapes::AMAZON_OPEN_SEARCH_SERVERLESS_DESTINATION_CONFIGURATION,
        ),
    ] {
        for member in update.members() {
            let there = renamed.iter().find(|(of_update, _)| *of_update == member.name);
            let there = there.map_or(member.name, |(_, of_configuration)| of_configuration);
            assert!(configuration.member(there).is_some(), "{}.{}", update.name, member.name);
        }
    }
}
