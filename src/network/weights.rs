//! VGG19's weights: reading, checking and writing them as safetensors.
//!
//! A weights file holds the sixteen convolutions as `conv1_1.weight` (`[out, in, 3, 3]`, float32 or
//! float16) and `conv1_1.bias` (`[out]`, float32), and so on to `conv5_4`. The input convention is
//! that of the original network (Simonyan and Zisserman, arXiv:1409.1556): BGR, 0..255, minus
//! (103.939, 116.779, 123.68), zero padding.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::layer::Layer;
use crate::files;

/// Channels of each block of the real VGG19.
pub const VGG19_WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// Channels of VGG19's layers.
pub fn vgg19_channels() -> Vec<usize> {
    Layer::all().map(|layer| VGG19_WIDTHS[layer.block() - 1]).collect()
}

/// Largest weights file that is read: VGG19 in float64 takes 160 MB.
const LARGEST_FILE: u64 = 512 << 20;

#[cfg(feature = "embedded-weights")]
static EMBEDDED: &[u8] = include_bytes!("../../weights/vgg19.safetensors");

/// What can be wrong with a weights file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("cannot read the weights {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any VGG19.
    #[error("{path} is {size} bytes, too large for VGG19's convolutions (at most {LARGEST_FILE})")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The bytes are no safetensors.
    #[error("{origin} is not a safetensors file: {reason}")]
    Format {
        /// Which weights.
        origin: String,
        /// What the reader said.
        reason: String,
    },
    /// Tensors are missing, of another shape or type, or hold values that are not numbers.
    #[error("{origin} does not hold VGG19's sixteen convolutions:\n  {}", .problems.join("\n  "))]
    Content {
        /// Which weights.
        origin: String,
        /// One line for each problem.
        problems: Vec<String>,
    },
    /// The binary was built without weights and the pipeline names none.
    #[error(
        "this build has no weights inside (feature `embedded-weights` is off): set network.weights to a safetensors file"
    )]
    NotEmbedded,
}

/// The number format of the convolutions' weights in a file. Biases are float32 in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsDtype {
    /// Half precision: 40 MB.
    Float16,
    /// Single precision: 80 MB.
    Float32,
}

impl WeightsDtype {
    /// Reads `f16`, `float16`, `f32` or `float32`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "f16" | "float16" => Some(Self::Float16),
            "f32" | "float32" => Some(Self::Float32),
            _ => None,
        }
    }
}

impl fmt::Display for WeightsDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float16 => "float16",
            Self::Float32 => "float32",
        })
    }
}

/// One 3x3 convolution in float32.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// Channels that go in.
    pub inputs: usize,
    /// Channels that come out.
    pub outputs: usize,
    /// `[outputs, inputs, 3, 3]`, row-major: cross-correlation, as every deep-learning library
    /// calls convolution.
    pub weight: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// Checked weights of the whole chain, kept as the file's bytes and turned into float32 layer by
/// layer on demand.
#[derive(Clone)]
pub struct Weights {
    store: Store,
    origin: String,
    sha256: String,
    dtype: WeightsDtype,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone)]
enum Store {
    File(Cow<'static, [u8]>),
    Plain(Vec<Convolution>),
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weights")
            .field("origin", &self.origin)
            .field("dtype", &self.dtype)
            .field("sha256", &self.sha256)
            .finish()
    }
}

impl Weights {
    /// The weights inside this binary.
    ///
    /// # Errors
    /// When it was built without them.
    pub fn embedded() -> Result<Self, WeightsError> {
        #[cfg(feature = "embedded-weights")]
        return Self::from_bytes(Cow::Borrowed(EMBEDDED), "the weights inside impasto".into());
        #[cfg(not(feature = "embedded-weights"))]
        Err(WeightsError::NotEmbedded)
    }

    /// Reads and checks a weights file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a complete, finite VGG19; all problems at once.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Read { path: path.into(), source };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > LARGEST_FILE {
            return Err(WeightsError::TooLarge { path: path.into(), size });
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        Self::from_bytes(Cow::Owned(bytes), path.display().to_string())
    }

    /// Checks the bytes of a weights file; `origin` names them in errors.
    ///
    /// # Errors
    /// When they are not a complete, finite VGG19; all problems at once.
    pub fn from_bytes(bytes: Cow<'static, [u8]>, origin: String) -> Result<Self, WeightsError> {
        let format = |error: safetensors::SafeTensorError| WeightsError::Format {
            origin: origin.clone(),
            reason: error.to_string(),
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        let tensors = SafeTensors::deserialize(&bytes).map_err(format)?;
        let dtype = check(&tensors, &origin)?;
        let sha256 = files::sha256(&bytes);
        Ok(Self { store: Store::File(bytes), origin, sha256, dtype, metadata })
    }

    /// A chain of any widths from plain convolutions, for small networks in tests and examples.
    ///
    /// # Panics
    /// When there are not sixteen, or their channels do not follow on one another from 3: a
    /// programmer's mistake.
    pub fn from_convolutions(convolutions: Vec<Convolution>) -> Self {
        assert_eq!(convolutions.len(), Layer::COUNT, "VGG19's chain has sixteen convolutions");
        let mut inputs = 3;
        for (layer, convolution) in Layer::all().zip(&convolutions) {
            assert_eq!(convolution.inputs, inputs, "{layer}: inputs");
            assert_eq!(
                convolution.weight.len(),
                inputs * convolution.outputs * 9,
                "{layer}: weight"
            );
            assert_eq!(convolution.bias.len(), convolution.outputs, "{layer}: bias");
            inputs = convolution.outputs;
        }
        let values = convolutions.iter().flat_map(|c| c.weight.iter().chain(&c.bias));
        let sha256 = files::sha256_of_parts(values.map(|value| value.to_le_bytes()));
        Self {
            store: Store::Plain(convolutions),
            origin: "weights made in memory".into(),
            sha256,
            dtype: WeightsDtype::Float32,
            metadata: BTreeMap::new(),
        }
    }

    /// A small network of random weights.
    #[cfg(test)]
    pub(crate) fn random(widths: [usize; 5], seed: u64) -> Self {
        let noise = crate::random::Noise::new(seed);
        let mut inputs = 3;
        let convolution = |layer: Layer| {
            let outputs = widths[layer.block() - 1];
            let scale = (2.0 / (9.0 * inputs as f32)).sqrt();
            let weight = (0..outputs * inputs * 9)
                .map(|i| scale * noise.normal((layer.index() << 32 | i) as u64))
                .collect();
            let convolution = Convolution { inputs, outputs, weight, bias: vec![0.05; outputs] };
            inputs = outputs;
            convolution
        };
        Self::from_convolutions(Layer::all().map(convolution).collect())
    }

    /// The convolution in front of `layer`, in float32.
    pub fn convolution(&self, layer: Layer) -> Convolution {
        match &self.store {
            Store::Plain(convolutions) => convolutions[layer.index()].clone(),
            Store::File(bytes) => {
                let tensors =
                    SafeTensors::deserialize(bytes).expect("checked when the weights were made");
                let name = layer.convolution();
                let weight = tensors
                    .tensor(&format!("{name}.weight"))
                    .expect("checked when the weights were made");
                let bias = tensors
                    .tensor(&format!("{name}.bias"))
                    .expect("checked when the weights were made");
                let (outputs, inputs) = (weight.shape()[0], weight.shape()[1]);
                Convolution { inputs, outputs, weight: floats(&weight), bias: floats(&bias) }
            }
        }
    }

    /// Channels of `layer`.
    pub fn channels(&self, layer: Layer) -> usize {
        match &self.store {
            Store::Plain(convolutions) => convolutions[layer.index()].outputs,
            Store::File(_) => VGG19_WIDTHS[layer.block() - 1],
        }
    }

    /// Where they came from, in words.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// SHA-256 of the file's bytes, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Number format of the weights in the file.
    pub fn dtype(&self) -> WeightsDtype {
        self.dtype
    }

    /// What the file says of itself: source, licence, input convention.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// These weights as a safetensors file in `dtype`, with `metadata` in its header. Biases stay
    /// float32.
    ///
    /// # Errors
    /// When a weight does not fit into float16.
    pub fn to_safetensors(
        &self,
        dtype: WeightsDtype,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, WeightsError> {
        let mut parts: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        let mut problems = Vec::new();
        for layer in Layer::all() {
            let convolution = self.convolution(layer);
            let name = layer.convolution();
            let weight: Vec<u8> = match dtype {
                WeightsDtype::Float32 => {
                    convolution.weight.iter().flat_map(|v| v.to_le_bytes()).collect()
                }
                WeightsDtype::Float16 => {
                    if convolution.weight.iter().any(|v| v.abs() > f32::from(f16::MAX)) {
                        problems.push(format!(
                            "`{name}.weight` has values beyond float16's largest, {}",
                            f16::MAX
                        ));
                    }
                    convolution
                        .weight
                        .iter()
                        .flat_map(|v| f16::from_f32(*v).to_le_bytes())
                        .collect()
                }
            };
            let kind = match dtype {
                WeightsDtype::Float16 => Dtype::F16,
                WeightsDtype::Float32 => Dtype::F32,
            };
            parts.push((
                format!("{name}.weight"),
                kind,
                vec![convolution.outputs, convolution.inputs, 3, 3],
                weight,
            ));
            let bias = convolution.bias.iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push((format!("{name}.bias"), Dtype::F32, vec![convolution.outputs], bias));
        }
        if !problems.is_empty() {
            return Err(WeightsError::Content { origin: self.origin.clone(), problems });
        }
        let format = |error: safetensors::SafeTensorError| WeightsError::Format {
            origin: self.origin.clone(),
            reason: error.to_string(),
        };
        let views = parts
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(format)?;
        let header: HashMap<String, String> =
            metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let bytes = safetensors::serialize(views, Some(header)).map_err(format)?;
        Ok(with_sorted_header(bytes))
    }
}

/// The same file with its header's keys in order: the library writes them in another order each
/// time, and a file made twice from the same weights should have the same hash.
fn with_sorted_header(mut bytes: Vec<u8>) -> Vec<u8> {
    use serde_json::Value;
    let Some((length, rest)) = bytes.split_first_chunk() else { return bytes };
    let Some(header) = rest.get(..u64::from_le_bytes(*length) as usize) else { return bytes };
    let Ok(keys) = serde_json::from_slice::<BTreeMap<String, Value>>(header) else { return bytes };
    let sorted = |value: Value| match value {
        Value::Object(entries) => {
            Value::Object(entries.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect())
        }
        other => other,
    };
    let keys: BTreeMap<String, Value> =
        keys.into_iter().map(|(key, value)| (key, sorted(value))).collect();
    let Ok(mut text) = serde_json::to_vec(&keys) else { return bytes };
    // Padded as it was, so that every tensor stays in its place.
    if text.len() <= header.len() {
        text.resize(header.len(), b' ');
        bytes[8..8 + text.len()].copy_from_slice(&text);
    }
    bytes
}

/// Looks at every tensor and reports all that is wrong; says the weights' number format when
/// nothing is.
fn check(tensors: &SafeTensors<'_>, origin: &str) -> Result<WeightsDtype, WeightsError> {
    let mut problems = Vec::new();
    let mut dtypes = Vec::new();
    let mut inputs = 3;
    for layer in Layer::all() {
        let outputs = VGG19_WIDTHS[layer.block() - 1];
        for (part, shape) in [("weight", vec![outputs, inputs, 3, 3]), ("bias", vec![outputs])] {
            let name = format!("{}.{part}", layer.convolution());
            let Ok(tensor) = tensors.tensor(&name) else {
                problems.push(format!("`{name}` is missing"));
                continue;
            };
            if tensor.shape() != shape {
                problems
                    .push(format!("`{name}` has shape {:?}; VGG19's is {shape:?}", tensor.shape()));
                continue;
            }
            match (part, tensor.dtype()) {
                (_, Dtype::F32) | ("weight", Dtype::F16) => {}
                ("weight", other) => {
                    problems.push(format!("`{name}` is {other:?}; accepted are F32 and F16"))
                }
                (_, other) => problems.push(format!("`{name}` is {other:?}; biases are F32")),
            }
            if matches!(tensor.dtype(), Dtype::F32 | Dtype::F16)
                && !floats(&tensor).iter().all(|v| v.is_finite())
            {
                problems.push(format!("`{name}` has values that are not finite numbers"));
            }
            if part == "weight" {
                dtypes.push(tensor.dtype());
            }
        }
        inputs = outputs;
    }
    if !problems.is_empty() {
        return Err(WeightsError::Content { origin: origin.into(), problems });
    }
    // A file of mixed formats is as exact as its coarsest layer.
    Ok(if dtypes.contains(&Dtype::F16) { WeightsDtype::Float16 } else { WeightsDtype::Float32 })
}

/// The values of a float16 or float32 tensor.
fn floats(tensor: &TensorView<'_>) -> Vec<f32> {
    match tensor.dtype() {
        Dtype::F16 => tensor
            .data()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        _ => tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
    }
}
