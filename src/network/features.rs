//! Features of a rectangle of cells, taken out of a pass: what a content term compares with.

use candle_core::{DType, Device, Tensor};

use super::error::NetworkError;
use super::layer::Layer;
use crate::geometry::Rect;
use crate::kernels::buffer::BufferCache;
use crate::kernels::map::{CHANNEL_BLOCK, Map, Shape};
use crate::memory::NoMemory;

/// Features of one layer over a rectangle of cells, laid out as the network that computed them lays
/// them out.
pub struct Features {
    layer: Layer,
    storage: Storage,
}

enum Storage {
    /// In the CPU kernels' blocks of channels.
    Blocked(Map),
    /// `[C, h, w]` on candle's device.
    Planar(Tensor),
}

impl Features {
    /// The cells of `rect` of a map of the CPU's kernels.
    pub(super) fn from_map(layer: Layer, map: &Map, rect: Rect) -> Result<Self, NetworkError> {
        let mut features = Self::zeros(layer, map.shape.channels, rect.width, rect.height)?;
        if let Storage::Blocked(copy) = &mut features.storage {
            copy_cells(map, rect, copy, (0, 0))?;
        }
        Ok(features)
    }

    /// From `[C, h, w]` on candle's device.
    pub(super) fn from_tensor(layer: Layer, tensor: Tensor) -> Self {
        Self { layer, storage: Storage::Planar(tensor) }
    }

    fn zeros(layer: Layer, channels: usize, width: usize, height: usize) -> Result<Self, NoMemory> {
        let mut map = Map::new(&BufferCache::new(), Shape { channels, height, width })?;
        map.data.fill(0.0);
        Ok(Self { layer, storage: Storage::Blocked(map) })
    }

    /// The layer.
    pub fn layer(&self) -> Layer {
        self.layer
    }

    /// `[C, h, w]`.
    pub fn shape(&self) -> [usize; 3] {
        match &self.storage {
            Storage::Blocked(Map { shape, .. }) => [shape.channels, shape.height, shape.width],
            Storage::Planar(tensor) => {
                let dims = tensor.dims();
                [dims[0], dims[1], dims[2]]
            }
        }
    }

    /// Channels of the layer.
    pub fn channels(&self) -> usize {
        self.shape()[0]
    }

    /// The values, row-major `[C, h, w]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_planar(&self) -> Result<Vec<f32>, NetworkError> {
        Ok(match &self.storage {
            Storage::Blocked(map) => map.to_planar()?,
            Storage::Planar(tensor) => tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?,
        })
    }

    /// The same features on another device; the CPU's stay where they are.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_device(self, device: &Device) -> Result<Features, NetworkError> {
        Ok(match self.storage {
            Storage::Blocked(_) => self,
            Storage::Planar(tensor) => Self::from_tensor(self.layer, tensor.to_device(device)?),
        })
    }

    /// Zeros over `width` x `height` cells, laid out in the same way.
    ///
    /// # Errors
    /// When the device fails.
    pub fn blank(&self, width: usize, height: usize) -> Result<Features, NetworkError> {
        Ok(match &self.storage {
            Storage::Blocked(_) => Self::zeros(self.layer, self.channels(), width, height)?,
            Storage::Planar(tensor) => {
                let shape = (self.channels(), height, width);
                Self::from_tensor(
                    self.layer,
                    Tensor::zeros(shape, tensor.dtype(), tensor.device())?,
                )
            }
        })
    }

    /// Puts `part` at the rectangle `at` of these cells.
    ///
    /// # Errors
    /// When it does not fit there, is of another layer or another implementation, or the device
    /// fails.
    pub fn paste(&mut self, part: &Features, at: Rect) -> Result<(), NetworkError> {
        if part.layer != self.layer {
            return Err(NetworkError::Mixed);
        }
        match (&mut self.storage, &part.storage) {
            (Storage::Blocked(whole), Storage::Blocked(part)) => {
                let all = Rect::whole(part.shape.width, part.shape.height);
                copy_cells(part, all, whole, (at.top, at.left))
            }
            (Storage::Planar(whole), Storage::Planar(part)) => {
                let (channels, part) = (part.dims()[0], part.to_device(whole.device())?);
                *whole = whole.slice_assign(
                    &[0..channels, at.top..at.bottom(), at.left..at.right()],
                    &part,
                )?;
                Ok(())
            }
            _ => Err(NetworkError::Mixed),
        }
    }

    /// The sum of the squares of all values.
    ///
    /// # Errors
    /// When the device fails.
    pub fn square_sum(&self) -> Result<f64, NetworkError> {
        Ok(match &self.storage {
            Storage::Planar(tensor) => {
                let squares = tensor.to_dtype(DType::F32)?.sqr()?.sum_all()?;
                f64::from(squares.to_scalar::<f32>()?)
            }
            Storage::Blocked(map) => (0..map.shape.height)
                .flat_map(|y| (0..map.shape.blocks()).map(move |block| (block, y)))
                .map(|(block, y)| {
                    let start = map.at(block, y, 0);
                    let row = &map.data[start..start + map.shape.width * CHANNEL_BLOCK];
                    row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()
                })
                .sum(),
        })
    }

    /// The mean of the squares of all values.
    ///
    /// # Errors
    /// When the device fails.
    pub fn mean_square(&self) -> Result<f64, NetworkError> {
        let values: usize = self.shape().iter().product();
        Ok(self.square_sum()? / values.max(1) as f64)
    }

    /// The map of the CPU's kernels, if these are features of `layer` with `channels` that cover
    /// `rows` x `columns` cells from `origin`.
    pub(super) fn map(
        &self,
        layer: Layer,
        channels: usize,
        origin: (usize, usize),
        (rows, columns): (usize, usize),
    ) -> Result<&Map, NetworkError> {
        let Storage::Blocked(map) = &self.storage else { return Err(NetworkError::Mixed) };
        if self.layer != layer {
            return Err(NetworkError::NotRequested(self.layer));
        }
        if map.shape.channels != channels {
            let (expected, found) = (channels, map.shape.channels);
            return Err(NetworkError::Size { what: "channels of the target", expected, found });
        }
        let cells = Rect { top: origin.0, left: origin.1, width: columns, height: rows };
        if !cells.lies_in(map.shape.width, map.shape.height) {
            return Err(NetworkError::Outside("the content target"));
        }
        Ok(map)
    }

    /// The tensor on candle's device.
    pub(super) fn tensor(&self) -> Result<&Tensor, NetworkError> {
        match &self.storage {
            Storage::Planar(tensor) => Ok(tensor),
            Storage::Blocked(_) => Err(NetworkError::Mixed),
        }
    }
}

/// Copies the cells of `rect` to the place (row, column) in another map.
fn copy_cells(
    from: &Map,
    rect: Rect,
    to: &mut Map,
    (top, left): (usize, usize),
) -> Result<(), NetworkError> {
    let target = Rect { top, left, ..rect };
    if !rect.lies_in(from.shape.width, from.shape.height)
        || !target.lies_in(to.shape.width, to.shape.height)
    {
        return Err(NetworkError::Outside("cells"));
    }
    if from.shape.channels != to.shape.channels {
        let (expected, found) = (to.shape.channels, from.shape.channels);
        return Err(NetworkError::Size { what: "channels", expected, found });
    }
    to.copy_cells(from, rect, (top, left));
    Ok(())
}
