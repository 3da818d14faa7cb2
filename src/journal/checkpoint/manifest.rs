//! A checkpoint's manifest, `NNNNNN.checkpoint`.
//!
//! A line `impasto-checkpoint FORMAT CRC LENGTH` (the CRC-32, eight hexadecimal digits, and the
//! bytes of what follows), then JSON.
//!
//! Formats:
//! - 2 (0.1.0): vectors and canvases are files of [`crate::planes`], named with their seals.
//! - 1: the first, of development versions.

use serde::{Deserialize, Serialize};

use crate::event::Losses;
use crate::optimise::{ExactF64, Scalars};
use crate::planes::Shape;

/// The format that is written.
const FORMAT: u32 = 2;
const MAGIC: &str = "impasto-checkpoint";

/// How far a job was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "stage")]
pub enum Stage {
    /// Within a level of exact mode, after an evaluation. The vectors are those of the optimiser's
    /// state.
    Exact {
        /// The level, from 0.
        level: usize,
        /// Evaluations done in it.
        evaluation: usize,
        /// The lowest loss in it.
        best: ExactF64,
        /// The numbers of the optimiser's state.
        optimiser: Scalars,
    },
    /// A level is over. The only vector is its canvas, unless that is in a file of its own.
    LevelDone {
        /// The level, from 0.
        level: usize,
        /// The canvas's file, where it is one.
        canvas: Option<FileSeal>,
    },
}

impl Stage {
    /// The level to continue with, from 0: it may be one behind the last.
    pub fn next_level(&self) -> usize {
        match self {
            Stage::Exact { level, .. } => *level,
            Stage::LevelDone { level, .. } => level + 1,
        }
    }
}

/// A file of planes and what seals it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSeal {
    /// Its name as seen from the checkpoints' directory, parts separated by `/`.
    pub file: String,
    /// The seal at its end ([`crate::planes::PlaneFile::seal`]).
    pub seal: u32,
}

/// What a checkpoint consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Manifest {
    /// How far the job was.
    pub stage: Stage,
    /// Evaluations done in all levels.
    pub evaluations: usize,
    /// The losses of the best canvas.
    pub losses: Losses,
    /// Shape of the vectors.
    pub shape: Shape,
    /// The vectors, in the order that the stage tells.
    pub vectors: Vec<FileSeal>,
}

impl Manifest {
    /// The file's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let body = serde_json::to_vec(self).expect("a manifest is plain data");
        let crc = checksum(FORMAT, &body);
        let mut bytes = format!("{MAGIC} {FORMAT} {crc:08x} {}\n", body.len()).into_bytes();
        bytes.extend(body);
        bytes
    }
}

/// Why a manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// Another version of the program wrote it, in a format of this number.
    #[error("it has format {0}, and this program reads format {FORMAT}")]
    Format(u32),
}

/// Reads a manifest's bytes.
///
/// # Errors
/// What is wrong with them.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let damaged = |reason: &str| ManifestError::Damaged(reason.into());
    // The first line is short; of a file that is something else no more is read.
    let end = bytes
        .iter()
        .take(80)
        .position(|byte| *byte == b'\n')
        .ok_or_else(|| damaged("it does not begin with a line"))?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| damaged("its first line is not UTF-8"))?;
    let words: Vec<&str> = head.split(' ').collect();
    let [MAGIC, version, crc, length] = words.as_slice() else {
        return Err(damaged("it is no checkpoint"));
    };
    let version: u32 = version.parse().map_err(|_| damaged("it does not tell its format"))?;
    if length.parse() != Ok(body.len()) {
        let found = body.len();
        let reason = format!("it should have {length} bytes after its first line and has {found}");
        return Err(damaged(&reason));
    }
    if *crc != format!("{:08x}", checksum(version, body)) {
        return Err(damaged("its checksum is wrong"));
    }
    if version != FORMAT {
        return Err(ManifestError::Format(version));
    }
    let manifest: Manifest =
        serde_json::from_slice(body).map_err(|error| damaged(&error.to_string()))?;
    let plain = |part: &str| {
        !part.is_empty()
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    let canvas = match &manifest.stage {
        Stage::LevelDone { canvas: Some(canvas), .. } => canvas.file.split('/').all(plain),
        _ => true,
    };
    match canvas && manifest.vectors.iter().all(|vector| plain(&vector.file)) {
        true => Ok(manifest),
        false => Err(damaged("it names files outside its directory")),
    }
}

/// The CRC-32 of a manifest's body. From format 2 on it covers the format's number, so that a
/// changed digit is damage and not another version.
pub(super) fn checksum(version: u32, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    if version > 1 {
        hasher.update(&version.to_le_bytes());
    }
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_come_back_and_no_flipped_bit_goes_unseen() {
        let manifest = Manifest {
            stage: Stage::Exact {
                level: 1,
                evaluation: 7,
                best: ExactF64(f64::INFINITY),
                optimiser: Scalars::Adam {
                    learning_rate: ExactF64(0.02),
                    steps: 7,
                    moments: true,
                    best: Some(ExactF64(0.1 + 0.2)),
                },
            },
            evaluations: 12,
            losses: Losses::new(1.0, 2.0, 0.1),
            shape: Shape::canvas((4, 5)),
            vectors: vec![FileSeal { file: "000001.vector".into(), seal: 7 }],
        };
        let bytes = manifest.to_bytes();
        assert_eq!(parse_manifest(&bytes).unwrap(), manifest);
        let damaged =
            |bytes: &[u8]| matches!(parse_manifest(bytes), Err(ManifestError::Damaged(_)));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(damaged(&flipped), "byte {at}");
            assert!(damaged(&bytes[..at]), "cut at {at}");
        }
        let mut outside = manifest;
        outside.vectors[0].file = "../plan.json".into();
        assert!(damaged(&outside.to_bytes()));
    }

    #[test]
    fn other_formats_are_no_damage() {
        let head = |version: u32, body: &[u8]| {
            let crc = checksum(version, body);
            format!("{MAGIC} {version} {crc:08x} {}\n{{}}", body.len()).into_bytes()
        };
        for version in [1, 3, 70] {
            let found = parse_manifest(&head(version, b"{}"));
            assert_eq!(found, Err(ManifestError::Format(version)));
        }
    }
}
