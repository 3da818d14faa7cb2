//! On the way out: the inverse transform and what follows it.

use super::super::isa::Kernel;
use super::super::map::{CHANNEL_BLOCK, Shape};
use super::super::pooling::Pooling;
use super::super::product::Product;
use super::super::simd::Simd;
use super::super::winograd::transform_output;
use super::cut::{Scratch, Segment};
use super::load::first_patch;
use super::{Affine, Convolution, Features, STREAMED, SinkKind, Tap, Target};

impl Convolution<'_> {
    /// The inverse transform of some tiles and what follows it.
    pub(super) fn finish(
        &self,
        target: &Target,
        scratch: &mut Scratch,
        run: Segment,
        first: usize,
        width: usize,
    ) {
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
                start: map.data.as_ptr().wrapping_add(
                    (run.row * 4 * map.shape.pitch() + run.first * 4) * CHANNEL_BLOCK,
                ),
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
        // What `affine` wrote lies in the cache already.
        let stream = target.shape.map_bytes() >= STREAMED
            && target.tap.is_none_or(|tap| tap.affine.is_none());
        let job = Finish {
            target,
            m: if self.source.is_some() {
                scratch.m.as_ptr().wrapping_add(run.place * width * 16)
            } else {
                std::ptr::null()
            },
            m_tile: width * 16,
            m_plane: scratch.m_plane,
            run,
            first,
            width,
            features,
            height: self.height,
            map_width: self.width,
            stream,
        };
        // SAFETY: M holds these tiles; the sink's maps have the shapes that were checked, and these
        // tiles are this worker's alone.
        unsafe { self.isa.run(job) };
    }

    /// `matrix F` of some tiles, written where the gradient goes.
    fn affine(
        &self,
        target: &Target,
        affine: &Affine,
        features: Cells,
        run: Segment,
        first: usize,
        width: usize,
    ) {
        let shape = target.shape;
        let rows = 4.min(self.height - run.row * 4);
        let cells = (4 * run.count).min(self.width - run.first * 4);
        let groups = cells.div_ceil(self.isa.rows());
        for sub in (0..width).step_by(affine.panels.panel_blocks) {
            let (start, blocks) = affine.panels.panel(first + sub);
            for y in 0..rows {
                let out_cell = (run.row * 4 + y) * shape.pitch()
                    + run.first * 4
                    + (first + sub) * shape.plane();
                for group in 0..groups {
                    let (from, to) = (group * cells / groups, (group + 1) * cells / groups);
                    // SAFETY: the cells lie inside both maps, and are this worker's alone.
                    unsafe {
                        self.isa.run(Product {
                            a: features.start.add((y * features.pitch + from) * CHANNEL_BLOCK),
                            a_row: CHANNEL_BLOCK,
                            a_block: features.plane * CHANNEL_BLOCK,
                            blocks: affine.panels.k_blocks,
                            u: affine.matrix.as_ptr().add(start),
                            out: target.out.add((out_cell + from) * CHANNEL_BLOCK),
                            out_row: CHANNEL_BLOCK,
                            out_block: shape.plane() * CHANNEL_BLOCK,
                            rows: to - from,
                            panel: blocks,
                            prefetch: [features
                                .start
                                .wrapping_add((y * features.pitch + to) * CHANNEL_BLOCK);
                                2],
                        });
                    }
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
/// M (if not null) must hold the tiles, and the target's maps must have the shapes that
/// [`Convolution::check`] demands.
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
    /// Whether to write past the caches.
    stream: bool,
}

impl Kernel for Finish<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self, s: S) {
        let mut y = [0f32; 16 * CHANNEL_BLOCK];
        for block in 0..self.width {
            for tile in 0..self.run.count {
                // SAFETY: the contract of `Finish`.
                unsafe {
                    if !self.m.is_null() {
                        transform_output(
                            s,
                            self.m.add(tile * self.m_tile + block * 16),
                            self.m_plane,
                            y.as_mut_ptr(),
                        );
                    }
                    match self.target.kind {
                        SinkKind::Relu => self.relu(s, &y, block, tile),
                        SinkKind::Pooled(Pooling::Max) => {
                            self.pooled::<S, true>(s, &mut y, block, tile)
                        }
                        SinkKind::Pooled(Pooling::Average) => {
                            self.pooled::<S, false>(s, &mut y, block, tile)
                        }
                        SinkKind::Masked => self.masked(s, &y, block, tile),
                        SinkKind::Plain => self.plain(s, &y, block, tile),
                        SinkKind::Pixels => self.pixels(&y, tile),
                    }
                }
            }
        }
        if self.stream {
            // SAFETY: no pointers.
            unsafe { s.settle() };
        }
    }
}

impl Finish<'_> {
    /// Rows and columns of a tile that lie in the map.
    fn valid(&self, tile: usize) -> (usize, usize, usize, usize) {
        let (y0, x0) = (self.run.row * 4, (self.run.first + tile) * 4);
        (y0, x0, 4.min(self.height - y0), 4.min(self.map_width - x0))
    }

    /// Writes a part of a cell.
    ///
    /// # Safety
    /// As [`Finish`]. Maps begin at a cache line, and so does each of their cells.
    #[inline(always)]
    unsafe fn put<S: Simd>(&self, s: S, at: *mut f32, v: S::F) {
        // SAFETY: the caller's.
        unsafe { if self.stream { s.stream(at, v) } else { s.store(at, v) } }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn relu<S: Simd>(&self, s: S, y: &[f32; 16 * CHANNEL_BLOCK], block: usize, tile: usize) {
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
                        let v = s.max(
                            zero,
                            s.add(s.load(y.as_ptr().add((r * 4 + c) * 16 + part)), bias),
                        );
                        self.put(s, self.target.out.add(cell * CHANNEL_BLOCK + part), v);
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
    unsafe fn pooled<S: Simd, const MAX: bool>(
        &self,
        s: S,
        y: &mut [f32; 16 * CHANNEL_BLOCK],
        block: usize,
        tile: usize,
    ) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        let channel_block = self.first + block;
        // SAFETY: the caller's; windows that do not lie wholly in the map are dropped.
        unsafe {
            let zero = s.splat(0.0);
            for cell in y.chunks_exact_mut(CHANNEL_BLOCK) {
                for part in (0..16).step_by(S::LANES) {
                    let bias = s.load(self.target.bias.add(channel_block * 16 + part));
                    let at = cell.as_mut_ptr().add(part);
                    s.store(at, s.max(zero, s.add(s.load(at), bias)));
                }
            }
            if !self.target.full.is_null() {
                let whole =
                    Shape { channels: shape.channels, height: self.height, width: self.map_width };
                for r in 0..rows {
                    for c in 0..columns {
                        let cell =
                            channel_block * whole.plane() + (y0 + r) * whole.pitch() + x0 + c;
                        let from = y.as_ptr().add((r * 4 + c) * 16);
                        std::ptr::copy_nonoverlapping(
                            from,
                            self.target.full.add(cell * CHANNEL_BLOCK),
                            CHANNEL_BLOCK,
                        );
                    }
                }
            }
            for r in 0..rows / 2 {
                for c in 0..columns / 2 {
                    let cell =
                        channel_block * shape.plane() + (y0 / 2 + r) * shape.pitch() + x0 / 2 + c;
                    let mut words = [0u32; 4];
                    for part in (0..16).step_by(S::LANES) {
                        let mut window = [zero; 4];
                        for (i, value) in window.iter_mut().enumerate() {
                            *value = s.load(
                                y.as_ptr().add(((2 * r + i / 2) * 4 + 2 * c + i % 2) * 16 + part),
                            );
                        }
                        let [a, b, c, d] = window;
                        let mut taken = 0;
                        let out = if MAX {
                            s.max(s.max(a, b), s.max(c, d))
                        } else {
                            s.mul(s.splat(0.25), s.add(s.add(a, b), s.add(c, d)))
                        };
                        for (word, value) in words.iter_mut().zip(window) {
                            let mut bits = s.gt_bits(value, zero);
                            if MAX {
                                bits &= s.eq_bits(value, out) & !taken;
                                taken |= bits;
                            }
                            *word |= bits << part;
                        }
                        self.put(s, self.target.out.add(cell * CHANNEL_BLOCK + part), out);
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
    unsafe fn masked<S: Simd>(
        &self,
        s: S,
        y: &[f32; 16 * CHANNEL_BLOCK],
        block: usize,
        tile: usize,
    ) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        let channel_block = self.first + block;
        let affine = self.target.tap.and_then(|tap| tap.affine);
        let difference = self.target.tap.and_then(|tap| tap.difference);
        // SAFETY: the caller's.
        unsafe {
            let zero = s.splat(0.0);
            for r in 0..rows {
                for c in 0..columns {
                    let cell = channel_block * shape.plane() + (y0 + r) * shape.pitch() + x0 + c;
                    let feature = self.features.map(|f| {
                        f.start.add(
                            (channel_block * f.plane + r * f.pitch + tile * 4 + c) * CHANNEL_BLOCK,
                        )
                    });
                    let bits = if self.target.mask.is_null() {
                        0
                    } else {
                        u32::from(*self.target.mask.add(cell))
                    };
                    for part in (0..16).step_by(S::LANES) {
                        let out = self.target.out.add(cell * CHANNEL_BLOCK + part);
                        let mut v = s.load(y.as_ptr().add((r * 4 + c) * 16 + part));
                        if let Some(affine) = affine {
                            let offset =
                                s.load(affine.offset.as_ptr().add(channel_block * 16 + part));
                            v = s.add(v, s.add(s.load(out), offset));
                        }
                        if let (Some(difference), Some(feature)) = (difference, feature) {
                            let map = difference.target;
                            let at = map.at(
                                channel_block,
                                y0 + r + difference.top,
                                x0 + c + difference.left,
                            );
                            let wanted = s.load(map.data.as_ptr().add(at + part));
                            v = s.fma(
                                s.splat(difference.scale),
                                s.sub(s.load(feature.add(part)), wanted),
                                v,
                            );
                        }
                        let passes = match feature {
                            Some(feature) if self.target.mask.is_null() => {
                                s.gt_bits(s.load(feature.add(part)), zero)
                            }
                            _ => bits >> part,
                        };
                        self.put(s, out, s.keep_bits(v, passes));
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn plain<S: Simd>(
        &self,
        s: S,
        y: &[f32; 16 * CHANNEL_BLOCK],
        block: usize,
        tile: usize,
    ) {
        let (y0, x0, rows, columns) = self.valid(tile);
        let shape = self.target.shape;
        for r in 0..rows {
            for c in 0..columns {
                let cell = (self.first + block) * shape.plane() + (y0 + r) * shape.pitch() + x0 + c;
                for part in (0..16).step_by(S::LANES) {
                    // SAFETY: the caller's.
                    unsafe {
                        let v = s.load(y.as_ptr().add((r * 4 + c) * 16 + part));
                        self.put(s, self.target.out.add(cell * CHANNEL_BLOCK + part), v);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As [`Finish`].
    #[inline(always)]
    unsafe fn pixels(&self, y: &[f32; 16 * CHANNEL_BLOCK], tile: usize) {
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
