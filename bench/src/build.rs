//! Makes the binary under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// Builds `levada` in release mode, which does nothing if it is fresh, and answers where it is.
///
/// # Errors
/// If the build fails; cargo has said why on stderr.
pub(crate) fn levada() -> Result<PathBuf> {
    eprintln!("building levada (release) ...");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the workspace is gone")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "levada", "--message-format", "json-render-diagnostics"])
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo does not start: {e}"))?;
    if !output.status.success() {
        return Err("levada does not build".into());
    }
    executable(&output.stdout, "levada").ok_or_else(|| "cargo named no levada executable".into())
}

/// The executable of the binary target `name` among cargo's messages.
fn executable(messages: &[u8], name: &str) -> Option<PathBuf> {
    let messages = messages.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice::<serde_json::Value>(l).ok());
    messages.filter(|m| m["target"]["name"] == name).find_map(|m| Some(m["executable"].as_str()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = br#"not json
{"reason":"compiler-artifact","target":{"name":"levada_core"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"levada"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"levada"},"executable":"/t/release/levada"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "levada"), Some("/t/release/levada".into()));
        assert_eq!(executable(messages, "other"), None);
    }
}
