//! What the disk does by itself: the same bytes, written and synced as the server does it, and read.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::bench::report::Report;

/// Bytes of one write and one read, as of the server's.
const BUFFER: usize = 256 * 1024;

/// Writes and reads as many files as are to be moved, one after the other, and removes them. What is read was just
/// written: like a download that follows an upload, it may come out of memory.
pub(super) async fn measure(
    folder: &Path,
    files: u32,
    size: u64,
    report: &mut Report,
    [write, read]: [&'static str; 2],
) -> anyhow::Result<()> {
    let folder = folder.to_owned();
    let work = move || -> std::io::Result<[Duration; 2]> {
        let mut took = [Duration::ZERO; 2];
        for number in 0..files {
            let path = folder.join(format!("disk-{number}"));
            let (written, were_read) = (write_file(&path, size), read_file(&path));
            std::fs::remove_file(&path)?;
            took[0] += written?;
            took[1] += were_read?;
        }
        Ok(took)
    };
    let took = tokio::task::spawn_blocking(work).await?.context("The disk cannot be written to and read")?;
    let bytes = (u64::from(files) * size) as f64;
    for (name, took) in [write, read].into_iter().zip(took) {
        report.measured(name, Some(bytes / 1e6 / took.as_secs_f64()));
    }
    Ok(())
}

fn write_file(path: &Path, size: u64) -> std::io::Result<Duration> {
    let mut buffer = vec![0; BUFFER];
    rand::fill(&mut buffer[..]);
    let began = Instant::now();
    let mut file = File::create(path)?;
    let mut left = size;
    while left > 0 {
        let some = left.min(BUFFER as u64);
        file.write_all(&buffer[..some as usize])?;
        left -= some;
    }
    file.sync_all()?;
    Ok(began.elapsed())
}

fn read_file(path: &Path) -> std::io::Result<Duration> {
    let mut buffer = vec![0; BUFFER];
    let began = Instant::now();
    let mut file = File::open(path)?;
    while file.read(&mut buffer)? > 0 {}
    Ok(began.elapsed())
}
