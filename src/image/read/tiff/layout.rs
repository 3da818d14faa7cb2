//! How a TIFF stores its pixels, from the fields of its directory (TIFF 6.0; Adobe's technotes).

use std::io::{Read, Seek};

use super::Problem;
use crate::image::ColourKind;
use crate::image::assemble::Alpha;
use crate::image::colour::Model;
use crate::image::ifd::{Directory, Reader};

/// Bytes that the places of strips or tiles may take.
const PLACES_BYTES: u64 = 64 << 20;

/// A command that unpacks what libtiff does.
const UNPACK: &str = "unpack it first, for example: tiffcp -c lzw {} picture.tif";

/// A command that makes RGB of most kinds.
const TO_SRGB: &str = "convert it first, for example: vips colourspace {} picture.tif srgb";

mod tag {
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

/// How pixels are stored.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub size: (u32, u32),
    pub photometric: Photometric,
    pub alpha: Alpha,
    /// Bits of a sample.
    pub bits: u32,
    pub float: bool,
    /// Samples that are stored for a pixel.
    pub samples: usize,
    /// Whether each sample has strips or tiles of its own.
    pub planar: bool,
    pub big_endian: bool,
    /// Whether the bits of packed bytes come in reverse.
    pub reversed: bool,
    pub compression: Compression,
    pub predictor: Predictor,
    /// Colours by index, 0..1; empty without a palette.
    pub palette: Vec<[f32; 3]>,
    /// Tables for all strips or tiles of JPEG.
    pub jpeg_tables: Vec<u8>,
    pub tiled: bool,
    /// Width and height of a strip or tile.
    pub chunk: (u32, u32),
    /// Where each strip or tile is and how long; for planes one after the other.
    pub places: Vec<(u64, u64)>,
}

impl Layout {
    pub fn read<R: Read + Seek>(
        reader: &mut Reader<R>,
        directory: &Directory,
    ) -> Result<Self, Problem> {
        let mut fields = Fields { reader, directory };
        let size = (fields.size(tag::WIDTH)?, fields.size(tag::HEIGHT)?);
        if size.0 == 0 || size.1 == 0 {
            return Err(Problem::ZeroSized(size));
        }
        let samples = usize::try_from(fields.number(tag::SAMPLES, 1)).unwrap_or(usize::MAX);
        let compression = compression(&mut fields)?;
        let photometric = photometric(&mut fields, samples, compression)?;
        let (bits, float) = depth(&mut fields)?;
        let mut layout = Layout {
            size,
            photometric,
            alpha: Alpha::None,
            bits,
            float,
            samples,
            planar: fields.number(tag::PLANAR, 1) == 2,
            big_endian: fields.reader.big_endian,
            reversed: fields.number(tag::FILL_ORDER, 1) == 2,
            compression,
            predictor: predictor(&mut fields, compression, bits, float)?,
            palette: Vec::new(),
            jpeg_tables: Vec::new(),
            tiled: false,
            chunk: size,
            places: Vec::new(),
        };
        let colours = layout.colours();
        if !(colours..=256).contains(&samples) {
            return Err(Problem::damaged(format!("{samples} samples for {colours} colours")));
        }
        if samples > colours && photometric != Photometric::Palette {
            layout.alpha = match fields.number(tag::EXTRA_SAMPLES, 0) {
                1 => Alpha::Associated,
                2 => Alpha::Straight,
                _ => Alpha::None,
            };
        }
        if photometric == Photometric::Palette {
            layout.palette = palette(&mut fields, bits)?;
        }
        if compression == Compression::Jpeg {
            layout.jpeg_tables = fields.jpeg_tables();
            if bits != 8 {
                return Err(Problem::unsupported(format!("{bits}-bit JPEG compression"), UNPACK));
            }
        }
        layout.find_chunks(&mut fields)?;
        Ok(layout)
    }

    /// Samples of a pixel that are colours.
    pub fn colours(&self) -> usize {
        match self.photometric {
            Photometric::WhiteIsZero | Photometric::BlackIsZero | Photometric::Palette => 1,
            Photometric::Rgb | Photometric::LumaChroma => 3,
            Photometric::Cmyk => 4,
        }
    }

    /// Samples of a pixel that are colours or alpha: the first ones.
    pub fn wanted(&self) -> usize {
        self.colours() + usize::from(self.alpha != Alpha::None)
    }

    pub fn kind(&self) -> ColourKind {
        match self.photometric {
            Photometric::WhiteIsZero | Photometric::BlackIsZero => ColourKind::Grey,
            Photometric::Palette => ColourKind::Palette,
            Photometric::Rgb | Photometric::LumaChroma => ColourKind::Rgb,
            Photometric::Cmyk => ColourKind::Cmyk,
        }
    }

    /// What the pixels are once they are unpacked.
    pub fn model(&self) -> Model {
        match self.kind() {
            ColourKind::Grey => Model::Grey,
            ColourKind::Cmyk => Model::Cmyk,
            ColourKind::Rgb | ColourKind::Palette => Model::Rgb,
        }
    }

    /// Samples of a pixel in one strip or tile.
    pub fn together(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a strip or tile, unpacked.
    pub fn row_bytes(&self) -> u64 {
        (u64::from(self.chunk.0) * self.together() as u64 * u64::from(self.bits)).div_ceil(8)
    }

    /// Strips or tiles side by side, and one below the other.
    pub fn grid(&self) -> (u32, u32) {
        (self.size.0.div_ceil(self.chunk.0), self.size.1.div_ceil(self.chunk.1))
    }

    /// Rows that are stored of a strip or tile in row `down` of the grid: tiles are stored whole,
    /// strips as far as the picture goes.
    pub fn rows(&self, down: u32) -> u32 {
        if self.tiled {
            self.chunk.1
        } else {
            self.chunk.1.min(self.size.1.saturating_sub(down.saturating_mul(self.chunk.1)))
        }
    }

    fn find_chunks<R: Read + Seek>(&mut self, fields: &mut Fields<R>) -> Result<(), Problem> {
        self.tiled = fields.directory.find(tag::TILE_WIDTH).is_some();
        let (places, lengths) = if self.tiled {
            self.chunk = (fields.size(tag::TILE_WIDTH)?, fields.size(tag::TILE_HEIGHT)?);
            // Some writers give tiles under the strips' names.
            ([tag::TILE_OFFSETS, tag::STRIP_OFFSETS], [tag::TILE_LENGTHS, tag::STRIP_LENGTHS])
        } else {
            let rows = fields.number(tag::ROWS_PER_STRIP, u64::from(self.size.1));
            self.chunk.1 = u32::try_from(rows).unwrap_or(u32::MAX).min(self.size.1);
            ([tag::STRIP_OFFSETS, tag::TILE_OFFSETS], [tag::STRIP_LENGTHS, tag::TILE_LENGTHS])
        };
        if self.chunk.0 == 0 || self.chunk.1 == 0 {
            return Err(Problem::damaged("strips or tiles without pixels"));
        }
        let (across, down) = self.grid();
        let planes = if self.planar { self.samples as u64 } else { 1 };
        let needed = (u64::from(across) * u64::from(down)).saturating_mul(planes);
        let mut numbers = |tags: [u16; 2]| {
            let entry = tags.into_iter().find_map(|tag| fields.directory.find(tag))?;
            fields.reader.numbers(&entry, PLACES_BYTES)
        };
        let offsets = numbers(places).unwrap_or_default();
        let lengths = numbers(lengths).unwrap_or_default();
        if (offsets.len() as u64) < needed {
            let reason = format!("{} strips or tiles where {needed} are needed", offsets.len());
            return Err(Problem::damaged(reason));
        }
        let (file, whole) = (fields.reader.length(), self.row_bytes());
        let mut sorted = offsets.clone();
        sorted.sort_unstable();
        let stated = lengths.len() >= offsets.len();
        self.places = (0u32..)
            .zip(&offsets)
            .map(|(i, offset)| {
                // What is not stated reaches to the next strip or tile, or is what it has to be.
                let next = sorted[sorted.partition_point(|other| other <= offset)..].first();
                let most = next.copied().unwrap_or(file).max(*offset) - offset;
                let rows = self.rows(i / across % down);
                let length = match lengths.get(i as usize) {
                    Some(length) if stated && *length > 0 => *length,
                    _ if self.compression == Compression::None => whole * u64::from(rows),
                    _ => most,
                };
                (*offset, length.min(file.saturating_sub(*offset)))
            })
            .collect();
        Ok(())
    }
}

/// The fields of a directory, read on demand.
struct Fields<'a, R> {
    reader: &'a mut Reader<R>,
    directory: &'a Directory,
}

impl<R: Read + Seek> Fields<'_, R> {
    fn number(&mut self, tag: u16, default: u64) -> u64 {
        let entry = self.directory.find(tag);
        entry.and_then(|e| self.reader.first_number(&e)).unwrap_or(default)
    }

    fn numbers(&mut self, tag: u16) -> Vec<u64> {
        let entry = self.directory.find(tag);
        entry.and_then(|e| self.reader.numbers(&e, 1 << 20)).unwrap_or_default()
    }

    /// A width or height.
    fn size(&mut self, tag: u16) -> Result<u32, Problem> {
        u32::try_from(self.number(tag, 0))
            .map_err(|_| Problem::damaged("a width or height that cannot be"))
    }

    /// The segments of the tables, without the markers around them.
    fn jpeg_tables(&mut self) -> Vec<u8> {
        let entry = self.directory.find(tag::JPEG_TABLES);
        let tables = entry.and_then(|e| self.reader.bytes(&e, 1 << 20)).unwrap_or_default();
        let tables = tables.strip_prefix(b"\xff\xd8").unwrap_or(&tables);
        tables.strip_suffix(b"\xff\xd9").unwrap_or(tables).to_vec()
    }
}

fn compression<R: Read + Seek>(fields: &mut Fields<R>) -> Result<Compression, Problem> {
    let number = fields.number(tag::COMPRESSION, 1);
    let name = match number {
        1 => return Ok(Compression::None),
        3 if fields.number(tag::GROUP_3_OPTIONS, 0) & 1 == 0 => return Ok(Compression::Group3),
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

fn photometric<R: Read + Seek>(
    fields: &mut Fields<R>,
    samples: usize,
    compression: Compression,
) -> Result<Photometric, Problem> {
    let default = if samples >= 3 { 2 } else { 1 };
    let refuse = |what: &str| Err(Problem::unsupported(what, TO_SRGB));
    match fields.number(tag::PHOTOMETRIC, default) {
        0 => Ok(Photometric::WhiteIsZero),
        1 => Ok(Photometric::BlackIsZero),
        2 => Ok(Photometric::Rgb),
        3 => Ok(Photometric::Palette),
        5 if fields.number(tag::INK_SET, 1) == 1 => Ok(Photometric::Cmyk),
        5 => refuse("inks other than CMYK"),
        6 if compression == Compression::Jpeg || fields.numbers(tag::SUBSAMPLING) == [1, 1] => {
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
fn depth<R: Read + Seek>(fields: &mut Fields<R>) -> Result<(u32, bool), Problem> {
    let all = fields.numbers(tag::BITS);
    let bits = all.first().copied().unwrap_or(1);
    if all.iter().any(|other| *other != bits) {
        return Err(Problem::unsupported("channels of different depths", TO_SRGB));
    }
    let float = match fields.number(tag::SAMPLE_FORMAT, 1) {
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

fn predictor<R: Read + Seek>(
    fields: &mut Fields<R>,
    compression: Compression,
    bits: u32,
    float: bool,
) -> Result<Predictor, Problem> {
    if !matches!(compression, Compression::Lzw | Compression::Deflate | Compression::Zstandard) {
        return Ok(Predictor::None);
    }
    match fields.number(tag::PREDICTOR, 1) {
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
fn palette<R: Read + Seek>(fields: &mut Fields<R>, bits: u32) -> Result<Vec<[f32; 3]>, Problem> {
    let (values, count) = (fields.numbers(tag::PALETTE), 1usize << bits.min(16));
    if bits > 16 || values.len() < 3 * count {
        return Err(Problem::damaged("its palette is too small"));
    }
    let top = if values.iter().all(|v| *v < 256) { 255.0 } else { 65535.0 };
    let value = |i: usize| values[i] as f32 / top;
    Ok((0..count).map(|i| [value(i), value(count + i), value(2 * count + i)]).collect())
}
