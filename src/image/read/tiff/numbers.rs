//! Making numbers of the bytes of strips and tiles, and colours of the numbers.

use half::f16;

use super::fields::{Photometric, Predictor};
use super::layout::Layout;

/// Makes numbers of rows: what it needs for one is kept for the next.
pub(super) struct Numbers<'a> {
    layout: &'a Layout,
    values: Vec<u64>,
    bytes: Vec<u8>,
}

impl<'a> Numbers<'a> {
    pub fn new(layout: &'a Layout) -> Self {
        Numbers { layout, values: Vec::new(), bytes: Vec::new() }
    }

    /// A row of a strip or tile as numbers 0..1 (floats as they are): those of the first `pixels`
    /// pixels, all samples that are stored together.
    pub fn row(&mut self, row: &[u8], pixels: usize, to: &mut Vec<f32>) {
        let Layout { bits, float, big_endian, predictor, .. } = *self.layout;
        let together = self.layout.together();
        let width = bits.div_ceil(8) as usize;
        let row = if predictor == Predictor::FloatingPoint {
            self.unshuffle(row, width, together);
            self.bytes.as_slice()
        } else {
            row
        };
        // Floats that were taken apart come together big-endian.
        let big_endian = big_endian || predictor == Predictor::FloatingPoint;
        let count = pixels * together;
        self.values.clear();
        match bits {
            8 => self.values.extend(row.iter().map(|v| u64::from(*v)).take(count)),
            16 => {
                let order = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
                let numbers = row.chunks_exact(2).map(|b| u64::from(order([b[0], b[1]])));
                self.values.extend(numbers.take(count));
            }
            _ => self.values.extend(Values { row, bits, big_endian, at: 0 }.take(count)),
        }
        if predictor == Predictor::Difference {
            for i in together..self.values.len() {
                self.values[i] = self.values[i].wrapping_add(self.values[i - together]);
            }
        }
        let top = u64::MAX >> (64 - bits);
        to.extend(self.values.iter().map(|v| {
            let v = v & top;
            match (float, bits) {
                (false, ..=16) => v as f32 / top as f32,
                (false, _) => (v as f64 / top as f64) as f32,
                (true, 16) => f16::from_bits(v as u16).to_f32(),
                (true, 24) => float_24(v as u32),
                (true, 32) => f32::from_bits(v as u32),
                (true, _) => f64::from_bits(v) as f32,
            }
        }));
    }

    /// Undoes the predictor of floats: sums up bytes, and puts those of a number, which lie a
    /// row's length apart, together (Adobe's TIFF technote 3).
    fn unshuffle(&mut self, row: &[u8], width: usize, together: usize) {
        let mut sums = row.to_vec();
        for i in together..sums.len() {
            sums[i] = sums[i].wrapping_add(sums[i - together]);
        }
        let count = sums.len() / width;
        self.bytes.clear();
        self.bytes.extend(
            (0..count).flat_map(|i| (0..width).map(move |b| b * count + i)).map(|at| sums[at]),
        );
    }
}

/// Numbers of some bits each, one after the other: whole bytes in the file's order, others packed
/// from the highest bit on.
struct Values<'a> {
    row: &'a [u8],
    bits: u32,
    big_endian: bool,
    /// Bits read.
    at: usize,
}

impl Iterator for Values<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (first, end) = (self.at / 8, (self.at + self.bits as usize).div_ceil(8));
        let bytes = self.row.get(first..end)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let whole = self.bits.is_multiple_of(8);
        let value = if whole && !self.big_endian {
            bytes.iter().rev().fold(0, fold)
        } else {
            bytes.iter().fold(0, fold)
        };
        self.at += self.bits as usize;
        let below = end * 8 - self.at;
        Some(if whole { value } else { value >> below & ((1 << self.bits) - 1) })
    }
}

/// A float of 24 bits: a sign, seven of exponent, sixteen of fraction.
fn float_24(v: u32) -> f32 {
    let (sign, exponent, fraction) = (v >> 23 & 1, v >> 16 & 0x7f, v & 0xffff);
    let magnitude = match exponent {
        0 => fraction as f32 / 65536.0 * 2f32.powi(-62),
        0x7f => return f32::NAN,
        _ => (1.0 + fraction as f32 / 65536.0) * 2f32.powi(exponent as i32 - 63),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

/// Turns a pixel's stored colours into those of its model.
pub(super) fn colours(layout: &Layout, pixel: &[f32], to: &mut Vec<f32>) {
    match layout.photometric {
        Photometric::WhiteIsZero => {
            to.push(1.0 - pixel[0]);
            to.extend(&pixel[1..]);
        }
        Photometric::Palette => {
            let last = layout.palette.len() - 1;
            let index = (f64::from(pixel[0]) * last as f64).round() as usize;
            to.extend(layout.palette[index.min(last)]);
        }
        Photometric::LumaChroma => {
            let (y, cb, cr) = (pixel[0], pixel[1] - 128.0 / 255.0, pixel[2] - 128.0 / 255.0);
            // Rec. 601 over the full range, as in JFIF.
            to.extend([y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]);
            to.extend(&pixel[3..]);
        }
        _ => to.extend(pixel),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_across_bytes() {
        let values =
            |row, bits, big_endian| Values { row, bits, big_endian, at: 0 }.collect::<Vec<u64>>();
        assert_eq!(values(&[0x12, 0x34, 0x56], 12, false), [0x123, 0x456]);
        assert_eq!(values(&[0b1010_0000], 1, true)[..4], [1, 0, 1, 0]);
        assert_eq!(values(&[0x12, 0x34], 16, false), [0x3412]);
        assert_eq!(values(&[0x12, 0x34], 16, true), [0x1234]);
        assert_eq!(float_24(0x3f_8000), 1.5);
    }
}
