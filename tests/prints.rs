//! From a canvas to the print and its companions, without painting one: colours, alpha, bleed,
//! recipe, preview, pyramid.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use ::image::{DynamicImage, GenericImageView, ImageDecoder, Rgba, RgbaImage};
use impasto::config::{Effect, RunSettings, preview_path, pyramid_path};
use impasto::geometry::Rect;
use impasto::image::{Limits, content_colours, linear_from_coded};
use impasto::plan::Job;
use impasto::random::Noise;
use impasto::render::{ContentImage, Finish};
use impasto::tiling::{CanvasFile, Pixels, Planes};

/// The hash of no network.
const WEIGHTS: &str = "00ff00ff";

/// A folder with a photograph of 48 x 32 px, a painting, and a pipeline.
struct Studio {
    folder: tempfile::TempDir,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photograph = |x: u32, y: u32, alpha: u8| {
            Rgba([(x * 5) as u8, (y * 7) as u8, (x * y % 251) as u8, alpha])
        };
        let save = |name: &str, image: DynamicImage| image.save(folder.path().join(name)).unwrap();
        let opaque = RgbaImage::from_fn(48, 32, |x, y| photograph(x, y, 255));
        save("photo.png", DynamicImage::ImageRgba8(opaque.clone()).to_rgb8().into());
        save(
            "holes.png",
            RgbaImage::from_fn(48, 32, |x, y| photograph(x, y, if x < 24 { 255 } else { 0 }))
                .into(),
        );
        save("painting.png", opaque.into());
        Studio { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The only job of a pipeline with these keys of `[output]`, and more tables after them.
    fn job(&self, content: &str, output: &str) -> Job {
        let pipeline = self.path("pipeline.toml");
        let text = format!(
            "input.content = '{content}'\nstyle.image = 'painting.png'\nstyle.scale = 0.5\n[output]\n{output}\n"
        );
        std::fs::write(&pipeline, text).unwrap();
        let config =
            impasto::config::load(&pipeline, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let (mut plan, unusable) = impasto::batch::plan(&config);
        assert!(unusable.is_empty(), "{unusable:?}");
        plan.jobs.remove(0)
    }
}

fn photograph(job: &Job) -> ContentImage {
    ContentImage::open(&job.content, &job.framing, &Limits::default()).unwrap()
}

/// A canvas for the job with values a little outside of 0..1, as canvases have them.
fn canvas(job: &Job) -> Vec<f32> {
    let noise = Noise::new(3);
    let (width, height) = size(job);
    (0..3 * width * height).map(|i| 0.5 + 0.25 * noise.normal(i as u64)).collect()
}

/// Width and height of the job's canvas, px.
fn size(job: &Job) -> (usize, usize) {
    job.framing.canvas()
}

/// How the job's pictures are written.
fn finish<'a>(job: &'a Job, photograph: &'a ContentImage) -> Finish<'a> {
    Finish::new(job, &RunSettings::default(), photograph, WEIGHTS).unwrap()
}

/// Finishes the job from a canvas in memory. Returns the companions and the warnings.
fn complete(job: &Job, values: &[f32]) -> (Vec<PathBuf>, Vec<String>) {
    let photograph = photograph(job);
    let finish = finish(job, &photograph);
    let companions = finish.complete(&Planes::new(size(job), values).unwrap()).unwrap();
    let companions = companions.into_iter().map(|file| file.path).collect();
    (companions, finish.warnings().to_vec())
}

#[test]
fn a_canvas_in_a_file_gives_the_same_bytes_as_one_in_memory() {
    let studio = Studio::new();
    for name in ["a.png", "a.tiff", "a.jpg"] {
        let job = studio
            .job("photo.png", &format!("name = '{name}'\nlong-side-px = 400\ncolor = 'content'"));
        let values = canvas(&job);
        complete(&job, &values);
        let first = std::fs::read(&job.output).unwrap();
        let file = CanvasFile::create_with(&studio.path("canvas"), size(&job), &values).unwrap();
        let output = job.home.output(studio.path(&format!("other-{name}")));
        let other = Job { output, ..job };
        let photograph = photograph(&other);
        finish(&other, &photograph).complete(&file).unwrap();
        assert_eq!(std::fs::read(&other.output).unwrap(), first, "{name}");
    }
}

/// A canvas that fails when more than a few rows are asked for at once, or some of them twice.
struct Bands {
    size: (usize, usize),
    next: std::sync::Mutex<usize>,
}

impl Pixels for Bands {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn read(&self, rect: Rect) -> Result<Vec<f32>, impasto::planes::PlaneError> {
        let mut next = self.next.lock().unwrap();
        assert_eq!((rect.left, rect.top, rect.width), (0, *next, self.size.0));
        assert!(rect.height <= 256, "{} rows at once", rect.height);
        *next = rect.bottom();
        Ok(vec![0.5; 3 * rect.area()])
    }
}

#[test]
fn a_canvas_is_read_once_from_top_to_bottom_by_bands() {
    let studio = Studio::new();
    let job = studio
        .job("photo.png", "name = 'a.tiff'\nlong-side-px = 1200\npreview = true\npyramid = 'dzi'");
    let photograph = photograph(&job);
    let guard = job.framing.guard;
    let bands = Bands { size: size(&job), next: guard.into() };
    finish(&job, &photograph).complete(&bands).unwrap();
    assert_eq!(*bands.next.lock().unwrap(), guard + 800);
}

#[test]
fn the_photograph_s_colours_come_by_bands_as_they_would_at_once() {
    let studio = Studio::new();
    let job = studio.job(
        "photo.png",
        "name = 'a.tiff'\nbit-depth = 16\nlong-side-px = 1500\ncolor = 'content'",
    );
    let values = canvas(&job);
    complete(&job, &values);
    let mut expected: Vec<f32> = values.iter().map(|v| v.clamp(0.0, 1.0)).collect();
    let (width, height) = size(&job);
    let whole = photograph(&job)
        .tensor(width, height)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    content_colours(&mut expected, &whole);
    let read = ::image::open(&job.output).unwrap().to_rgb16();
    assert_eq!(read.dimensions(), (1500, 1000));
    let guard = job.framing.guard;
    for (x, y, pixel) in read.enumerate_pixels() {
        let i = (y as usize + guard) * width + x as usize + guard;
        for c in 0..3 {
            let want = expected[c * width * height + i].clamp(0.0, 1.0) * 65535.0;
            assert!(
                (f32::from(pixel.0[c]) - want).abs() < 2.0,
                "{x},{y},{c}: {} for {want}",
                pixel.0[c]
            );
        }
    }
}

#[test]
fn alpha_is_kept_and_a_jpeg_is_laid_over_white() {
    let studio = Studio::new();
    for (name, kept) in [("a.png", true), ("a.tiff", true), ("a.jpg", false)] {
        let job = studio.job("holes.png", &format!("name = '{name}'\nlong-side-px = 192"));
        let (width, height) = size(&job);
        let (_, warnings) = complete(&job, &vec![0.2; 3 * width * height]);
        assert_eq!(warnings.iter().any(|w| w.contains("white")), !kept, "{warnings:?}");
        let read = ::image::open(&job.output).unwrap();
        assert_eq!(read.color().has_alpha(), kept, "{name}");
        let (seen, hidden) = (read.get_pixel(20, 60).0, read.get_pixel(180, 60).0);
        assert!(seen[0].abs_diff(51) < 3 && seen[3] == 255, "{name}: {seen:?}");
        if kept {
            assert_eq!(hidden[3], 0, "{name}: {hidden:?}");
        } else {
            assert!(hidden[..3].iter().all(|v| *v > 250), "{name}: {hidden:?}");
        }
    }
}

#[test]
fn bleed_shows_more_of_the_photograph_and_then_its_mirror_image() {
    let studio = Studio::new();
    // 48 x 32 px onto 2 x 2 in at 96 dpi: 192 x 192 px, a quarter of whose photograph is 8 px, cut
    // left and right.
    let sheet = "name = 'a.png'\nwidth-mm = 50.8\nheight-mm = 50.8\ndpi = 96\nfit = 'cover'\nguard-band = false";
    let (plain, bled) = (
        studio.job("photo.png", sheet),
        studio.job("photo.png", &format!("{sheet}\nbleed-mm = 6.35")),
    );
    assert_eq!((size(&plain), size(&bled)), ((192, 192), (240, 240)));
    let values = |job: &Job| {
        let (w, h) = size(job);
        photograph(job).tensor(w, h).unwrap().to_vec3::<f32>().unwrap()
    };
    let (trim, whole) = (values(&plain), values(&bled));
    for c in 0..3 {
        // Rows closer to the photograph's end see its mirror image beyond it instead of nothing.
        for y in 20..172 {
            for x in 0..192 {
                let off = (trim[c][y][x] - whole[c][y + 24][x + 24]).abs();
                assert!(off < 1e-4, "{c},{y},{x}: {off}");
            }
        }
        // Above and below the photograph ends: its mirror image.
        for k in 0..24 {
            for (x, (out, within)) in whole[c][23 - k].iter().zip(&whole[c][24 + k]).enumerate() {
                assert!((out - within).abs() < 1e-3, "{c},{k},{x}");
            }
        }
    }
    // To the left there is more of it: red is five for each photograph's pixel, and goes on
    // falling.
    let red = |x: usize| whole[0][120][x] * 255.0;
    assert!((red(24) - 5.0 * (8.0 + 0.5 / 6.0 - 0.5)).abs() < 1.0, "{}", red(24));
    assert!((red(0) - 5.0 * (4.0 + 0.5 / 6.0 - 0.5)).abs() < 1.0, "{}", red(0));
}

/// A canvas of `size` whose every pixel says where it is: column, row, and what both have above the
/// lower eight bits.
fn labelled((width, height): (usize, usize)) -> Vec<f32> {
    let label = |c: usize, x: usize, y: usize| [x & 255, y & 255, (x >> 8) + 16 * (y >> 8)][c];
    let place = |i: usize| (i / (width * height), i % width, i / width % height);
    (0..3 * width * height).map(place).map(|(c, x, y)| label(c, x, y) as f32 / 255.0).collect()
}

#[test]
fn the_guard_band_is_cut_off_to_the_pixel() {
    let studio = Studio::new();
    for (keys, written, guard) in [
        ("long-side-px = 1500", (1500, 1000), 17),
        ("long-side-px = 333", (333, 222), 3),
        ("width-mm = 254\nheight-mm = 50.8\ndpi = 60\nfit = 'exact'", (600, 120), 2),
        (
            "width-mm = 101.6\nheight-mm = 101.6\ndpi = 60\nfit = 'cover'\nbleed-mm = 4",
            (258, 258),
            3,
        ),
        ("long-side-px = 16", (16, 11), 0),
        ("long-side-px = 1500\nguard-band = false", (1500, 1000), 0),
    ] {
        for name in ["a.png", "a.tiff"] {
            let keys = format!("{keys}\nname = '{name}'\ndither = false\noverwrite = true");
            let job = studio.job(
                "holes.png",
                &format!(
                    "{keys}\n[objective]\ncontent-layers = ['relu1_1']\nstyle-layers = ['relu1_1']"
                ),
            );
            assert_eq!((job.framing.width, job.framing.height), written, "{keys}");
            assert_eq!(job.framing.guard, guard, "{keys}");
            complete(&job, &labelled(size(&job)));
            let read = ::image::open(&job.output).unwrap().to_rgba8();
            assert_eq!(read.dimensions(), (written.0 as u32, written.1 as u32), "{keys}");
            let whole = labelled(size(&job));
            let (width, height) = size(&job);
            for (x, y, pixel) in read.enumerate_pixels() {
                let i = (y as usize + guard) * width + x as usize + guard;
                let want = [0, 1, 2].map(|c| (whole[c * width * height + i] * 255.0).round() as u8);
                assert_eq!(pixel.0[..3], want, "{keys}: {x},{y}");
            }
            // The photograph's transparency is cut with it.
            let quarter = written.0 as u32 / 4;
            let seen = [quarter, 3 * quarter].map(|x| read.get_pixel(x, 5).0[3]);
            assert!(written.0 < 100 || seen == [255, 0], "{keys}: {seen:?}");
        }
    }
}

#[test]
fn pictures_of_lower_levels_have_no_band_either() {
    let studio = Studio::new();
    let keys = "name = 'a.png'\nlong-side-px = 1536\ndither = false";
    let job = studio.job("photo.png", &format!("{keys}\n[pyramid]\nshort-side-px = 128"));
    assert_eq!((job.levels.len(), job.framing.guard), (4, 17));
    let photograph = photograph(&job);
    let finish = finish(&job, &photograph);
    let path = studio.path("partial.png");
    std::fs::create_dir(job.output.parent().unwrap()).unwrap();
    for (level, written) in
        job.levels.iter().zip([(192, 128), (384, 256), (768, 512), (1536, 1024)])
    {
        let size = (level.width, level.height);
        assert_eq!(job.picture_size(level), written);
        assert!(size.0 > written.0 && size.1 > written.1, "{size:?}");
        let values = labelled(size);
        let canvas = Planes::new(size, &values).unwrap();
        finish.write(&canvas, &path).unwrap();
        let read = ::image::open(&path).unwrap().to_rgb8();
        assert_eq!(read.dimensions(), (written.0 as u32, written.1 as u32));
        // The picture lies in the middle of its canvas.
        let first = read.get_pixel(0, 0).0;
        let middle = ((size.0 - written.0) / 2, (size.1 - written.1) / 2);
        assert_eq!((first[0] as usize, first[1] as usize), middle);
        let preview = ::image::open(finish.write_preview(&canvas).unwrap()).unwrap();
        assert_eq!((preview.width() as usize, preview.height() as usize), written);
    }
}

/// What a file says of how it was made, as another decoder reads it.
fn recipe_in(path: &Path) -> String {
    match path.extension().unwrap().to_str().unwrap() {
        "png" => {
            let reader =
                png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()))
                    .read_info()
                    .unwrap();
            let texts = &reader.info().utf8_text;
            assert!(
                texts
                    .iter()
                    .any(|t| t.keyword == "Software"
                        && t.get_text().unwrap().starts_with("impasto "))
            );
            texts.iter().find(|t| t.keyword == "Comment").unwrap().get_text().unwrap()
        }
        "tiff" => {
            let mut decoder =
                tiff::decoder::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
            assert!(
                decoder
                    .get_tag_ascii_string(tiff::tags::Tag::Software)
                    .unwrap()
                    .starts_with("impasto ")
            );
            decoder.get_tag_ascii_string(tiff::tags::Tag::ImageDescription).unwrap()
        }
        _ => {
            let bytes = std::fs::read(path).unwrap();
            let at = bytes.windows(2).position(|two| two == [0xff, 0xfe]).unwrap();
            let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            let comment = String::from_utf8(bytes[at + 4..at + 2 + length].to_vec()).unwrap();
            comment.split_once('\n').unwrap().1.to_owned()
        }
    }
}

#[test]
fn a_print_holds_the_pipeline_that_makes_it_again() {
    let studio = Studio::new();
    for name in ["a.png", "a.tiff", "a.jpg"] {
        let keys = format!(
            "name = '{name}'\nsize = 'A6'\ndpi = 40\nfit = 'cover'\nbleed-mm = 3\n[objective]\npreset = 'gatys'\nstyle-layers = ['relu1_1']"
        );
        let job = studio.job("photo.png", &keys);
        complete(&job, &canvas(&job));
        let recipe = recipe_in(&job.output);
        for part in [
            "impasto 0",
            "pipeline.toml",
            "gatys",
            "sha256 00ff00ff",
            "243x175 px, 148 x 105 mm at 40 dpi with 5 px of bleed",
            "compute.precision = \"float32\"",
        ] {
            assert!(recipe.contains(part), "{name}: {part} in {recipe}");
        }
        let again = studio.path("again.toml");
        std::fs::write(&again, &recipe).unwrap();
        let config = impasto::config::load(&again, &[])
            .unwrap_or_else(|problems| panic!("{problems:?}\n{recipe}"));
        let (plan, _) = impasto::batch::plan(&config);
        let second = &plan.jobs[0];
        assert_eq!(
            (&second.name, &second.content, &second.framing, &second.spec),
            (&job.name, &job.content, &job.framing, &job.spec)
        );
        let listing = |job: &Job| {
            let all = job.settings.listing(&job.home);
            all.into_iter().filter(|one| one.effect == Effect::Pixels).collect::<Vec<_>>()
        };
        assert_eq!(listing(second), listing(&job), "{name}");
        // And nothing of it where none is wanted.
        let job = studio.job("photo.png", &keys.replacen("dpi", "metadata = 'none'\ndpi", 1));
        std::fs::remove_file(&job.output).unwrap();
        complete(&job, &canvas(&job));
        let bytes = std::fs::read(&job.output).unwrap();
        assert!(!bytes.windows(12).any(|part| part == b"sha256 00ff0"), "{name}");
        std::fs::remove_file(&job.output).unwrap();
    }
}

#[test]
fn companions_lie_beside_the_picture_and_show_it() {
    let studio = Studio::new();
    let job = studio.job(
        "photo.png",
        "name = 'wide.tiff'\nlong-side-px = 3300\npreview = true\npyramid = 'dzi'",
    );
    let (width, height) = size(&job);
    // Stripes whose mean in light is not the mean of their codes.
    let stripes: Vec<f32> =
        (0..3 * width * height).map(|i| if i % width % 2 == 0 { 0.9 } else { 0.1 }).collect();
    let (companions, warnings) = complete(&job, &stripes);
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(
        companions,
        [studio.path("renders/wide.preview.jpg"), studio.path("renders/wide.dzi")]
    );
    assert_eq!(companions, [preview_path(&job.output), pyramid_path(&job.output)]);
    let preview = ::image::open(&companions[0]).unwrap().to_rgb8();
    assert_eq!(preview.dimensions(), (1600, 1067));
    let light = (linear_from_coded(0.9) + linear_from_coded(0.1)) / 2.0;
    for pixel in
        [preview.get_pixel(0, 0), preview.get_pixel(800, 500), preview.get_pixel(1599, 1066)]
    {
        let seen = linear_from_coded(f32::from(pixel.0[1]) / 255.0);
        assert!((seen - light).abs() < 0.01, "{pixel:?}");
    }
    let description = std::fs::read_to_string(&companions[1]).unwrap();
    let (width, height) = (job.framing.width, job.framing.height);
    assert!(
        description.contains(&format!("Width=\"{width}\" Height=\"{height}\"")),
        "{description}"
    );
    assert!(studio.path("renders/wide_files/12/12_8.jpg").exists());
    assert_eq!(
        std::fs::read_dir(studio.path("renders")).unwrap().count(),
        4,
        "picture, preview, description, tiles"
    );
    // The picture is there: nothing is replaced, and nothing of another attempt is left.
    let photograph = photograph(&job);
    let finish = finish(&job, &photograph);
    let refused =
        finish.complete(&Planes::new(size(&job), &stripes).unwrap()).unwrap_err().to_string();
    assert!(refused.contains("already exists"), "{refused}");
    assert_eq!(std::fs::read_dir(studio.path("renders")).unwrap().count(), 4);
}

#[test]
fn what_cannot_be_written_is_told_before_the_work() {
    let studio = Studio::new();
    let grey = moxcms::ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let mut encoder = ::image::codecs::png::PngEncoder::new(
        std::fs::File::create(studio.path("grey.png")).unwrap(),
    );
    use ::image::ImageEncoder;
    encoder.set_icc_profile(grey.clone()).unwrap();
    encoder.write_image(&[90; 48 * 32], 48, 32, ::image::ExtendedColorType::L8).unwrap();
    let job = studio.job("grey.png", "name = 'a.png'\n[color]\noutput-profile = 'input'");
    let photograph = photograph(&job);
    let finish = finish(&job, &photograph);
    assert!(
        finish.warnings().iter().any(|w| w.contains("sRGB") && w.contains("RGB profiles")),
        "{:?}",
        finish.warnings()
    );

    // A profile that cannot be written to, and a picture too wide for its format, are known when
    // the run is planned.
    std::fs::write(studio.path("grey.icc"), grey).unwrap();
    for (output, parts) in [
        ("name = 'a.png'\n[color]\noutput-profile = 'grey.icc'", ["grey.icc", "RGB"]),
        ("name = 'a.jpg'\nlong-side-px = 70000", ["a.jpg", "65535"]),
    ] {
        let pipeline = studio.path("pipeline.toml");
        std::fs::write(
            &pipeline,
            format!(
                "input.content = 'photo.png'\nstyle.image = 'painting.png'\n[output]\n{output}\n"
            ),
        )
        .unwrap();
        let (plan, unusable) =
            impasto::batch::plan(&impasto::config::load(&pipeline, &[]).unwrap());
        let reason = unusable[0].1.to_string();
        assert!(plan.jobs.is_empty() && parts.iter().all(|part| reason.contains(part)), "{reason}");
    }
}

#[test]
fn the_photograph_s_own_profile_and_the_resolution_reach_the_print() {
    let studio = Studio::new();
    let wide = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let mut encoder = ::image::codecs::png::PngEncoder::new(
        std::fs::File::create(studio.path("wide.png")).unwrap(),
    );
    use ::image::ImageEncoder;
    encoder.set_icc_profile(wide.clone()).unwrap();
    encoder.write_image(&[90; 48 * 32 * 3], 48, 32, ::image::ExtendedColorType::Rgb8).unwrap();
    for (profile, own) in [("input", true), ("srgb", false)] {
        let job =
            studio.job("wide.png", &format!("name = '{profile}.png'\nwidth-mm = 25.4\ndpi = 200\n[color]\noutput-profile = '{profile}'"));
        complete(&job, &canvas(&job));
        let file = std::io::BufReader::new(std::fs::File::open(&job.output).unwrap());
        let mut decoder = ::image::codecs::png::PngDecoder::new(file).unwrap();
        assert_eq!(decoder.icc_profile().unwrap().unwrap() == wide, own);
        let dpi = impasto::image::probe(&job.output).unwrap().dpi.unwrap();
        assert!((dpi.0 - 200.0).abs() < 0.01, "{dpi:?}");
    }
}
