//! JPEG: the header by walking its segments, the pixels by zune-jpeg.

use std::io::{BufRead, Read};

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{Header, Source};
use crate::image::assemble::{Alpha, Assembler};
use crate::image::colour::Model;
use crate::image::{ColourKind, Error, Format};

/// Rows converted at a time.
const BAND: usize = 64;

/// What the segments before the first scan say.
#[derive(Debug, Default)]
struct Segments {
    /// Width, height, components, bits, progressive.
    frame: Option<(u16, u16, u8, u8, bool)>,
    jfif_dpi: Option<(f64, f64)>,
    exif: Option<Vec<u8>>,
    xmp: Option<Vec<u8>>,
    icc: Vec<(u8, Vec<u8>)>,
    adobe: bool,
}

impl Segments {
    /// Reads segments up to the first scan.
    fn read(source: &mut Source) -> Result<Self, Error> {
        let mut found = Segments::default();
        let mut marker = [0u8; 2];
        read(source, &mut marker)?;
        loop {
            let kind = next_marker(source)?;
            match kind {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => return Err(source.malformed("it ends before its picture begins")),
                _ => {}
            }
            let mut length = [0u8; 2];
            read(source, &mut length)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length < 2 {
                return Err(source.malformed(format!("segment {kind:02x} has no length")));
            }
            if kind == 0xda {
                return Ok(found);
            }
            let mut body = vec![0u8; length - 2];
            read(source, &mut body)?;
            found.take(kind, body);
        }
    }

    fn take(&mut self, kind: u8, body: Vec<u8>) {
        match kind {
            0xc0..=0xcf if !matches!(kind, 0xc4 | 0xc8 | 0xcc) && body.len() >= 6 => {
                let (h, w) = (
                    u16::from_be_bytes([body[1], body[2]]),
                    u16::from_be_bytes([body[3], body[4]]),
                );
                let progressive = matches!(kind, 0xc2 | 0xc6 | 0xca | 0xce);
                self.frame.get_or_insert((w, h, body[5], body[0], progressive));
            }
            0xe0 if body.starts_with(b"JFIF\0") && body.len() >= 12 => {
                let (x, y) = (
                    u16::from_be_bytes([body[8], body[9]]),
                    u16::from_be_bytes([body[10], body[11]]),
                );
                let unit = match body[7] {
                    1 => 1.0,
                    2 => 2.54,
                    _ => 0.0,
                };
                if unit > 0.0 && x > 0 && y > 0 {
                    self.jfif_dpi = Some((f64::from(x) * unit, f64::from(y) * unit));
                }
            }
            0xe1 if body.starts_with(b"Exif\0\0") => {
                self.exif = self.exif.take().or(Some(body[6..].to_vec()))
            }
            0xe1 if body.starts_with(XMP) => {
                self.xmp = self.xmp.take().or(Some(body[XMP.len()..].to_vec()))
            }
            0xe2 if body.starts_with(b"ICC_PROFILE\0") && body.len() > 14 => {
                self.icc.push((body[12], body[14..].to_vec()));
            }
            0xee if body.starts_with(b"Adobe") => self.adobe = true,
            _ => {}
        }
    }

    /// The profile from its numbered pieces.
    fn profile(&mut self) -> Option<Vec<u8>> {
        self.icc.sort_by_key(|(number, _)| *number);
        let whole: Vec<u8> = self.icc.iter().flat_map(|(_, piece)| piece.iter().copied()).collect();
        (!whole.is_empty()).then_some(whole)
    }
}

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

fn read(source: &mut Source, to: &mut [u8]) -> Result<(), Error> {
    source.reader.read_exact(to).map_err(|e| source.io(e))
}

/// Skips to the next marker, past fill bytes and whatever does not belong.
fn next_marker(source: &mut Source) -> Result<u8, Error> {
    loop {
        let mut skipped = Vec::new();
        let n = source.reader.read_until(0xff, &mut skipped).map_err(|e| source.io(e))?;
        if n == 0 {
            return Err(Error::Truncated {
                path: source.path.to_path_buf(),
                format: source.format,
            });
        }
        let mut byte = [0xffu8];
        while byte[0] == 0xff {
            read(source, &mut byte)?;
        }
        if byte[0] != 0 {
            return Ok(byte[0]);
        }
    }
}

pub(super) fn header(source: &mut Source) -> Result<Header, Error> {
    let mut segments = Segments::read(source)?;
    let Some((width, height, components, bits, progressive)) = segments.frame else {
        return Err(source.malformed("no frame header before its first scan"));
    };
    let colour = match components {
        1 => ColourKind::Grey,
        4 => ColourKind::Cmyk,
        _ => ColourKind::Rgb,
    };
    let size = (u32::from(width), u32::from(height));
    let mut header = Header::new(Format::Jpeg, size, colour, bits, false);
    header.icc = segments.profile();
    header.adobe = segments.adobe;
    header.exif = segments.exif;
    header.xmp = segments.xmp;
    header.dpi = segments.jfif_dpi;
    header.adopt_exif();
    // The file, the decoded bytes, and for progressive files every coefficient as 16 bits.
    let per_pixel = u64::from(components) * if progressive { 3 } else { 1 };
    let coefficients = header.pixels().saturating_mul(per_pixel);
    header.decoder_bytes =
        coefficients.saturating_add(coefficients / 8).saturating_add(source.length);
    Ok(header)
}

pub(super) fn pixels(source: &mut Source, header: &mut Header) -> Result<Assembler, Error> {
    let mut bytes = Vec::with_capacity(usize::try_from(source.length).unwrap_or(0));
    source.reader.read_to_end(&mut bytes).map_err(|e| source.io(e))?;
    // A decoder paints what is missing grey; a picture that stops half-way must not be taken for a
    // whole one.
    if !ends(&bytes) {
        return Err(Error::Truncated { path: source.path.to_path_buf(), format: source.format });
    }
    let fail = |e: DecodeErrors| failure(source.path, e);
    let options =
        DecoderOptions::default().set_strict_mode(false).set_max_width(65535).set_max_height(65535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes.as_slice()), options);
    decoder.decode_headers().map_err(fail)?;
    let stored = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let (model, wanted) = match stored {
        ColorSpace::Luma => (Model::Grey, ColorSpace::Luma),
        ColorSpace::CMYK => (Model::Cmyk, ColorSpace::CMYK),
        ColorSpace::YCCK => (Model::Cmyk, ColorSpace::YCCK),
        _ => (Model::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(wanted));
    let mut assembler = header.assembler(source.path, model, Alpha::None)?;
    let raw = decoder.decode().map_err(fail)?;
    let (width, height) = header.size;
    let row = width as usize * model.channels();
    if raw.len() != row * height as usize {
        return Err(source.malformed(format!(
            "{} bytes were decoded instead of {}",
            raw.len(),
            row * height as usize
        )));
    }
    let mut samples = Vec::new();
    for (y, band) in (0..height).step_by(BAND).zip(raw.chunks(row * BAND)) {
        samples.clear();
        match stored {
            // Adobe's programs store what is left of the paper, others the inks.
            ColorSpace::CMYK if header.adobe => {
                samples.extend(band.iter().map(|b| 1.0 - f32::from(*b) / 255.0))
            }
            ColorSpace::YCCK => inks(band, &mut samples),
            _ => samples.extend(band.iter().map(|b| f32::from(*b) / 255.0)),
        }
        assembler.put((0, y), width as usize, &mut samples);
    }
    Ok(assembler)
}

/// Adobe's YCCK: cyan, magenta and yellow as if they were red, green and blue, in YCbCr, beside an
/// inverted black. Gives inks, 0 = none.
fn inks(band: &[u8], samples: &mut Vec<f32>) {
    for p in band.chunks_exact(4) {
        let (y, cb, cr) = (f32::from(p[0]), f32::from(p[1]) - 128.0, f32::from(p[2]) - 128.0);
        let rgb = [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb];
        samples.extend(rgb.map(|v| (v / 255.0).clamp(0.0, 1.0)));
        samples.push(1.0 - f32::from(p[3]) / 255.0);
    }
}

/// Whether the end-of-image marker is there: walks segments and, in scans, the bytes between
/// markers, so that a thumbnail's own end inside a segment does not count.
fn ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    while at + 1 < bytes.len() {
        if bytes[at] != 0xff {
            at += 1;
            continue;
        }
        match bytes[at + 1] {
            0xd9 => return true,
            // A stuffed zero, a restart, a fill byte: still inside the scan.
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xff => at += 1,
            _ => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    false
}

fn failure(path: &std::path::Path, error: DecodeErrors) -> Error {
    let path = path.to_path_buf();
    let format = Format::Jpeg;
    match error {
        DecodeErrors::ExhaustedData => Error::Truncated { path, format },
        DecodeErrors::ZeroError => Error::ZeroSized { path, format, width: 0, height: 0 },
        DecodeErrors::Unsupported(what) => {
            Error::Unsupported { path, format, detail: format!("{what:?}") }
        }
        other => Error::Malformed { path, format, detail: format!("{other:?}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adobe_s_ycck_gives_inks() {
        // Full cyan is stored as red, full black as 0; white paper as black with 255.
        let mut out = Vec::new();
        inks(&[76, 85, 255, 0, 0, 128, 128, 255], &mut out);
        for (got, want) in out.iter().zip([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]) {
            assert!((got - want).abs() < 0.01, "{out:?}");
        }
    }

    #[test]
    fn the_end_marker_is_found_outside_of_segments_only() {
        let thumbnail = [
            0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 1, 2, 0xff, 0xda, 0, 2, 7, 0xff, 0, 0xff,
            0xd0,
        ];
        assert!(!ends(&thumbnail));
        assert!(ends(&[thumbnail.as_slice(), &[9, 0xff, 0xd9, 1, 2]].concat()));
        assert!(!ends(&[0xff, 0xd8]));
    }
}
