//! TIFF and BigTIFF by strips: TIFF 6.0, Adobe's Deflate (8) and technote 2's differencing, BigTIFF
//! (libtiff.org).
//!
//! Strips are packed side by side on rayon's threads and written in order; the directory follows
//! them. The container is written here because the tiff crate leaves strips unpacked while tagging
//! them as packed (0.11.3).

use std::io::{self, Seek, SeekFrom, Write};

use flate2::write::ZlibEncoder;
use rayon::prelude::*;
use weezl::BitOrder;

use super::{Compression, Job, RowSink, SOFTWARE};
use crate::files::AtomicFile;
use crate::image::exif::{Groups, tag};
use crate::image::ifd::{Appender, Field, kind};

/// Bytes of an unpacked strip, about: large enough to pack well, small enough to hold one for each
/// thread.
const STRIP_BYTES: usize = 1 << 18;

/// From this many bytes on, offsets get 64 bits. Short of the 4 GiB that 32 bits reach, because not
/// every reader does well near the end of them.
const BIG_BYTES: u64 = 3 << 30;

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
    // Noise grows when it is packed: a code of 9 to 12 bits for every byte is LZW's worst.
    let worst = if job.encoding.compression == Compression::Lzw {
        bytes.saturating_mul(3) / 2
    } else {
        bytes
    };
    worst > BIG_BYTES
}

fn row_sample_bytes(job: &Job) -> u64 {
    job.channels as u64 * u64::from(job.encoding.bit_depth / 8)
}

pub(super) fn start(job: Job, mut file: AtomicFile) -> io::Result<Box<dyn RowSink>> {
    let big = is_big(&job);
    let row =
        usize::try_from(u64::from(job.width) * row_sample_bytes(&job)).map_err(io::Error::other)?;
    let rows_per_strip = (STRIP_BYTES / row).clamp(1, job.height as usize);
    // The first directory's offset is filled in at the end.
    let header: &[u8] =
        if big { b"II\x2b\0\x08\0\0\0\0\0\0\0\0\0\0\0" } else { b"II\x2a\0\0\0\0\0" };
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
        let strip = self.strips.last_mut().expect("a strip was pushed above");
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
            let at = u32::try_from(at)
                .map_err(|_| io::Error::other("the picture outgrew a classic TIFF"))?;
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
        let packed: Vec<Vec<u8>> =
            strips.into_par_iter().map(|s| pack(s, compression)).collect::<io::Result<_>>()?;
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

    /// Writes the photograph's directories and then the picture's own. Returns its offset.
    fn write_directory(&mut self) -> io::Result<u64> {
        let mut fields = self.fields();
        let groups = self.job.encoding.exif.as_deref().map(Groups::from_blob).unwrap_or_default();
        let mut appender = Appender { out: &mut self.file, position: self.position, big: self.big };
        let carried = groups.with_directories(&mut appender)?;
        let caption =
            carried.iter().find(|f| f.tag == tag::IMAGE_DESCRIPTION).and_then(Field::as_text);
        let recipe = &self.job.encoding.recipe;
        fields.extend(carried.into_iter().filter(|f| f.tag != tag::IMAGE_DESCRIPTION));
        // The photographer's caption stays first; catalogues show its first line.
        match caption.filter(|c| !c.is_empty()) {
            Some(caption) if recipe.is_empty() => {
                fields.push(Field::text(tag::IMAGE_DESCRIPTION, &caption))
            }
            Some(caption) => {
                fields.push(Field::text(tag::IMAGE_DESCRIPTION, &format!("{caption}\n{recipe}")))
            }
            None if !recipe.is_empty() => fields.push(Field::text(tag::IMAGE_DESCRIPTION, recipe)),
            None => {}
        }
        appender.directory(fields)
    }

    /// The fields about the pixels and their file.
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
            Field::places(273, &self.offsets, self.big),
            Field::shorts(274, &[1]),
            Field::shorts(277, &[channels]),
            Field::long(278, self.rows_per_strip as u32),
            Field::places(279, &self.lengths, self.big),
            Field::shorts(284, &[1]),
            Field::text(305, SOFTWARE),
            Field::raw(34675, kind::UNDEFINED, &job.icc),
        ];
        if predictor != 1 {
            fields.push(Field::shorts(317, &[predictor]));
        }
        if let Some(dpi) = encoding.dpi {
            fields.extend([
                Field::rational(282, dpi),
                Field::rational(283, dpi),
                Field::shorts(296, &[2]),
            ]);
        }
        if job.channels == 4 {
            fields.push(Field::shorts(338, &[2]));
        }
        if let Some(xmp) = &encoding.xmp {
            fields.push(Field::raw(700, kind::BYTE, xmp));
        }
        fields
    }
}

fn pack(strip: Vec<u8>, compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(strip),
        Compression::Lzw => weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8)
            .encode(&strip)
            .map_err(io::Error::other),
        Compression::Deflate => {
            let mut encoder =
                ZlibEncoder::new(Vec::with_capacity(strip.len() / 2), flate2::Compression::new(6));
            encoder.write_all(&strip)?;
            encoder.finish()
        }
    }
}
