//! What a PNG says beside its pixels, from all of its chunks: those behind the pixels too.

use std::io::{self, Cursor, Read, Seek};

use flate2::read::ZlibDecoder;

use crate::image::exif;

/// Bytes that one chunk may take, and what it unpacks to: profiles run to some megabytes.
const CHUNK_BYTES: u64 = 16 << 20;

/// The keyword of XMP's text.
const XMP: &[u8] = b"XML:com.adobe.xmp";

/// The keyword of the comment.
const COMMENT: &[u8] = b"Comment";

/// What the chunks of a PNG say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Chunks {
    /// Width and height of the header.
    pub size: Option<(u32, u32)>,
    /// Frames of an animation; 1 for a still.
    pub frames: usize,
    pub icc: Option<Vec<u8>>,
    pub exif: Option<Vec<u8>>,
    pub xmp: Option<Vec<u8>>,
    pub comment: Option<Vec<u8>>,
    /// Code points: primaries, transfer function, matrix.
    pub code_points: Option<[u8; 3]>,
    /// White, red, green, blue.
    pub chromaticities: Option<[(f64, f64); 4]>,
    /// The gamma of a display that shows the values rightly.
    pub gamma: Option<f64>,
    /// Whether the file declares its colours sRGB.
    pub srgb: bool,
    /// Dots per metre, horizontal and vertical.
    pub per_metre: Option<(u32, u32)>,
    pub notes: Vec<String>,
}

impl Chunks {
    /// Walks the chunks of a file from its first byte to its last. A truncated file
    /// gives what comes before its end.
    ///
    /// # Errors
    ///
    /// The reader's own.
    pub fn read(reader: &mut (impl Read + Seek)) -> io::Result<Self> {
        let mut chunks = Chunks { frames: 1, ..Chunks::default() };
        reader.read_exact(&mut [0; 8])?;
        let mut head = [0u8; 8];
        while read_whole(reader, &mut head)? {
            let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
            let kind = [head[4], head[5], head[6], head[7]];
            if &kind == b"IEND" {
                break;
            }
            if !is_read(&kind) || length > CHUNK_BYTES {
                reader.seek_relative(length as i64 + 4)?;
                continue;
            }
            let mut body = vec![0u8; length as usize];
            let mut checksum = [0u8; 4];
            if !read_whole(reader, &mut body)? || !read_whole(reader, &mut checksum)? {
                break;
            }
            let mut crc = crc32fast::Hasher::new();
            crc.update(&kind);
            crc.update(&body);
            let intact = crc.finalize() == u32::from_be_bytes(checksum);
            chunks.take(&kind, &body, intact);
        }
        Ok(chunks)
    }

    fn take(&mut self, kind: &[u8; 4], body: &[u8], intact: bool) {
        match kind {
            b"iCCP" => self.take_profile(body, intact),
            b"IHDR" => self.size = word(body, 0).zip(word(body, 4)),
            _ if !intact => {}
            b"acTL" => self.frames = word(body, 0).map_or(1, |n| n.max(1) as usize),
            b"cICP" => self.code_points = body.get(..3).and_then(|b| b.try_into().ok()),
            b"cHRM" => self.chromaticities = chromaticities(body),
            b"gAMA" => self.gamma = word(body, 0).filter(|g| *g > 0).map(|g| 1e5 / f64::from(g)),
            b"sRGB" => self.srgb = true,
            b"pHYs" if body.get(8) == Some(&1) => {
                let both = word(body, 0).zip(word(body, 4));
                self.per_metre = both.filter(|(x, y)| *x > 0 && *y > 0);
            }
            b"eXIf" => self.exif = exif::blob(body).or(self.exif.take()),
            b"tEXt" | b"zTXt" | b"iTXt" => {
                if let Some((keyword, text)) = text(kind, body) {
                    self.take_text(keyword, text);
                }
            }
            _ => {}
        }
    }

    fn take_profile(&mut self, body: &[u8], intact: bool) {
        let packed = after_zero(body).and_then(|rest| rest.split_first());
        match packed.and_then(|(_, packed)| unpacked(packed)) {
            Some(profile) => {
                self.icc = Some(profile);
                if !intact {
                    self.notes.push(
                        "the checksum of its colour profile is wrong; the profile is used as it is"
                            .to_owned(),
                    );
                }
            }
            None => self
                .notes
                .push("the embedded colour profile is ignored: it cannot be unpacked".to_owned()),
        }
    }

    /// XMP, the comment, and profiles that ImageMagick and others write as hexadecimal text.
    fn take_text(&mut self, keyword: &[u8], text: Vec<u8>) {
        if keyword == XMP {
            self.xmp = Some(text);
            return;
        }
        if keyword == COMMENT {
            self.comment = Some(text);
            return;
        }
        let Some(name) = keyword.strip_prefix(b"Raw profile type ") else { return };
        let Some(profile) = from_hexadecimal(&text) else { return };
        match name {
            b"exif" | b"APP1" if exif::blob(&profile).is_some() => {
                self.exif = self.exif.take().or(exif::blob(&profile));
            }
            b"xmp" | b"APP1" => {
                let packet = profile.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0");
                let packet = packet.unwrap_or(&profile).to_vec();
                self.xmp = self.xmp.take().or(Some(packet));
            }
            b"icc" | b"icm" => self.icc = self.icc.take().or(Some(profile)),
            _ => {}
        }
    }
}

/// Whether a chunk says something that is read here.
fn is_read(kind: &[u8; 4]) -> bool {
    const READ: [&[u8; 4]; 12] = [
        b"IHDR", b"acTL", b"cICP", b"cHRM", b"gAMA", b"sRGB", b"iCCP", b"pHYs", b"eXIf", b"tEXt",
        b"zTXt", b"iTXt",
    ];
    READ.contains(&kind)
}

/// Fills `to`; false when the file ends before.
fn read_whole(reader: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(to) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

fn word(body: &[u8], at: usize) -> Option<u32> {
    let bytes = body.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn chromaticities(body: &[u8]) -> Option<[(f64, f64); 4]> {
    let number = |i: usize| word(body, 4 * i).map(|n| f64::from(n) / 1e5);
    let pair = |i: usize| number(2 * i).zip(number(2 * i + 1));
    Some([pair(0)?, pair(1)?, pair(2)?, pair(3)?])
}

fn after_zero(body: &[u8]) -> Option<&[u8]> {
    let zero = body.iter().position(|b| *b == 0)?;
    Some(&body[zero + 1..])
}

fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut decoder = ZlibDecoder::new(Cursor::new(packed)).take(CHUNK_BYTES + 1);
    decoder.read_to_end(&mut out).ok()?;
    (out.len() as u64 <= CHUNK_BYTES).then_some(out)
}

/// Keyword and text of a text chunk; nothing for other keywords than those that are read.
fn text<'a>(kind: &[u8; 4], body: &'a [u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let rest = after_zero(body)?;
    let keyword = &body[..body.len() - rest.len() - 1];
    if keyword != XMP && keyword != COMMENT && !keyword.starts_with(b"Raw profile type ") {
        return None;
    }
    let text = match kind {
        b"tEXt" => rest.to_vec(),
        b"zTXt" => unpacked(rest.get(1..)?)?,
        _ => {
            let (flags, rest) = rest.split_at_checked(2)?;
            let rest = after_zero(after_zero(rest)?)?;
            if flags[0] == 1 { unpacked(rest)? } else { rest.to_vec() }
        }
    };
    Some((keyword, text))
}

/// The bytes in a text of a name, the number of bytes, and the bytes in hexadecimal.
fn from_hexadecimal(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let _name = words.next()?;
    let length: usize = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let digits: Vec<u8> = words
        .flatten()
        .map(|digit| char::from(*digit).to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (bytes.len() == length).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(kind);
        crc.update(body);
        let (length, crc) = ((body.len() as u32).to_be_bytes(), crc.finalize().to_be_bytes());
        [length.as_slice(), kind, body, &crc].concat()
    }

    fn read(chunks: &[Vec<u8>]) -> Chunks {
        let file = [b"\x89PNG\r\n\x1a\n".as_slice(), &chunks.concat()].concat();
        Chunks::read(&mut Cursor::new(file)).unwrap()
    }

    const BLOB: &[u8] = b"II*\0\x08\0\0\0\0\0\0\0\0\0";

    #[test]
    fn exif_is_found_behind_the_pixels_with_a_name_before_it_and_as_text() {
        let hex: String = [b"Exif\0\0", BLOB].concat().iter().map(|b| format!("{b:02x}")).collect();
        let raw = format!("Raw profile type exif\0\nexif\n      {}\n{hex}\n", BLOB.len() + 6);
        for behind in [
            chunk(b"eXIf", BLOB),
            chunk(b"eXIf", &[b"Exif\0\0", BLOB].concat()),
            chunk(b"tEXt", raw.as_bytes()),
        ] {
            let found = read(&[chunk(b"IDAT", &[1; 30]), behind, chunk(b"IEND", b"")]);
            assert_eq!(found.exif.as_deref(), Some(BLOB));
        }
        assert_eq!(read(&[chunk(b"eXIf", b"rubbish")]).exif, None);
        assert_eq!(read(&[chunk(b"IEND", b""), chunk(b"eXIf", BLOB)]).exif, None);
    }

    #[test]
    fn damaged_chunks_say_nothing_except_a_profile_which_is_noted() {
        let mut gamma = chunk(b"gAMA", &45455u32.to_be_bytes());
        let whole = read(std::slice::from_ref(&gamma));
        assert!((whole.gamma.unwrap() - 2.2).abs() < 1e-4);
        gamma[9] ^= 1;
        assert_eq!(read(&[gamma]).gamma, None);
        let mut packer = flate2::write::ZlibEncoder::new(b"x\0\0".to_vec(), Default::default());
        std::io::Write::write_all(&mut packer, b"profile").unwrap();
        let body = packer.finish().unwrap();
        let mut profile = chunk(b"iCCP", &body);
        assert_eq!(read(std::slice::from_ref(&profile)).notes, [""; 0]);
        *profile.last_mut().unwrap() ^= 1;
        let damaged = read(&[profile]);
        assert_eq!(damaged.icc.as_deref(), Some(b"profile".as_slice()));
        assert!(damaged.notes[0].contains("checksum"), "{:?}", damaged.notes);
        let torn = read(&[chunk(b"iCCP", &body[..8])]);
        assert!(torn.icc.is_none() && torn.notes[0].contains("unpacked"), "{:?}", torn.notes);
    }
}
