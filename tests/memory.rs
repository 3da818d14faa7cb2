//! The planned memory against what is really asked of the system.

#![allow(unsafe_code, reason = "a counting allocator")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use impasto::geometry::Rect;
use impasto::network::Isa;
use impasto::network::cpu::*;
use impasto::network::{Layer, Pooling};

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
        let weights = support::chain::random([64, 128, 256, 512, 512], 1);
        let deepest: Layer = "relu5_1".parse().expect("layer");
        let net =
            CpuNetwork::new(&weights, deepest, Pooling::Max, Precision::Float32, Isa::detect())
                .expect("network");
        assert!(net.fixed_bytes() <= 500 << 20, "{} bytes of weights", net.fixed_bytes());
        drop(weights);
        let style = [0, 2, 4, 8, 12];
        let taps: Vec<_> = [0, 2, 4, 8, 9, 12]
            .map(|i| TapRequest {
                layer: Layer::ALL[i],
                moments: style.contains(&i),
                features: i == 9,
            })
            .to_vec();
        for (h, w, keep) in
            [(512, 512, true), (300, 1000, true), (512, 512, false), (77, 130, true)]
        {
            net.clear();
            let pixels = support::chain::noise(3 * h * w, 3);
            let request = Request {
                taps: &taps,
                core: Rect::whole(w, h),
                wanted: None,
                same_bits: false,
                keep,
            };
            let planned = net.peak_bytes(h, w, &request);
            for _ in 0..2 {
                let before = LIVE.load(Ordering::Relaxed);
                PEAK.store(before, Ordering::Relaxed);
                let pass = net.forward(&pixels, h, w, &request).expect("pass");
                if keep {
                    let parts: Vec<_> = style
                        .map(|i| {
                            let c = net.channels(Layer::ALL[i]).expect("prepared");
                            (Layer::ALL[i], vec![0.01; c * c], vec![0.01; c])
                        })
                        .to_vec();
                    let gradients: Vec<_> = parts
                        .iter()
                        .map(|(layer, matrix, offset)| TapGradient::Affine {
                            layer: *layer,
                            matrix,
                            offset,
                        })
                        .collect();
                    pass.backward(&gradients).expect("gradient");
                }
                let used = PEAK.load(Ordering::Relaxed) - before;
                // Statistics, packed gradient matrices and the gradient itself are not of the pool.
                let others = 24 * h * w + (24 << 20);
                assert!(used <= planned + others, "{h}x{w}: {used} instead of {planned}");
            }
            println!("{h}x{w} keep {keep}: {} bytes a pixel planned", planned / (h * w));
        }
        let threads = 2;
        let per_pixel = |side: usize| {
            let request = Request {
                taps: &taps,
                core: Rect::whole(side, side),
                wanted: None,
                same_bits: false,
                keep: true,
            };
            net.peak_bytes_with(side, side, &request, threads)
        };
        let slope = (per_pixel(2048) - per_pixel(1024)) / (2048 * 2048 - 1024 * 1024);
        println!("{slope} bytes a pixel");
        assert!(slope <= 450, "{slope} bytes a pixel");
    });
}
