//! The planned memory against what is really asked of the system.

#![allow(unsafe_code, reason = "a counting allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};
use impasto::geometry::Rect;
use impasto::network::cpu::sweep_bytes;
use impasto::network::{
    CpuNetwork, Isa, Layer, Network, Pooling, Precision, Request, TapGradient, VGG19_WIDTHS,
    vgg19_channels,
};

/// Counts bytes in use and their peak.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(live, Ordering::Relaxed);
}

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn as_much_as_planned() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("pool");
    pool.install(|| {
        let weights = support::small_network(1, VGG19_WIDTHS);
        let deepest: Layer = "relu5_1".parse().expect("layer");
        let net =
            CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Float32, Isa::detect())
                .expect("network");
        assert!(net.fixed_bytes() <= 500 << 20, "{} bytes of weights", net.fixed_bytes());
        drop(weights);
        let channels = vgg19_channels();
        let style = [0, 2, 4, 8, 12].map(|i| Layer::ALL[i]);
        let request = |h: usize, w: usize, keep: bool| Request {
            moments: style.to_vec(),
            features: vec![Layer::ALL[9]],
            keep,
            ..Request::over(Rect::whole(w, h))
        };
        let parts = style.map(|layer| {
            let c = channels[layer.index()];
            let full =
                |shape: &[usize]| Tensor::full(0.01f32, shape, &Device::Cpu).expect("a tensor");
            (layer, full(&[c, c]), full(&[c]))
        });
        let gradients = parts.each_ref().map(|(layer, matrix, offset)| TapGradient::Affine {
            layer: *layer,
            matrix,
            offset,
        });
        for (h, w, keep) in
            [(512, 512, true), (300, 1000, true), (512, 512, false), (77, 130, true)]
        {
            net.clear();
            let pixels = support::random_pixels(3, w, h);
            let pixels = Tensor::from_vec(pixels, (3, h, w), &Device::Cpu).expect("pixels");
            let request = request(h, w, keep);
            let planned = sweep_bytes(&channels, (w, h), &request, 2).peak;
            for _ in 0..2 {
                let before = LIVE.load(Ordering::Relaxed);
                PEAK.store(before, Ordering::Relaxed);
                let pass = net.forward(&pixels, &request).expect("pass");
                if keep {
                    pass.backward(&gradients).expect("gradient");
                }
                let used = PEAK.load(Ordering::Relaxed) - before;
                // Statistics, packed gradient matrices and the gradient itself are not of the pool.
                let others = 24 * h * w + (24 << 20);
                assert!(used <= planned + others, "{h}x{w}: {used} instead of {planned}");
            }
            println!("{h}x{w} keep {keep}: {} bytes a pixel planned", planned / (h * w));
        }
        let per_pixel =
            |side: usize| sweep_bytes(&channels, (side, side), &request(side, side, true), 2).peak;
        let slope = (per_pixel(2048) - per_pixel(1024)) / (2048 * 2048 - 1024 * 1024);
        println!("{slope} bytes a pixel");
        assert!(slope <= 450, "{slope} bytes a pixel");
    });
}
