//! Deep Zoom pyramids: every tile there, of the right size, and together the picture.
#![allow(clippy::unwrap_used)]

use impasto::files::Overwrite;
use impasto::image::{PyramidWriter, Rows, Tiling};

fn value(x: u32, y: u32, c: u32, size: (u32, u32)) -> f32 {
    match c {
        0 => x as f32 / size.0 as f32,
        1 => y as f32 / size.1 as f32,
        _ => 0.3,
    }
}

#[test]
fn tiles_of_every_level_hold_the_picture() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (size, side, overlap)) in [
        ((301, 203), 64, 1),
        ((64, 64), 64, 2),
        ((65, 129), 64, 2),
        ((1, 1), 64, 1),
        ((3, 700), 32, 0),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("p{n}.dzi"));
        let tiling = Tiling { side, overlap, quality: 95 };
        let mut writer = PyramidWriter::create(&path, size, tiling, Overwrite::Refuse).unwrap();
        let planes: Vec<Vec<f32>> = (0..3)
            .map(|c| {
                (0..size.1).flat_map(|y| (0..size.0).map(move |x| value(x, y, c, size))).collect()
            })
            .collect();
        // In bands of seven rows.
        for band in (0..size.1 as usize).step_by(7) {
            let range = band * size.0 as usize..(band + 7).min(size.1 as usize) * size.0 as usize;
            let colours = [&planes[0][range.clone()], &planes[1][range.clone()], &planes[2][range]];
            writer.write_rows(Rows { colours, alpha: None }).unwrap();
        }
        assert!(!path.exists());
        writer.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("Width=\"{}\" Height=\"{}\"", size.0, size.1)), "{text}");
        let top = (f64::from(size.0.max(size.1))).log2().ceil() as u32;
        let mut tiles = 0;
        for level in 0..=top {
            let half = |n: u32| (f64::from(n) / 2f64.powi((top - level) as i32)).ceil() as u32;
            let (w, h) = (half(size.0), half(size.1));
            for row in 0..h.div_ceil(side) {
                for column in 0..w.div_ceil(side) {
                    let tile = folder.path().join(format!("p{n}_files/{level}/{column}_{row}.jpg"));
                    let tile =
                        ::image::open(&tile).unwrap_or_else(|e| panic!("{tile:?}: {e}")).to_rgb8();
                    let extent = |i: u32, n: u32| {
                        let (from, to) =
                            ((i * side).saturating_sub(overlap), ((i + 1) * side + overlap).min(n));
                        (from, to - from)
                    };
                    let ((x0, tw), (y0, th)) = (extent(column, w), extent(row, h));
                    assert_eq!(
                        tile.dimensions(),
                        (tw, th),
                        "{n}: level {level} tile {column},{row}"
                    );
                    let (x, y) = (tw / 2, th / 2);
                    let scale = f64::from(1 << (top - level));
                    let at = |v: u32, o: u32| ((f64::from(o + v) + 0.5) * scale) as f32;
                    let want = [
                        at(x, x0).min(size.0 as f32) / size.0 as f32,
                        at(y, y0).min(size.1 as f32) / size.1 as f32,
                    ];
                    // Small levels are means of large parts, taken in linear light: brighter than
                    // the middle.
                    for (c, want) in want.into_iter().enumerate() {
                        if scale < 16.0 && [size.0, size.1][c] > 32 {
                            let got = f32::from(tile.get_pixel(x, y).0[c]) / 255.0;
                            assert!((got - want).abs() < 0.06, "{n} {level}: {got} for {want}");
                        }
                    }
                    tiles += 1;
                }
            }
        }
        let found: usize = std::fs::read_dir(folder.path().join(format!("p{n}_files")))
            .unwrap()
            .map(|level| std::fs::read_dir(level.unwrap().path()).unwrap().count())
            .sum();
        assert_eq!(found, tiles, "no other tiles");
        assert!(PyramidWriter::create(&path, size, tiling, Overwrite::Refuse).is_err());
    }
    // A writer that is dropped leaves nothing, one that may overwrite does.
    let path = folder.path().join("p3.dzi");
    drop(PyramidWriter::create(&path, (1, 1), Tiling::default(), Overwrite::Allow).unwrap());
    let mut writer =
        PyramidWriter::create(&path, (1, 1), Tiling::default(), Overwrite::Allow).unwrap();
    writer.write_rows(Rows { colours: [&[1.0], &[1.0], &[1.0]], alpha: Some(&[0.0]) }).unwrap();
    writer.finish().unwrap();
    assert!(
        !std::fs::read_dir(folder.path()).unwrap().any(|e| e
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("tmp"))
    );
}
