//! Strips and tiles of a TIFF that the tiff crate does not unpack as the format has them (0.11.3):
//! LZW without an end code, which libtiff and with it everyone reads, and differencing across extra
//! channels, as in Photoshop's files with a saved selection.

use std::io::{Read, Seek, SeekFrom};

use tiff::decoder::DecodingResult;
use tiff::tags::{ByteOrder, Tag};

use super::tiff::{FileDecoder, Layout};

/// TIFF's numbers of ways to pack.
const LZW: u16 = 5;
const DEFLATE: [u16; 2] = [8, 32946];

/// Kinds of numbers that are unpacked here.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Unsigned8,
    Unsigned16,
    Unsigned32,
    Float32,
}

impl Kind {
    fn bytes(self) -> usize {
        match self {
            Kind::Unsigned8 => 1,
            Kind::Unsigned16 => 2,
            Kind::Unsigned32 | Kind::Float32 => 4,
        }
    }
}

/// Where a TIFF's chunks are and how they are packed.
pub(super) struct Chunks {
    lzw: bool,
    differenced: bool,
    kind: Kind,
    big_endian: bool,
    /// Channels that a chunk stores for a pixel.
    stored: usize,
    /// Channels of those that are wanted: the first ones.
    wanted: usize,
    /// Width of a stored row, px.
    width: usize,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

impl Chunks {
    /// The chunks, when this module is the one to unpack them.
    pub(super) fn find(decoder: &mut FileDecoder<'_>, layout: &Layout) -> Option<Self> {
        let mut number = |tag: Tag, default: u16| match decoder.find_tag_unsigned::<u16>(tag) {
            Ok(value) => Some(value.unwrap_or(default)),
            Err(_) => None,
        };
        let (compression, predictor) = (number(Tag::Compression, 1)?, number(Tag::Predictor, 1)?);
        let samples = usize::from(number(Tag::SamplesPerPixel, 1)?);
        let extra = samples > layout.channels && !layout.planar && predictor == 2;
        if !(compression == LZW || extra && DEFLATE.contains(&compression))
            || !matches!(predictor, 1 | 2)
        {
            return None;
        }
        let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok()?;
        let float = match format.as_deref().and_then(|all| all.first()).unwrap_or(&1) {
            1 => false,
            3 => true,
            _ => return None,
        };
        let kind = match (layout.bits, float) {
            (8, false) => Kind::Unsigned8,
            (16, false) => Kind::Unsigned16,
            (32, false) => Kind::Unsigned32,
            (32, true) if predictor == 1 => Kind::Float32,
            _ => return None,
        };
        let mut places = |tags: [Tag; 2]| {
            tags.into_iter()
                .find_map(|tag| decoder.find_tag_unsigned_vec::<u64>(tag).ok().flatten())
        };
        let offsets = places([Tag::TileOffsets, Tag::StripOffsets])?;
        let lengths = places([Tag::TileByteCounts, Tag::StripByteCounts])?;
        let (stored, wanted) = if layout.planar { (1, 1) } else { (samples, layout.channels) };
        let (width, big_endian) =
            (decoder.chunk_dimensions().0 as usize, decoder.byte_order() == ByteOrder::BigEndian);
        Some(Chunks {
            lzw: compression == LZW,
            differenced: predictor == 2,
            kind,
            big_endian,
            stored,
            wanted,
            width,
            offsets,
            lengths,
        })
    }

    /// The wanted channels of chunk `index`: `rows` rows, of each its first `used` pixels.
    pub(super) fn read(
        &self,
        decoder: &mut FileDecoder<'_>,
        index: usize,
        used: usize,
        rows: usize,
    ) -> std::io::Result<DecodingResult> {
        let short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let (offset, length) = (
            *self.offsets.get(index).ok_or_else(short)?,
            *self.lengths.get(index).ok_or_else(short)?,
        );
        let file = decoder.inner();
        file.seek(SeekFrom::Start(offset))?;
        let row = self.width * self.stored * self.kind.bytes();
        let mut bytes = vec![0u8; row * rows];
        if self.lzw {
            unpack_lzw(&mut file.take(length), &mut bytes)?;
        } else {
            flate2::read::ZlibDecoder::new(file.take(length)).read_exact(&mut bytes)?;
        }
        let mut values = Values::new(self.kind, used * rows * self.wanted);
        for row in bytes.chunks_exact(row) {
            self.row(row, used, &mut values);
        }
        Ok(values.finish())
    }

    /// One row: differences summed up over all stored channels, the wanted ones kept.
    fn row(&self, row: &[u8], used: usize, values: &mut Values) {
        let size = self.kind.bytes();
        let mut sums = vec![0u32; self.stored];
        for pixel in row.chunks_exact(self.stored * size).take(used) {
            for (channel, (bytes, sum)) in pixel.chunks_exact(size).zip(&mut sums).enumerate() {
                let fold = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
                let value = if self.big_endian {
                    bytes.iter().fold(0, fold)
                } else {
                    bytes.iter().rev().fold(0, fold)
                };
                // Wider than the number: what is beyond its bits is cut off when it is kept.
                *sum = if self.differenced { sum.wrapping_add(value) } else { value };
                if channel < self.wanted {
                    values.push(*sum);
                }
            }
        }
    }
}

/// Unpacks until `to` is full. An end code is not asked for.
fn unpack_lzw(from: &mut dyn Read, to: &mut [u8]) -> std::io::Result<()> {
    let mut packed = Vec::new();
    from.read_to_end(&mut packed)?;
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
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok(_) => {}
            Err(error) => return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, error)),
        }
    }
    Ok(())
}

/// Numbers of one kind being gathered.
enum Values {
    Unsigned8(Vec<u8>),
    Unsigned16(Vec<u16>),
    Unsigned32(Vec<u32>),
    Float32(Vec<f32>),
}

impl Values {
    fn new(kind: Kind, capacity: usize) -> Self {
        match kind {
            Kind::Unsigned8 => Values::Unsigned8(Vec::with_capacity(capacity)),
            Kind::Unsigned16 => Values::Unsigned16(Vec::with_capacity(capacity)),
            Kind::Unsigned32 => Values::Unsigned32(Vec::with_capacity(capacity)),
            Kind::Float32 => Values::Float32(Vec::with_capacity(capacity)),
        }
    }

    fn push(&mut self, value: u32) {
        match self {
            Values::Unsigned8(values) => values.push(value as u8),
            Values::Unsigned16(values) => values.push(value as u16),
            Values::Unsigned32(values) => values.push(value),
            Values::Float32(values) => values.push(f32::from_bits(value)),
        }
    }

    fn finish(self) -> DecodingResult {
        match self {
            Values::Unsigned8(values) => DecodingResult::U8(values),
            Values::Unsigned16(values) => DecodingResult::U16(values),
            Values::Unsigned32(values) => DecodingResult::U32(values),
            Values::Float32(values) => DecodingResult::F32(values),
        }
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
            unpack_lzw(&mut &packed[..packed.len() - missing], &mut out).unwrap();
            assert_eq!(out, values, "{missing} bytes missing");
        }
        let error = unpack_lzw(&mut &packed[..packed.len() - 40], &mut out).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    }
}
