//! Where the time of a network over candle tensors goes: marks on the device's own clock between
//! the stages of a sweep.
//!
//! A GPU runs behind the program that feeds it, so the program's clock says nothing about a stage.
//! Events that are recorded on its stream do, and cost next to nothing. On the CPU, where an
//! operation is over when it returns, marks are instants.

use std::collections::BTreeMap;
use std::time::Instant;

use candle_core::{Device, Result};
use parking_lot::Mutex;

/// A moment on a device's clock.
enum Mark {
    Host(Instant),
    #[cfg(feature = "cuda")]
    Event(candle_core::cuda_backend::cudarc::driver::CudaEvent),
}

impl Mark {
    #[cfg(feature = "cuda")]
    fn now(device: &Device) -> Result<Self> {
        use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
        let Device::Cuda(cuda) = device else { return Ok(Mark::Host(Instant::now())) };
        let event = cuda.cuda_stream().record_event(Some(CUevent_flags::CU_EVENT_DEFAULT));
        Ok(Mark::Event(event.map_err(candle_core::Error::wrap)?))
    }

    #[cfg(not(feature = "cuda"))]
    fn now(_: &Device) -> Result<Self> {
        Ok(Mark::Host(Instant::now()))
    }

    /// Seconds from here to a later mark of the same kind.
    fn until(&self, later: &Mark) -> Result<f64> {
        match (self, later) {
            (Mark::Host(from), Mark::Host(to)) => Ok((*to - *from).as_secs_f64()),
            #[cfg(feature = "cuda")]
            (Mark::Event(from), Mark::Event(to)) => {
                Ok(f64::from(from.elapsed_ms(to).map_err(candle_core::Error::wrap)?) * 1e-3)
            }
            #[cfg(feature = "cuda")]
            _ => candle_core::bail!("marks of two kinds of device"),
        }
    }
}

/// Marks in order, each with the stage that ends at it; one without a stage starts the next.
type Marks = Vec<(Option<&'static str>, Mark)>;

/// Seconds by stage, while somebody wants to know.
#[derive(Default)]
pub struct Stages {
    marks: Mutex<Option<Marks>>,
}

impl Stages {
    /// Takes marks from here on, and forgets those before.
    pub fn start(&self) {
        *self.marks.lock() = Some(vec![]);
    }

    /// Something begins that is to be timed.
    pub(super) fn begin(&self, device: &Device) -> Result<()> {
        self.mark(None, device)
    }

    /// What was done since the last mark was `stage`.
    pub(super) fn end(&self, stage: &'static str, device: &Device) -> Result<()> {
        self.mark(Some(stage), device)
    }

    fn mark(&self, stage: Option<&'static str>, device: &Device) -> Result<()> {
        if let Some(marks) = self.marks.lock().as_mut() {
            marks.push((stage, Mark::now(device)?));
        }
        Ok(())
    }

    /// Seconds of every stage since the start; takes no further marks.
    ///
    /// # Errors
    /// When the device fails.
    pub fn finish(&self) -> Result<BTreeMap<&'static str, f64>> {
        let marks = self.marks.lock().take().unwrap_or_default();
        let mut seconds = BTreeMap::new();
        for pair in marks.windows(2) {
            if let (Some(stage), mark) = &pair[1] {
                *seconds.entry(*stage).or_default() += pair[0].1.until(mark)?;
            }
        }
        Ok(seconds)
    }
}
