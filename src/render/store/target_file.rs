//! The statistics of a painting in a file, so that later runs need not compute them again.
//!
//! The file holds three things in order: the line `impasto-targets N`, where `N` is the format; a
//! line of 64 hexadecimal digits, the SHA-256 of all that follows; a safetensors document whose
//! header has the [`Key`] under `key` and whose tensors are `LAYER.gram` `[C, C]`, `LAYER.mean`
//! `[C]` and `LAYER.deviation` `[C]` in float64. The file's name is the SHA-256 of the key. Files
//! appear whole or not at all. One that is not exactly what is looked for is never used.
//!
//! Formats:
//! - 1 (0.1.0): the first.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::files::{self, Overwrite, sha256};
use crate::network::{Layer, Pooling};
use crate::objective::{StyleTargets, TapStatistics};

const MAGIC: &str = "impasto-targets 1\n";
/// Hexadecimal digits of a SHA-256 and the end of their line.
const SUM: usize = 65;
/// Raised whenever the statistics of the same painting come out otherwise.
const ALGORITHM: u32 = 2;

/// All that the statistics of a painting depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// For the painting whose file has the SHA-256 `content`, looked at with `size` (width, height)
    /// px. `computed_by` names the weights and the arithmetic.
    pub fn new(
        content: &str,
        (width, height): (usize, usize),
        layers: &[Layer],
        pooling: Pooling,
        computed_by: &str,
    ) -> Self {
        let layers: Vec<String> = layers.iter().map(Layer::to_string).collect();
        let layers = layers.join(" ");
        Self(format!(
            "painting {content}; {width}x{height} px; {layers}; {pooling} pooling; {computed_by}; algorithm {ALGORITHM}"
        ))
    }

    fn file_name(&self) -> String {
        format!("{}.targets", sha256(self.0.as_bytes()))
    }
}

/// What is found where a key's file should be.
pub enum Found {
    /// The statistics.
    Targets(StyleTargets),
    /// No such file.
    Nothing,
    /// A file that cannot be used, and why.
    Damaged(PathBuf, String),
}

/// Looks for a key's statistics, at `layers`, in `directory`.
pub fn read(directory: &Path, key: &Key, layers: &[Layer]) -> Found {
    let path = directory.join(key.file_name());
    match std::fs::read(&path) {
        Ok(bytes) => parse(&bytes, key, layers)
            .map_or_else(|reason| Found::Damaged(path, reason), Found::Targets),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Damaged(path, error.to_string()),
    }
}

/// Writes a key's statistics into `directory`, which is made where it is missing.
///
/// # Errors
/// When the file cannot be written; nothing appears then.
pub fn write(directory: &Path, key: &Key, targets: &StyleTargets) -> Result<(), String> {
    let body = body(key, targets)?;
    let mut bytes = MAGIC.as_bytes().to_vec();
    bytes.extend(sha256(&body).into_bytes());
    bytes.push(b'\n');
    bytes.extend(body);
    files::write(&directory.join(key.file_name()), &bytes, Overwrite::Allow)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn body(key: &Key, targets: &StyleTargets) -> Result<Vec<u8>, String> {
    let mut parts = Vec::new();
    for (layer, statistics) in &targets.taps {
        for (name, tensor) in [
            ("gram", &statistics.gram),
            ("mean", &statistics.mean),
            ("deviation", &statistics.deviation),
        ] {
            let values = tensor
                .flatten_all()
                .and_then(|t| t.to_vec1::<f64>())
                .map_err(|error| error.to_string())?;
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push((format!("{layer}.{name}"), tensor.dims().to_vec(), bytes));
        }
    }
    let views: Vec<(&str, TensorView<'_>)> = parts
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((name.as_str(), TensorView::new(Dtype::F64, shape.clone(), bytes)?))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|error| error.to_string())?;
    let header = HashMap::from([("key".to_owned(), key.0.clone())]);
    safetensors::serialize(views, Some(header)).map_err(|error| error.to_string())
}

fn parse(bytes: &[u8], key: &Key, layers: &[Layer]) -> Result<StyleTargets, String> {
    let rest = bytes.strip_prefix(MAGIC.as_bytes()).ok_or("it is of another format")?;
    let (sum, body) = rest.split_at_checked(SUM).ok_or("it was cut short")?;
    if sum != format!("{}\n", sha256(body)).as_bytes() {
        return Err("its checksum is wrong".into());
    }
    let (_, header) = SafeTensors::read_metadata(body).map_err(|error| error.to_string())?;
    if header.metadata().as_ref().and_then(|entries| entries.get("key")) != Some(&key.0) {
        return Err("it is of another painting".into());
    }
    let tensors = SafeTensors::deserialize(body).map_err(|error| error.to_string())?;
    let tensor = |layer: &Layer, part: &str| -> Result<Tensor, String> {
        let view = tensors.tensor(&format!("{layer}.{part}")).map_err(|error| error.to_string())?;
        let values: Vec<f64> =
            view.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        if view.dtype() != Dtype::F64 || values.iter().any(|value| !value.is_finite()) {
            return Err("it holds no finite numbers".into());
        }
        Tensor::from_vec(values, view.shape(), &Device::Cpu).map_err(|error| error.to_string())
    };
    let mut taps = BTreeMap::new();
    for layer in layers {
        let statistics = TapStatistics {
            gram: tensor(layer, "gram")?,
            mean: tensor(layer, "mean")?,
            deviation: tensor(layer, "deviation")?,
        };
        let channels = statistics.mean.elem_count();
        if statistics.gram.dims() != [channels, channels]
            || statistics.deviation.dims() != [channels]
        {
            return Err("its matrices do not fit together".into());
        }
        taps.insert(*layer, statistics);
    }
    Ok(StyleTargets { taps })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Key, Vec<Layer>, StyleTargets) {
        let layers: Vec<Layer> =
            ["relu1_1", "relu2_1"].map(|name| Layer::parse(name).expect("a layer")).to_vec();
        let tensor = |shape: &[usize], scale: f64| {
            let count = shape.iter().product::<usize>();
            Tensor::from_vec(
                (0..count).map(|i| scale / (1.0 + i as f64)).collect::<Vec<f64>>(),
                shape,
                &Device::Cpu,
            )
            .expect("a tensor")
        };
        let taps = layers.iter().zip([3, 5]).map(|(layer, c)| {
            (
                *layer,
                TapStatistics {
                    gram: tensor(&[c, c], 7.0),
                    mean: tensor(&[c], 0.3),
                    deviation: tensor(&[c], 1e-9),
                },
            )
        });
        (
            Key::new("00ff", (640, 480), &layers, Pooling::Max, "test"),
            layers.clone(),
            StyleTargets { taps: taps.collect() },
        )
    }

    fn values(targets: &StyleTargets) -> Vec<u64> {
        let all = targets.taps.values().flat_map(|tap| [&tap.gram, &tap.mean, &tap.deviation]);
        all.flat_map(|t| t.flatten_all().expect("flat").to_vec1::<f64>().expect("float64"))
            .map(f64::to_bits)
            .collect()
    }

    #[test]
    fn what_is_written_is_read_to_the_last_bit() {
        let (key, layers, targets) = example();
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(read(folder.path(), &key, &layers), Found::Nothing));
        write(folder.path(), &key, &targets).expect("written");
        let Found::Targets(found) = read(folder.path(), &key, &layers) else { panic!("not found") };
        assert_eq!(values(&found), values(&targets));
        let other = Key::new("00ff", (640, 481), &layers, Pooling::Max, "test");
        assert!(
            matches!(read(folder.path(), &other, &layers), Found::Nothing),
            "another size is another file"
        );
    }

    #[test]
    fn a_damaged_file_is_never_used() {
        let (key, layers, targets) = example();
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &key, &targets).expect("written");
        let path = folder.path().join(key.file_name());
        let whole = std::fs::read(&path).expect("bytes");
        let damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            matches!(read(folder.path(), &key, &layers), Found::Damaged(..))
        };
        for length in [0, 5, 17, 30, 83, whole.len() / 2, whole.len() - 1] {
            assert!(damaged(&whole[..length]), "cut at {length}");
        }
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(damaged(&bytes), "a bit of byte {at}");
        }
        // ImageStatistics, but another painting's: as when files were renamed.
        let other = Key::new("ee", (640, 480), &layers, Pooling::Max, "test");
        write(folder.path(), &other, &targets).expect("written");
        assert!(damaged(&std::fs::read(folder.path().join(other.file_name())).expect("bytes")));
    }
}
