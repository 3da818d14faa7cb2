//! JPEG by rows: jpeg-encoder, which pulls rows, runs on a thread of its own and is fed bands of
//! eight rows through a short channel.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use jpeg_encoder::{
    Encoder, EncodingError, ImageBuffer, JpegColorType, PixelDensity, PixelDensityUnit,
    SamplingFactor, rgb_to_ycbcr,
};

use super::{Job, RowSink, SOFTWARE};
use crate::files::AtomicFile;

/// Rows of one band: the height of JPEG's blocks.
const BAND: usize = 8;

/// Bands that may wait for the encoder.
const WAITING: usize = 4;

/// Bytes that a segment holds.
const SEGMENT_BYTES: usize = 65_533;

/// An encoder that keeps chroma at full resolution (4:4:4).
pub(super) fn encoder<W: Write>(output: W, quality: u8) -> Encoder<W> {
    let mut encoder = Encoder::new(output, quality);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    encoder
}

/// The encoder's reason; the system's own where there is one.
pub(super) fn failure(error: EncodingError) -> io::Error {
    match error {
        EncodingError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

struct JpegSink {
    bands: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<AtomicFile>>>,
    band: Vec<u8>,
    band_bytes: usize,
}

pub(super) fn start(job: Job, file: AtomicFile) -> io::Result<Box<dyn RowSink>> {
    let (sender, receiver) = sync_channel(WAITING);
    let band_bytes = job.width as usize * 3 * BAND;
    let thread = std::thread::Builder::new()
        .name("jpeg".to_owned())
        .spawn(move || encode(&job, receiver, file))?;
    let band = Vec::with_capacity(band_bytes);
    Ok(Box::new(JpegSink { bands: Some(sender), thread: Some(thread), band, band_bytes }))
}

impl JpegSink {
    fn send(&mut self) -> io::Result<()> {
        let band = std::mem::replace(&mut self.band, Vec::with_capacity(self.band_bytes));
        let sent = self.bands.as_ref().is_some_and(|bands| bands.send(band).is_ok());
        if sent {
            Ok(())
        } else {
            Err(self
                .join()
                .err()
                .unwrap_or_else(|| io::Error::other("the JPEG encoder ended early")))
        }
    }

    /// Ends the bands and waits for the encoder.
    fn join(&mut self) -> io::Result<AtomicFile> {
        self.bands = None;
        let thread =
            self.thread.take().ok_or_else(|| io::Error::other("the JPEG encoder has ended"))?;
        thread.join().map_err(|_| io::Error::other("the JPEG encoder failed"))?
    }
}

impl RowSink for JpegSink {
    fn write(&mut self, row: &[u16]) -> io::Result<()> {
        self.band.extend(row.iter().map(|v| *v as u8));
        if self.band.len() == self.band_bytes { self.send() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<AtomicFile> {
        if !self.band.is_empty() {
            self.send()?;
        }
        self.join()
    }
}

impl Drop for JpegSink {
    /// Waits for the encoder, so that its temporary file is gone when the writer is.
    fn drop(&mut self) {
        if self.thread.is_some() {
            let _ = self.join();
        }
    }
}

fn encode(job: &Job, bands: Receiver<Vec<u8>>, file: AtomicFile) -> io::Result<AtomicFile> {
    let starved = AtomicBool::new(false);
    let mut output = Output { file, head: Vec::new(), comments: comments(job), starved: &starved };
    let mut encoder = encoder(&mut output, job.encoding.quality);
    if let Some(dpi) = job.encoding.dpi {
        let dpi = dpi.round().clamp(1.0, 65535.0) as u16;
        encoder.set_density(PixelDensity { density: (dpi, dpi), unit: PixelDensityUnit::Inches });
    }
    // EXIF or XMP that does not fit in a segment is left out: metadata, never pixels or colours.
    if let Some(exif) = &job.encoding.exif {
        let _ = encoder.add_exif_metadata(exif);
    }
    if let Some(xmp) = &job.encoding.xmp {
        let _ = encoder.add_app_segment(1, [b"http://ns.adobe.com/xap/1.0/\0", &xmp[..]].concat());
    }
    encoder.add_icc_profile(&job.icc).map_err(failure)?;
    let rows = Rows {
        size: (job.width as u16, job.height as u16),
        band: Mutex::new(Band { first: 0, rows: bands.recv().unwrap_or_default(), bands }),
        starved: &starved,
    };
    encoder.encode_image(rows).map_err(failure)?;
    if starved.load(Ordering::Relaxed) {
        Err(io::Error::other("rows are missing"))
    } else {
        Ok(output.file)
    }
}

/// What made the picture, as comment segments.
fn comments(job: &Job) -> Vec<u8> {
    let mut out = Vec::new();
    let text = [SOFTWARE, &job.encoding.recipe].join("\n");
    for piece in text.trim_end().as_bytes().chunks(SEGMENT_BYTES) {
        out.extend([0xff, 0xfe]);
        out.extend((piece.len() as u16 + 2).to_be_bytes());
        out.extend_from_slice(piece);
    }
    out
}

/// The file. The encoder writes no comments; they are put in behind its first segment, which is
/// JFIF's and has to be the first.
struct Output<'a> {
    file: AtomicFile,
    /// The start marker and the first segment, until the latter is whole.
    head: Vec<u8>,
    comments: Vec<u8>,
    starved: &'a AtomicBool,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.starved.load(Ordering::Relaxed) {
            return Err(io::Error::other("rows are missing"));
        }
        if self.comments.is_empty() {
            return self.file.write(bytes);
        }
        self.head.extend_from_slice(bytes);
        if let &[_, _, _, _, high, low, ..] = self.head.as_slice() {
            let end = 4 + usize::from(u16::from_be_bytes([high, low]));
            if let Some((first, rest)) = self.head.split_at_checked(end) {
                self.file.write_all(first)?;
                self.file.write_all(&std::mem::take(&mut self.comments))?;
                self.file.write_all(rest)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The picture as the encoder sees it: it asks for row after row, and only the current band is
/// here.
struct Rows<'a> {
    size: (u16, u16),
    band: Mutex<Band>,
    starved: &'a AtomicBool,
}

struct Band {
    first: usize,
    rows: Vec<u8>,
    bands: Receiver<Vec<u8>>,
}

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let bytes = usize::from(self.size.0) * 3;
        let mut band = self.band.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while usize::from(y) >= band.first + BAND {
            band.first += BAND;
            band.rows = band.bands.recv().unwrap_or_default();
        }
        let at = (usize::from(y) - band.first) * bytes;
        let missing = vec![0; bytes];
        let row = band.rows.get(at..at + bytes).unwrap_or_else(|| {
            self.starved.store(true, Ordering::Relaxed);
            &missing
        });
        for pixel in row.chunks_exact(3) {
            let (y, cb, cr) = rgb_to_ycbcr(pixel[0], pixel[1], pixel[2]);
            buffers[0].push(y);
            buffers[1].push(cb);
            buffers[2].push(cr);
        }
    }
}
