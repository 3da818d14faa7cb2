//! JPEG by rows: the image crate's baseline encoder, which pulls pixels, runs on a thread of its
//! own and is fed bands of eight rows through a short channel.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use image::{GenericImageView, Rgb};

use super::{Job, RowSink};
use crate::files::AtomicFile;

/// Rows of one band: the height of JPEG's blocks.
const BAND: u32 = 8;

/// Bands that may wait for the encoder.
const WAITING: usize = 4;

/// Bytes that the encoder writes first, the start marker and its JFIF segment; ours follow them.
const HEAD: usize = 20;

struct JpegSink {
    bands: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<io::Result<AtomicFile>>>,
    band: Vec<u8>,
    band_bytes: usize,
}

pub(super) fn start(job: Job, file: AtomicFile) -> io::Result<Box<dyn RowSink>> {
    let (sender, receiver) = sync_channel(WAITING);
    let band_bytes = job.width as usize * 3 * BAND as usize;
    let segments = segments(&job);
    let thread = std::thread::Builder::new()
        .name("jpeg".to_owned())
        .spawn(move || encode(&job, segments, receiver, file))?;
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

fn encode(
    job: &Job,
    segments: Vec<u8>,
    bands: Receiver<Vec<u8>>,
    file: AtomicFile,
) -> io::Result<AtomicFile> {
    let starved = Arc::new(AtomicBool::new(false));
    let mut output = Output { file, written: 0, segments, starved: starved.clone() };
    let view = View {
        size: (job.width, job.height),
        starved: starved.clone(),
        window: RefCell::new(Window { first: 0, rows: bands.recv().unwrap_or_default(), bands }),
    };
    let mut encoder = JpegEncoder::new_with_quality(&mut output, job.encoding.quality);
    if let Some(dpi) = job.encoding.dpi {
        encoder.set_pixel_density(PixelDensity::dpi(dpi.round().clamp(1.0, 65535.0) as u16));
    }
    encoder.encode_image(&view).map_err(io::Error::other)?;
    if starved.load(Ordering::Relaxed) {
        Err(io::Error::other("rows are missing"))
    } else {
        Ok(output.file)
    }
}

/// EXIF, XMP, the profile and the comment as JPEG segments.
fn segments(job: &Job) -> Vec<u8> {
    let mut out = Vec::new();
    let mut put = |marker: u8, parts: &[&[u8]]| {
        let length = parts.iter().map(|p| p.len()).sum::<usize>() + 2;
        // What does not fit in a segment is left out: metadata, never pixels.
        if let Ok(length) = u16::try_from(length) {
            out.extend([0xff, marker]);
            out.extend(length.to_be_bytes());
            parts.iter().for_each(|p| out.extend_from_slice(p));
        }
    };
    if let Some(exif) = &job.encoding.exif {
        put(0xe1, &[b"Exif\0\0", exif]);
    }
    if let Some(xmp) = &job.encoding.xmp {
        put(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", xmp]);
    }
    let pieces: Vec<&[u8]> = job.icc.chunks(65_519).collect();
    if let Ok(count) = u8::try_from(pieces.len()) {
        for (number, piece) in (1u8..).zip(&pieces) {
            put(0xe2, &[b"ICC_PROFILE\0", &[number, count], piece]);
        }
    }
    let comment = [super::SOFTWARE, &job.encoding.recipe].join("\n");
    for piece in comment.trim_end().as_bytes().chunks(65_533) {
        put(0xfe, &[piece]);
    }
    out
}

/// The file, with our segments put in after the encoder's first ones.
struct Output {
    file: AtomicFile,
    written: usize,
    segments: Vec<u8>,
    starved: Arc<AtomicBool>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.starved.load(Ordering::Relaxed) {
            return Err(io::Error::other("rows are missing"));
        }
        let n =
            if self.written < HEAD { bytes.len().min(HEAD - self.written) } else { bytes.len() };
        self.file.write_all(&bytes[..n])?;
        self.written += n;
        if self.written == HEAD && n > 0 {
            self.file.write_all(&std::mem::take(&mut self.segments))?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The picture as the encoder sees it: it asks for pixels block row by block row, and only the
/// current band is here.
struct View {
    size: (u32, u32),
    starved: Arc<AtomicBool>,
    window: RefCell<Window>,
}

struct Window {
    first: u32,
    rows: Vec<u8>,
    bands: Receiver<Vec<u8>>,
}

impl GenericImageView for View {
    type Pixel = Rgb<u8>;

    fn dimensions(&self) -> (u32, u32) {
        self.size
    }

    fn get_pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let mut window = self.window.borrow_mut();
        while y >= window.first + BAND {
            window.first += BAND;
            window.rows = window.bands.recv().unwrap_or_default();
        }
        let at = ((y - window.first) as usize * self.size.0 as usize + x as usize) * 3;
        match window.rows.get(at..at + 3) {
            Some(&[r, g, b]) => Rgb([r, g, b]),
            _ => {
                self.starved.store(true, Ordering::Relaxed);
                Rgb([0, 0, 0])
            }
        }
    }
}
