//! The statistics of a style in a file, so that later runs need not compute them.
//!
//! A file of [`crate::planes`] in float64, one row: for each tap its Gram matrix `[C, C]`, its mean
//! `[C]` and its deviation `[C]`. The label is the [`Key`] and the taps' channels. The file's name
//! is the SHA-256 of the key. A file that is not exactly what is looked for is never used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::{Device, Tensor};

use crate::files;
use crate::network::{Layer, Pooling};
use crate::objective::{StyleTargets, TapStatistics};
use crate::planes::{PlaneError, PlaneFile, PlaneWriter, Shape};
use crate::tensor::first_line;

/// Raised whenever the statistics of the same style image come out otherwise.
const ALGORITHM: u32 = 2;
/// What stands in the label between the key and the taps' channels.
const CHANNELS: &str = "; channels";
/// Temporary files that are older belong to processes that died.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// All that the statistics of a style image depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// For the style image whose file has the SHA-256 `content`, swept at `width` x `height` px. `computed_by` names the weights and the arithmetic.
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
            "style {content}; {width}x{height} px; {layers}; {pooling} pooling; {computed_by}; algorithm {ALGORITHM}"
        ))
    }

    fn path(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.targets", files::sha256(self.0.as_bytes())))
    }
}

/// What lies where a key's file should be.
pub enum Lookup {
    /// The statistics.
    Hit(StyleTargets),
    /// No such file.
    Miss,
    /// A file that cannot be used, and why.
    Unusable(String),
}

/// Looks for a key's statistics, at `layers`, in `directory`.
pub fn read(directory: &Path, key: &Key, layers: &[Layer]) -> Lookup {
    let path = key.path(directory);
    let values = PlaneFile::<f64>::open(&path)
        .and_then(|file| Ok((file.label().to_owned(), file.read_all()?)));
    match values {
        Ok((label, values)) => match targets(&label, &values, key, layers) {
            Ok(targets) => Lookup::Hit(targets),
            Err(reason) => Lookup::Unusable(format!("{} {reason}", path.display())),
        },
        Err(error) if error.is_missing() => Lookup::Miss,
        Err(error) => Lookup::Unusable(error.to_string()),
    }
}

/// Writes a key's statistics into `directory`, which is made where it is missing.
///
/// # Errors
/// When the file cannot be written; nothing appears then.
pub fn write(directory: &Path, key: &Key, targets: &StyleTargets) -> Result<(), PlaneError> {
    let (path, mut label) = (key.path(directory), format!("{}{CHANNELS}", key.0));
    files::remove_old_leftovers(directory, STALE)?;
    let mut values = Vec::new();
    for tap in targets.taps.values() {
        label += &format!(" {}", tap.mean.elem_count());
        for part in [&tap.gram, &tap.mean, &tap.deviation] {
            let part = part.flatten_all().and_then(|part| part.to_vec1::<f64>());
            values.extend(part.map_err(|error| PlaneError::Io {
                action: "read the statistics for",
                path: path.clone(),
                source: std::io::Error::other(first_line(&error)),
            })?);
        }
    }
    let shape = Shape { channels: 1, height: 1, width: values.len() };
    PlaneWriter::write(&path, shape, &label, &values).map(drop)
}

/// The statistics at `layers` that a file of this label and these values holds.
fn targets(
    label: &str,
    values: &[f64],
    key: &Key,
    layers: &[Layer],
) -> Result<StyleTargets, String> {
    let channels = label.strip_prefix(&key.0).and_then(|rest| rest.strip_prefix(CHANNELS));
    let channels = channels.ok_or("is of another style image")?;
    let channels: Vec<usize> = channels
        .split_whitespace()
        .map(|word| word.parse::<usize>().ok().filter(|count| *count <= 1 << 20))
        .collect::<Option<_>>()
        .ok_or("has channels that are no numbers")?;
    let expected: usize = channels.iter().map(|c| c * c + 2 * c).sum();
    if channels.len() != layers.len() || expected != values.len() {
        return Err("has matrices that do not fit together".into());
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err("holds values that are no finite numbers".into());
    }
    let mut rest = values;
    let mut next = |shape: &[usize]| -> Result<Tensor, String> {
        let (part, more) = rest.split_at(shape.iter().product());
        rest = more;
        Tensor::from_vec(part.to_vec(), shape, &Device::Cpu).map_err(|error| first_line(&error))
    };
    let mut taps = BTreeMap::new();
    for (layer, c) in layers.iter().zip(channels) {
        let (gram, mean, deviation) = (next(&[c, c])?, next(&[c])?, next(&[c])?);
        taps.insert(*layer, TapStatistics::new(gram, mean, deviation));
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
                TapStatistics::new(tensor(&[c, c], 7.0), tensor(&[c], 0.3), tensor(&[c], 1e-9)),
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
        assert!(matches!(read(folder.path(), &key, &layers), Lookup::Miss));
        write(folder.path(), &key, &targets).expect("written");
        let Lookup::Hit(found) = read(folder.path(), &key, &layers) else { panic!("not found") };
        assert_eq!(values(&found), values(&targets));
        let other = Key::new("00ff", (640, 481), &layers, Pooling::Max, "test");
        assert!(
            matches!(read(folder.path(), &other, &layers), Lookup::Miss),
            "another size is another file"
        );
    }

    #[test]
    fn a_damaged_file_is_never_used() {
        let (key, layers, targets) = example();
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), &key, &targets).expect("written");
        let path = key.path(folder.path());
        let whole = std::fs::read(&path).expect("bytes");
        let damaged = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            matches!(read(folder.path(), &key, &layers), Lookup::Unusable(_))
        };
        for length in [0, 5, 17, 30, 83, whole.len() / 2, whole.len() - 1] {
            assert!(damaged(&whole[..length]), "cut at {length}");
        }
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(damaged(&bytes), "a bit of byte {at}");
        }
        assert!(damaged(b"impasto-targets 1\nan earlier format"));
        // Whole, but another style image's: as when files were renamed.
        let other = Key::new("ee", (640, 480), &layers, Pooling::Max, "test");
        write(folder.path(), &other, &targets).expect("written");
        assert!(damaged(&std::fs::read(other.path(folder.path())).expect("bytes")));
    }
}
