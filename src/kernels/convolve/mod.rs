//! One 3x3 convolution over a whole map, either direction, with everything that belongs to it.
//!
//! The map is cut in blocks of about 60 tiles of 4x4. A worker claims a block, transforms all its
//! input channels into 36 planes V `[C_in/16][tiles][16]`, and then for each 64 output channels
//! does 36 small products `M = V U` and the inverse transform; V and M are its own scratch and stay
//! in its cache, and there is no barrier before the end of the layer. What precedes and follows is
//! done on the way in and out ([`Source`], [`Sink`]): unpooling the gradient, bias, ReLU, pooling,
//! the mask for the way back, the gradient of a tap. Every tile is computed alone and in one order,
//! so neither the cut nor the number of workers changes a byte.

mod check;
mod cut;
mod finish;
mod load;
mod multiply;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::buffer::BufferCache;
use super::first::{FirstConvolution, Pixels};
use super::isa::Isa;
use super::map::{CHANNEL_BLOCK, Map, Mask, Shape};
use super::pooling::Pooling;
use super::product::Panels;
use super::winograd::Filters;
use crate::geometry::Rect;
use crate::memory::NoMemory;
pub use cut::scratch_bytes;
use cut::{Blocking, Scratch, Segment, odd, segments};

/// Tiles of a block: so many that a panel of weights is used often, so few that V, M and the
/// weights of narrow layers share the second-level cache.
const TILES: usize = 60;
const TILES_OF_NARROW: usize = 36;
/// Bytes of a map from which on it is written past the caches: it would not stay in them until the
/// next layer reads it.
const STREAMED: usize = 16 << 20;
/// Blocks of 16 output channels between two inverse transforms.
const CHUNK: usize = 4;
/// Tiles of a row that go through the sink together.
const RUN: usize = 16;

/// Where a convolution reads.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A map, as it is.
    Map(&'a Map),
    /// The gradient of a pooled map, spread out to the cells that the mask (four words a cell)
    /// marks.
    Unpooled(&'a Map, &'a Mask),
    /// relu1_1, computed from the pixels on the way.
    First(&'a FirstConvolution, &'a Pixels),
}

/// The gradient `matrix F + offset` at every cell of a tap.
pub struct Affine {
    panels: Panels,
    matrix: Vec<f32>,
    offset: Vec<f32>,
}

impl Affine {
    /// From `[C, C]` symmetric and `[C]`.
    pub fn new(isa: Isa, matrix: &[f32], offset: &[f32]) -> Self {
        let channels = offset.len();
        let panels = Panels::new(isa, channels, channels);
        let mut packed = vec![0.0; panels.length()];
        panels.pack(matrix, channels, channels, &mut packed);
        let mut padded = offset.to_vec();
        padded.resize(channels.next_multiple_of(CHANNEL_BLOCK), 0.0);
        Self { panels, matrix: packed, offset: padded }
    }
}

/// The gradient `scale (F - target)` at every cell of a tap; the cell `(y, x)` of the map is `(y +
/// top, x + left)` of the target.
#[derive(Clone, Copy)]
pub struct Difference<'a> {
    /// The features wanted.
    pub target: &'a Map,
    /// Row of the target at the map's first row.
    pub top: usize,
    /// Column of the target at the map's first column.
    pub left: usize,
    /// Factor.
    pub scale: f32,
}

/// The features of a tap on the way back.
#[derive(Clone, Copy)]
pub enum Features<'a> {
    /// Kept from the forward sweep.
    Map(&'a Map),
    /// relu1_1, computed again.
    First(&'a FirstConvolution, &'a Pixels),
}

/// Gradients that a tap adds.
#[derive(Clone, Copy)]
pub struct Tap<'a> {
    /// The features after ReLU.
    pub features: Features<'a>,
    /// `matrix F + offset`.
    pub affine: Option<&'a Affine>,
    /// `scale (F - target)`.
    pub difference: Option<Difference<'a>>,
}

/// What becomes of the outputs of a convolution.
pub enum Sink<'a> {
    /// Forward: bias and ReLU.
    Relu {
        /// Padded to a multiple of 16.
        bias: &'a [f32],
        /// The features.
        out: &'a mut Map,
        /// Where they are positive.
        mask: Option<&'a mut Mask>,
    },
    /// Forward: bias, ReLU and pooling.
    Pooled {
        /// Padded to a multiple of 16.
        bias: &'a [f32],
        /// Which pooling.
        pooling: Pooling,
        /// The pooled features.
        out: &'a mut Map,
        /// Which cell of each window takes the gradient (max), or which are positive (average).
        mask: Option<&'a mut Mask>,
        /// The features before pooling, when they are wanted.
        full: Option<&'a mut Map>,
    },
    /// Backward, to features after a ReLU: adds the tap's gradients, then stops where the features
    /// were zero.
    Masked {
        /// The gradient before the ReLU.
        out: &'a mut Map,
        /// Where the features were positive; `None` where the tap's own features say so.
        mask: Option<&'a Mask>,
        /// Gradients of a tap at this layer.
        tap: Option<Tap<'a>>,
    },
    /// Backward, to pooled features: as it is.
    Plain {
        /// The gradient of the pooled features.
        out: &'a mut Map,
    },
    /// Backward, to the pixels: `[3, height, width]`, RGB, times 255.
    Pixels {
        /// The gradient.
        out: &'a mut [f32],
    },
}

/// One convolution; without filters, only what follows it (with a convolution that gives zero).
pub struct Convolution<'a> {
    /// Instructions.
    pub isa: Isa,
    /// Where scratch comes from.
    pub cache: &'a Arc<BufferCache>,
    /// Where it reads.
    pub source: Option<(Source<'a>, &'a Filters)>,
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Channels made.
    pub outputs: usize,
    /// The cells to make: whole tiles of four, whole windows where pooling follows, up to the map's
    /// end.
    pub area: Rect,
}

/// What the workers see of a [`Sink`].
#[derive(Clone, Copy)]
struct Target<'a> {
    kind: SinkKind,
    bias: *const f32,
    out: *mut f32,
    /// Shape of `out`.
    shape: Shape,
    mask: *mut u16,
    full: *mut f32,
    tap: Option<Tap<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
enum SinkKind {
    Relu,
    Pooled(Pooling),
    Masked,
    Plain,
    Pixels,
}

// SAFETY: workers write disjoint tiles of `out`, `mask` and `full`, and only read through the other
// pointers.
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
unsafe impl Sync for Target<'_> {}

impl Convolution<'_> {
    fn shape(&self, channels: usize) -> Shape {
        Shape { channels, height: self.height, width: self.width }
    }

    /// Does it, with all threads of the current pool that have memory for their scratch.
    ///
    /// # Errors
    /// When no thread has.
    ///
    /// # Panics
    /// If the shapes of the maps do not belong together.
    pub fn run(&self, sink: Sink) -> Result<(), NoMemory> {
        self.check(&sink);
        self.check_area(&sink);
        let target = match sink {
            Sink::Relu { bias, out, mask } => Target {
                kind: SinkKind::Relu,
                bias: bias.as_ptr(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                full: std::ptr::null_mut(),
                tap: None,
            },
            Sink::Pooled { bias, pooling, out, mask, full } => Target {
                kind: SinkKind::Pooled(pooling),
                bias: bias.as_ptr(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                full: full.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                tap: None,
            },
            Sink::Masked { out, mask, tap } => Target {
                kind: SinkKind::Masked,
                bias: std::ptr::null(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_ptr().cast_mut()),
                full: std::ptr::null_mut(),
                tap,
            },
            Sink::Plain { out } => Target {
                kind: SinkKind::Plain,
                bias: std::ptr::null(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: std::ptr::null_mut(),
                full: std::ptr::null_mut(),
                tap: None,
            },
            Sink::Pixels { out } => Target {
                kind: SinkKind::Pixels,
                bias: std::ptr::null(),
                shape: self.shape(3),
                out: out.as_mut_ptr(),
                mask: std::ptr::null_mut(),
                full: std::ptr::null_mut(),
                tap: None,
            },
        };
        self.claim(&target)
    }

    fn claim(&self, target: &Target) -> Result<(), NoMemory> {
        let across = self.area.width.div_ceil(4);
        let tiles = self.area.height.div_ceil(4) * across;
        if tiles == 0 {
            return Ok(());
        }
        let threads = rayon::current_num_threads();
        let chunks = self.outputs.div_ceil(CHANNEL_BLOCK * CHUNK);
        let inputs = self.source.as_ref().map_or(0, |(_, filters)| filters.inputs);
        let Blocking { blocks, size, shares } =
            Blocking::new(self.area.height, self.area.width, (inputs, self.outputs), threads);
        let next = AtomicUsize::new(0);
        let short = Mutex::new(None);
        let work = || {
            let mut scratch = match Scratch::new(self, size) {
                Ok(scratch) => scratch,
                // The other threads do this one's part.
                Err(error) => {
                    *short.lock().unwrap_or_else(|e| e.into_inner()) = Some(error);
                    return;
                }
            };
            loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= blocks * shares {
                    break;
                }
                let (block, share) = (unit / shares, unit % shares);
                let (start, end) = (block * size, ((block + 1) * size).min(tiles));
                if start < end {
                    self.block(
                        target,
                        &mut scratch,
                        start..end,
                        across,
                        share * chunks / shares..(share + 1) * chunks / shares,
                    );
                }
            }
        };
        let workers = threads.min(blocks * shares);
        if workers == 1 {
            work();
        } else {
            rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| work())));
        }
        let left = next.into_inner() < blocks * shares;
        match short.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(error) if left => Err(error),
            _ => Ok(()),
        }
    }

    /// One block of tiles, some chunks of output channels.
    fn block(
        &self,
        target: &Target,
        scratch: &mut Scratch,
        tiles: std::ops::Range<usize>,
        across: usize,
        chunks: std::ops::Range<usize>,
    ) {
        let count = tiles.len();
        let segments = segments(&tiles, across, (self.area.top / 4, self.area.left / 4));
        if let Some((source, filters)) = &self.source {
            scratch.v_plane = odd(filters.panels.k_blocks * count) * 16;
            for segment in &segments {
                self.load(source, filters, scratch, *segment, count);
            }
        }
        for chunk in chunks {
            let first = chunk * CHUNK;
            let width = CHUNK.min(self.outputs.div_ceil(CHANNEL_BLOCK) - first);
            if let Some((_, filters)) = &self.source {
                scratch.m_plane = odd(count * width) * 16;
                self.products(filters, scratch, count, first, width);
            }
            for segment in &segments {
                for at in (0..segment.count).step_by(RUN) {
                    let run = Segment {
                        row: segment.row,
                        first: segment.first + at,
                        count: RUN.min(segment.count - at),
                        place: segment.place + at,
                    };
                    self.finish(target, scratch, run, first, width);
                }
            }
        }
    }
}

/// Adds the gradient of pooled features to a map, at the cells that the mask marks.
///
/// # Panics
/// If the shapes do not belong together.
pub fn add_unpooled(map: &mut Map, pooled: &Map, mask: &Mask) {
    let small = pooled.shape;
    assert!(mask.shape == small && mask.words == 4);
    assert!(
        small.channels == map.shape.channels
            && small.height == map.shape.height / 2
            && small.width == map.shape.width / 2
    );
    let windows = map.valid.halved().intersection(&pooled.valid).intersection(&mask.valid);
    for block in 0..small.blocks() {
        for y in windows.top..windows.bottom() {
            for x in windows.left..windows.right() {
                let cell = pooled.at(block, y, x);
                for i in 0..4 {
                    let bits = mask.data[cell / CHANNEL_BLOCK * 4 + i];
                    let to = map.at(block, 2 * y + i / 2, 2 * x + i % 2);
                    for lane in 0..CHANNEL_BLOCK {
                        if bits >> lane & 1 == 1 {
                            map.data[to + lane] += pooled.data[cell + lane];
                        }
                    }
                }
            }
        }
    }
}
