//! Strips and tiles that are JPEGs (Adobe's TIFF technote 2).

use super::super::jpeg::{Part, PartError, decode_part};
use super::Problem;
use super::fields::{Photometric, UNPACK};
use super::layout::Layout;

/// Decodes a strip or tile of `rows` rows into `to`, which has [`Layout::row_bytes`] for each.
pub(super) fn strip(
    layout: &Layout,
    packed: &[u8],
    rows: u32,
    to: &mut [u8],
) -> Result<(), Problem> {
    let as_stored = layout.photometric == Photometric::LumaChroma;
    let Part { width, height, samples, pixels } =
        decode_part(packed, &layout.jpeg_tables, as_stored).map_err(|error| match error {
            PartError::Unsupported(what) => {
                Problem::unsupported(format!("a JPEG inside it with {what}"), UNPACK)
            }
            PartError::Damaged(reason) => Problem::damaged(format!("a JPEG inside it: {reason}")),
        })?;
    let (together, row_bytes) = (layout.together(), layout.row_bytes() as usize);
    if samples != together || height < rows as usize {
        let reason = format!("a JPEG inside it has {samples} components and {height} rows");
        return Err(Problem::damaged(reason));
    }
    let fits = row_bytes.min(width * samples);
    for (from, to) in pixels.chunks_exact(width * samples).zip(to.chunks_exact_mut(row_bytes)) {
        to[..fits].copy_from_slice(&from[..fits]);
    }
    Ok(())
}
