//! Processor time and memory of a process, as Linux tells them in `/proc`.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;

/// Linux counts processor time in hundredths of a second, on every machine that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where utime stands in `/proc/PID/stat`, counted from the field behind the command's name; stime follows.
const UTIME: usize = 11;

/// A process by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

/// All processes of a server, with the kind of each: "connector", "database".
#[derive(Debug, Clone, Default)]
pub(super) struct Processes(pub(super) Vec<(String, Process)>);

impl Processes {
    /// One that is everything.
    pub(super) fn one(pid: u32) -> Self {
        Self(vec![("server".to_owned(), Process(pid))])
    }

    /// Processor time by kind, in the order of their names.
    pub(super) fn cpu(&self) -> anyhow::Result<BTreeMap<String, Duration>> {
        let mut by_kind = BTreeMap::new();
        for (kind, process) in &self.0 {
            *by_kind.entry(kind.clone()).or_default() += process.cpu()?;
        }
        Ok(by_kind)
    }

    /// What all of them hold.
    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        let mut all = Memory::default();
        for (_, process) in &self.0 {
            let Memory { resident, proportional, anonymous } = process.memory()?;
            all.resident += resident;
            all.proportional += proportional;
            all.anonymous += anonymous;
        }
        Ok(all)
    }
}

/// Memory, bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Resident, shared pages counted in full.
    pub(super) resident: u64,
    /// Resident, shared pages counted by share.
    pub(super) proportional: u64,
    /// Resident and of no file: heap and stacks.
    pub(super) anonymous: u64,
}

impl Process {
    /// This process.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }

    /// Time on processors since it started, in its own code and in the kernel's for it.
    pub(super) fn cpu(self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        parse_stat(&text).with_context(|| format!("{path} is not as expected"))
    }

    /// What it holds.
    pub(super) fn memory(self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/smaps_rollup", self.0);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        parse_rollup(&text).with_context(|| format!("{path} is not as expected"))
    }
}

/// The command's name stands in parentheses and may hold anything, so fields count from the last closing one.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(UTIME).map(str::parse::<u32>);
    let ticks = f64::from(times.next()?.ok()?) + f64::from(times.next()?.ok()?);
    Some(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

fn parse_rollup(text: &str) -> Option<Memory> {
    let bytes = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    Some(Memory { resident: bytes("Rss:")?, proportional: bytes("Pss:")?, anonymous: bytes("Anonymous:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_parentheses() {
        let text = "42 (a) (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 8 20 0 4 0 123 456 789";
        assert_eq!(parse_stat(text), Some(Duration::from_secs(2)));
        assert_eq!(parse_stat("42 (a) S 1"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "5600-7fff ---p 00000000 00:00 0 [rollup]\nRss:     2048 kB\nPss:   1024 kB\nPss_Anon: 9 kB\n\
                    Anonymous:        512 kB\n";
        let memory = parse_rollup(text).expect("it is as expected");
        assert_eq!((memory.resident, memory.proportional, memory.anonymous), (2 << 20, 1 << 20, 512 << 10));
    }

    #[test]
    fn this_process_has_used_time_and_memory() {
        let own = Process::own();
        assert!(own.memory().expect("readable").resident > 100 * 1024);
        assert!(own.cpu().expect("readable") < Duration::from_secs(3600));
    }
}
