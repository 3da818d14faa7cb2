//! TIFF and BigTIFF by strips: TIFF 6.0, Adobe's Deflate (8) and technote 2's differencing, BigTIFF (libtiff.org).
//!
//! Strips are packed side by side on rayon's threads and written in order; the directory follows them. The container
//! is written here because the tiff crate leaves strips unpacked while tagging them as packed (0.11.3).

use std::io::{self, Seek, SeekFrom, Write};

use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use weezl::BitOrder;

use super::{Compression, Job, RowSink, SOFTWARE};
use crate::files::AtomicFile;
use crate::image::exif::ratio;

/// Bytes of an unpacked strip, about: large enough to pack well, small enough to hold one for each thread.
const STRIP_BYTES: usize = 1 << 18;

/// From this many bytes of pixels on, offsets need 64 bits; short of 4 GiB because packing can make noise longer.
const BIG_BYTES: u64 = 3_900 << 20;

mod kind {
    pub const BYTE: u16 = 1;
    pub const ASCII: u16 = 2;
    pub const SHORT: u16 = 3;
    pub const LONG: u16 = 4;
    pub const RATIONAL: u16 = 5;
    pub const UNDEFINED: u16 = 7;
    pub const LONG8: u16 = 16;
}

struct TiffSink {
    job: Job,
    file: AtomicFile,
    big: bool,
    rows_per_strip: usize,
    /// Unpacked bytes of the strips being gathered: whole ones first, a growing one last.
    strips: Vec<Vec<u8>>,
    rows_in_last: usize,
    batch: usize,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
    position: u64,
}

/// Whether a picture gets 64-bit offsets.
fn is_big(job: &Job) -> bool {
    let bytes = u64::from(job.width) * u64::from(job.height) * row_sample_bytes(job);
    let extras = job.icc.len() + job.encoding.xmp.as_ref().map_or(0, Vec::len) + job.encoding.recipe.len();
    bytes.saturating_add(extras as u64) > BIG_BYTES
}

fn row_sample_bytes(job: &Job) -> u64 {
    job.channels as u64 * u64::from(job.encoding.bit_depth / 8)
}

pub(super) fn start(job: Job, mut file: AtomicFile) -> io::Result<Box<dyn RowSink>> {
    let big = is_big(&job);
    let row = usize::try_from(u64::from(job.width) * row_sample_bytes(&job)).map_err(io::Error::other)?;
    let rows_per_strip = (STRIP_BYTES / row).clamp(1, job.height as usize);
    // The first directory's offset is filled in at the end.
    let header: &[u8] = if big { b"II\x2b\0\x08\0\0\0\0\0\0\0\0\0\0\0" } else { b"II\x2a\0\0\0\0\0" };
    file.write_all(header)?;
    Ok(Box::new(TiffSink {
        file,
        big,
        rows_per_strip,
        strips: Vec::new(),
        rows_in_last: 0,
        batch: rayon::current_num_threads().clamp(1, 16),
        offsets: Vec::new(),
        lengths: Vec::new(),
        position: header.len() as u64,
        job,
    }))
}

impl RowSink for TiffSink {
    fn write(&mut self, row: &[u16]) -> io::Result<()> {
        if self.rows_in_last == 0 {
            self.strips.push(Vec::with_capacity(STRIP_BYTES));
        }
        let (channels, sixteen) = (self.job.channels, self.job.encoding.bit_depth == 16);
        let difference = self.job.encoding.compression != Compression::None;
        let strip = self.strips.last_mut().expect("a strip was just begun");
        for (i, v) in row.iter().enumerate() {
            let before = if difference && i >= channels { row[i - channels] } else { 0 };
            let v = v.wrapping_sub(before);
            if sixteen { strip.extend(v.to_le_bytes()) } else { strip.push(v as u8) }
        }
        self.rows_in_last += 1;
        if self.rows_in_last == self.rows_per_strip {
            self.rows_in_last = 0;
            if self.strips.len() >= self.batch {
                self.flush_strips()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<AtomicFile> {
        self.flush_strips()?;
        let at = self.write_directory()?;
        if self.big {
            self.file.seek(SeekFrom::Start(8))?;
            self.file.write_all(&at.to_le_bytes())?;
        } else {
            let at = u32::try_from(at).map_err(|_| io::Error::other("the picture outgrew a classic TIFF"))?;
            self.file.seek(SeekFrom::Start(4))?;
            self.file.write_all(&at.to_le_bytes())?;
        }
        Ok(self.file)
    }
}

impl TiffSink {
    fn flush_strips(&mut self) -> io::Result<()> {
        let strips = std::mem::take(&mut self.strips);
        let compression = self.job.encoding.compression;
        let packed: Vec<Vec<u8>> = strips.into_par_iter().map(|s| pack(s, compression)).collect::<io::Result<_>>()?;
        for strip in packed {
            self.offsets.push(self.position);
            self.lengths.push(strip.len() as u64);
            self.put(&strip)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Starts a value or directory on an even offset, as TIFF asks.
    fn align(&mut self) -> io::Result<()> {
        if self.position % 2 == 1 { self.put(&[0]) } else { Ok(()) }
    }

    /// Writes the directory's values and then the directory. Returns its offset.
    fn write_directory(&mut self) -> io::Result<u64> {
        let fields = self.fields();
        let (inline, count_size) = if self.big { (8, 8) } else { (4, 4) };
        let mut table = Vec::new();
        if self.big {
            table.extend((fields.len() as u64).to_le_bytes());
        } else {
            table.extend((fields.len() as u16).to_le_bytes());
        }
        for field in fields {
            table.extend(field.tag.to_le_bytes());
            table.extend(field.kind.to_le_bytes());
            table.extend(&(field.count as u64).to_le_bytes()[..count_size]);
            let mut value = field.bytes;
            if value.len() > inline {
                self.align()?;
                let at = self.position;
                self.put(&value)?;
                value = at.to_le_bytes().to_vec();
            }
            value.resize(inline, 0);
            table.extend(&value[..inline]);
        }
        table.extend(&[0u8; 8][..inline]);
        self.align()?;
        let at = self.position;
        self.put(&table)?;
        Ok(at)
    }

    /// The directory's fields in the order of their tags.
    fn fields(&self) -> Vec<Field> {
        let (job, encoding) = (&self.job, &self.job.encoding);
        let channels = job.channels as u16;
        let (compression, predictor) = match encoding.compression {
            Compression::None => (1, 1),
            Compression::Lzw => (5, 2),
            Compression::Deflate => (8, 2),
        };
        let mut fields = vec![
            Field::long(254, 0),
            Field::long(256, job.width),
            Field::long(257, job.height),
            Field::shorts(258, &vec![u16::from(encoding.bit_depth); job.channels]),
            Field::shorts(259, &[compression]),
            Field::shorts(262, &[2]),
            self.places(273, &self.offsets),
            Field::shorts(274, &[1]),
            Field::shorts(277, &[channels]),
            Field::long(278, self.rows_per_strip as u32),
            self.places(279, &self.lengths),
            Field::shorts(284, &[1]),
            Field::text(305, SOFTWARE),
            Field::shorts(317, &[predictor]),
            Field::raw(34675, kind::UNDEFINED, &job.icc),
        ];
        if !encoding.recipe.is_empty() {
            fields.push(Field::text(270, &encoding.recipe));
        }
        if let Some(dpi) = encoding.dpi {
            fields.extend([Field::rational(282, dpi), Field::rational(283, dpi), Field::shorts(296, &[2])]);
        }
        if job.channels == 4 {
            fields.push(Field::shorts(338, &[2]));
        }
        if let Some(xmp) = &encoding.xmp {
            fields.push(Field::raw(700, kind::BYTE, xmp));
        }
        fields.sort_by_key(|f| f.tag);
        fields
    }

    /// Offsets or lengths, as wide as the file's kind has them.
    fn places(&self, tag: u16, values: &[u64]) -> Field {
        let (kind, width) = if self.big { (kind::LONG8, 8) } else { (kind::LONG, 4) };
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()[..width].to_vec()).collect();
        Field { tag, kind, count: values.len(), bytes }
    }
}

/// One field of a directory: its values as they lie in the file.
struct Field {
    tag: u16,
    kind: u16,
    count: usize,
    bytes: Vec<u8>,
}

impl Field {
    fn shorts(tag: u16, values: &[u16]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Field { tag, kind: kind::SHORT, count: values.len(), bytes }
    }

    fn long(tag: u16, value: u32) -> Self {
        Field { tag, kind: kind::LONG, count: 1, bytes: value.to_le_bytes().to_vec() }
    }

    fn rational(tag: u16, value: f64) -> Self {
        let (n, d) = ratio(value);
        let bytes = [n.to_le_bytes(), d.to_le_bytes()].concat();
        Field { tag, kind: kind::RATIONAL, count: 1, bytes }
    }

    /// Text ends with a zero, and so holds none.
    fn text(tag: u16, text: &str) -> Self {
        let mut bytes: Vec<u8> = text.bytes().filter(|b| *b != 0).collect();
        bytes.push(0);
        Field { tag, kind: kind::ASCII, count: bytes.len(), bytes }
    }

    fn raw(tag: u16, kind: u16, bytes: &[u8]) -> Self {
        Field { tag, kind, count: bytes.len(), bytes: bytes.to_vec() }
    }
}

fn pack(strip: Vec<u8>, compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(strip),
        Compression::Lzw => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(&strip).map_err(io::Error::other),
        Compression::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::with_capacity(strip.len() / 2), flate2::Compression::new(6));
            encoder.write_all(&strip)?;
            encoder.finish()
        }
    }
}
