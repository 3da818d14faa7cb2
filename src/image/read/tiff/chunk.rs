//! Strips and tiles: unpacking them, and making numbers of their bytes.

use std::convert::Infallible;
use std::io::{Cursor, ErrorKind, Read};

use fax::decoder::{DecodeStatus, Group3Decoder, Group4Decoder};
use half::f16;

use super::fields::{Compression, Photometric, Predictor};
use super::layout::Layout;
use super::{Problem, jpeg};

/// Unpacks a strip or tile of `rows` rows: [`Layout::row_bytes`] for each.
pub(super) fn unpack(layout: &Layout, mut packed: Vec<u8>, rows: u32) -> Result<Vec<u8>, Problem> {
    let size = usize::try_from(layout.row_bytes() * u64::from(rows))
        .map_err(|_| Problem::damaged("a strip or tile of impossible size"))?;
    if layout.reversed && layout.compression != Compression::Jpeg {
        packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
    }
    let mut out = vec![0u8; if layout.compression == Compression::None { 0 } else { size }];
    match layout.compression {
        Compression::None => {
            out = packed;
            if out.len() < size {
                return Err(Problem::Io(ErrorKind::UnexpectedEof.into()));
            }
            out.truncate(size);
        }
        Compression::Lzw => unpack_lzw(&packed, &mut out)?,
        Compression::Deflate => {
            flate2::read::ZlibDecoder::new(Cursor::new(packed)).read_exact(&mut out)?;
        }
        Compression::PackBits => unpack_packbits(&packed, &mut out)?,
        Compression::Zstandard => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(Cursor::new(packed))
                .map_err(|e| Problem::damaged(e.to_string()))?;
            decoder.read_exact(&mut out)?;
        }
        Compression::Jpeg => jpeg::strip(layout, &packed, rows, &mut out)?,
        Compression::Group3 | Compression::Group4 => unpack_fax(layout, &packed, &mut out)?,
    }
    Ok(out)
}

/// Unpacks until `to` is full. An end code is not asked for.
fn unpack_lzw(packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let (mut read, mut written) = (0, 0);
    while written < to.len() {
        let result = decoder.decode_bytes(&packed[read..], &mut to[written..]);
        (read, written) = (read + result.consumed_in, written + result.consumed_out);
        match result.status {
            Ok(weezl::LzwStatus::Ok) => {}
            // The data ends before the chunk does.
            Ok(weezl::LzwStatus::NoProgress | weezl::LzwStatus::Done) if written < to.len() => {
                return Err(Problem::Io(ErrorKind::UnexpectedEof.into()));
            }
            Ok(_) => {}
            Err(error) => return Err(Problem::damaged(error.to_string())),
        }
    }
    Ok(())
}

/// Runs of bytes (TIFF 6.0, section 9).
fn unpack_packbits(mut packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let short = || Problem::Io(ErrorKind::UnexpectedEof.into());
    let mut written = 0;
    while written < to.len() {
        let (code, rest) = packed.split_first().ok_or_else(short)?;
        packed = rest;
        let left = to.len() - written;
        match code {
            0..=127 => {
                let (run, rest) =
                    packed.split_at_checked(usize::from(*code) + 1).ok_or_else(short)?;
                let fits = run.len().min(left);
                to[written..written + fits].copy_from_slice(&run[..fits]);
                (packed, written) = (rest, written + fits);
            }
            128 => {}
            129..=255 => {
                let (byte, rest) = packed.split_first().ok_or_else(short)?;
                let fits = (257 - usize::from(*code)).min(left);
                to[written..written + fits].fill(*byte);
                (packed, written) = (rest, written + fits);
            }
        }
    }
    Ok(())
}

/// Fax: a set bit for each black pixel.
fn unpack_fax(layout: &Layout, packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let (width, row_bytes) = (layout.chunk.0, layout.row_bytes() as usize);
    if layout.bits != 1 || layout.together() != 1 {
        return Err(Problem::damaged("fax compression of more than one bit a pixel"));
    }
    let bytes = packed.iter().map(|byte| Ok::<u8, Infallible>(*byte));
    let short = || Problem::Io(ErrorKind::UnexpectedEof.into());
    if layout.compression == Compression::Group4 {
        let mut decoder = Group4Decoder::new(bytes, width).map_err(|_| short())?;
        for line in to.chunks_exact_mut(row_bytes) {
            if !matches!(decoder.advance(), Ok(DecodeStatus::Incomplete)) {
                return Err(short());
            }
            draw(decoder.transition(), width, line);
        }
    } else {
        let mut decoder = Group3Decoder::new(bytes).map_err(|_| short())?;
        for line in to.chunks_exact_mut(row_bytes) {
            // The last line need not be followed by the mark at which each one ends.
            let ended = decoder.advance().is_ok();
            if !ended && decoder.transitions().last() != Some(&width) {
                return Err(short());
            }
            draw(decoder.transitions(), width, line);
        }
    }
    Ok(())
}

/// Sets a line's black pixels, between the places where colours change.
fn draw(transitions: &[u32], width: u32, line: &mut [u8]) {
    for (x, colour) in fax::decoder::pels(transitions, width).enumerate() {
        if colour == fax::Color::Black {
            line[x / 8] |= 0x80 >> (x % 8);
        }
    }
}

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
        self.values.clear();
        self.values.extend(Values { row, bits, big_endian, at: 0 }.take(pixels * together));
        if predictor == Predictor::Difference {
            for i in together..self.values.len() {
                self.values[i] = self.values[i].wrapping_add(self.values[i - together]);
            }
        }
        let top = u64::MAX >> (64 - bits);
        to.extend(self.values.iter().map(|v| {
            let v = v & top;
            match (float, bits) {
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
    fn lzw_needs_all_of_its_data_and_no_end_code() {
        let values: Vec<u8> = (0..5000u32).map(|i| (i * i / 7 % 251) as u8).collect();
        let packed = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(&values)
            .unwrap();
        let mut out = vec![0; values.len()];
        for missing in 0..2 {
            out.fill(0);
            unpack_lzw(&packed[..packed.len() - missing], &mut out).unwrap();
            assert_eq!(out, values, "{missing} bytes missing");
        }
        let error = unpack_lzw(&packed[..packed.len() - 40], &mut out).unwrap_err();
        assert!(matches!(error, Problem::Io(e) if e.kind() == ErrorKind::UnexpectedEof));
    }

    #[test]
    fn packbits_are_runs() {
        // The example of TIFF 6.0, section 9.
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7,
            0xaa,
        ];
        let mut out = [0; 24];
        unpack_packbits(&packed, &mut out).unwrap();
        assert_eq!(out[..9], [0xaa, 0xaa, 0xaa, 0x80, 0, 0x2a, 0xaa, 0xaa, 0xaa]);
        assert!(unpack_packbits(&packed[..14], &mut out).is_err());
    }

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
