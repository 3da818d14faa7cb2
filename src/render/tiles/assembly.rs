//! The gradient of a whole canvas, put together from the cores of its tiles.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::geometry::Rect;
use crate::memory::{self, NoMemory};
use crate::tensor::HostView;
use crate::tiling::{Grid, Tile};

/// The whole gradient where the canvas is.
pub(super) enum Assembly {
    /// In this machine's memory: one vector that is written into.
    Host { grid: Grid, values: Vec<f32> },
    /// On a device: the cores by tile, joined at the end.
    Device { grid: Grid, device: Device, cores: Vec<Option<Tensor>> },
}

impl Assembly {
    pub(super) fn new(grid: Grid, device: Device) -> Result<Self, NoMemory> {
        Ok(match device {
            Device::Cpu => {
                Assembly::Host { grid, values: memory::zeros(3 * grid.width * grid.height)? }
            }
            device => Assembly::Device { grid, device, cores: vec![None; grid.count()] },
        })
    }

    /// Takes the core's part of a region's gradient, float32 `[3, h, w]`.
    pub(super) fn put(
        &mut self,
        tile: &Tile,
        region: Rect,
        part: &Tensor,
    ) -> candle_core::Result<()> {
        let inside = tile.core.relative_to(&region);
        match self {
            Assembly::Host { grid, values } => {
                let part = part.to_device(&Device::Cpu)?;
                let view = HostView::new(&part)?;
                paste_core(values, *grid, view.values(), region, tile.core);
            }
            Assembly::Device { device, cores, .. } => {
                let core = part
                    .narrow(1, inside.top, inside.height)?
                    .narrow(2, inside.left, inside.width)?
                    .contiguous()?;
                cores[tile.index] = Some(core.to_device(device)?);
            }
        }
        Ok(())
    }

    /// `[3, H, W]`.
    pub(super) fn finish(self) -> candle_core::Result<Tensor> {
        match self {
            Assembly::Host { grid, values } => {
                Tensor::from_vec(values, (3, grid.height, grid.width), &Device::Cpu)
            }
            Assembly::Device { grid, cores, .. } => {
                let mut rows: BTreeMap<usize, Vec<Tensor>> = BTreeMap::new();
                for (index, core) in cores.into_iter().enumerate() {
                    rows.entry(grid.tile(index).core.top).or_default().extend(core);
                }
                let rows: Vec<Tensor> = rows
                    .into_values()
                    .map(|row| Tensor::cat(&row, 2))
                    .collect::<candle_core::Result<_>>()?;
                Tensor::cat(&rows, 1)
            }
        }
    }
}

/// Copies the core's part of a region's gradient into the whole one.
fn paste_core(whole: &mut [f32], grid: Grid, part: &[f32], region: Rect, core: Rect) {
    let inside = core.relative_to(&region);
    for channel in 0..3 {
        for row in 0..core.height {
            let from = (channel * region.height + inside.top + row) * region.width + inside.left;
            let to = (channel * grid.height + core.top + row) * grid.width + core.left;
            whole[to..to + core.width].copy_from_slice(&part[from..from + core.width]);
        }
    }
}
