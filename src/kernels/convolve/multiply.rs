//! In the middle: 36 matrix products for each block of tiles and 64 output channels.

use super::super::map::CHANNEL_BLOCK;
use super::super::product::Product;
use super::super::product16::Product16;
use super::super::winograd::{Data, Filters, PLANES};
use super::Convolution;
use super::cut::Scratch;

/// Where one micro-kernel reads and writes: values from the start of V and U.
struct Place {
    v: usize,
    u: usize,
    out: *mut f32,
    rows: usize,
    panel: usize,
    /// What is wanted next of V, and of U.
    next_v: usize,
    next_u: usize,
}

impl Convolution<'_> {
    /// `M = V U` for the 36 planes and one chunk of output channels.
    pub(super) fn products(
        &self,
        filters: &Filters,
        scratch: &mut Scratch,
        count: usize,
        first: usize,
        width: usize,
    ) {
        match &filters.data {
            Data::Float32(u) => {
                let (v, u) = (scratch.v.as_ptr(), u.as_ptr());
                self.each_product(filters, scratch, (count, first, width), |p| {
                    // SAFETY: V, U and M hold these tiles, this panel and these outputs.
                    unsafe {
                        self.isa.run(Product {
                            a: v.add(p.v),
                            a_row: CHANNEL_BLOCK,
                            a_block: count * CHANNEL_BLOCK,
                            blocks: filters.panels.k_blocks,
                            u: u.add(p.u),
                            out: p.out,
                            out_row: width * CHANNEL_BLOCK,
                            out_block: CHANNEL_BLOCK,
                            rows: p.rows,
                            panel: p.panel,
                            prefetch: [u.wrapping_add(p.next_u), v.wrapping_add(p.next_v)],
                        });
                    }
                });
            }
            Data::Bfloat16(u) => {
                let (v, u) = (scratch.v.as_ptr().cast::<u16>(), u.as_ptr());
                self.each_product(filters, scratch, (count, first, width), |p| {
                    // SAFETY: as above; V was written as 16-bit numbers.
                    unsafe {
                        let product = Product16 {
                            a: v.add(p.v),
                            a_row: CHANNEL_BLOCK,
                            a_block: count * CHANNEL_BLOCK,
                            blocks: filters.panels.k_blocks,
                            u: u.add(p.u),
                            out: p.out,
                            out_row: width * CHANNEL_BLOCK,
                            out_block: CHANNEL_BLOCK,
                            rows: p.rows,
                            panel: p.panel,
                            prefetch: [u.wrapping_add(p.next_u), v.wrapping_add(p.next_v)],
                        };
                        product.run(self.isa);
                    }
                });
            }
        }
    }

    /// Calls `work` for every micro-kernel of a chunk, planes outermost.
    fn each_product(
        &self,
        filters: &Filters,
        scratch: &mut Scratch,
        chunk: (usize, usize, usize),
        work: impl Fn(Place),
    ) {
        let (count, first, width) = chunk;
        let panels = &filters.panels;
        let (k, step) = (panels.k_blocks * CHANNEL_BLOCK, panels.panel_blocks);
        let plane_length = panels.length();
        let groups = count.div_ceil(self.isa.rows());
        let m = scratch.m.as_mut_ptr();
        for plane in 0..PLANES {
            for sub in (0..width).step_by(step) {
                let (start, blocks) = panels.panel(first + sub);
                // The panel after this one: of the same plane, or of the next.
                let (next_plane, next_sub) =
                    if sub + step < width { (plane, sub + step) } else { (plane + 1, 0) };
                let next = next_plane * plane_length + panels.panel(first + next_sub).0;
                for group in 0..groups {
                    let (from, to) = (group * count / groups, (group + 1) * count / groups);
                    work(Place {
                        v: plane * scratch.v_plane + from * CHANNEL_BLOCK,
                        u: plane * plane_length + start,
                        out: m.wrapping_add(
                            plane * scratch.m_plane + (from * width + sub) * CHANNEL_BLOCK,
                        ),
                        rows: to - from,
                        panel: blocks,
                        next_v: (plane + 1) * scratch.v_plane + group * k * CHANNEL_BLOCK / 2,
                        next_u: next + group * k * CHANNEL_BLOCK / 2,
                    });
                }
            }
        }
    }
}
