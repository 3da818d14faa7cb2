//! Host tensors as plain slices, without a copy; and what went wrong with tensors, in a line.
//!
//! The tensors of the CPU path are contiguous float32; the kernels and the optimiser work on slices
//! of them. Tensors on a device have no slices: callers ask [`is_host`] first.

use candle_core::{Device, Result, Storage, Tensor, bail};
use parking_lot::RwLockReadGuard;

/// What went wrong, in one line. candle puts a backtrace behind it where `RUST_BACKTRACE` is set.
pub fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

/// Whether the tensor's values are in this machine's own memory.
pub fn is_host(tensor: &Tensor) -> bool {
    matches!(tensor.device(), Device::Cpu)
}

/// A read lock on a host tensor's values.
pub struct HostView<'a> {
    storage: RwLockReadGuard<'a, Storage>,
    start: usize,
    end: usize,
}

impl<'a> HostView<'a> {
    /// Looks at a contiguous float32 tensor in host memory.
    ///
    /// # Errors
    /// When the tensor is on a device, of another type, or strided.
    pub fn new(tensor: &'a Tensor) -> Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("expected a contiguous tensor, got strides {:?}", layout.stride())
        };
        match &*storage {
            Storage::Cpu(values) => values.as_slice::<f32>()?,
            _ => bail!("expected a tensor in host memory"),
        };
        Ok(Self { storage, start, end })
    }

    /// The values, row-major.
    pub fn values(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(values) => &values
                .as_slice::<f32>()
                .expect("float32, as checked when the view was made")[self.start..self.end],
            _ => unreachable!("in host memory, as checked when the view was made"),
        }
    }
}

/// Views of several tensors.
///
/// # Errors
/// As [`HostView::new`].
pub fn host_views<'a>(tensors: &[&'a Tensor]) -> Result<Vec<HostView<'a>>> {
    tensors.iter().copied().map(HostView::new).collect()
}
