//! Unpacking strips and tiles.

use std::convert::Infallible;
use std::io::{Cursor, ErrorKind, Read};

use super::fields::Compression;
use super::layout::Layout;
use super::{Problem, jpeg};
use fax::decoder::{DecodeStatus, Group3Decoder, Group4Decoder};

/// Unpacks a strip or tile of `rows` rows: [`Layout::row_bytes`] for each.
pub(super) fn unpack(layout: &Layout, mut packed: Vec<u8>, rows: u32) -> Result<Vec<u8>, Problem> {
    let size = usize::try_from(layout.row_bytes() * u64::from(rows))
        .map_err(|_| Problem::damaged("a strip or tile of impossible size"))?;
    if layout.reversed && layout.compression != Compression::Jpeg {
        packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
    }
    let mut out = vec![0u8; if layout.compression == Compression::None { 0 } else { size }];
    match layout.compression {
        Compression::None => {
            out = packed;
            if out.len() < size {
                return Err(Problem::Io(ErrorKind::UnexpectedEof.into()));
            }
            out.truncate(size);
        }
        Compression::Lzw => unpack_lzw(&packed, &mut out)?,
        Compression::Deflate => {
            flate2::read::ZlibDecoder::new(Cursor::new(packed)).read_exact(&mut out)?;
        }
        Compression::PackBits => unpack_packbits(&packed, &mut out)?,
        Compression::Zstandard => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(Cursor::new(packed))
                .map_err(|e| Problem::damaged(e.to_string()))?;
            decoder.read_exact(&mut out)?;
        }
        Compression::Jpeg => jpeg::strip(layout, &packed, rows, &mut out)?,
        Compression::Group3 | Compression::Group4 => unpack_fax(layout, &packed, &mut out)?,
    }
    Ok(out)
}

/// Unpacks until `to` is full. An end code is not asked for.
fn unpack_lzw(packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let mut decoder = weezl::decode::Configuration::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
        .with_yield_on_full_buffer(true)
        .build();
    let (mut read, mut written) = (0, 0);
    while written < to.len() {
        let result = decoder.decode_bytes(&packed[read..], &mut to[written..]);
        (read, written) = (read + result.consumed_in, written + result.consumed_out);
        match result.status {
            Ok(weezl::LzwStatus::Ok) => {}
            // The data ends before the chunk does.
            Ok(weezl::LzwStatus::NoProgress | weezl::LzwStatus::Done) if written < to.len() => {
                return Err(Problem::Io(ErrorKind::UnexpectedEof.into()));
            }
            Ok(_) => {}
            Err(error) => return Err(Problem::damaged(error.to_string())),
        }
    }
    Ok(())
}

/// Runs of bytes (TIFF 6.0, section 9).
fn unpack_packbits(mut packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let short = || Problem::Io(ErrorKind::UnexpectedEof.into());
    let mut written = 0;
    while written < to.len() {
        let (code, rest) = packed.split_first().ok_or_else(short)?;
        packed = rest;
        let left = to.len() - written;
        match code {
            0..=127 => {
                let (run, rest) =
                    packed.split_at_checked(usize::from(*code) + 1).ok_or_else(short)?;
                let fits = run.len().min(left);
                to[written..written + fits].copy_from_slice(&run[..fits]);
                (packed, written) = (rest, written + fits);
            }
            128 => {}
            129..=255 => {
                let (byte, rest) = packed.split_first().ok_or_else(short)?;
                let fits = (257 - usize::from(*code)).min(left);
                to[written..written + fits].fill(*byte);
                (packed, written) = (rest, written + fits);
            }
        }
    }
    Ok(())
}

/// Fax: a set bit for each black pixel.
fn unpack_fax(layout: &Layout, packed: &[u8], to: &mut [u8]) -> Result<(), Problem> {
    let (width, row_bytes) = (layout.chunk.0, layout.row_bytes() as usize);
    if layout.bits != 1 || layout.together() != 1 {
        return Err(Problem::damaged("fax compression of more than one bit a pixel"));
    }
    let bytes = packed.iter().map(|byte| Ok::<u8, Infallible>(*byte));
    let short = || Problem::Io(ErrorKind::UnexpectedEof.into());
    if layout.compression == Compression::Group4 {
        let mut decoder = Group4Decoder::new(bytes, width).map_err(|_| short())?;
        for line in to.chunks_exact_mut(row_bytes) {
            if !matches!(decoder.advance(), Ok(DecodeStatus::Incomplete)) {
                return Err(short());
            }
            draw(decoder.transition(), width, line);
        }
    } else {
        let mut decoder = Group3Decoder::new(bytes).map_err(|_| short())?;
        for line in to.chunks_exact_mut(row_bytes) {
            // The last line need not be followed by the mark at which each one ends.
            let ended = decoder.advance().is_ok();
            if !ended && decoder.transitions().last() != Some(&width) {
                return Err(short());
            }
            draw(decoder.transitions(), width, line);
        }
    }
    Ok(())
}

/// Sets a line's black pixels, between the places where colours change.
fn draw(transitions: &[u32], width: u32, line: &mut [u8]) {
    for (x, colour) in fax::decoder::pels(transitions, width).enumerate() {
        if colour == fax::Color::Black {
            line[x / 8] |= 0x80 >> (x % 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lzw_needs_all_of_its_data_and_no_end_code() {
        let values: Vec<u8> = (0..5000u32).map(|i| (i * i / 7 % 251) as u8).collect();
        let packed = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(&values)
            .unwrap();
        let mut out = vec![0; values.len()];
        for missing in 0..2 {
            out.fill(0);
            unpack_lzw(&packed[..packed.len() - missing], &mut out).unwrap();
            assert_eq!(out, values, "{missing} bytes missing");
        }
        let error = unpack_lzw(&packed[..packed.len() - 40], &mut out).unwrap_err();
        assert!(matches!(error, Problem::Io(e) if e.kind() == ErrorKind::UnexpectedEof));
    }

    #[test]
    fn packbits_are_runs() {
        // The example of TIFF 6.0, section 9.
        let packed = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7,
            0xaa,
        ];
        let mut out = [0; 24];
        unpack_packbits(&packed, &mut out).unwrap();
        assert_eq!(out[..9], [0xaa, 0xaa, 0xaa, 0x80, 0, 0x2a, 0xaa, 0xaa, 0xaa]);
        assert!(unpack_packbits(&packed[..14], &mut out).is_err());
    }
}
