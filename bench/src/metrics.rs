//! Reads the server's own figures, in the Prometheus text format.

use std::net::SocketAddr;

use crate::client::Client;

/// The journal's backlog: what is acknowledged but not yet in segments.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Backlog {
    /// The metric's name.
    pub(crate) name: String,
    /// Its value, in the unit that its name says.
    pub(crate) value: f64,
}

/// Asks the server at `addr` for its backlog; `None` if it exports no such metric.
pub(crate) fn backlog(addr: SocketAddr) -> Option<Backlog> {
    let (status, body) = Client::new(addr).ok()?.get("/metrics").ok()?;
    (status == 200).then(|| find_backlog(&String::from_utf8_lossy(&body))).flatten()
}

/// The sum of all samples of one metric with `journal` and `backlog` in its name; of several such metrics the one
/// that counts bytes.
fn find_backlog(text: &str) -> Option<Backlog> {
    let mut found: Vec<Backlog> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let Some(name) = line.split(['{', ' ']).next().filter(|n| n.contains("journal") && n.contains("backlog"))
        else {
            continue;
        };
        let after_labels = line.rsplit_once('}').map_or(&line[name.len()..], |(_, rest)| rest);
        let Some(value) = after_labels.split_whitespace().next().and_then(|v| v.parse::<f64>().ok()) else { continue };
        match found.iter_mut().find(|f| f.name == name) {
            Some(metric) => metric.value += value,
            None => found.push(Backlog { name: name.into(), value }),
        }
    }
    let bytes = found.iter().position(|f| f.name.contains("bytes")).unwrap_or(0);
    (!found.is_empty()).then(|| found.swap_remove(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_in_bytes_is_found_and_summed() {
        let text = "# HELP levada_journal_backlog_frames x\nlevada_journal_backlog_frames 7\n\
                    levada_journal_backlog_bytes{log=\"a b\"} 1.5e3\nlevada_journal_backlog_bytes{log=\"c\"} 500 1234\n\
                    levada_backlog_bytes 9\nlevada_journal_bytes_total 8\n";
        assert_eq!(find_backlog(text), Some(Backlog { name: "levada_journal_backlog_bytes".into(), value: 2000.0 }));
    }

    #[test]
    fn without_such_a_metric_there_is_none() {
        for text in ["", "# TYPE journal_backlog gauge\n", "journal 1\nbacklog 2\n", "journal_backlog nonsense\n"] {
            assert_eq!(find_backlog(text), None, "{text:?}");
        }
    }
}
