//! A print of 600 megapixels, from a canvas file to a BigTIFF and back, by rows: run with `cargo
//! test --release --test image_big -- --ignored --nocapture`. Takes about 11 GB of disk in the
//! temporary directory.
#![allow(clippy::unwrap_used)]

use std::io::BufReader;
use std::time::Instant;

use impasto::image::{Limits as Memory, probe};
use impasto::render::{ContentImage, Finish};
use impasto::tiling::CanvasFile;
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

/// A canvas file of [`value`]s.
fn canvas(path: &std::path::Path) -> CanvasFile {
    let mut canvas = CanvasFile::create(path, (SIZE.0 as usize, SIZE.1 as usize)).unwrap();
    let band = 50;
    for top in (0..SIZE.1).step_by(band) {
        let rows = top..top + band as u32;
        let values: Vec<f32> = (0..3u32)
            .flat_map(|c| {
                rows.clone().flat_map(move |y| {
                    (0..SIZE.0).map(move |x| f32::from(value(x, y, c)) / 65535.0)
                })
            })
            .collect();
        canvas.write_rows(&values).unwrap();
    }
    canvas.finish().unwrap()
}

#[test]
#[ignore = "writes 11 GB"]
fn a_600_megapixel_bigtiff_is_written_and_read_by_rows() {
    let folder = tempfile::tempdir().unwrap();
    let photograph =
        ::image::RgbImage::from_fn(48, 32, |x, y| ::image::Rgb([(x * 5) as u8, (y * 7) as u8, 90]));
    photograph.save(folder.path().join("photo.png")).unwrap();
    let pipeline = folder.path().join("pipeline.toml");
    let text = format!(
        "input.content = 'photo.png'\nstyle.image = 'photo.png'\ncompute.memory-gib = 64\n[output]\nname = 'big.tiff'\ncompression = 'none'\n\
         long-side-px = {}\ndpi = 300\nbit-depth = 16\nguard-band = false\n",
        SIZE.0
    );
    std::fs::write(&pipeline, text).unwrap();
    let (plan, _) = impasto::batch::plan(&impasto::config::load(&pipeline, &[]).unwrap());
    let job = &plan.jobs[0];
    assert_eq!((job.framing.width, job.framing.height), (SIZE.0 as usize, SIZE.1 as usize));
    let path = job.output.path.clone();
    let start = Instant::now();
    let canvas = canvas(&folder.path().join("canvas"));
    println!("canvas file in {:.1?}, peak {} MiB", start.elapsed(), peak_mib());

    let start = Instant::now();
    let photograph = ContentImage::open(&job.content, &job.framing, &Memory::default()).unwrap();
    Finish::new(job, &plan.run, &photograph, "none").unwrap().complete(&canvas).unwrap();
    std::fs::remove_file(canvas.path()).unwrap();
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("written in {:.1?}: {bytes} bytes, peak {} MiB", start.elapsed(), peak_mib());
    assert!(peak_mib() < 1024);
    let width = SIZE.0 as usize;

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
        let DecodingResult::U16(samples) = decoder.read_chunk(strip).unwrap() else {
            panic!("16 bits")
        };
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
    for (tool, arguments) in [
        ("tiffinfo", vec![]),
        ("vips", vec!["avg"]),
        ("exiftool", vec!["-validate", "-FileType", "-ImageSize", "-XResolution"]),
    ] {
        match std::process::Command::new(tool).args(&arguments).arg(&path).output() {
            Ok(out) => {
                println!(
                    "{tool}: {}{}",
                    String::from_utf8_lossy(&out.stdout),
                    String::from_utf8_lossy(&out.stderr)
                )
            }
            Err(_) => println!("{tool} is not installed"),
        }
    }
    println!("mean is {}", mean());
}

/// The mean of all samples, for comparison with what a reader says.
fn mean() -> f64 {
    let rows = (0..SIZE.1).map(|y| {
        (0..SIZE.0).map(|x| (0..3).map(|c| u64::from(value(x, y, c))).sum::<u64>()).sum::<u64>()
    });
    rows.sum::<u64>() as f64 / (f64::from(SIZE.0) * f64::from(SIZE.1) * 3.0)
}
