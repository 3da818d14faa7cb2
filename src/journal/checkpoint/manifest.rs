//! A checkpoint's manifest, `NNNNNN.checkpoint`.
//!
//! Format 1: a line `impasto-checkpoint 1 CRC LENGTH` (the CRC-32, eight hexadecimal digits, and
//! the bytes of what follows), then JSON.

use serde::{Deserialize, Serialize};

use crate::event::Losses;
use crate::optimise::{ExactF64, Scalars};

/// The format that is written.
const FORMAT: u32 = 1;
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
        /// The canvas's sealed file, as seen from the checkpoints' directory, its parts parted by
        /// `/`.
        file: Option<String>,
    },
}

/// A vector's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorFile {
    /// Its name in the checkpoints' directory.
    pub file: String,
    /// The CRC-32 of its values' bytes.
    pub crc: u32,
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
    /// Shape of the vectors: channels, height, width.
    pub shape: [usize; 3],
    /// The vectors, in the order that the stage tells.
    pub vectors: Vec<VectorFile>,
}

impl Manifest {
    /// The file's bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let body = serde_json::to_vec(self).expect("a manifest is plain data");
        let mut bytes = format!("{MAGIC} {FORMAT} {:08x} {}\n", crc32fast::hash(&body), body.len())
            .into_bytes();
        bytes.extend(body);
        bytes
    }
}

/// Reads a manifest's bytes.
///
/// # Errors
/// What is wrong with them.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, String> {
    // The first line is short; of a file that is something else no more is looked at.
    let end = bytes
        .iter()
        .take(80)
        .position(|byte| *byte == b'\n')
        .ok_or("it does not begin with a line")?;
    let (head, body) = (&bytes[..end], &bytes[end + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| "its first line is not UTF-8")?;
    let words: Vec<&str> = head.split(' ').collect();
    let [MAGIC, version, crc, length] = words.as_slice() else {
        return Err("it is no checkpoint".into());
    };
    match version.parse::<u32>() {
        Ok(FORMAT) => {}
        Ok(version) => {
            return Err(format!("it has format {version}, and this program reads format {FORMAT}"));
        }
        Err(_) => return Err("it does not tell its format".into()),
    }
    if length.parse() != Ok(body.len()) {
        return Err(format!(
            "it should have {length} bytes after its first line and has {}",
            body.len()
        ));
    }
    if *crc != format!("{:08x}", crc32fast::hash(body)) {
        return Err("its checksum is wrong".into());
    }
    let manifest: Manifest = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let plain = |part: &str| {
        !part.is_empty()
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
    };
    let canvas = match &manifest.stage {
        Stage::LevelDone { file: Some(file), .. } => file.split('/').all(plain),
        _ => true,
    };
    match canvas && manifest.vectors.iter().all(|vector| plain(&vector.file)) {
        true => Ok(manifest),
        false => Err("it names files outside its directory".into()),
    }
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
            shape: [3, 5, 4],
            vectors: vec![VectorFile { file: "000001.vector".into(), crc: 7 }],
        };
        let bytes = manifest.to_bytes();
        assert_eq!(parse_manifest(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(parse_manifest(&flipped).is_err(), "byte {at}");
            assert!(parse_manifest(&bytes[..at]).is_err(), "cut at {at}");
        }
        let mut outside = manifest;
        outside.vectors[0].file = "../plan.json".into();
        assert!(parse_manifest(&outside.to_bytes()).is_err());
    }
}
