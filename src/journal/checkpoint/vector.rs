//! A vector's file, `NNNNNN.vector`.
//!
//! Format 1: 16 bytes `impasto-vector-1`, the number of values as u64, the CRC-32 of the values'
//! bytes as u32, four bytes 0, then the values: float32. All numbers are little-endian.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::tensor::{HostView, first_line};

const MAGIC: &[u8; 16] = b"impasto-vector-1";
/// Bytes before the values.
pub(super) const HEADER: usize = 32;
/// Values that pass at once.
const CHUNK: usize = 1 << 16;

/// Number of values and their checksum, from a file's first bytes.
///
/// # Errors
/// What is wrong with them.
pub fn parse_header(bytes: &[u8]) -> Result<(u64, u32), &'static str> {
    let header = bytes.first_chunk::<HEADER>().ok_or("it is shorter than a header")?;
    let (magic, rest) = header.split_first_chunk::<16>().ok_or("it is shorter than a header")?;
    if magic != MAGIC {
        return Err("it does not begin with `impasto-vector-1`");
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    match number(&rest[12..16]) {
        0 => Ok((number(&rest[..8]), number(&rest[8..12]) as u32)),
        _ => Err("its header has values that this program does not know"),
    }
}

/// Writes a tensor and makes it durable; returns the checksum and the file's length.
///
/// # Errors
/// When the file cannot be written or the tensor not be read.
pub(super) fn write(path: &Path, tensor: &Tensor) -> io::Result<(u32, u64)> {
    let other = |error: candle_core::Error| io::Error::other(first_line(&error));
    let tensor = tensor
        .to_device(&Device::Cpu)
        .and_then(|t| t.to_dtype(DType::F32))
        .and_then(|t| t.contiguous())
        .map_err(other)?;
    let view = HostView::new(&tensor).map_err(other)?;
    let mut bytes = Vec::with_capacity(4 * CHUNK);
    let mut hasher = crc32fast::Hasher::new();
    let mut each_chunk = |take: &mut dyn FnMut(&[u8]) -> io::Result<()>| -> io::Result<()> {
        view.values().chunks(CHUNK).try_for_each(|values| {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            take(&bytes)
        })
    };
    each_chunk(&mut |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    let crc = hasher.finalize();
    let mut file = BufWriter::with_capacity(1 << 18, File::create(path)?);
    file.write_all(MAGIC)?;
    file.write_all(&(view.values().len() as u64).to_le_bytes())?;
    file.write_all(&crc.to_le_bytes())?;
    file.write_all(&[0; 4])?;
    each_chunk(&mut |bytes| file.write_all(bytes))?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok((crc, (HEADER + 4 * view.values().len()) as u64))
}

/// Reads a tensor of this shape whose checksum is `crc`.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read(path: &Path, shape: [usize; 3], crc: u32) -> Result<Tensor, String> {
    let text = |error: io::Error| error.to_string();
    let mut file = File::open(path).map_err(text)?;
    let length = file.metadata().map_err(text)?.len();
    let mut header = [0; HEADER];
    file.read_exact(&mut header).map_err(|_| "it is shorter than a header")?;
    let (values, told) = parse_header(&header)?;
    let expected = shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side as u64));
    let bytes = values.checked_mul(4).and_then(|bytes| bytes.checked_add(HEADER as u64));
    // The length is compared before memory is taken for it.
    if expected != Some(values) || bytes != Some(length) || told != crc {
        return Err(format!(
            "it has {length} bytes and says that it holds {values} values; another vector was expected"
        ));
    }
    let mut found = Vec::with_capacity(values as usize);
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = vec![0; 4 * CHUNK];
    let mut left = values as usize;
    while left > 0 {
        let part = &mut bytes[..4 * left.min(CHUNK)];
        file.read_exact(part).map_err(text)?;
        hasher.update(part);
        found.extend(part.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)));
        left -= left.min(CHUNK);
    }
    if hasher.finalize() != crc {
        return Err("its checksum is wrong".into());
    }
    Tensor::from_vec(found, shape.to_vec(), &Device::Cpu).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_come_back_and_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.vector");
        let noise = crate::random::Noise::new(3);
        let values: Vec<f32> = (0..3 * 7 * 5).map(|i| noise.normal(i)).collect();
        let tensor = Tensor::from_vec(values.clone(), (3, 7, 5), &Device::Cpu).unwrap();
        let (crc, length) = write(&path, &tensor).unwrap();
        assert_eq!(
            read(&path, [3, 7, 5], crc).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            values
        );
        assert!(read(&path, [3, 5, 8], crc).is_err() && read(&path, [3, 7, 5], crc ^ 1).is_err());
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, length);
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&path, &bytes).unwrap();
            assert!(read(&path, [3, 7, 5], crc).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path, [3, 7, 5], crc).is_err(), "cut at {at}");
        }
    }
}
