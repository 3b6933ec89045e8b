//! What the kernel tells about processes and disks.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// CPU time that the calling thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Binds the calling thread, and all that it starts from now on, to one core.
///
/// # Errors
/// If there is no such core for this process.
pub(crate) fn pin(core: usize) -> Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(format!("no core {core}").into());
    }
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).map_err(|e| format!("cannot run on core {core}: {e}").into())
}

/// A process's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) rss: u64,
    /// The most ever resident.
    pub(crate) peak_rss: u64,
}

/// Resident memory of process `pid`.
///
/// # Errors
/// If it is gone.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = |name| field(&status, name).ok_or_else(|| format!("process {pid} has no {name}"));
    Ok(Memory { rss: kib("VmRSS:")? * 1024, peak_rss: kib("VmHWM:")? * 1024 })
}

/// CPU time of process `pid` and all its threads, in steps of a clock tick (10 ms).
///
/// # Errors
/// If it is gone.
pub(crate) fn process_cpu(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let ticks = cpu_ticks(&stat).ok_or("an unreadable /proc/PID/stat")?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Time that `core` was not idle since the machine started, whoever used it; what the hypervisor gave to others
/// counts too.
///
/// # Errors
/// If there is no such core.
pub(crate) fn core_busy(core: usize) -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let ticks = busy_ticks(&stat, core).ok_or_else(|| format!("no core {core} in /proc/stat"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// Bytes that process `pid` has caused to be written to disks.
///
/// # Errors
/// If it is gone.
pub(crate) fn disk_written(pid: u32) -> Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    field(&io, "write_bytes:").ok_or_else(|| "no write_bytes in /proc/PID/io".into())
}

/// Bytes that process `pid` has caused to be read from disks; what came from the page cache is not among them.
///
/// # Errors
/// If it is gone.
pub(crate) fn disk_read(pid: u32) -> Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    field(&io, "read_bytes:").ok_or_else(|| "no read_bytes in /proc/PID/io".into())
}

/// Drops the files under `dir` from the page cache: what stands on the disk is read from the disk again. Files that
/// vanish meanwhile need no dropping.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            evict(&path)?;
        } else if let Ok(file) = fs::File::open(&path) {
            // Only pages that are on the disk already can be dropped.
            file.sync_data()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Bytes still free for this user on the file system of `path`.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn free_bytes(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Bytes that the files under `dir` occupy on the disk. Files that vanish meanwhile count nothing.
///
/// # Errors
/// If `dir` itself cannot be listed.
pub(crate) fn dir_bytes(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)?.flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        total += if meta.is_dir() { dir_bytes(&entry.path()).unwrap_or(0) } else { meta.blocks() * 512 };
    }
    Ok(total)
}

/// The processor's name.
pub(crate) fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.into(), |(_, name)| name.trim().into())
}

/// The number behind `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// `utime + stime`, fields 14 and 15; the second field is a name that may hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// user, nice, system, (idle, iowait,) irq, softirq and steal of one core; guests are part of user.
fn busy_ticks(stat: &str, core: usize) -> Option<u64> {
    let line = stat.lines().find_map(|l| l.strip_prefix(&format!("cpu{core} ")))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|t| t.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].iter().map(|i| ticks.get(*i)).sum::<Option<u64>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "123 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 31 14 15";
        assert_eq!(cpu_ticks(stat), Some(281));
        assert_eq!(cpu_ticks("123 (cut off) S 1"), None);
    }

    #[test]
    fn busy_ticks_leave_out_idle_and_waiting() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 2 4 800 900 8 16 32 1000 1000\ncpu11 7 7 7 7 7 7 7 7 7 7\n";
        assert_eq!((busy_ticks(stat, 1), busy_ticks(stat, 0)), (Some(63), None));
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "VmPeak:\t 9 kB\nVmHWM:\t  77 kB\nVmRSS:\t 55 kB\n";
        assert_eq!((field(text, "VmHWM:"), field(text, "VmRSS:"), field(text, "VmSwap:")), (Some(77), Some(55), None));
        assert_eq!(field("cancelled_write_bytes: 5\nwrite_bytes: 6\n", "write_bytes:"), Some(6));
    }

    #[test]
    fn this_process_can_be_read() {
        let pid = std::process::id();
        let memory = memory(pid).unwrap();
        assert!(memory.rss > 0 && memory.peak_rss >= memory.rss);
        assert!(process_cpu(pid).is_ok() && disk_written(pid).is_ok());
        assert!(free_bytes(Path::new("/")).unwrap() > 0);
    }

    #[test]
    fn a_directory_counts_what_its_files_occupy() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        fs::write(dir.path().join("sub/file"), vec![1u8; 100_000]).unwrap();
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        let bytes = dir_bytes(dir.path()).unwrap();
        assert!((100_000..1 << 20).contains(&bytes), "{bytes}");
    }
}
