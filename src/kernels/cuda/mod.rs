//! Kernels on CUDA devices: what candle composes from many passes over memory takes one.
//!
//! `kernels.cu` is compiled by NVRTC when a device is first used, for that device's compute
//! capability. [`chain`] has what the network's chain needs beside matrix products, [`vectors`]
//! what the optimiser needs.

mod chain;
mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::result::{device as driver_device, mem_pool};
use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute as Attribute;
use candle_core::cuda_backend::cudarc::driver::sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
use candle_core::cuda_backend::cudarc::driver::{
    CudaStream, DevicePtr, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use candle_core::cuda_backend::{CudaDevice, CudaStorage};
use candle_core::{
    CpuStorage, DType, Device, Error, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail,
};
use half::bf16;
use parking_lot::Mutex;

pub use chain::at_points;

const SOURCE: &str = include_str!("kernels.cu");

/// Threads of a block.
const THREADS: u32 = 256;

/// Compiled kernels by compute capability, times ten.
static COMPILED: Mutex<BTreeMap<i32, Arc<str>>> = Mutex::new(BTreeMap::new());

/// The kernels, ready on one device.
pub struct Cuda {
    device: CudaDevice,
    ptx: Arc<str>,
}

/// Switches off what a device with one stream does not need: an event for each use of each tensor.
/// Freed memory stays with the program, since the driver would give it back to the system whenever
/// a loss is waited for.
///
/// The device must be one with a stream of its own, `Device::new_cuda_with_stream`: the default one
/// is another in each thread, and work of two threads is in no order.
///
/// # Errors
/// When it is no CUDA device, or does not answer.
pub fn settle(device: &Device) -> Result<()> {
    let cuda = device.as_cuda_device()?;
    let stream = cuda.cuda_stream();
    let mut kept = u64::MAX;
    // SAFETY: all tensors of the device are used on its one stream, so that their order needs no
    // events. The context is alive, its default pool lives as long, and the attribute is a u64.
    unsafe {
        cuda.disable_event_tracking();
        if let Ok(pool) = driver_device::get_default_mem_pool(stream.context().cu_device()) {
            mem_pool::set_attribute(
                pool,
                CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
                (&raw mut kept).cast(),
            )
            .map_err(Error::wrap)?;
        }
    }
    Ok(())
}

impl Cuda {
    /// Compiles the kernels for `device` where that was not done before.
    ///
    /// # Errors
    /// When it is no CUDA device or does not answer, or when NVRTC refuses.
    pub fn on(device: &Device) -> Result<Self> {
        let device = device.as_cuda_device()?.clone();
        let stream = device.cuda_stream();
        let number = |attribute| stream.context().attribute(attribute).map_err(Error::wrap);
        let capability = 10 * number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?
            + number(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let mut compiled = COMPILED.lock();
        if let Some(ptx) = compiled.get(&capability) {
            return Ok(Self { device, ptx: Arc::clone(ptx) });
        }
        let options = vec![format!("--gpu-architecture=compute_{capability}")];
        let options = CompileOptions {
            options,
            name: Some("kernels.cu".into()),
            ..CompileOptions::default()
        };
        let ptx: Arc<str> =
            compile_ptx_with_opts(SOURCE, options).map_err(Error::wrap)?.to_src().into();
        compiled.insert(capability, Arc::clone(&ptx));
        Ok(Self { device, ptx })
    }

    /// Room for a tensor. Every kernel writes all of its output before anything reads it.
    fn empty(&self, shape: impl Into<Shape>, dtype: DType) -> Result<Tensor> {
        // SAFETY: the memory is on the device, where any bits are a number, and is written before
        // it is read.
        unsafe { Tensor::empty(shape, dtype, &Device::Cuda(self.device.clone())) }
    }
}

/// An argument that is no tensor.
#[derive(Clone, Copy)]
enum Number {
    Int(i32),
    Float(f32),
}

impl Number {
    fn int(number: usize) -> Result<Self> {
        i32::try_from(number).map(Number::Int).map_err(Error::wrap)
    }

    fn flag(set: bool) -> Self {
        Number::Int(i32::from(set))
    }
}

/// A kernel's call. Its arguments are the number of items, the output, the inputs (null where there
/// is none), and the numbers.
struct Launch<'a> {
    cuda: &'a Cuda,
    /// With `_f32` or `_bf16` behind it, by the output's type, where the kernel is for either.
    name: &'static str,
    either: bool,
    items: usize,
    /// Blocks along both axes of the grid.
    grid: (usize, usize),
    inputs: &'a [Option<&'a Tensor>],
    numbers: &'a [Number],
}

impl<'a> Launch<'a> {
    /// One thread for each of `items` in each of `channels`, in a kernel for either type.
    fn by_channel(cuda: &'a Cuda, name: &'static str, items: usize, channels: usize) -> Self {
        let grid = (items.div_ceil(THREADS as usize), channels);
        Self { cuda, name, either: true, items, grid, inputs: &[], numbers: &[] }
    }

    fn with(self, inputs: &'a [Option<&'a Tensor>], numbers: &'a [Number]) -> Self {
        Self { inputs, numbers, ..self }
    }

    fn float32(self) -> Self {
        Self { either: false, ..self }
    }

    /// Runs it into `out`, which none of the inputs may share memory with.
    fn into(self, out: &Tensor) -> Result<()> {
        if self.grid.0 == 0 || self.grid.1 == 0 {
            return Ok(());
        }
        out.inplace_op1(&self)
    }
}

/// Where a contiguous tensor's values are.
fn address(storage: &CudaStorage, layout: &Layout, stream: &CudaStream) -> Result<u64> {
    let Some((start, _)) = layout.contiguous_offsets() else {
        bail!("kernels take contiguous tensors")
    };
    // The guards that come with the addresses record events, which are switched off.
    let (first, _guard) = match storage.dtype() {
        DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(stream),
        DType::BF16 => storage.as_cuda_slice::<bf16>()?.device_ptr(stream),
        DType::F64 => storage.as_cuda_slice::<f64>()?.device_ptr(stream),
        other => bail!("no kernel takes {other:?}"),
    };
    Ok(first + (start * storage.dtype().size_in_bytes()) as u64)
}

impl InplaceOp1 for Launch<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> Result<()> {
        bail!("{} is for CUDA devices", self.name)
    }

    fn cuda_fwd(&self, out: &mut CudaStorage, layout: &Layout) -> Result<()> {
        let stream = self.cuda.device.cuda_stream();
        let mut addresses = vec![address(out, layout, &stream)?];
        // Locked until the call is on the stream; what is freed later is freed behind it.
        let locked: Vec<_> =
            self.inputs.iter().map(|input| input.map(Tensor::storage_and_layout)).collect();
        for input in &locked {
            addresses.push(match input {
                None => 0,
                Some((storage, layout)) => match &**storage {
                    Storage::Cuda(storage) => address(storage, layout, &stream)?,
                    _ => bail!("{} takes tensors on a CUDA device", self.name),
                },
            });
        }
        let name = match (self.either, out.dtype()) {
            (false, _) => self.name.to_string(),
            (true, DType::F32) => format!("{}_f32", self.name),
            (true, DType::BF16) => format!("{}_bf16", self.name),
            (true, other) => bail!("{} computes float32 and bfloat16, not {other:?}", self.name),
        };
        let narrow = |number: usize| u32::try_from(number).map_err(Error::wrap);
        let items = narrow(self.items)?;
        let function =
            self.cuda.device.get_or_load_custom_func(&name, "impasto", &self.cuda.ptx)?;
        let mut arguments = function.builder();
        arguments.arg(&items);
        for address in &addresses {
            arguments.arg(address);
        }
        for number in self.numbers {
            match number {
                Number::Int(number) => arguments.arg(number),
                Number::Float(number) => arguments.arg(number),
            };
        }
        let grid_dim = (narrow(self.grid.0)?, narrow(self.grid.1)?, 1);
        // SAFETY: the arguments are those of the kernel in their order, and the shapes that the
        // callers took the numbers from are those of the tensors, so that no thread leaves them.
        unsafe {
            arguments.launch(LaunchConfig {
                grid_dim,
                block_dim: (THREADS, 1, 1),
                shared_mem_bytes: 0,
            })
        }
        .map_err(Error::wrap)?;
        Ok(())
    }
}
