//! The segments of a JPEG before its first scan, walked without decoding anything.

use std::io::{self, BufRead, Read};

/// The name of XMP's segment.
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

/// What the frame header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    /// The marker's second byte: 0xc0 baseline, 0xc2 progressive...
    pub marker: u8,
    /// Bits of a sample.
    pub precision: u8,
    pub height: u16,
    pub width: u16,
    pub components: Vec<Component>,
}

/// A component of the frame: its id and its sampling factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Component {
    pub id: u8,
    pub across: u8,
    pub down: u8,
}

impl Frame {
    /// From the segment's bytes.
    pub fn parse(marker: u8, body: &[u8]) -> Option<Self> {
        let [precision, h1, h0, w1, w0, count, rest @ ..] = body else { return None };
        let components = rest.chunks_exact(3).take(usize::from(*count));
        let components =
            components.map(|c| Component { id: c[0], across: c[1] >> 4, down: c[1] & 15 });
        let frame = Frame {
            marker,
            precision: *precision,
            height: u16::from_be_bytes([*h1, *h0]),
            width: u16::from_be_bytes([*w1, *w0]),
            components: components.collect(),
        };
        (frame.components.len() == usize::from(*count)).then_some(frame)
    }

    /// Whether its coefficients come in several scans.
    pub fn is_progressive(&self) -> bool {
        self.marker == 0xc2
    }

    /// Whether it is coded without loss (by prediction).
    pub fn is_lossless(&self) -> bool {
        self.marker == 0xc3
    }

    /// Whether the decoder reads as many blocks of a component in a scan of its own as there are
    /// (T.81, A.2.2); it counts some that lie outside of the picture where a sampling factor is
    /// neither 1 nor the greatest.
    pub fn is_read_alone(&self, id: u8) -> bool {
        let agree = |size: u16, factor: fn(&Component) -> u8| {
            let (size, of) = (u32::from(size), |c: &Component| u32::from(factor(c)));
            let greatest = self.components.iter().map(of).max().unwrap_or(1).max(1);
            self.components.iter().filter(|c| c.id == id).map(of).all(|factor| {
                let blocks = (size * factor).div_ceil(greatest).div_ceil(8);
                let padded = size.div_ceil(8 * greatest) * factor;
                blocks == padded.min(size.div_ceil(8))
            })
        };
        agree(self.width, |c| c.across) && agree(self.height, |c| c.down)
    }

    /// Whether no component is sampled more coarsely than another.
    pub fn is_evenly_sampled(&self) -> bool {
        let first = self.components.first().map(|c| (c.across, c.down));
        self.components.iter().all(|c| Some((c.across, c.down)) == first)
    }
}

/// Whether a marker begins a frame header.
pub(super) fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf | 0xf7) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// What the segments before the first scan say.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub frame: Option<Frame>,
    pub jfif: bool,
    pub jfif_dpi: Option<(f64, f64)>,
    /// The transform that Adobe's marker states.
    pub adobe: Option<u8>,
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<Vec<u8>>,
    /// All comment segments.
    pub comment: Option<Vec<u8>>,
    /// Number, count and bytes of the profile's pieces.
    icc: Vec<(u8, u8, Vec<u8>)>,
}

impl Head {
    /// Reads the segments up to the first scan, or up to the end marker.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the file ends before, `InvalidData` for a segment that cannot be.
    pub fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Head::default();
        reader.read_exact(&mut [0; 2])?;
        loop {
            let marker = next_marker(reader)?;
            match marker {
                0x01 | 0xd0..=0xd8 => continue,
                0xd9 => return Ok(head),
                _ => {}
            }
            let mut length = [0u8; 2];
            reader.read_exact(&mut length)?;
            let Some(length) = usize::from(u16::from_be_bytes(length)).checked_sub(2) else {
                let reason = format!("segment {marker:02x} has no length");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            };
            if marker == 0xda {
                return Ok(head);
            }
            let mut body = vec![0u8; length];
            reader.read_exact(&mut body)?;
            head.take(marker, &body);
        }
    }

    fn take(&mut self, marker: u8, body: &[u8]) {
        match marker {
            _ if is_frame(marker) => self.frame = self.frame.take().or(Frame::parse(marker, body)),
            0xe0 if body.starts_with(b"JFIF\0") => {
                self.jfif = true;
                self.jfif_dpi = self.jfif_dpi.or(jfif_dpi(body));
            }
            0xe1 if body.starts_with(b"Exif\0") && body.len() > 6 => {
                self.exif.get_or_insert_with(|| body[6..].to_vec());
            }
            0xe1 if body.starts_with(XMP) => {
                self.xmp.get_or_insert_with(|| body[XMP.len()..].to_vec());
            }
            0xe2 if body.starts_with(b"ICC_PROFILE\0") && body.len() > 14 => {
                self.icc.push((body[12], body[13], body[14..].to_vec()));
            }
            0xfe => self.comment.get_or_insert_default().extend_from_slice(body),
            0xee if body.starts_with(b"Adobe") && body.len() >= 12 => self.adobe = Some(body[11]),
            _ => {}
        }
    }

    /// The profile from its numbered pieces.
    ///
    /// # Errors
    ///
    /// Why it cannot be put together.
    pub fn profile(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        self.icc.sort_by_key(|(number, ..)| *number);
        let numbers = self.icc.iter().map(|(number, ..)| usize::from(*number));
        let whole = self.icc.iter().all(|(_, count, _)| usize::from(*count) == self.icc.len());
        if self.icc.is_empty() {
            Ok(None)
        } else if whole && numbers.eq(1..=self.icc.len()) {
            Ok(Some(self.icc.iter().flat_map(|(.., piece)| piece.iter().copied()).collect()))
        } else {
            Err("the embedded colour profile is ignored: a piece of it is missing")
        }
    }
}

/// The resolution that JFIF states, in dots per inch.
fn jfif_dpi(body: &[u8]) -> Option<(f64, f64)> {
    let (x, y) = (body.get(8..10)?, body.get(10..12)?);
    let (x, y) = (u16::from_be_bytes([x[0], x[1]]), u16::from_be_bytes([y[0], y[1]]));
    let unit = match body[7] {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    (x > 0 && y > 0).then_some((f64::from(x) * unit, f64::from(y) * unit))
}

/// Skips to the next marker, past fill bytes and whatever does not belong.
pub(super) fn next_marker(reader: &mut impl BufRead) -> io::Result<u8> {
    loop {
        while next_byte(reader)? != 0xff {}
        let mut byte = 0xff;
        while byte == 0xff {
            byte = next_byte(reader)?;
        }
        if byte != 0 {
            return Ok(byte);
        }
    }
}

fn next_byte(reader: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// The height that a segment behind the first scan defines (DNL), for frames that leave it open.
pub(super) fn height_behind_scan(reader: &mut impl BufRead) -> io::Result<u16> {
    loop {
        if next_marker(reader)? == 0xdc {
            let mut body = [0; 4];
            reader.read_exact(&mut body)?;
            return Ok(u16::from_be_bytes([body[2], body[3]]));
        }
    }
}
