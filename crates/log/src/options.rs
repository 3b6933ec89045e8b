//! What may be set about the embedded engine, with its defaults.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Sizes and ceilings of the embedded engine. All of them may be changed from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Size of a journal file in bytes once the journal has grown; a multiple of 4 KiB. Default 64 MiB: large
    /// enough that changing files is rare, small enough that four of them are nothing to a disk.
    pub journal_segment_bytes: u64,
    /// Size of a new data directory's first journal file in bytes; a multiple of 4 KiB. Default 1 MiB, so that it is
    /// zeroed and synced within a few milliseconds. Each next file is eight times larger until
    /// [`journal_segment_bytes`](Self::journal_segment_bytes) is reached.
    pub first_journal_segment_bytes: u64,
    /// A commit round takes no further append once it holds so many bytes. Default 4 MiB.
    pub round_bytes: usize,
    /// Undrained bytes in memory from which on the drain starts. Default 12 MiB.
    pub drain_bytes: usize,
    /// The same where more than [`many_logs`](Self::many_logs) logs have undrained records: rarer drains make longer runs per log, hence
    /// fewer index entries and better reading. Default 48 MiB.
    pub drain_bytes_many_logs: usize,
    /// See [`drain_bytes_many_logs`](Self::drain_bytes_many_logs). Default 256.
    pub many_logs: usize,
    /// Undrained bytes in memory above which appends wait for the drain. Default 80 MiB.
    pub memory_bytes: usize,
    /// Bytes of appends that wait for their round or are in it, from which on further calls wait before they are
    /// queued. Default 32 MiB.
    pub queue_bytes: usize,
    /// Bytes one log must have in one drain to get segment files of its own. Default 256 KiB.
    pub busy_log_bytes: usize,
    /// Bytes that one drain must have for a segment to be written past the page cache. Default 256 KiB.
    pub direct_bytes: usize,
    /// Size in bytes from which on a segment takes no further drain. Default 128 MiB; at most 1 GiB.
    pub segment_bytes: u64,
    /// Age in milliseconds from which on a segment takes no further drain, so that trimming frees whole files in
    /// time. Default 1 h: a twenty-fourth of the shortest retention.
    pub segment_age_ms: u64,
    /// Bytes of records from which on the manifest is written anew, if that makes it much shorter. Default 4 MiB.
    pub manifest_bytes: u64,
    /// Segment files kept open for reading. Default 256.
    pub max_open_files: usize,
    /// Free bytes of the file system below which appends answer `Full`. Default 256 MiB, the room that a drain of
    /// everything in memory, a manifest snapshot and a journal file need together.
    pub disk_watermark_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            journal_segment_bytes: 64 * MIB,
            first_journal_segment_bytes: MIB,
            round_bytes: 4 * MIB as usize,
            drain_bytes: 12 * MIB as usize,
            drain_bytes_many_logs: 48 * MIB as usize,
            many_logs: 256,
            memory_bytes: 80 * MIB as usize,
            queue_bytes: 32 * MIB as usize,
            busy_log_bytes: 256 * KIB as usize,
            direct_bytes: 256 * KIB as usize,
            segment_bytes: 128 * MIB,
            segment_age_ms: 60 * 60 * 1000,
            manifest_bytes: 4 * MIB,
            max_open_files: 256,
            disk_watermark_bytes: 256 * MIB,
        }
    }
}
