//! A JPEG's bytes as the decoder gets them: what the file leaves open is filled in, and what the
//! decoder refuses without need is left out.
//!
//! The decoder fills in zeros where a scan ends early, and says nothing. To find out, each scan is
//! followed by [`BAIT`], which stops a decoder that still wants data and is skipped by one that has
//! all of it.

use super::head::{Frame, is_frame};

/// More zeros than the decoder reads ahead (eight bytes), and a marker that is none: data may not
/// contain it, between segments it is skipped.
const BAIT: [u8; 11] = [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0x00];

/// What the decoder says when it meets [`BAIT`].
pub(super) const BAITED: &str = "FF 00 found where marker was expected";

/// The segment by which the decoder knows a frame of Motion JPEG, which may leave out the Huffman
/// tables that everyone has; stills do that too.
const MOTION: &[u8] = b"\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// A file made ready for the decoder.
#[derive(Debug)]
pub(super) struct Stream {
    pub bytes: Vec<u8>,
    /// Whether the file has an end marker.
    pub ends: bool,
    /// Whether scans have coded every coefficient to its last bit.
    pub complete: bool,
    /// The components that have scans of their own.
    pub alone: Vec<u8>,
}

/// What scans have coded of each component: a bit for a coefficient at full precision.
type Coded = Vec<(u8, u64)>;

impl Stream {
    /// From a whole file, whose frame is `height` px high. `tables` are segments to put before its
    /// own.
    pub fn new(file: &[u8], tables: &[u8], height: u16) -> Self {
        let mut bytes = Vec::with_capacity(file.len() + tables.len() + 256);
        bytes.extend([0xff, 0xd8]);
        bytes.extend(MOTION);
        bytes.extend(tables);
        let mut stream = Stream { bytes, ends: false, complete: false, alone: Vec::new() };
        let mut coded: Coded = Vec::new();
        let mut progressive = false;
        let mut at = 2;
        while let Some((marker, start)) = marker(file, at) {
            at = start;
            match marker {
                0xd9 => {
                    stream.ends = true;
                    break;
                }
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let Some(body) = segment(file, start) else { break };
            at = start + 2 + body.len();
            match marker {
                // Frames of the baseline process may have two Huffman tables of a kind; writers do
                // not always keep to that. The extended one decodes the same and may have four.
                _ if is_frame(marker) => {
                    progressive = marker == 0xc2;
                    let frame = Frame::parse(marker, body);
                    coded = frame.iter().flat_map(|f| &f.components).map(|c| (c.id, 0)).collect();
                    let mut body = body.to_vec();
                    if let Some(to) = body.get_mut(1..3) {
                        to.copy_from_slice(&height.to_be_bytes());
                    }
                    stream.put(if marker == 0xc0 { 0xc1 } else { marker }, &body);
                }
                0xda => {
                    stream.put(marker, body);
                    let end = scan_end(file, at);
                    stream.bytes.extend(&file[at..end]);
                    stream.bytes.extend(BAIT);
                    at = end;
                    note_scan(&mut coded, body, progressive);
                    if let [1, id, ..] = body {
                        stream.alone.push(*id);
                    }
                }
                // Applications' segments and comments say nothing about how to decode, and the
                // height is known.
                0xe0..=0xef | 0xfe | 0xdc => {}
                _ => stream.put(marker, body),
            }
        }
        stream.complete = !coded.is_empty() && coded.iter().all(|(_, bits)| *bits == u64::MAX);
        stream.bytes.extend([0xff, 0xd9]);
        stream
    }

    fn put(&mut self, marker: u8, body: &[u8]) {
        self.bytes.extend([0xff, marker]);
        self.bytes.extend((body.len() as u16 + 2).to_be_bytes());
        self.bytes.extend(body);
    }
}

/// Marks what a scan has coded of its components.
fn note_scan(coded: &mut Coded, body: &[u8], progressive: bool) {
    let [count, rest @ ..] = body else { return };
    let components = usize::from(*count) * 2;
    let (Some(ids), Some(&[from, to, precision, ..])) =
        (rest.get(..components), rest.get(components..))
    else {
        return;
    };
    let bits = match (progressive, precision & 15) {
        (false, _) => u64::MAX,
        (true, 0) => (from..=to.min(63)).fold(0, |bits, i| bits | 1 << i),
        (true, _) => 0,
    };
    for (id, done) in coded {
        if ids.chunks_exact(2).any(|component| component[0] == *id) {
            *done |= bits;
        }
    }
}

/// The next marker from `at` on and where its segment begins.
fn marker(file: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += file.get(at..)?.iter().position(|b| *b == 0xff)?;
        at += file.get(at..)?.iter().position(|b| *b != 0xff)?;
        if file[at] != 0 {
            return Some((file[at], at + 1));
        }
    }
}

/// The body of the segment at `at`, whose length is its first two bytes.
fn segment(file: &[u8], at: usize) -> Option<&[u8]> {
    let length = file.get(at..at + 2)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    file.get(at + 2..at + length.max(2))
}

/// Where the data of a scan end: before the next marker that is no restart.
fn scan_end(file: &[u8], mut at: usize) -> usize {
    while let Some(found) = file[at..].iter().position(|b| *b == 0xff) {
        let start = at + found;
        let Some(fill) = file[start..].iter().position(|b| *b != 0xff) else { break };
        match file[start + fill] {
            0x00 | 0x01 | 0xd0..=0xd7 => at = start + fill + 1,
            _ => return start,
        }
    }
    file.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] =
        b"\xff\xd8\xff\xe1\0\x06\xff\xd9\x01\x02\xff\xc0\0\x0b\x08\0\0\0\x08\x01\x01\x11\0";

    fn file(rest: &[u8]) -> Vec<u8> {
        [HEAD, rest].concat()
    }

    #[test]
    fn the_end_marker_counts_outside_of_segments_only() {
        let scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x07\xff\0\xff\xd0\x09";
        assert!(!Stream::new(&file(scan), b"", 8).ends);
        let whole = Stream::new(&file(&[scan, b"\xff\xd9\x01\x02".as_slice()].concat()), b"", 8);
        assert!(whole.ends && whole.complete);
        assert!(!Stream::new(b"\xff\xd8", b"", 8).ends);
    }

    #[test]
    fn heights_are_filled_in_and_scans_followed_by_bait() {
        let rest = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x07\xff\xdc\0\x04\0\x09\xff\xd9";
        let stream = Stream::new(&file(rest), b"", 9).bytes;
        let frame = stream.windows(2).position(|w| w == [0xff, 0xc1]).unwrap();
        assert_eq!(stream[frame + 5..frame + 7], [0, 9]);
        assert!(stream.windows(BAIT.len() + 1).any(|w| w[0] == 7 && w[1..] == BAIT));
        assert!(stream.ends_with(&[0xff, 0xff, 0, 0xff, 0xd9]), "the height's segment is gone");
    }

    #[test]
    fn progressive_files_are_complete_with_the_last_bit() {
        let frame = b"\xff\xd8\xff\xc2\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0";
        let scan =
            |from: u8, to: u8, precision: u8| [0xff, 0xda, 0, 8, 1, 1, 0, from, to, precision, 7];
        let complete = |scans: &[[u8; 11]]| {
            Stream::new(&[frame.as_slice(), scans.as_flattened()].concat(), b"", 8).complete
        };
        assert!(!complete(&[scan(0, 0, 0)]));
        assert!(!complete(&[scan(0, 0, 0), scan(1, 63, 1)]));
        assert!(complete(&[scan(0, 0, 0), scan(1, 63, 1), scan(1, 63, 0x10)]));
    }
}
