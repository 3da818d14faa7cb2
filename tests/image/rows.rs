//! Pictures that are read row by row: the same pixels, and little memory.

use std::path::PathBuf;

use impasto::image::{Error, Limits, Rows, decode, decode_rows};

/// What came of a picture's rows.
#[derive(Default)]
struct Gathered {
    planes: [Vec<f32>; 3],
    alpha: Vec<f32>,
    calls: usize,
}

fn rows(path: &std::path::Path, limits: &Limits) -> Result<Gathered, Error> {
    decode_rows(
        path,
        limits,
        |_| Ok(Gathered::default()),
        |gathered: &mut Gathered, rows: Rows<'_>| {
            for (plane, colours) in gathered.planes.iter_mut().zip(rows.colours) {
                plane.extend_from_slice(colours);
            }
            gathered.alpha.extend(rows.alpha.into_iter().flatten());
            gathered.calls += 1;
            Ok(())
        },
    )
}

/// Every picture of the tests.
fn pictures() -> Vec<PathBuf> {
    let folders = ["tests/corpus", "tests/pictures", "samples/content"];
    let all = folders.iter().flat_map(|folder| {
        std::fs::read_dir(crate::support::path(folder)).unwrap().map(|entry| entry.unwrap().path())
    });
    let mut all: Vec<PathBuf> = all.filter(|path| path.is_file()).collect();
    all.sort();
    all
}

#[test]
fn every_picture_has_the_same_pixels_row_by_row() {
    let (mut same, mut by_bands) = (0, 0);
    for path in pictures() {
        let (whole, gathered) =
            (decode(&path, &Limits::default()), rows(&path, &Limits::default()));
        let Ok(whole) = whole else {
            assert!(gathered.is_err(), "{}", path.display());
            continue;
        };
        let gathered = gathered.unwrap_or_else(|error| panic!("{error}"));
        let alpha = whole.alpha.unwrap_or_default();
        let opaque = gathered.alpha.iter().all(|value| *value == 1.0);
        assert!(gathered.alpha == alpha || (opaque && alpha.is_empty()), "{}", path.display());
        if alpha.is_empty() {
            assert!(gathered.planes.concat() == whole.pixels, "{}", path.display());
            same += 1;
        }
        by_bands += usize::from(gathered.calls > 1);
    }
    assert!(same > 100 && by_bands > 10, "{same} the same, {by_bands} in bands");
}

#[test]
fn a_picture_beyond_the_memory_is_read_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["large.png", "large.tif"] {
        let path = folder.path().join(name);
        image::RgbImage::from_fn(2000, 1500, |x, y| image::Rgb([x as u8, y as u8, 7]))
            .save(&path)
            .unwrap();
        let limits = Limits::bytes(30_000_000);
        assert!(matches!(decode(&path, &limits), Err(Error::TooLarge { .. })), "{name}");
        let gathered = rows(&path, &limits).unwrap();
        assert_eq!(gathered.planes[2].len(), 2000 * 1500, "{name}");
    }
}

#[test]
fn what_the_receiver_says_ends_it() {
    let path = crate::support::path("samples/content/chelsea.png");
    let refuse = || Error::Rows { path: "here".into(), reason: "enough".into() };
    let result = decode_rows(&path, &Limits::default(), |_| Ok(()), move |(), _| Err(refuse()));
    assert!(matches!(result, Err(Error::Rows { .. })));
}
