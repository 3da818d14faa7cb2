//! Finding a look: grids of pictures, their contact sheet, and the chosen one taken to the print.

use crate::folder::Folder;

/// Two weights and two sizes of strokes, a few evaluations each.
const GRID: &str = r#"
extends = "pipeline.toml"
pyramid.evaluations = 3

[grid]
objective.content-weight = [1, 1e6]
style.scale = [0.5, 1.0]
"#;

const CELLS: [&str; 4] = [
    "photo-painting-content-weight-1_scale-0.5.png",
    "photo-painting-content-weight-1_scale-1.png",
    "photo-painting-content-weight-1e6_scale-0.5.png",
    "photo-painting-content-weight-1e6_scale-1.png",
];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("grid.toml", GRID);
    folder
}

#[test]
fn every_combination_of_a_grid_is_painted_and_a_longer_list_adds_to_it() {
    let folder = folder();
    let plan = folder.call(&["plan", "grid.toml"]).exits(0);
    let words = "grid    objective.content-weight x style.scale: 2 x 2 pictures of each photograph";
    assert!(plan.out.contains(words), "{plan:?}");
    folder.call(&["run", "grid.toml"]).exits(0);
    assert_eq!(folder.names("out"), CELLS);
    let bytes = |name: &str| std::fs::read(folder.path(&format!("out/{name}"))).expect("a picture");
    let first = bytes(CELLS[0]);
    assert!(CELLS[1..].iter().all(|name| bytes(name) != first));
    // What is there stays, and what is new is painted.
    folder.write("grid.toml", GRID.replace("[1, 1e6]", "[1, 1e3, 1e6]"));
    let more = folder.call(&["run", "grid.toml"]).exits(0);
    assert_eq!(folder.names("out").len(), 6, "{more:?}");
    assert_eq!(bytes(CELLS[0]), first);
    folder.call(&["run", "grid.toml"]).exits(0).says(&[]);
}

/// Where a sheet shows a picture that is not scaled: left and top.
fn find(sheet: &image::RgbImage, picture: &image::RgbImage) -> Option<(u32, u32)> {
    let (width, height) = picture.dimensions();
    let right = sheet.width() - width;
    let places = (0..=sheet.height() - height).flat_map(|y| (0..=right).map(move |x| (x, y)));
    let shows = |(x, y): &(u32, u32)| {
        picture.enumerate_pixels().all(|(i, j, pixel)| sheet.get_pixel(x + i, y + j) == pixel)
    };
    places.into_iter().find(shows)
}

#[test]
fn a_contact_sheet_shows_every_picture_and_follows_the_run() {
    let folder = folder();
    folder.write("grid.toml", format!("output.contact-sheet = true\n{GRID}"));
    let ran = folder.call(&["run", "grid.toml"]).exits(0);
    assert!(ran.out.contains("contact sheet: out/grid.contact-sheet.png, out/grid"), "{ran:?}");
    let sheets = ["grid.contact-sheet.jpg", "grid.contact-sheet.png"];
    assert_eq!(folder.names("out")[..2], sheets);
    let read = |name: &str| image::open(folder.path(&format!("out/{name}"))).expect("it").to_rgb8();
    let (jpeg, png) = (read(sheets[0]), read(sheets[1]));
    assert_eq!(jpeg.dimensions(), png.dimensions());
    // Rows of the first key, columns of the second.
    let places: Vec<_> =
        CELLS.iter().map(|name| find(&png, &read(name)).expect("a picture")).collect();
    let [a, b, c, d] = places[..] else { panic!("four pictures") };
    assert!(a.1 == b.1 && c.1 == d.1 && a.0 == c.0 && b.0 == d.0, "{places:?}");
    assert!(a.0 + 96 < b.0 && a.1 + 64 < c.1, "{places:?}");
    let height = png.height();
    // Nothing new: the sheet stays as it is; a longer list makes it larger.
    let bytes = || std::fs::read(folder.path("out/grid.contact-sheet.png")).expect("it");
    let before = bytes();
    let again = folder.call(&["run", "grid.toml"]).exits(0);
    assert!(!again.out.contains("contact sheet"), "{again:?}");
    let longer = GRID.replace("[1, 1e6]", "[1, 1e3, 1e6]");
    folder.write("grid.toml", format!("output.contact-sheet = true\n{longer}"));
    folder.call(&["run", "grid.toml"]).exits(0).says(&[]);
    assert_ne!(bytes(), before);
    assert!(read(sheets[1]).height() > height);
    // One that was deleted is written again.
    std::fs::remove_file(folder.path("out/grid.contact-sheet.jpg")).expect("removed");
    let again = folder.call(&["run", "grid.toml"]).exits(0);
    assert!(again.out.contains("contact sheet: "), "{again:?}");
}

#[test]
fn a_picture_that_failed_has_its_place_on_the_sheet() {
    let folder = Folder::new();
    folder.write("bad.png", &std::fs::read(folder.path("photo.png")).expect("it")[..700]);
    let text = "extends = 'pipeline.toml'\noutput.contact-sheet = true\npyramid.evaluations = 2\nbatch.retries = 0\n";
    folder.write("all.toml", format!("{text}input.content = ['photo.png', 'bad.png']"));
    folder.call(&["run", "all.toml"]).exits(5);
    let sheet = image::open(folder.path("out/all.contact-sheet.png")).expect("a sheet").to_rgb8();
    let empty = image::Rgb([234, 230, 222]);
    let count = sheet.pixels().filter(|pixel| **pixel == empty).count();
    assert!(count > 96 * 64 / 2, "{count}");
}

#[test]
fn a_contact_sheet_takes_the_place_of_nothing() {
    let folder = folder();
    let sheet = "output.contact-sheet = true\n";
    folder.write("grid.toml", format!("{sheet}{GRID}"));
    folder.write("out/grid.contact-sheet.jpg", "somebody's");
    folder.call(&["plan", "grid.toml"]).exits(3).says(&["grid.contact-sheet.jpg already exists"]);
    folder.call(&["run", "grid.toml"]).exits(3).says(&["grid.contact-sheet.jpg already exists"]);
    assert_eq!(folder.names("out"), ["grid.contact-sheet.jpg"]);
    std::fs::remove_file(folder.path("out/grid.contact-sheet.jpg")).expect("removed");
    // Another picture of the run, and a photograph.
    let name = "output.name = '{content}.contact-sheet.png'\n";
    std::fs::copy(folder.path("photo.png"), folder.path("one.png")).expect("copied");
    let base = "extends = 'pipeline.toml'\ninput.content = 'one.png'\n";
    folder.write("one.toml", format!("{sheet}{name}{base}"));
    let words = ["the contact sheet and the picture of `one.png` would both be"];
    folder.call(&["run", "one.toml"]).exits(3).says(&words);
    std::fs::copy(folder.path("photo.png"), folder.path("one.contact-sheet.png")).expect("copied");
    let base = "extends = 'pipeline.toml'\ninput.content = 'one.contact-sheet.png'\n";
    folder.write("one.toml", format!("{sheet}output.directory = '.'\n{base}"));
    let words = ["the contact sheet would take the place of the input"];
    folder.call(&["run", "one.toml"]).exits(3).says(&words);
}

#[test]
fn a_grid_without_a_size_says_which_one_it_takes() {
    let folder = folder();
    let unsized_pipeline = std::fs::read_to_string(folder.path("pipeline.toml")).expect("it");
    folder.write("pipeline.toml", unsized_pipeline.replace("long-side-px = 96", ""));
    let plan = folder.call(&["plan", "grid.toml"]).exits(0);
    assert!(plan.out.contains("512x341 px"), "{plan:?}");
    assert!(plan.out.contains("512 px on the long side; output.long-side-px sets"), "{plan:?}");
}

/// A pipeline of the print's size, after the same painting.
const PRINT: &str = r#"
extends = "pipeline.toml"
output = { long-side-px = 128, name = "print.tiff" }
pyramid.evaluations = 2
"#;

#[test]
fn the_look_of_a_chosen_picture_comes_to_the_print() {
    let folder = folder();
    folder.write("print.toml", PRINT);
    let grid = folder.call(&["run", "grid.toml"]).exits(0);
    let cell = format!("out/{}", CELLS[0]);
    let words = format!("impasto run print.toml --like {cell}");
    assert!(grid.out.contains(&words), "{grid:?}");
    let cell = format!("out/{}", CELLS[2]);
    let plan = folder.call(&["plan", "print.toml", "--like", &cell]).exits(0);
    for part in
        ["print.tiff", "128x85 px", "objective.content-weight = 1000000.0", "style.0.scale = 0.5"]
    {
        assert!(plan.out.contains(part), "no `{part}` in {plan:?}");
    }
    let settings = |like: &str| {
        let plan = folder.call(&["plan", "print.toml", "--json", "--like", like]).exits(0);
        let plan: serde_json::Value = serde_json::from_str(&plan.out).expect("JSON");
        plan["jobs"][0]["settings"].clone()
    };
    let found = settings(&cell);
    assert_eq!(found["objective"]["content-weight"], 1e6, "{found:#}");
    assert_eq!(found["objective"]["style-layers"]["relu2_1"], 1.0, "{found:#}");
    assert_eq!(
        (&found["style"][0]["scale"], &found["output"]["long-side-px"]),
        (&0.5.into(), &128.into())
    );
    assert_eq!(found["pyramid"]["evaluations"], serde_json::json!([2]));
    folder.call(&["run", "print.toml", "--like", &cell]).exits(0);
    assert_eq!(folder.size("out/print.tiff"), (128, 85));
    // The print has the look too, and the run is the one that began with it.
    assert_eq!(settings("out/print.tiff"), found);
    let again = folder.call(&["run", "print.toml", "--like", &cell]).exits(0);
    assert!(again.out.contains("nothing to do"), "{again:?}");
    folder.call(&["run", "print.toml"]).exits(6).says(&["content-weight"]);
}

#[test]
fn a_picture_without_a_look_is_refused_with_the_reason() {
    let folder = folder();
    folder.write("print.toml", PRINT);
    let run = |like: &str| folder.call(&["run", "print.toml", "--like", like]);
    run("painting.png").exits(4).says(&["painting.png holds no recipe", "output.metadata"]);
    run("none.png").exits(4).says(&["none.png"]);
    run("print.toml").exits(4).says(&["print.toml"]);
    // Of a later version, whose keys are not known here.
    let file = std::fs::File::create(folder.path("later.png")).expect("a file");
    let mut encoder = png::Encoder::new(file, 1, 1);
    let recipe = "# impasto 99.0.0: x\nobjective.preset = \"gatys\"\nobjective.swirl = 3\n";
    encoder.add_itxt_chunk("Comment".into(), recipe.into()).expect("a text");
    encoder.write_header().expect("a head").write_image_data(&[7]).expect("a pixel");
    run("later.png").exits(3).says(&["no key `swirl`", "99.0.0"]);
    assert!(!folder.path("out").exists());
}
