//! Networks that behave badly on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use candle_core::Tensor;
use impasto::memory::NoMemory;
use impasto::network::{
    Features, Layer, Moments, Network, NetworkError, Pass, Request, TapGradient,
};
use impasto::random::Noise;

/// Sleeps a random while before every sweep, so that workers come in any order.
pub struct Dawdling {
    inner: Arc<dyn Network>,
    noise: Noise,
    calls: AtomicU64,
}

impl Dawdling {
    pub fn new(inner: Arc<dyn Network>, seed: u64) -> Self {
        Self { inner, noise: Noise::new(seed), calls: AtomicU64::new(0) }
    }
}

impl Network for Dawdling {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros((4000.0 * self.noise.uniform(call)) as u64));
        self.inner.forward(pixels, request)
    }
}

/// Has no memory for regions of more than `most` pixels, and counts how often it had to say so.
pub struct Stingy {
    inner: Arc<dyn Network>,
    most: AtomicUsize,
    /// Sweeps that failed.
    pub refused: AtomicU64,
}

impl Stingy {
    pub fn new(inner: Arc<dyn Network>, most: usize) -> Self {
        Self { inner, most: AtomicUsize::new(most), refused: AtomicU64::new(0) }
    }

    /// Lets regions have `most` pixels from here on.
    pub fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }
}

impl Network for Stingy {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        let (_, height, width) = pixels.dims3()?;
        if width * height > self.most.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(NetworkError::from(NoMemory { bytes: 400 * width * height }));
        }
        self.inner.forward(pixels, request)
    }
}

/// Fails as a GPU does that has gone away: at its `lasts`-th sweep, forward or back, and ever
/// after.
pub struct Breaking {
    inner: Arc<dyn Network>,
    lasts: AtomicUsize,
}

impl Breaking {
    pub fn new(inner: Arc<dyn Network>, lasts: usize) -> Self {
        Self { inner, lasts: AtomicUsize::new(lasts) }
    }

    fn sweep(&self) -> Result<(), NetworkError> {
        let left = |left: usize| Some(left.saturating_sub(1));
        match self.lasts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
            Ok(0) => Err(candle_core::Error::Msg(
                "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure".into(),
            )
            .into()),
            _ => Ok(()),
        }
    }
}

impl Network for Breaking {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        self.sweep()?;
        Ok(Box::new(BreakingPass { inner: self.inner.forward(pixels, request)?, network: self }))
    }
}

struct BreakingPass<'a> {
    inner: Box<dyn Pass + 'a>,
    network: &'a Breaking,
}

impl Pass for BreakingPass<'_> {
    fn moments(&self, layer: Layer) -> Result<Moments, NetworkError> {
        self.inner.moments(layer)
    }

    fn features(&self, layer: Layer) -> Result<Features, NetworkError> {
        self.inner.features(layer)
    }

    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        origin: (usize, usize),
    ) -> Result<Vec<f64>, NetworkError> {
        self.inner.content_distance(layer, target, origin)
    }

    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> Result<Tensor, NetworkError> {
        self.network.sweep()?;
        self.inner.backward(gradients)
    }
}
