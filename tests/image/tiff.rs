//! Kinds of TIFF that no encoder in the tree writes, built by hand: tiles, planes, BigTIFF, both
//! byte orders, PackBits, few bits, floats, associated alpha; and what is refused.
#![allow(clippy::unwrap_used)]

use impasto::image::{Error, Limits, Picture, decode, probe};

const SIZE: (usize, usize) = (37, 23);

/// A TIFF being built.
struct Builder {
    big: bool,
    big_endian: bool,
    /// Tag, kind (3 SHORT, 4 LONG, 5 RATIONAL...), values.
    fields: Vec<(u16, u16, Vec<u64>)>,
    chunks: Vec<Vec<u8>>,
    tiled: bool,
    /// Whether the lengths of strips are stated.
    counts: bool,
    /// Strips that are said to be nowhere and to have no bytes, after those that are there.
    missing: usize,
}

impl Builder {
    fn new(big: bool, big_endian: bool, photometric: u64, bits: u64, samples: usize) -> Self {
        let fields = vec![
            (256, 4, vec![SIZE.0 as u64]),
            (257, 4, vec![SIZE.1 as u64]),
            (258, 3, vec![bits; samples]),
            (262, 3, vec![photometric]),
            (277, 3, vec![samples as u64]),
        ];
        Builder {
            big,
            big_endian,
            fields,
            chunks: Vec::new(),
            tiled: false,
            counts: true,
            missing: 0,
        }
    }

    fn field(&mut self, tag: u16, kind: u16, values: &[u64]) -> &mut Self {
        self.fields.push((tag, kind, values.to_vec()));
        self
    }

    fn number(&self, v: u64, width: usize) -> Vec<u8> {
        if self.big_endian {
            v.to_be_bytes()[8 - width..].to_vec()
        } else {
            v.to_le_bytes()[..width].to_vec()
        }
    }

    fn bytes(mut self) -> Vec<u8> {
        let word = if self.big { 8 } else { 4 };
        let mut out = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        out.extend(self.number(if self.big { 43 } else { 42 }, 2));
        if self.big {
            out.extend(self.number(8, 2));
            out.extend(self.number(0, 2));
        }
        let link = out.len();
        out.extend(vec![0; word]);
        let mut offsets = Vec::new();
        for chunk in &self.chunks {
            offsets.push(out.len() as u64);
            out.extend(chunk);
        }
        let mut lengths: Vec<u64> = self.chunks.iter().map(|c| c.len() as u64).collect();
        for places in [&mut offsets, &mut lengths] {
            places.resize(places.len() + self.missing, 0);
        }
        let (at, count) = if self.tiled { (324, 325) } else { (273, 279) };
        let kind = if self.big { 16 } else { 4 };
        self.fields.push((at, kind, offsets));
        if self.counts {
            self.fields.push((count, kind, lengths));
        }
        self.fields.sort();
        let mut table = self.number(self.fields.len() as u64, if self.big { 8 } else { 2 });
        for (tag, kind, values) in &self.fields {
            let width = match kind {
                1 | 7 => 1,
                3 => 2,
                16 => 8,
                _ => 4,
            };
            let mut value: Vec<u8> = values.iter().flat_map(|v| self.number(*v, width)).collect();
            table.extend(self.number(u64::from(*tag), 2));
            table.extend(self.number(u64::from(*kind), 2));
            table.extend(self.number(if *kind == 5 { 1 } else { values.len() as u64 }, word));
            if value.len() > word {
                out.resize(out.len().next_multiple_of(2), 0);
                let at = out.len() as u64;
                out.extend(&value);
                value = self.number(at, word);
            }
            value.resize(word, 0);
            table.extend(value);
        }
        table.extend(vec![0; word]);
        out.resize(out.len().next_multiple_of(2), 0);
        let at = self.number(out.len() as u64, word);
        out[link..link + word].copy_from_slice(&at);
        out.extend(table);
        out
    }
}

/// Channel `c` of the picture at `(x, y)`, 0..=255.
fn value(x: usize, y: usize, c: usize) -> u8 {
    ((x * 7 + y * 11 + c * 90) % 256) as u8
}

fn decoded(name: &str, bytes: &[u8]) -> Result<Picture, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    decode(&path, &Limits::default())
}

fn check(name: &str, picture: &Picture, want: impl Fn(usize, usize, usize) -> f32) {
    assert_eq!((picture.width as usize, picture.height as usize), SIZE, "{name}");
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            for c in 0..3 {
                let got = picture.pixels[(c * SIZE.1 + y) * SIZE.0 + x];
                let want = want(x, y, c);
                assert!((got - want).abs() < 1e-5, "{name}: {x},{y},{c}: {got} for {want}");
            }
        }
    }
}

/// Samples as bytes of one sample in the file's order.
fn sample(big_endian: bool, bits: u64, float: bool, v: u8) -> Vec<u8> {
    let order = |mut b: Vec<u8>| {
        if !big_endian {
            b.reverse();
        }
        b
    };
    match (bits, float) {
        (8, _) => vec![v],
        (16, false) => order((u16::from(v) * 257).to_be_bytes().to_vec()),
        (32, false) => order((u32::from(v) * 0x0101_0101).to_be_bytes().to_vec()),
        (32, true) => order((f32::from(v) / 255.0).to_be_bytes().to_vec()),
        _ => order((f64::from(v) / 255.0).to_be_bytes().to_vec()),
    }
}

#[test]
fn tiles_planes_depths_and_byte_orders() {
    for big in [false, true] {
        for big_endian in [false, true] {
            for (bits, float) in [(8, false), (16, false), (32, false), (32, true), (64, true)] {
                for planar in [false, true] {
                    for tiled in [false, true] {
                        let name =
                            format!("{big}-{big_endian}-{bits}-{float}-{planar}-{tiled}.tif");
                        let mut b = Builder::new(big, big_endian, 2, bits, 3);
                        b.field(284, 3, &[if planar { 2 } else { 1 }]);
                        if float {
                            b.field(339, 3, &[3; 3]);
                        }
                        let (cw, ch) = if tiled { (16, 16) } else { (SIZE.0, 5) };
                        if tiled {
                            b.field(322, 4, &[16]).field(323, 4, &[16]);
                            b.tiled = true;
                        } else {
                            b.field(278, 4, &[5]);
                        }
                        let groups: Vec<Vec<usize>> = if planar {
                            vec![vec![0], vec![1], vec![2]]
                        } else {
                            vec![vec![0, 1, 2]]
                        };
                        for group in groups {
                            for y0 in (0..SIZE.1).step_by(ch) {
                                for x0 in (0..SIZE.0).step_by(cw) {
                                    let rows = if tiled { ch } else { ch.min(SIZE.1 - y0) };
                                    let mut chunk = Vec::new();
                                    for y in y0..y0 + rows {
                                        for x in x0..x0 + cw {
                                            for c in &group {
                                                chunk.extend(sample(
                                                    big_endian,
                                                    bits,
                                                    float,
                                                    value(x, y, *c),
                                                ));
                                            }
                                        }
                                    }
                                    b.chunks.push(chunk);
                                }
                            }
                        }
                        let p = decoded(&name, &b.bytes()).unwrap_or_else(|e| panic!("{e}"));
                        check(&name, &p, |x, y, c| f32::from(value(x, y, c)) / 255.0);
                    }
                }
            }
        }
    }
}

#[test]
fn packbits_and_few_bits_of_grey() {
    // Literal runs only: a valid PackBits stream.
    let pack = |row: &[u8]| {
        row.chunks(128)
            .flat_map(|c| [vec![c.len() as u8 - 1], c.to_vec()].concat())
            .collect::<Vec<u8>>()
    };
    let mut b = Builder::new(false, false, 2, 8, 3);
    b.field(259, 3, &[32773]).field(278, 4, &[SIZE.1 as u64]);
    let rows = (0..SIZE.1).flat_map(|y| {
        pack(&(0..SIZE.0).flat_map(|x| (0..3).map(move |c| value(x, y, c))).collect::<Vec<u8>>())
    });
    b.chunks.push(rows.collect());
    check("packbits", &decoded("p.tif", &b.bytes()).unwrap(), |x, y, c| {
        f32::from(value(x, y, c)) / 255.0
    });

    for (bits, white_is_zero) in [(1usize, false), (1, true), (2, false), (4, false), (4, true)] {
        let top = (1usize << bits) - 1;
        let grey = |x: usize, y: usize| (x + y * 3) & top;
        let mut b = Builder::new(false, true, u64::from(!white_is_zero), bits as u64, 1);
        b.field(278, 4, &[4]);
        for y0 in (0..SIZE.1).step_by(4) {
            let mut chunk = Vec::new();
            for y in y0..(y0 + 4).min(SIZE.1) {
                let mut row = vec![0u8; (SIZE.0 * bits).div_ceil(8)];
                for x in 0..SIZE.0 {
                    row[x * bits / 8] |= (grey(x, y) << (8 - bits - x * bits % 8)) as u8;
                }
                chunk.extend(row);
            }
            b.chunks.push(chunk);
        }
        let p =
            decoded("g.tif", &b.bytes()).unwrap_or_else(|e| panic!("{bits} {white_is_zero}: {e}"));
        check(&format!("{bits} bits"), &p, |x, y, _| {
            let v = grey(x, y) as f32 / top as f32;
            if white_is_zero { 1.0 - v } else { v }
        });
    }
}

/// A strip packed by TIFF's number of a compression.
fn packed(compression: u64, strip: &[u8]) -> Vec<u8> {
    match compression {
        5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
            .encode(strip)
            .unwrap(),
        8 => {
            let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
            std::io::Write::write_all(&mut packer, strip).unwrap();
            packer.finish().unwrap()
        }
        // Literal runs.
        32773 => strip.chunks(128).flat_map(|c| [&[c.len() as u8 - 1], c].concat()).collect(),
        _ => strip.to_vec(),
    }
}

#[test]
fn white_is_zero_reversed_bits_and_missing_lengths_in_every_compression() {
    for compression in [1, 5, 8, 32773] {
        for (white_is_zero, reversed, counts) in
            [(true, false, true), (true, true, true), (false, true, false), (true, false, false)]
        {
            let mut b = Builder::new(false, true, u64::from(!white_is_zero), 16, 1);
            b.field(259, 3, &[compression]).field(278, 4, &[10]);
            b.field(266, 3, &[if reversed { 2 } else { 1 }]);
            b.counts = counts;
            for y0 in (0..SIZE.1).step_by(10) {
                let rows = y0..(y0 + 10).min(SIZE.1);
                let values = rows.flat_map(|y| (0..SIZE.0).map(move |x| value(x, y, 0)));
                let stored = values.map(|v| if white_is_zero { 255 - v } else { v });
                let strip: Vec<u8> = stored.flat_map(|v| [v, v]).collect();
                let mut strip = packed(compression, &strip);
                if reversed {
                    strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
                }
                b.chunks.push(strip);
            }
            let name = format!("{compression} {white_is_zero} {reversed} {counts}");
            let p = decoded("w.tif", &b.bytes()).unwrap_or_else(|e| panic!("{name}: {e}"));
            check(&name, &p, |x, y, _| f32::from(value(x, y, 0)) / 255.0);
        }
    }
}

#[test]
fn palettes_of_sixteen_and_of_eight_bits() {
    for scale in [257, 1] {
        let mut b = Builder::new(false, false, 3, 4, 1);
        let colour = |i: u64, c: u64| (i * 15 + c * 5) % 256;
        let palette: Vec<u64> =
            (0..3).flat_map(|c| (0..16).map(move |i| colour(i, c) * scale)).collect();
        b.field(320, 3, &palette);
        let index = |x: usize, y: usize| (x + y) % 16;
        let mut strip = Vec::new();
        for y in 0..SIZE.1 {
            let pair = |x: usize| (index(x, y) << 4 | index(x + 1, y)) as u8;
            strip.extend((0..SIZE.0).step_by(2).map(pair));
        }
        b.chunks.push(strip);
        let p = decoded("p.tif", &b.bytes()).unwrap();
        check(&format!("palette {scale}"), &p, |x, y, c| {
            colour(index(x, y) as u64, c as u64) as f32 / 255.0
        });
    }
}

#[test]
fn alpha_straight_associated_and_on_grey() {
    for (photometric, colours, extra) in [(2u64, 3usize, 2u64), (2, 3, 1), (1, 1, 2), (1, 1, 1)] {
        let mut b = Builder::new(false, false, photometric, 16, colours + 1);
        b.field(338, 3, &[extra]).field(278, 4, &[SIZE.1 as u64]);
        let alpha = |x: usize| 0.25 + 0.5 * x as f32 / SIZE.0 as f32;
        let colour = |x: usize, y: usize, c: usize| f32::from(value(x, y, c)) / 255.0;
        let mut chunk = Vec::new();
        for y in 0..SIZE.1 {
            for x in 0..SIZE.0 {
                let factor = if extra == 1 { alpha(x) } else { 1.0 };
                for c in 0..colours {
                    chunk.extend(
                        ((colour(x, y, c) * factor * 65535.0).round() as u16).to_le_bytes(),
                    );
                }
                chunk.extend(((alpha(x) * 65535.0).round() as u16).to_le_bytes());
            }
        }
        b.chunks.push(chunk);
        let p = decoded("a.tif", &b.bytes()).unwrap();
        let got = p.alpha.as_ref().unwrap();
        assert!((got[5] - alpha(5)).abs() < 1e-4);
        for (i, v) in p.pixels.iter().enumerate() {
            let (x, y, c) = (i % SIZE.0, i / SIZE.0 % SIZE.1, i / SIZE.0 / SIZE.1);
            let want = colour(x, y, if colours == 1 { 0 } else { c });
            assert!((v - want).abs() < 2e-4, "{photometric} {extra}: {x},{y},{c}: {v} for {want}");
        }
    }
}

#[test]
fn what_is_not_read_is_said() {
    let flat =
        |b: &mut Builder, samples: usize| b.chunks.push(vec![100; SIZE.0 * SIZE.1 * samples]);
    // What it is, and a command that converts it.
    let said = |what: &str, command: &str, file: Builder| {
        let error = decoded("x.tif", &file.bytes()).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Unsupported { .. }), "{text}");
        assert!(text.contains(what) && text.contains(command) && text.contains("x.tif"), "{text}");
        assert!(!text.contains("damaged"), "{text}");
    };
    let mut cmyk = Builder::new(false, false, 5, 8, 4);
    flat(&mut cmyk, 4);
    let error = decoded("c.tif", &cmyk.bytes()).unwrap_err();
    assert!(
        matches!(error, Error::Cmyk { .. }) && error.to_string().contains("profile"),
        "{error}"
    );

    let mut dng = Builder::new(false, false, 2, 8, 3);
    dng.field(50706, 1, &[1, 4, 0, 0]);
    flat(&mut dng, 3);
    assert!(matches!(decoded("d.tif", &dng.bytes()).unwrap_err(), Error::Raw { .. }));

    let mut lab = Builder::new(false, false, 8, 8, 3);
    flat(&mut lab, 3);
    said("Lab pixels", "vips colourspace", lab);

    let mut signed = Builder::new(false, false, 2, 8, 3);
    signed.field(339, 3, &[2; 3]);
    flat(&mut signed, 3);
    said("signed integers", "vips cast", signed);

    for (number, name) in [
        (34925, "LZMA"),
        (50001, "WebP"),
        (34712, "JPEG 2000"),
        (6, "old-style JPEG"),
        (7777, "number 7777"),
    ] {
        let mut packed = Builder::new(false, false, 2, 8, 3);
        packed.field(259, 3, &[number]);
        flat(&mut packed, 3);
        said(name, "tiffcp -c lzw", packed);
    }
    let mut subsampled = Builder::new(false, false, 6, 8, 3);
    subsampled.field(530, 3, &[2, 2]);
    flat(&mut subsampled, 3);
    said("subsampled YCbCr", "tiff2rgba", subsampled);

    // A JPEG of twelve bits a channel.
    let mut deep = Builder::new(false, false, 2, 8, 3);
    deep.field(259, 3, &[7]);
    deep.chunks.push(std::fs::read("tests/corpus/F19-12bit.jpg").unwrap());
    said("a JPEG inside it with 12 bits a channel", "tiffcp", deep);

    // The second half was left out because it is black.
    let mut sparse = Builder::new(false, false, 2, 8, 3);
    sparse.field(278, 4, &[12]);
    sparse.chunks.push(vec![100; SIZE.0 * 12 * 3]);
    sparse.missing = 1;
    said("1 of 2 strips or tiles without bytes", "gdal_translate", sparse);

    // Nothing was ever written.
    let mut empty = Builder::new(false, false, 2, 8, 3);
    empty.missing = 1;
    let error = decoded("e.tif", &empty.bytes()).unwrap_err();
    assert!(error.to_string().contains("it holds no pixels"), "{error}");

    // A claim of 4 billion pixels in a few bytes.
    let mut bomb = Builder::new(false, false, 2, 16, 3);
    bomb.fields[0].2 = vec![65_000];
    bomb.fields[1].2 = vec![65_000];
    bomb.field(278, 4, &[65_000]);
    bomb.chunks.push(vec![0; 10]);
    let error = decoded("b.tif", &bomb.bytes()).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { width: 65_000, .. }) && error.to_string().contains("GiB"),
        "{error}"
    );
}

#[test]
fn resolution_in_centimetres_and_pages() {
    let mut b = Builder::new(true, true, 2, 8, 3);
    b.field(282, 5, &[100, 1]).field(283, 5, &[50, 1]).field(296, 3, &[3]);
    b.chunks.push(vec![100; SIZE.0 * SIZE.1 * 3]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.tif");
    std::fs::write(&path, b.bytes()).unwrap();
    let header = probe(&path).unwrap();
    assert_eq!(header.dpi, Some((254.0, 127.0)));
    assert_eq!(header.frames, 1);
}
