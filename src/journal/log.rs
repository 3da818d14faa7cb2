//! The events' file, `events.jsonl`: one JSON object a line, each with a checksum of its own.
//!
//! ```text
//! {"n":3,"at":1764000000.25,"record":{"event":{"event":"job-started",...}},"crc":"1a2b3c4d"}
//! ```
//!
//! `n` counts lines from 0, `at` is seconds since 1970, and `crc` is the CRC-32 of the line's bytes
//! before `,"crc"`. The first line gives the format. A process that dies leaves at worst a torn
//! end, which is dropped; anything else that is wrong is an error, for then events are missing that
//! were once there. A line with a right checksum that this program does not understand is one of a
//! newer program, and an error wherever it is.
//!
//! Formats, raised whenever a kind of event is added:
//! - 2: files by identity; an `evaluated` stands for those before it that were not written.
//! - 1: paths as they were typed; every evaluation.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::fingerprint::Fingerprint;
use super::status::RunStatus;
use crate::event::{Event, now};
use crate::plan::JobRecord;

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 2;
/// Bytes of a journal that are read at once.
const PIECE: u64 = 1 << 20;
/// Bytes of `,"crc":"12345678"}`.
const TAIL: usize = 18;

/// What a line records.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Record {
    /// The file begins.
    Format {
        /// Its format.
        version: u32,
        /// The program that began it.
        program: String,
    },
    /// Jobs that were added to the run after its plan was written.
    Added {
        /// The jobs, with numbers that follow those of the plan.
        jobs: Vec<JobRecord>,
        /// The run's fingerprint with them.
        fingerprint: Fingerprint,
    },
    /// Something happened.
    Event(Event),
}

impl Record {
    /// Whether what is recorded must survive a loss of power from here on.
    fn is_durable(&self) -> bool {
        !matches!(
            self,
            Record::Event(
                Event::Evaluated { .. }
                    | Event::StepRejected { .. }
                    | Event::Warning { .. }
                    | Event::Targets { .. }
            )
        )
    }
}

/// A line that was read.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// Its number, from 0.
    pub n: u64,
    /// When it was written, seconds since 1970.
    pub at: f64,
    /// What it records.
    pub record: Record,
}

/// Why a line cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is damaged: {reason}")]
pub struct BadLine {
    /// The line's number in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Whether it is whole, and written by a newer program.
    pub is_newer: bool,
}

/// Why a line could not be parsed.
enum LineError {
    /// It is not as it was written.
    Damaged(&'static str),
    /// It is as it was written, and this program does not know what it says.
    Unknown,
}

/// The content of a journal.
#[derive(Debug, Default)]
pub struct Replay {
    /// Where every job stands.
    pub status: RunStatus,
    /// Jobs that were added later, in order.
    pub added: Vec<JobRecord>,
    /// The fingerprint with the latest of them.
    pub fingerprint: Option<Fingerprint>,
    /// The format that the first line gives.
    pub format: Option<u32>,
    /// Whole lines.
    pub lines: u64,
    /// Bytes of the whole lines; what follows is a torn end.
    pub whole: usize,
}

/// Reads the bytes of a journal. What cannot be read at the end, with nothing whole behind it, is a
/// torn end and dropped.
///
/// # Errors
/// When a line that is followed by a whole one is damaged, or lines are missing.
pub fn replay(bytes: &[u8]) -> Result<Replay, BadLine> {
    let mut replay = Replay::default();
    replay.extend(bytes, &mut |_, _| {})?;
    Ok(replay)
}

impl Replay {
    /// Reads what follows the lines that were read before, and shows each event with its time to
    /// `on_event`.
    fn extend(
        &mut self,
        bytes: &[u8],
        on_event: &mut dyn FnMut(f64, &Event),
    ) -> Result<(), BadLine> {
        let before = self.lines;
        let mut bad: Option<BadLine> = None;
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line_number = before + number as u64 + 1;
            let at = |reason, is_newer| BadLine { line: line_number, reason, is_newer };
            match (parse(line), &bad) {
                (Err(LineError::Unknown), _) => {
                    return Err(at("it was written by a newer impasto", true));
                }
                (Ok(_), Some(bad)) => return Err(bad.clone()),
                (Ok(line), None) if line.n == self.lines => {
                    if let Record::Event(event) = &line.record {
                        on_event(line.at, event);
                    }
                    self.take(line);
                }
                (Ok(_), None) => {
                    let reason = "it has another number than its place; lines are missing";
                    return Err(at(reason, false));
                }
                (Err(LineError::Damaged(reason)), None) => bad = Some(at(reason, false)),
                (Err(LineError::Damaged(_)), Some(_)) => continue,
            }
            if bad.is_none() {
                self.whole += line.len();
            }
        }
        Ok(())
    }

    fn take(&mut self, line: Line) {
        self.lines += 1;
        match line.record {
            Record::Format { version, .. } => self.format = Some(version),
            Record::Added { jobs, fingerprint } => {
                self.added.extend(jobs);
                self.fingerprint = Some(fingerprint);
            }
            Record::Event(event) => self.status.on_event(line.at, &event),
        }
    }
}

/// One line, its newline included.
fn parse(line: &[u8]) -> Result<Line, LineError> {
    let body = body(line).map_err(LineError::Damaged)?;
    serde_json::from_str(&format!("{body}}}")).map_err(|_| LineError::Unknown)
}

/// What a line's checksum is of, if it is right.
pub(super) fn body(line: &[u8]) -> Result<&str, &'static str> {
    let line = line.strip_suffix(b"\n").ok_or("it has no end")?;
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let at = line
        .len()
        .checked_sub(TAIL)
        .filter(|at| text.is_char_boundary(*at))
        .ok_or("it is too short")?;
    let (body, tail) = text.split_at(at);
    let crc = tail
        .strip_prefix(",\"crc\":\"")
        .and_then(|tail| tail.strip_suffix("\"}"))
        .ok_or("it has no checksum")?;
    if crc == checksum(body) { Ok(body) } else { Err("its checksum is wrong") }
}

fn checksum(body: &str) -> String {
    format!("{:08x}", crc32fast::hash(body.as_bytes()))
}

/// A line's text, its newline included.
fn line(n: u64, at: f64, record: &Record) -> serde_json::Result<String> {
    let record = serde_json::to_string(record)?;
    let body = format!("{{\"n\":{n},\"at\":{at:.3},\"record\":{record}");
    let crc = checksum(&body);
    Ok(format!("{body},\"crc\":\"{crc}\"}}\n"))
}

/// The file, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
    lines: u64,
    whole: u64,
}

/// Reads a journal.
///
/// # Errors
/// When it cannot be read, is damaged, or is of a later format.
pub(super) fn read(path: &Path) -> Result<Replay, JournalError> {
    let mut replay = Replay::default();
    read_on(path, &mut replay, &mut |_, _| {})?;
    Ok(replay)
}

/// Reads what a journal has gained since `replay`, and shows each event with its time to `on_event`.
///
/// # Errors
/// As [`read`].
pub(super) fn read_on(
    path: &Path,
    replay: &mut Replay,
    on_event: &mut dyn FnMut(f64, &Event),
) -> Result<(), JournalError> {
    let failed = |error| JournalError::io("read", path)(error);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    // A night's events are not held all at once; a piece is as long as its longest line.
    let mut piece = PIECE;
    loop {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(replay.whole as u64)).map_err(failed)?;
        (&mut file).take(piece).read_to_end(&mut bytes).map_err(failed)?;
        if replay.lines == 0 {
            refuse_other_formats(path, &bytes)?;
        }
        let before = replay.whole;
        replay
            .extend(&bytes, on_event)
            .map_err(|bad| JournalError::Damaged { path: path.into(), reason: bad.to_string() })?;
        match (bytes.len() as u64 == piece, replay.whole > before) {
            (true, true) => {}
            (true, false) => piece *= 2,
            (false, _) => break,
        }
    }
    match replay.format {
        None if replay.lines > 0 => Err(JournalError::Damaged {
            path: path.into(),
            reason: "its first line does not say its format".into(),
        }),
        _ => Ok(()),
    }
}

/// The format is asked first: a line of another format may not be understood.
fn refuse_other_formats(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let head =
        bytes.split_inclusive(|byte| *byte == b'\n').next().and_then(|line| parse(line).ok());
    match head.map(|line| line.record) {
        Some(Record::Format { version: found, .. }) if found > FORMAT => {
            Err(JournalError::Newer { path: path.into(), found, known: FORMAT })
        }
        Some(Record::Format { version: found, .. }) if found < FORMAT => {
            Err(JournalError::Older { path: path.into(), found })
        }
        _ => Ok(()),
    }
}

impl Log {
    /// Opens the journal behind what `replay` read, and cuts off a torn end.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub(super) fn open(path: &Path, replay: &Replay) -> Result<Self, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(JournalError::io("open", path))?;
        let mut log =
            Self { file, path: path.into(), lines: replay.lines, whole: replay.whole as u64 };
        log.cut().map_err(JournalError::io("cut the torn end off", path))?;
        if log.lines == 0 {
            log.append(&Record::Format {
                version: FORMAT,
                program: format!("impasto {}", env!("CARGO_PKG_VERSION")),
            })?;
        }
        Ok(log)
    }

    /// Appends a record and, where it must last, syncs the file.
    ///
    /// # Errors
    /// When the file cannot be written: then it holds what it held before.
    pub(super) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let text = line(self.lines, now(), record)
            .map_err(|error| JournalError::io("append to", &self.path)(error.into()))?;
        let mut append = || {
            self.file.write_all(text.as_bytes())?;
            if record.is_durable() { self.file.sync_data() } else { Ok(()) }
        };
        if let Err(error) = append() {
            // A half-written line must not stand in the way of the next one.
            let _ = self.cut();
            return Err(JournalError::io("append to", &self.path)(error));
        }
        self.lines += 1;
        self.whole += text.len() as u64;
        Ok(())
    }

    fn cut(&mut self) -> std::io::Result<()> {
        self.file.set_len(self.whole)?;
        self.file.seek(SeekFrom::Start(self.whole)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Losses;

    fn text(count: usize) -> String {
        let format = Record::Format { version: FORMAT, program: "test \u{1f3a8}".into() };
        let event = |evaluation| {
            let losses = Losses::new(1.5, f64::INFINITY, 0.0);
            Record::Event(Event::Evaluated { job: 0, level: 1, evaluation, losses, seconds: 0.5 })
        };
        (0..count)
            .map(|n| line(n as u64, 1e9, &if n == 0 { format.clone() } else { event(n) }).unwrap())
            .collect()
    }

    #[test]
    fn an_end_torn_anywhere_is_dropped_to_the_line() {
        let whole = text(4);
        let third: usize = whole.split_inclusive('\n').take(3).map(str::len).sum();
        for cut in third..whole.len() {
            let replay = replay(&whole.as_bytes()[..cut]).unwrap();
            assert_eq!((replay.lines, replay.whole), (3, third), "cut at {cut}");
        }
        let mut zeros = whole.clone().into_bytes();
        zeros.extend([0; 700]);
        assert_eq!(replay(&zeros).unwrap().lines, 4, "zeros, as a loss of power leaves them");
    }

    #[test]
    fn a_journal_of_several_pieces_is_read_as_it_grows_and_its_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let whole = text(15_000);
        assert!(whole.len() as u64 > 2 * PIECE, "{}", whole.len());
        let cut = whole.len() - 40;
        std::fs::write(&path, &whole.as_bytes()[..cut]).unwrap();
        let (mut replay, mut seen) = (Replay::default(), 0);
        read_on(&path, &mut replay, &mut |_, _| seen += 1).unwrap();
        assert_eq!((replay.lines, seen), (14_999, 14_998));
        std::fs::write(&path, &whole).unwrap();
        read_on(&path, &mut replay, &mut |_, _| seen += 1).unwrap();
        assert_eq!((replay.lines, seen), (15_000, 14_999), "only what is new is read");
        for at in [100, PIECE as usize - 3, PIECE as usize + 200, cut - 300] {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] ^= 4;
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(read(&path), Err(JournalError::Damaged { .. })), "at {at}");
        }
    }

    #[test]
    fn a_bit_flipped_before_the_end_is_an_error_that_names_the_line() {
        let whole = text(4).into_bytes();
        let last = whole.len() - text(4).lines().last().unwrap().len() - 1;
        for at in (0..last).step_by(3) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            let bad = replay(&bytes).unwrap_err();
            let line = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            assert!(
                bad.line == line || bytes[at] == b'\n' || whole[at] == b'\n',
                "byte {at}: {bad}"
            );
        }
        let without: String = text(4)
            .split_inclusive('\n')
            .enumerate()
            .filter(|(n, _)| *n != 2)
            .map(|(_, line)| line)
            .collect();
        assert_eq!(replay(without.as_bytes()).unwrap_err().line, 3, "a missing line");
    }

    #[test]
    fn a_torn_end_is_cut_before_the_next_line_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let whole = text(3);
        std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
        let before = read(&path).unwrap();
        let mut log = Log::open(&path, &before).unwrap();
        log.append(&Record::Event(Event::Warning {
            message: "line\nbreaks and \"quotes\"".into(),
        }))
        .unwrap();
        assert_eq!(read(&path).unwrap().lines, 3);
    }

    #[test]
    fn a_record_of_a_newer_program_is_no_torn_end() {
        let whole = text(3);
        let body = "{\"n\":3,\"at\":1.000,\"record\":{\"event\":{\"event\":\"dreamt\",\"job\":0}}";
        let newer = format!("{body},\"crc\":\"{}\"}}\n", checksum(body));
        let bad = replay(format!("{whole}{newer}").as_bytes()).unwrap_err();
        assert!(bad.is_newer && bad.line == 4 && bad.to_string().contains("newer"), "{bad}");
        // Half of such a line is a torn end like any other.
        let torn = format!("{whole}{}", &newer[..newer.len() / 2]);
        assert_eq!(replay(torn.as_bytes()).unwrap().lines, 3);
    }

    #[test]
    fn journals_of_other_formats_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        for (version, word) in [(1, "older"), (FORMAT + 1, "newer")] {
            let record = Record::Format { version, program: "test".into() };
            std::fs::write(&path, line(0, 1e9, &record).unwrap()).unwrap();
            let words = read(&path).unwrap_err().to_string();
            assert!(words.contains(word) && words.contains("events.jsonl"), "{words}");
        }
    }
}
