//! PNG by rows.

use std::borrow::Cow;
use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use png::{BitDepth, ColorType, Encoder, Info, PixelDimensions, StreamWriter, Unit};

use super::{Compression, Job, RowSink, SOFTWARE};
use crate::files::AtomicFile;
use crate::image::icc;

struct PngSink {
    stream: StreamWriter<'static, SharedFile>,
    file: SharedFile,
    sixteen: bool,
    bytes: Vec<u8>,
}

/// The file, shared with the stream writer, which does not give it back.
#[derive(Clone)]
struct SharedFile(std::sync::Arc<std::sync::Mutex<Option<AtomicFile>>>);

impl SharedFile {
    fn with<T>(&self, work: impl FnOnce(&mut AtomicFile) -> io::Result<T>) -> io::Result<T> {
        let mut guard = self.0.lock().map_err(|_| io::Error::other("a writer failed before"))?;
        work(guard.as_mut().ok_or_else(|| io::Error::other("the file is finished"))?)
    }
}

impl Write for SharedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|f| f.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|f| f.flush())
    }
}

pub(super) fn start(job: Job, file: AtomicFile) -> io::Result<Box<dyn RowSink>> {
    let encoding = &job.encoding;
    let sixteen = encoding.bit_depth == 16;
    let mut info = Info::with_size(job.width, job.height);
    info.color_type = if job.channels == 4 { ColorType::Rgba } else { ColorType::Rgb };
    info.bit_depth = if sixteen { BitDepth::Sixteen } else { BitDepth::Eight };
    info.exif_metadata = encoding.exif.clone().map(Cow::Owned);
    info.pixel_dims = encoding.dpi.map(|dpi| {
        let per_metre = (dpi / 0.0254).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        PixelDimensions { xppu: per_metre, yppu: per_metre, unit: Unit::Meter }
    });
    let file = SharedFile(std::sync::Arc::new(std::sync::Mutex::new(Some(file))));
    let mut encoder = Encoder::with_info(file.clone(), info).map_err(io::Error::other)?;
    encoder.set_compression(match encoding.compression {
        Compression::None => png::Compression::NoCompression,
        Compression::Deflate | Compression::Lzw => png::Compression::Balanced,
    });
    encoder.add_itxt_chunk("Software".to_owned(), SOFTWARE.to_owned()).map_err(io::Error::other)?;
    if !encoding.recipe.is_empty() {
        encoder
            .add_itxt_chunk("Comment".to_owned(), encoding.recipe.clone())
            .map_err(io::Error::other)?;
    }
    if let Some(xmp) = encoding.xmp.as_ref().and_then(|x| String::from_utf8(x.clone()).ok()) {
        encoder.add_itxt_chunk("XML:com.adobe.xmp".to_owned(), xmp).map_err(io::Error::other)?;
    }
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    // By hand, because the encoder would name every profile "_".
    writer.write_chunk(png::chunk::iCCP, &iccp(&job.icc)?).map_err(io::Error::other)?;
    let stream = writer.into_stream_writer_with_size(1 << 18).map_err(io::Error::other)?;
    Ok(Box::new(PngSink { stream, file, sixteen, bytes: Vec::new() }))
}

impl RowSink for PngSink {
    fn write(&mut self, row: &[u16]) -> io::Result<()> {
        self.bytes.clear();
        if self.sixteen {
            self.bytes.extend(row.iter().flat_map(|v| v.to_be_bytes()));
        } else {
            self.bytes.extend(row.iter().map(|v| *v as u8));
        }
        self.stream.write_all(&self.bytes)
    }

    fn finish(self: Box<Self>) -> io::Result<AtomicFile> {
        let PngSink { stream, file, .. } = *self;
        stream.finish().map_err(io::Error::other)?;
        let mut guard = file.0.lock().map_err(|_| io::Error::other("a writer failed before"))?;
        guard.take().ok_or_else(|| io::Error::other("the file is finished"))
    }
}

/// The profile's chunk: its name, and the profile packed.
fn iccp(profile: &[u8]) -> io::Result<Vec<u8>> {
    let mut chunk = icc::name(profile).into_bytes();
    chunk.extend([0, 0]);
    let mut packer = ZlibEncoder::new(chunk, flate2::Compression::best());
    packer.write_all(profile)?;
    packer.finish()
}
