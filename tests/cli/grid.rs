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

#[test]
fn a_grid_without_a_size_says_which_one_it_takes() {
    let folder = folder();
    let unsized_pipeline = std::fs::read_to_string(folder.path("pipeline.toml")).expect("it");
    folder.write("pipeline.toml", unsized_pipeline.replace("long-side-px = 96", ""));
    let plan = folder.call(&["plan", "grid.toml"]).exits(0);
    assert!(plan.out.contains("512x341 px"), "{plan:?}");
    assert!(plan.out.contains("512 px on the long side; output.long-side-px sets"), "{plan:?}");
}
