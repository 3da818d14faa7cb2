//! A print of 600 megapixels, written and read by rows: run with
//! `cargo test --release --test image_big -- --ignored --nocapture`. Takes about 4 GB of disk in the temporary directory.
#![allow(clippy::unwrap_used)]

use std::io::BufReader;
use std::time::Instant;

use impasto::files::Overwrite;
use impasto::image::{Compression, Encoding, OutputFormat, Rows, Writer, probe};
use tiff::decoder::{Decoder, DecodingResult, Limits};

const SIZE: (u32, u32) = (30_000, 20_000);

/// Sample `c` at `(x, y)`: a smooth picture with texture in its low bits, as a print has.
fn value(x: u32, y: u32, c: u32) -> u16 {
    let smooth = (x * 2 + y * (1 + c)) & 0xffff;
    let grain = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ c) >> 23;
    (smooth as u16) ^ (grain as u16 & 0x3f)
}

/// The most memory that this process has had resident, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
    line.split_whitespace().nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[test]
#[ignore = "writes 3 GB"]
fn a_600_megapixel_bigtiff_is_written_and_read_by_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.tif");
    let mut e = Encoding::new(OutputFormat::Tiff);
    (e.bit_depth, e.compression, e.dpi) = (16, Compression::Deflate, Some(300.0));
    e.recipe = "a test".to_owned();
    let start = Instant::now();
    let mut writer = Writer::create(&path, SIZE.0, SIZE.1, &e, Overwrite::Refuse).unwrap();
    let width = SIZE.0 as usize;
    let mut row = vec![0.0f32; 3 * width];
    for y in 0..SIZE.1 {
        for c in 0..3u32 {
            for x in 0..SIZE.0 {
                row[c as usize * width + x as usize] = f32::from(value(x, y, c)) / 65535.0;
            }
        }
        let (r, rest) = row.split_at(width);
        let (g, b) = rest.split_at(width);
        writer.write_rows(Rows { colours: [r, g, b], alpha: None }).unwrap();
    }
    writer.finish().unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("written in {:.1?}: {bytes} bytes, peak {} MiB", start.elapsed(), peak_mib());
    assert!(peak_mib() < 1024);

    let mut head = [0u8; 4];
    std::io::Read::read_exact(&mut std::fs::File::open(&path).unwrap(), &mut head).unwrap();
    assert_eq!(&head, b"II\x2b\0", "BigTIFF");
    let start = Instant::now();
    println!("{:?} in {:.1?}", probe(&path).unwrap(), start.elapsed());
    let start = Instant::now();
    let file = BufReader::new(std::fs::File::open(&path).unwrap());
    let mut decoder = Decoder::new(file).unwrap().with_limits(Limits::default());
    assert_eq!(decoder.dimensions().unwrap(), SIZE);
    let mut y = 0;
    for strip in 0..decoder.strip_count().unwrap() {
        let DecodingResult::U16(samples) = decoder.read_chunk(strip).unwrap() else { panic!("16 bits") };
        for row in samples.chunks_exact(width * 3) {
            for (x, pixel) in (0u32..).zip(row.chunks_exact(3)) {
                for (c, v) in (0u32..).zip(pixel) {
                    assert_eq!(*v, value(x, y, c), "{x},{y},{c}");
                }
            }
            y += 1;
        }
    }
    assert_eq!(y, SIZE.1);
    println!("every sample read back in {:.1?}, peak {} MiB", start.elapsed(), peak_mib());
    for (tool, arguments) in
        [("tiffinfo", vec![]), ("vips", vec!["avg"]), ("exiftool", vec!["-validate", "-FileType", "-ImageSize", "-XResolution"])]
    {
        match std::process::Command::new(tool).args(&arguments).arg(&path).output() {
            Ok(out) => {
                println!("{tool}: {}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
            }
            Err(_) => println!("{tool} is not installed"),
        }
    }
    println!("mean is {}", mean());
}

/// The mean of all samples, for comparison with what a reader says.
fn mean() -> f64 {
    let rows = (0..SIZE.1).map(|y| (0..SIZE.0).map(|x| (0..3).map(|c| u64::from(value(x, y, c))).sum::<u64>()).sum::<u64>());
    rows.sum::<u64>() as f64 / (f64::from(SIZE.0) * f64::from(SIZE.1) * 3.0)
}
