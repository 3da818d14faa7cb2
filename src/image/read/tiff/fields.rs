//! The fields of a TIFF's directory that say how its pixels are stored, each with what is not read of
//! it (TIFF 6.0; Adobe's technotes).

use std::io::{Read, Seek};

use super::Problem;
use crate::image::ifd::{Directory, Reader};

/// A command that unpacks what libtiff does.
pub(super) const UNPACK: &str = "unpack it first, for example: tiffcp -c lzw {} picture.tif";

/// A command that makes RGB of most kinds.
const TO_SRGB: &str = "convert it first, for example: vips colourspace {} picture.tif srgb";

pub(super) mod tag {
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_LENGTHS: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const GROUP_3_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const PALETTE: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_LENGTHS: u16 = 325;
    pub const INK_SET: u16 = 332;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const SUBSAMPLING: u16 = 530;
}

/// What packs strips and tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstandard,
    Jpeg,
    /// Fax, one dimension.
    Group3,
    /// Fax, two dimensions.
    Group4,
}

/// What is stored in place of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Differences to the pixel on the left.
    Difference,
    /// The same of floats' bytes, most significant ones first.
    FloatingPoint,
}

/// What a pixel's colours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    /// Luma and two chromas.
    LumaChroma,
}

/// The fields of a directory, read on demand.
pub(super) struct Fields<'a, R> {
    pub reader: &'a mut Reader<R>,
    pub directory: &'a Directory,
}

impl<R: Read + Seek> Fields<'_, R> {
    pub fn number(&mut self, tag: u16, default: u64) -> u64 {
        let entry = self.directory.find(tag);
        entry.and_then(|e| self.reader.first_number(&e)).unwrap_or(default)
    }

    pub fn numbers(&mut self, tag: u16) -> Vec<u64> {
        let entry = self.directory.find(tag);
        entry.and_then(|e| self.reader.numbers(&e, 1 << 20)).unwrap_or_default()
    }

    /// A width or height.
    pub fn size(&mut self, tag: u16) -> Result<u32, Problem> {
        u32::try_from(self.number(tag, 0))
            .map_err(|_| Problem::damaged("a width or height that cannot be"))
    }

    /// The segments of the tables, without the markers around them.
    pub fn jpeg_tables(&mut self) -> Vec<u8> {
        let entry = self.directory.find(tag::JPEG_TABLES);
        let tables = entry.and_then(|e| self.reader.bytes(&e, 1 << 20)).unwrap_or_default();
        let tables = tables.strip_prefix(b"\xff\xd8").unwrap_or(&tables);
        tables.strip_suffix(b"\xff\xd9").unwrap_or(tables).to_vec()
    }

    pub fn compression(&mut self) -> Result<Compression, Problem> {
        let number = self.number(tag::COMPRESSION, 1);
        let name = match number {
            1 => return Ok(Compression::None),
            3 if self.number(tag::GROUP_3_OPTIONS, 0) & 1 == 0 => return Ok(Compression::Group3),
            4 => return Ok(Compression::Group4),
            5 => return Ok(Compression::Lzw),
            7 => return Ok(Compression::Jpeg),
            8 | 32946 => return Ok(Compression::Deflate),
            32773 => return Ok(Compression::PackBits),
            50000 => return Ok(Compression::Zstandard),
            2 => "fax",
            3 => "two-dimensional fax (group 3)",
            6 => "old-style JPEG",
            32809 => "ThunderScan",
            32908 | 32909 => "PixarLog",
            33003 | 33005 | 34712 => "JPEG 2000",
            34661 => "JBIG",
            34676 | 34677 => "SGI Log",
            34887 => "LERC",
            34892 => "lossy JPEG of a DNG",
            34925 => "LZMA",
            50001 => "WebP",
            50002 | 52546 => "JPEG XL",
            _ => "",
        };
        let what = match name {
            "" => format!("compression number {number}"),
            name => format!("{name} compression"),
        };
        Err(Problem::unsupported(what, UNPACK))
    }

    pub fn photometric(
        &mut self,
        samples: usize,
        compression: Compression,
    ) -> Result<Photometric, Problem> {
        let default = if samples >= 3 { 2 } else { 1 };
        let refuse = |what: &str| Err(Problem::unsupported(what, TO_SRGB));
        match self.number(tag::PHOTOMETRIC, default) {
            0 => Ok(Photometric::WhiteIsZero),
            1 => Ok(Photometric::BlackIsZero),
            2 => Ok(Photometric::Rgb),
            3 => Ok(Photometric::Palette),
            5 if self.number(tag::INK_SET, 1) == 1 => Ok(Photometric::Cmyk),
            5 => refuse("inks other than CMYK"),
            6 if compression == Compression::Jpeg || self.numbers(tag::SUBSAMPLING) == [1, 1] => {
                Ok(Photometric::LumaChroma)
            }
            6 => Err(Problem::unsupported(
                "subsampled YCbCr pixels",
                "convert it first, for example: tiff2rgba {} picture.tif",
            )),
            8..=10 => refuse("Lab pixels"),
            32803 | 34892 => Err(Problem::Raw),
            32844 | 32845 => refuse("logarithmic pixels (LogLuv)"),
            number => refuse(&format!("pixels of photometric interpretation {number}")),
        }
    }

    /// Bits of a sample, and whether it is a float.
    pub fn depth(&mut self) -> Result<(u32, bool), Problem> {
        let all = self.numbers(tag::BITS);
        let bits = all.first().copied().unwrap_or(1);
        if all.iter().any(|other| *other != bits) {
            return Err(Problem::unsupported("channels of different depths", TO_SRGB));
        }
        let float = match self.number(tag::SAMPLE_FORMAT, 1) {
            1 | 4 => false,
            2 => {
                return Err(Problem::unsupported(
                    "signed integers",
                    "convert it first, for example: vips cast {} picture.tif ushort",
                ));
            }
            3 => true,
            _ => return Err(Problem::unsupported("complex numbers", TO_SRGB)),
        };
        match (bits, float) {
            (1..=32 | 64, false) | (16 | 24 | 32 | 64, true) => Ok((bits as u32, float)),
            _ => {
                let kind = if float { "floats" } else { "integers" };
                Err(Problem::unsupported(format!("{kind} of {bits} bits"), TO_SRGB))
            }
        }
    }

    pub fn predictor(
        &mut self,
        compression: Compression,
        bits: u32,
        float: bool,
    ) -> Result<Predictor, Problem> {
        if !matches!(compression, Compression::Lzw | Compression::Deflate | Compression::Zstandard)
        {
            return Ok(Predictor::None);
        }
        match self.number(tag::PREDICTOR, 1) {
            1 => Ok(Predictor::None),
            2 if matches!(bits, 8 | 16 | 32 | 64) => Ok(Predictor::Difference),
            3 if float => Ok(Predictor::FloatingPoint),
            number => {
                let what = format!("predictor {number} for samples of {bits} bits");
                Err(Problem::unsupported(what, UNPACK))
            }
        }
    }

    /// The colours of a palette, 0..1. Some writers use eight of the sixteen bits.
    pub fn palette(&mut self, bits: u32) -> Result<Vec<[f32; 3]>, Problem> {
        let (values, count) = (self.numbers(tag::PALETTE), 1usize << bits.min(16));
        if bits > 16 || values.len() < 3 * count {
            return Err(Problem::damaged("its palette is too small"));
        }
        let top = if values.iter().all(|v| *v < 256) { 255.0 } else { 65535.0 };
        let value = |i: usize| values[i] as f32 / top;
        Ok((0..count).map(|i| [value(i), value(count + i), value(2 * count + i)]).collect())
    }
}
