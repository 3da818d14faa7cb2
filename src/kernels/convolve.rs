//! One 3x3 convolution over a whole map, either direction, with everything that belongs to it.
//!
//! The map is cut in blocks of about 60 tiles of 4x4. A worker claims a block, transforms all its input channels into
//! 36 planes V `[C_in/16][tiles][16]`, and then for each 64 output channels does 36 small products `M = V U` and the inverse
//! transform; V and M are its own scratch and stay in its cache, and there is no barrier before the end of the layer. What precedes
//! and follows is done on the way in and out ([`Source`], [`Sink`]): unpooling the gradient, bias, ReLU, pooling, the mask for the
//! way back, the gradient of a tap. Every tile is computed alone and in one order, so neither the cut nor the number of workers
//! changes a byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::buffer::{Pool, Shared};
use super::first::{First, Pixels};
use super::isa::{Isa, Kernel};
use super::map::{BLOCK, Map, Mask, Shape};
use super::product::{Panels, Product};
use super::simd::Simd;
use super::winograd::{Filters, PLANES, transform_input, transform_output};

/// Tiles of a block: so many that a panel of weights is used often, so few that the scratch stays in the cache.
const TILES: usize = 60;
/// Blocks of 16 output channels between two inverse transforms.
const CHUNK: usize = 4;
/// Tiles of a row that go through the sink together.
const RUN: usize = 16;

/// Where a convolution reads.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A map, as it is.
    Map(&'a Map),
    /// The gradient of a pooled map, spread out to the cells that the mask (four words a cell) marks.
    Unpooled(&'a Map, &'a Mask),
    /// relu1_1, computed from the pixels on the way.
    First(&'a First, &'a Pixels),
}

/// How a layer is followed by pooling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pool2 {
    /// The largest of 2x2; the first in raster order among equals.
    Max,
    /// The mean of 2x2.
    Average,
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
        padded.resize(channels.next_multiple_of(BLOCK), 0.0);
        Self { panels, matrix: packed, offset: padded }
    }
}

/// The gradient `scale (F - target)` at every cell of a tap; the cell `(y, x)` of the map is `(y + top, x + left)` of the target.
#[derive(Clone, Copy)]
pub struct Towards<'a> {
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
    First(&'a First, &'a Pixels),
}

/// Gradients that a tap adds.
#[derive(Clone, Copy)]
pub struct Tap<'a> {
    /// The features after ReLU.
    pub features: Features<'a>,
    /// `matrix F + offset`.
    pub affine: Option<&'a Affine>,
    /// `scale (F - target)`.
    pub towards: Option<Towards<'a>>,
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
        pool: Pool2,
        /// The pooled features.
        out: &'a mut Map,
        /// Which cell of each window takes the gradient (max), or which are positive (average).
        mask: Option<&'a mut Mask>,
        /// The features before pooling, when they are wanted.
        full: Option<&'a mut Map>,
    },
    /// Backward, to features after a ReLU: adds the tap's gradients, then stops where the features were zero.
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
    pub pool: &'a Arc<Pool>,
    /// Where it reads.
    pub source: Option<(Source<'a>, &'a Filters)>,
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Channels made.
    pub outputs: usize,
}

/// What the workers see of a [`Sink`].
#[derive(Clone, Copy)]
struct Target<'a> {
    kind: Kind,
    bias: *const f32,
    out: *mut f32,
    /// Shape of `out`.
    shape: Shape,
    mask: *mut u16,
    full: *mut f32,
    tap: Option<Tap<'a>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Relu,
    Pooled(Pool2),
    Masked,
    Plain,
    Pixels,
}

// SAFETY: workers write disjoint tiles of `out`, `mask` and `full`, and only read through the other pointers.
unsafe impl Send for Target<'_> {}
// SAFETY: as above.
unsafe impl Sync for Target<'_> {}

/// Tiles of one row of tiles.
#[derive(Clone, Copy)]
struct Segment {
    /// Row of tiles.
    row: usize,
    /// First tile of the row.
    first: usize,
    count: usize,
    /// Place of the first tile in the worker's block.
    place: usize,
}

impl Convolution<'_> {
    fn shape(&self, channels: usize) -> Shape {
        Shape { channels, height: self.height, width: self.width }
    }

    /// Does it, with all threads of the current pool.
    ///
    /// # Panics
    /// If the shapes of the maps do not belong together.
    pub fn run(&self, sink: Sink) {
        self.check(&sink);
        let target = match sink {
            Sink::Relu { bias, out, mask } => Target {
                kind: Kind::Relu,
                bias: bias.as_ptr(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                full: std::ptr::null_mut(),
                tap: None,
            },
            Sink::Pooled { bias, pool, out, mask, full } => Target {
                kind: Kind::Pooled(pool),
                bias: bias.as_ptr(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                full: full.map_or(std::ptr::null_mut(), |m| m.data.as_mut_ptr()),
                tap: None,
            },
            Sink::Masked { out, mask, tap } => Target {
                kind: Kind::Masked,
                bias: std::ptr::null(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: mask.map_or(std::ptr::null_mut(), |m| m.data.as_ptr().cast_mut()),
                full: std::ptr::null_mut(),
                tap,
            },
            Sink::Plain { out } => Target {
                kind: Kind::Plain,
                bias: std::ptr::null(),
                shape: out.shape,
                out: out.data.as_mut_ptr(),
                mask: std::ptr::null_mut(),
                full: std::ptr::null_mut(),
                tap: None,
            },
            Sink::Pixels { out } => Target {
                kind: Kind::Pixels,
                bias: std::ptr::null(),
                shape: self.shape(3),
                out: out.as_mut_ptr(),
                mask: std::ptr::null_mut(),
                full: std::ptr::null_mut(),
                tap: None,
            },
        };
        self.claim(&target);
    }

    fn check(&self, sink: &Sink) {
        let whole = self.shape(self.outputs);
        let half = Shape { channels: self.outputs, height: self.height / 2, width: self.width / 2 };
        let padded = self.outputs.next_multiple_of(BLOCK);
        if let Some((source, filters)) = &self.source {
            assert_eq!(filters.outputs, self.outputs);
            match source {
                Source::Map(map) => assert_eq!(map.shape, self.shape(filters.inputs)),
                Source::Unpooled(map, mask) => {
                    assert_eq!(map.shape, Shape { channels: filters.inputs, height: self.height / 2, width: self.width / 2 });
                    assert!(mask.shape == map.shape && mask.words == 4);
                }
                Source::First(first, pixels) => {
                    assert!(first.outputs() == filters.inputs && (pixels.height, pixels.width) == (self.height, self.width));
                }
            }
        }
        let mask_fits = |mask: &Mask, shape, words| mask.shape == shape && mask.words == words;
        match sink {
            Sink::Relu { bias, out, mask } => {
                assert!(bias.len() == padded && out.shape == whole);
                assert!(mask.as_ref().is_none_or(|m| mask_fits(m, whole, 1)));
            }
            Sink::Pooled { bias, out, mask, full, .. } => {
                assert!(bias.len() == padded && out.shape == half);
                assert!(mask.as_ref().is_none_or(|m| mask_fits(m, half, 4)));
                assert!(full.as_ref().is_none_or(|m| m.shape == whole));
            }
            Sink::Masked { out, mask, tap } => {
                assert_eq!(out.shape, whole);
                assert!(mask.is_none_or(|m| mask_fits(m, whole, 1)));
                assert!(mask.is_some() || tap.is_some(), "the features or a mask must say where the gradient passes");
                if let Some(tap) = tap {
                    match tap.features {
                        Features::Map(map) => assert_eq!(map.shape, whole),
                        Features::First(first, pixels) => {
                            assert!(first.outputs() == self.outputs && (pixels.height, pixels.width) == (self.height, self.width));
                        }
                    }
                    assert!(tap.affine.is_none_or(|a| a.offset.len() == padded));
                    if let Some(towards) = &tap.towards {
                        let shape = towards.target.shape;
                        assert_eq!(shape.channels, self.outputs);
                        assert!(shape.height >= towards.top + self.height && shape.width >= towards.left + self.width);
                    }
                }
            }
            Sink::Plain { out } => assert_eq!(out.shape, whole),
            Sink::Pixels { out } => assert!(self.outputs == 3 && out.len() == 3 * self.height * self.width),
        }
    }

    fn claim(&self, target: &Target) {
        let across = self.width.div_ceil(4);
        let tiles = self.height.div_ceil(4) * across;
        if tiles == 0 {
            return;
        }
        let threads = rayon::current_num_threads();
        let chunks = self.outputs.div_ceil(BLOCK * CHUNK);
        let Cut { blocks, size, shares } = Cut::new(self.height, self.width, self.outputs, threads);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut scratch = Scratch::new(self, size);
            loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= blocks * shares {
                    break;
                }
                let (block, share) = (unit / shares, unit % shares);
                let (start, end) = (block * size, ((block + 1) * size).min(tiles));
                if start < end {
                    self.block(target, &mut scratch, start..end, across, share * chunks / shares..(share + 1) * chunks / shares);
                }
            }
        };
        let workers = threads.min(blocks * shares);
        if workers == 1 {
            work();
        } else {
            rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| work())));
        }
    }

    /// One block of tiles, some chunks of output channels.
    fn block(&self, target: &Target, scratch: &mut Scratch, tiles: std::ops::Range<usize>, across: usize, chunks: std::ops::Range<usize>) {
        let count = tiles.len();
        let segments = segments(&tiles, across);
        if let Some((source, filters)) = &self.source {
            scratch.v_plane = odd(filters.panels.k_blocks * count) * 16;
            for segment in &segments {
                self.load(source, filters.panels.k_blocks, scratch, *segment, count);
            }
        }
        for chunk in chunks {
            let first = chunk * CHUNK;
            let width = CHUNK.min(self.outputs.div_ceil(BLOCK) - first);
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

    /// Transforms the inputs of some tiles into V.
    fn load(&self, source: &Source, k_blocks: usize, scratch: &mut Scratch, segment: Segment, count: usize) {
        let v = scratch.v.as_mut_ptr();
        let v_plane = scratch.v_plane;
        match source {
            Source::Map(map) => {
                let load = Load {
                    source: map.data.as_ptr(),
                    shape: map.shape,
                    mask: std::ptr::null(),
                    v: Shared(v).0.wrapping_add(segment.place * 16),
                    v_block: count * 16,
                    v_plane,
                    segment,
                    height: self.height,
                    width: self.width,
                    k_blocks,
                };
                // SAFETY: the map has `k_blocks` blocks of this shape, and V has a place for every tile of the segment.
                unsafe { self.isa.run(load) };
            }
            Source::Unpooled(map, mask) => {
                let load = Load {
                    source: map.data.as_ptr(),
                    shape: map.shape,
                    mask: mask.data.as_ptr(),
                    v: v.wrapping_add(segment.place * 16),
                    v_block: count * 16,
                    v_plane,
                    segment,
                    height: self.height,
                    width: self.width,
                    k_blocks,
                };
                // SAFETY: as above; the mask has four words for each cell of the map.
                unsafe { self.isa.run(load) };
            }
            Source::First(first, pixels) => {
                for at in (0..segment.count).step_by(RUN) {
                    let tiles = RUN.min(segment.count - at);
                    let pitch = 4 * tiles + 2;
                    let local = scratch.local.as_mut_ptr();
                    // SAFETY: the scratch holds six rows of `4 RUN + 2` cells of all blocks.
                    unsafe { first_patch(first, pixels, (segment.row, segment.first + at), (6, pitch), 1, local) };
                    let load = Patches {
                        source: local,
                        pitch,
                        v: v.wrapping_add((segment.place + at) * 16),
                        v_block: count * 16,
                        v_plane,
                        tiles,
                        k_blocks,
                    };
                    // SAFETY: the patches were just written, and V has a place for every tile.
                    unsafe { self.isa.run(load) };
                }
            }
        }
    }

    /// `M = V U` for the 36 planes and one chunk of output channels.
    fn products(&self, filters: &Filters, scratch: &mut Scratch, count: usize, first: usize, width: usize) {
        let panels = &filters.panels;
        let (k, step) = (panels.k_blocks * 16, panels.panel_blocks);
        let plane_length = panels.length();
        let groups = count.div_ceil(self.isa.rows());
        let (v, m, u) = (scratch.v.as_ptr(), scratch.m.as_mut_ptr(), filters.data.as_ptr());
        for plane in 0..PLANES {
            for sub in (0..width).step_by(step) {
                let (start, blocks) = panels.panel(first + sub);
                // The panel after this one: of the same plane, or of the next.
                let (next_plane, next_sub) = if sub + step < width { (plane, sub + step) } else { (plane + 1, 0) };
                let next = panels.panel(first + next_sub).0;
                let next_lines = blocks.div_ceil(1);
                for group in 0..groups {
                    let (from, to) = (group * count / groups, (group + 1) * count / groups);
                    let prefetch = if group < next_lines {
                        u.wrapping_add(next_plane * plane_length + next + group * k * 16)
                    } else {
                        v.wrapping_add((plane + 1) * scratch.v_plane + (group - next_lines) * k * 16)
                    };
                    // SAFETY: V, U and M hold these tiles, this panel and these outputs.
                    unsafe {
                        self.isa.run(Product {
                            a: v.add(plane * scratch.v_plane + from * 16),
                            a_row: 16,
                            a_block: count * 16,
                            blocks: panels.k_blocks,
                            u: u.add(plane * plane_length + start),
                            out: m.add(plane * scratch.m_plane + from * width * 16 + sub * 16),
                            out_row: width * 16,
                            out_block: 16,
                            rows: to - from,
                            panel: blocks,
                            prefetch,
                        });
                    }
                }
            }
        }
    }

    /// The inverse transform of some tiles and what follows it.
    fn finish(&self, target: &Target, scratch: &mut Scratch, run: Segment, first: usize, width: usize) {
        let mut local = None;
        if let Some(Tap { features: Features::First(layer, pixels), .. }) = target.tap {
            let pitch = 4 * run.count;
            let cells = scratch.local.as_mut_ptr();
            // SAFETY: the scratch holds four rows of `4 RUN` cells of all blocks.
            unsafe { first_patch(layer, pixels, (run.row, run.first), (4, pitch), 0, cells) };
            local = Some((cells.cast_const(), pitch));
        }
        let features = target.tap.map(|tap| match (tap.features, local) {
            (Features::Map(map), _) => Cells {
                start: map.data.as_ptr().wrapping_add((run.row * 4 * map.shape.pitch() + run.first * 4) * BLOCK),
                pitch: map.shape.pitch(),
                plane: map.shape.plane(),
            },
            (Features::First(..), Some((start, pitch))) => Cells { start, pitch, plane: 4 * pitch },
            (Features::First(..), None) => unreachable!("relu1_1 was just computed"),
        });
        if let Some(Tap { affine: Some(affine), .. }) = target.tap {
            let features = features.expect("a tap has features");
            self.affine(target, affine, features, run, first, width);
        }
        let job = Finish {
            target,
            m: if self.source.is_some() { scratch.m.as_ptr().wrapping_add(run.place * width * 16) } else { std::ptr::null() },
            m_tile: width * 16,
            m_plane: scratch.m_plane,
            run,
            first,
            width,
            features,
            height: self.height,
            map_width: self.width,
        };
        // SAFETY: M holds these tiles; the sink's maps have the shapes that were checked, and these tiles are this worker's alone.
        unsafe { self.isa.run(job) };
    }

    /// `matrix F` of some tiles, written where the gradient goes.
    fn affine(&self, target: &Target, affine: &Affine, features: Cells, run: Segment, first: usize, width: usize) {
        let shape = target.shape;
        let rows = 4.min(self.height - run.row * 4);
        let cells = (4 * run.count).min(self.width - run.first * 4);
        let groups = cells.div_ceil(self.isa.rows());
        for sub in (0..width).step_by(affine.panels.panel_blocks) {
            let (start, blocks) = affine.panels.panel(first + sub);
            for y in 0..rows {
                let out_cell = (run.row * 4 + y) * shape.pitch() + run.first * 4 + (first + sub) * shape.plane();
                for group in 0..groups {
                    let (from, to) = (group * cells / groups, (group + 1) * cells / groups);
                    // SAFETY: the cells lie inside both maps, and are this worker's alone.
                    unsafe {
                        self.isa.run(Product {
                            a: features.start.add((y * features.pitch + from) * BLOCK),
                            a_row: BLOCK,
                            a_block: features.plane * BLOCK,
                            blocks: affine.panels.k_blocks,
                            u: affine.matrix.as_ptr().add(start),
                            out: target.out.add((out_cell + from) * BLOCK),
                            out_row: BLOCK,
                            out_block: shape.plane() * BLOCK,
                            rows: to - from,
                            panel: blocks,
                            prefetch: features.start.wrapping_add((y * features.pitch + to) * BLOCK),
                        });
                    }
                }
            }
        }
    }
}

/// How a layer's tiles are shared out.
struct Cut {
    /// Blocks of tiles.
    blocks: usize,
    /// Tiles of a block.
    size: usize,
    /// Parts of the output channels: maps too small to give every thread a block are shared by channels as well.
    shares: usize,
}

impl Cut {
    fn new(height: usize, width: usize, outputs: usize, threads: usize) -> Self {
        let tiles = height.div_ceil(4) * width.div_ceil(4);
        let chunks = outputs.div_ceil(BLOCK * CHUNK);
        let mut blocks = tiles.div_ceil(std::env::var("TILES").map_or(TILES, |t| t.parse().unwrap()));
        if blocks < 8 * threads && tiles >= 12 * threads {
            blocks = blocks.next_multiple_of(threads);
        }
        let shares = if blocks < threads { (2 * threads).div_ceil(blocks).min(chunks) } else { 1 };
        Self { blocks, size: tiles.div_ceil(blocks), shares }
    }
}

/// Bytes of the three buffers of one worker's scratch, and the number of workers, for a convolution of `inputs` channels (0: none)
/// to `outputs` channels over a map. What [`Convolution::run`] will take from its pool.
pub fn scratch_bytes(height: usize, width: usize, inputs: usize, outputs: usize, threads: usize) -> ([usize; 3], usize) {
    let cut = Cut::new(height, width, outputs, threads);
    let lengths = Scratch::lengths(inputs.div_ceil(BLOCK), outputs.div_ceil(BLOCK), cut.size);
    (lengths.map(|length| length * size_of::<f32>()), threads.min(cut.blocks * cut.shares))
}

/// A worker's own memory.
struct Scratch {
    v: super::buffer::Store<f32>,
    m: super::buffer::Store<f32>,
    local: super::buffer::Store<f32>,
    /// Values from one plane of V to the next.
    v_plane: usize,
    /// Values from one plane of M to the next.
    m_plane: usize,
}

impl Scratch {
    /// Values of V, M and the copy of relu1_1, whose channels are those of the source or of the sink.
    fn lengths(k_blocks: usize, blocks: usize, tiles: usize) -> [usize; 3] {
        let v = odd(k_blocks * tiles) * 16 * PLANES;
        let m = odd(blocks.min(CHUNK) * tiles) * 16 * PLANES;
        [if k_blocks == 0 { 0 } else { v }, if k_blocks == 0 { 0 } else { m }, k_blocks.max(blocks) * 6 * (4 * RUN + 2) * BLOCK]
    }

    fn new(job: &Convolution, tiles: usize) -> Self {
        let k_blocks = job.source.as_ref().map_or(0, |(_, f)| f.panels.k_blocks);
        let [v, m, local] = Self::lengths(k_blocks, job.outputs.div_ceil(BLOCK), tiles);
        Self { v: job.pool.take(v), m: job.pool.take(m), local: job.pool.take(local), v_plane: 0, m_plane: 0 }
    }
}

/// The next odd number: strides that are no power of two.
fn odd(n: usize) -> usize {
    n | 1
}

/// Cuts a range of tiles (in raster order) at the ends of rows.
fn segments(tiles: &std::ops::Range<usize>, across: usize) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut tile = tiles.start;
    while tile < tiles.end {
        let (row, first) = (tile / across, tile % across);
        let count = (across - first).min(tiles.end - tile);
        found.push(Segment { row, first, count, place: tile - tiles.start });
        tile += count;
    }
    found
}

/// relu1_1 of a few tiles with a border of `border` cells, zero outside the picture: `[C/16][rows][pitch][16]`.
///
/// # Safety
/// `out` must be writable for that many values.
unsafe fn first_patch(first: &First, pixels: &Pixels, tile: (usize, usize), size: (usize, usize), border: usize, out: *mut f32) {
    let ((rows, pitch), blocks) = (size, first.outputs().div_ceil(BLOCK));
    let plane = rows * pitch * BLOCK;
    let x0 = (tile.1 * 4).saturating_sub(border);
    let x1 = (tile.1 * 4 + pitch - border).min(pixels.width);
    let skip = x0 + border - tile.1 * 4;
    for row in 0..rows {
        let y = (tile.0 * 4 + row).wrapping_sub(border);
        // SAFETY: every row, cell and block lies inside the memory that the caller answers for; the cells lie in the picture.
        unsafe {
            let line = out.add(row * pitch * BLOCK);
            let inside = y < pixels.height;
            let (start, end) = if inside { (skip, skip + x1 - x0) } else { (0, 0) };
            if inside {
                first.cells(pixels, y, x0, x1 - x0, line.add(skip * BLOCK), plane);
            }
            for block in 0..blocks {
                let line = line.add(block * plane);
                std::slice::from_raw_parts_mut(line, start * BLOCK).fill(0.0);
                std::slice::from_raw_parts_mut(line.add(end * BLOCK), (pitch - end) * BLOCK).fill(0.0);
            }
        }
    }
}

/// Input transform from a map, plain or unpooled.
///
/// # Safety
/// `source` must hold `k_blocks` blocks of `shape`, `mask` (if not null) four words a cell, V a place for each tile.
struct Load {
    source: *const f32,
    shape: Shape,
    mask: *const u16,
    v: *mut f32,
    v_block: usize,
    v_plane: usize,
    segment: Segment,
    /// Size of the convolution's map, which for an unpooled source is not that of `shape`.
    height: usize,
    width: usize,
    k_blocks: usize,
}

impl Kernel for Load {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        let (pitch, plane) = (self.shape.pitch(), self.shape.plane());
        let y0 = (self.segment.row * 4) as isize - 1;
        let mut patch = [0f32; 36 * BLOCK];
        for block in 0..self.k_blocks {
            for tile in 0..self.segment.count {
                let x0 = ((self.segment.first + tile) * 4) as isize - 1;
                // SAFETY: the contract of `Load`; cells outside the map are not read.
                unsafe {
                    let target = self.v.add(block * self.v_block + tile * 16);
                    let inside = y0 >= 0 && x0 >= 0 && y0 as usize + 6 <= self.height && x0 as usize + 6 <= self.width;
                    if self.mask.is_null() {
                        let source = self.source.add(block * plane * BLOCK);
                        if inside {
                            let cell = y0 as usize * pitch + x0 as usize;
                            transform_input(s, source.add(cell * BLOCK), pitch * BLOCK, target, self.v_plane);
                            continue;
                        }
                        for (i, cell) in patch.chunks_exact_mut(BLOCK).enumerate() {
                            let (y, x) = (y0 + (i / 6) as isize, x0 + (i % 6) as isize);
                            let there = y >= 0 && x >= 0 && (y as usize) < self.height && (x as usize) < self.width;
                            if there {
                                let from = source.add((y as usize * pitch + x as usize) * BLOCK);
                                for part in (0..16).step_by(S::LANES) {
                                    s.store(cell.as_mut_ptr().add(part), s.load(from.add(part)));
                                }
                            } else {
                                cell.fill(0.0);
                            }
                        }
                    } else {
                        self.unpool(s, block, (y0, x0), &mut patch);
                    }
                    transform_input(s, patch.as_ptr(), 6 * BLOCK, target, self.v_plane);
                }
            }
        }
    }
}

impl Load {
    /// The 6x6 patch of the unpooled gradient: rows -1..5 of a tile are halves of the pooled rows -1..3.
    ///
    /// # Safety
    /// As [`Load`].
    #[inline(always)]
    unsafe fn unpool<S: Simd>(&self, s: S, block: usize, corner: (isize, isize), patch: &mut [f32; 36 * BLOCK]) {
        let (pitch, plane) = (self.shape.pitch(), self.shape.plane());
        for row in 0..4 {
            let y = (corner.0 + 1) / 2 - 1 + row;
            for column in 0..4 {
                let x = (corner.1 + 1) / 2 - 1 + column;
                let there = y >= 0 && x >= 0 && (y as usize) < self.shape.height && (x as usize) < self.shape.width;
                // SAFETY: the pooled cell is there before it is read; patch rows and columns are checked to be 0..6.
                unsafe {
                    let cell = if there { block * plane + y as usize * pitch + x as usize } else { 0 };
                    for dy in 0..2 {
                        for dx in 0..2 {
                            let (py, px) = (2 * row + dy - 1, 2 * column + dx - 1);
                            if !(0..6).contains(&py) || !(0..6).contains(&px) {
                                continue;
                            }
                            let to = patch.as_mut_ptr().add((py * 6 + px) as usize * BLOCK);
                            let bits = if there { u32::from(*self.mask.add(cell * 4 + (dy * 2 + dx) as usize)) } else { 0 };
                            for part in (0..16).step_by(S::LANES) {
                                let v = if there { s.load_bits(self.source.add(cell * BLOCK + part), bits >> part) } else { s.splat(0.0) };
                                s.store(to.add(part), v);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Input transform from bordered patches in one row.
///
/// # Safety
/// `source` must hold `[k_blocks][6][pitch][16]`, V a place for each tile.
struct Patches {
    source: *const f32,
    pitch: usize,
    v: *mut f32,
    v_block: usize,
    v_plane: usize,
    tiles: usize,
    k_blocks: usize,
}

impl Kernel for Patches {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        for block in 0..self.k_blocks {
            for tile in 0..self.tiles {
                // SAFETY: the contract of `Patches`.
                unsafe {
                    let source = self.source.add((block * 6 * self.pitch + tile * 4) * BLOCK);
                    let target = self.v.add(block * self.v_block + tile * 16);
                    transform_input(s, source, self.pitch * BLOCK, target, self.v_plane);
                }
            }
        }
    }
}

/// Cells of a map or of a worker's copy, beginning at a run's first.
#[derive(Clone, Copy)]
struct Cells {
    start: *const f32,
    pitch: usize,
    plane: usize,
}

/// Inverse transform and sink for some tiles of one row and one chunk of channels.
///
/// # Safety
/// M (if not null) must hold the tiles, and the target's maps must have the shapes that [`Convolution::check`] demands.
struct Finish<'a> {
    target: &'a Target<'a>,
    m: *const f32,
    m_tile: usize,
    m_plane: usize,
    run: Segment,
    first: usize,
    width: usize,
    features: Option<Cells>,
    height: usize,
    map_width: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        let mut y = [0f32; 16 * BLOCK];
        for block in 0..self.width {
            for tile in 0..self.run.count {
                // SAFETY: the contract of `Finish`.
                unsafe {
                    if !self.m.is_null() {
                        transform_output(s, self.m.add(tile * self.m_tile + block * 16), self.m_plane, y.as_mut_ptr());
                    }
                    match self.target.kind {
                        Kind::Relu => self.relu(s, &y, block, tile),
                        Kind::Pooled(Pool2::Max) => self.pooled::<S, true>(s, &mut y, block, tile),
                        Kind::Pooled(Pool2::Average) => self.pooled::<S, false>(s, &mut y, block, tile),
                        Kind::Masked => self.masked(s, &y, block, tile),
                        Kind::Plain => self.plain(s, &y, block, tile),
                        Kind::Pixels => self.pixels(&y, tile),
                    }
                }
            }
        }
    }
}

impl Finish<'_> {
    /// Rows and columns of a tile that lie in the map.
    fn valid(&self, tile: usize) -> (usize, usize, usize, usize) {
        let (y0, x0) = (self.run.row * 4, (self.run.first + tile) * 4);
        (y0, x0, 4.min(self.height - y0), 4.min(self.map_width - x0))
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn relu<S: Simd>(&self, s: S, y: &[f32; 16 * BLOCK], block: usize, tile: usize) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        let channel_block = self.first + block;
        // SAFETY: the caller's.
        unsafe {
            let zero = s.splat(0.0);
            for r in 0..rows {
                for c in 0..columns {
                    let cell = channel_block * shape.plane() + (y0 + r) * shape.pitch() + x0 + c;
                    let mut bits = 0;
                    for part in (0..16).step_by(S::LANES) {
                        let bias = s.load(self.target.bias.add(channel_block * 16 + part));
                        let v = s.max(zero, s.add(s.load(y.as_ptr().add((r * 4 + c) * 16 + part)), bias));
                        s.store(self.target.out.add(cell * BLOCK + part), v);
                        bits |= s.gt_bits(v, zero) << part;
                    }
                    if !self.target.mask.is_null() {
                        *self.target.mask.add(cell) = bits as u16;
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn pooled<S: Simd, const MAX: bool>(&self, s: S, y: &mut [f32; 16 * BLOCK], block: usize, tile: usize) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        let channel_block = self.first + block;
        // SAFETY: the caller's; windows that do not lie wholly in the map are dropped.
        unsafe {
            let zero = s.splat(0.0);
            for cell in y.chunks_exact_mut(BLOCK) {
                for part in (0..16).step_by(S::LANES) {
                    let bias = s.load(self.target.bias.add(channel_block * 16 + part));
                    let at = cell.as_mut_ptr().add(part);
                    s.store(at, s.max(zero, s.add(s.load(at), bias)));
                }
            }
            if !self.target.full.is_null() {
                let whole = Shape { channels: shape.channels, height: self.height, width: self.map_width };
                for r in 0..rows {
                    for c in 0..columns {
                        let cell = channel_block * whole.plane() + (y0 + r) * whole.pitch() + x0 + c;
                        let from = y.as_ptr().add((r * 4 + c) * 16);
                        std::ptr::copy_nonoverlapping(from, self.target.full.add(cell * BLOCK), BLOCK);
                    }
                }
            }
            for r in 0..rows / 2 {
                for c in 0..columns / 2 {
                    let cell = channel_block * shape.plane() + (y0 / 2 + r) * shape.pitch() + x0 / 2 + c;
                    let mut words = [0u32; 4];
                    for part in (0..16).step_by(S::LANES) {
                        let mut window = [zero; 4];
                        for (i, value) in window.iter_mut().enumerate() {
                            *value = s.load(y.as_ptr().add(((2 * r + i / 2) * 4 + 2 * c + i % 2) * 16 + part));
                        }
                        let [a, b, c, d] = window;
                        let mut taken = 0;
                        let out = if MAX { s.max(s.max(a, b), s.max(c, d)) } else { s.mul(s.splat(0.25), s.add(s.add(a, b), s.add(c, d))) };
                        for (word, value) in words.iter_mut().zip(window) {
                            let mut bits = s.gt_bits(value, zero);
                            if MAX {
                                bits &= s.eq_bits(value, out) & !taken;
                                taken |= bits;
                            }
                            *word |= bits << part;
                        }
                        s.store(self.target.out.add(cell * BLOCK + part), out);
                    }
                    if !self.target.mask.is_null() {
                        for (i, word) in words.iter().enumerate() {
                            *self.target.mask.add(cell * 4 + i) = *word as u16;
                        }
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn masked<S: Simd>(&self, s: S, y: &[f32; 16 * BLOCK], block: usize, tile: usize) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        let channel_block = self.first + block;
        let affine = self.target.tap.and_then(|tap| tap.affine);
        let towards = self.target.tap.and_then(|tap| tap.towards);
        // SAFETY: the caller's.
        unsafe {
            let zero = s.splat(0.0);
            for r in 0..rows {
                for c in 0..columns {
                    let cell = channel_block * shape.plane() + (y0 + r) * shape.pitch() + x0 + c;
                    let feature = self.features.map(|f| f.start.add((channel_block * f.plane + r * f.pitch + tile * 4 + c) * BLOCK));
                    let bits = if self.target.mask.is_null() { 0 } else { u32::from(*self.target.mask.add(cell)) };
                    for part in (0..16).step_by(S::LANES) {
                        let out = self.target.out.add(cell * BLOCK + part);
                        let mut v = s.load(y.as_ptr().add((r * 4 + c) * 16 + part));
                        if let Some(affine) = affine {
                            let offset = s.load(affine.offset.as_ptr().add(channel_block * 16 + part));
                            v = s.add(v, s.add(s.load(out), offset));
                        }
                        if let (Some(towards), Some(feature)) = (towards, feature) {
                            let map = towards.target;
                            let at = map.at(channel_block, y0 + r + towards.top, x0 + c + towards.left);
                            let wanted = s.load(map.data.as_ptr().add(at + part));
                            v = s.fma(s.splat(towards.scale), s.sub(s.load(feature.add(part)), wanted), v);
                        }
                        let passes = match feature {
                            Some(feature) if self.target.mask.is_null() => s.gt_bits(s.load(feature.add(part)), zero),
                            _ => bits >> part,
                        };
                        s.store(out, s.keep_bits(v, passes));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn plain<S: Simd>(&self, s: S, y: &[f32; 16 * BLOCK], block: usize, tile: usize) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        for r in 0..rows {
            for c in 0..columns {
                let cell = (self.first + block) * shape.plane() + (y0 + r) * shape.pitch() + x0 + c;
                for part in (0..16).step_by(S::LANES) {
                    // SAFETY: the caller's.
                    unsafe {
                        let v = s.load(y.as_ptr().add((r * 4 + c) * 16 + part));
                        s.store(self.target.out.add(cell * BLOCK + part), v);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn pixels(&self, y: &[f32; 16 * BLOCK], tile: usize) {
        let (y0, x0, rows, columns) = self.valid(tile);
        for channel in 0..3 {
            for r in 0..rows {
                for c in 0..columns {
                    let at = ((2 - channel) * self.height + y0 + r) * self.map_width + x0 + c;
                    // SAFETY: the caller's.
                    unsafe { *self.target.out.add(at) = 255.0 * y[(r * 4 + c) * 16 + channel] };
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
    assert!(small.channels == map.shape.channels && small.height == map.shape.height / 2 && small.width == map.shape.width / 2);
    for block in 0..small.blocks() {
        for y in 0..small.height {
            for x in 0..small.width {
                let cell = pooled.at(block, y, x);
                for i in 0..4 {
                    let bits = mask.data[cell / BLOCK * 4 + i];
                    let to = map.at(block, 2 * y + i / 2, 2 * x + i % 2);
                    for lane in 0..BLOCK {
                        if bits >> lane & 1 == 1 {
                            map.data[to + lane] += pooled.data[cell + lane];
                        }
                    }
                }
            }
        }
    }
}
