//! How a TIFF stores its pixels, from the fields of its directory (TIFF 6.0; Adobe's technotes).

use std::io::{Read, Seek};

use super::Problem;
use super::fields::{Compression, Fields, Photometric, Predictor, UNPACK, tag};
use crate::image::ColourKind;
use crate::image::assemble::Alpha;
use crate::image::colour::Model;
use crate::image::ifd::{Directory, Reader};

/// Bytes that the places of strips or tiles may take.
const PLACES_BYTES: u64 = 64 << 20;

/// A command that writes out strips and tiles that were left out because they are black.
const FILL: &str = "write them out first, for example: gdal_translate {} picture.tif";

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
        let compression = fields.compression()?;
        let photometric = fields.photometric(samples, compression)?;
        let (bits, float) = fields.depth()?;
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
            predictor: fields.predictor(compression, bits, float)?,
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
            layout.palette = fields.palette(bits)?;
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
        // A writer that is stopped, or that leaves out what is black, states no place and no bytes.
        let empty = |(offset, length): &(&u64, &u64)| **offset == 0 && **length == 0;
        match offsets.iter().zip(&lengths).filter(empty).count() {
            0 => {}
            count if count == offsets.len() => {
                return Err(Problem::damaged(
                    "it holds no pixels: all of its strips or tiles have 0 bytes; save the picture again with the program that made it",
                ));
            }
            count => {
                let what = format!("{count} of {} strips or tiles without bytes", offsets.len());
                return Err(Problem::unsupported(what, FILL));
            }
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
