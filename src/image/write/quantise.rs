//! From floats to integers: rounding, and dithering for eight bits.

use crate::image::colour::unit;

/// Makes integers of a row; deterministic, a pixel's noise depends on its place, its channel and
/// the seed alone.
pub(crate) struct Quantiser {
    top: f32,
    dither: bool,
    seed: u64,
}

impl Quantiser {
    pub(crate) fn new(bit_depth: u8, dither: bool, seed: u64) -> Self {
        let top = if bit_depth == 16 { 65535.0 } else { 255.0 };
        Quantiser { top, dither: dither && bit_depth == 8, seed }
    }

    /// `pixels` interleaved RGB 0..1; with `alpha` the result is RGBA. Alpha is rounded, never
    /// dithered, so that opaque stays opaque.
    pub(crate) fn row(&self, pixels: &[f32], alpha: Option<&[f32]>, y: u32) -> Vec<u16> {
        let mut out = Vec::with_capacity(pixels.len() + alpha.map_or(0, <[f32]>::len));
        for (x, pixel) in pixels.chunks_exact(3).enumerate() {
            for (c, v) in pixel.iter().enumerate() {
                let scaled = v * self.top;
                let shift = if self.dither { noise(x as u32, y, c as u32, self.seed) } else { 0.5 };
                out.push((scaled + shift).floor() as u16);
            }
            if let Some(alpha) = alpha {
                out.push((unit(alpha[x]) * self.top + 0.5) as u16);
            }
        }
        out
    }
}

/// Uniform in 1/512 .. 511/512: wide enough that means are kept, narrow enough that a value which
/// eight bits hold exactly, and the rounding error of its float, never changes.
pub(crate) fn noise(x: u32, y: u32, channel: u32, seed: u64) -> f32 {
    let mut h = seed ^ (u64::from(x) | u64::from(y) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    h = (h ^ (h >> 32) ^ u64::from(channel)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h = (h ^ (h >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let unit = (h >> 40) as f32 / (1u64 << 24) as f32;
    (1.0 + 510.0 * unit) / 512.0
}
