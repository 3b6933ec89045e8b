//! Delivery to real servers (`conformance/destinations/`): OpenTelemetry's receivers are built by Go, OpenSearch comes through
//! Maven, the S3-compatible store is moto's. Go's own cache keeps the modules and what was compiled.

use std::path::PathBuf;
use std::process::Command;

use crate::clients::Clients;
use crate::run::{root, shown, target_dir};
use crate::test::{Outcome, Trouble, build_node, passed};
use crate::{adapters, java};

/// Every destination end to end, and the examples of docs/FIREHOSE.md.
pub(crate) fn destinations() -> Outcome {
    let (receivers, java) = (receivers()?, java::built()?);
    let mut command = Clients::ready()?.python();
    command.args(["-m", "pytest", "-p", "no:cacheprovider", "--durations=8", "conformance/destinations"]);
    command.current_dir(root()).env("LEVADA_BIN", build_node()?);
    command.env("LEVADA_RECEIVERS", receivers).env("LEVADA_JAVA", java);
    command.env("PYTHONPATH", root().join("conformance").join("python"));
    passed(shown(&mut command)?, "delivery to real servers")
}

/// The program with OpenTelemetry's receivers.
fn receivers() -> Result<PathBuf, Trouble> {
    adapters::needs_go()?;
    let program = target_dir().join("clients-receivers").join("receivers");
    let mut go = Command::new("go");
    go.args(["build", "-buildvcs=false", "-mod=readonly", "-o"]).arg(&program).arg(".");
    go.current_dir(root().join("conformance").join("receivers"));
    if !shown(&mut go)?.success {
        return Err("the receivers do not build; the first time, the module proxy must be reachable".to_owned().into());
    }
    Ok(program)
}
