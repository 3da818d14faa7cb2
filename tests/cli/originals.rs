//! No file that a pipeline reads, and no picture of somebody else, is ever replaced or removed.

use crate::folder::Folder;

/// Everything that has to stay as it is.
fn originals(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    let mut open = vec![folder.path(".")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() || path.ends_with(".impasto") || path.ends_with("pipeline.toml") {
                continue;
            } else if path.is_dir() {
                open.push(path);
            } else {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The run is refused with exit code 3 and these words, and nothing has changed.
#[track_caller]
fn refused(folder: &Folder, keys: &[&str], words: &[&str]) {
    let before = originals(folder);
    let mut arguments = vec!["run", "pipeline.toml", "--set", "output.overwrite=true"];
    keys.iter().for_each(|key| arguments.extend(["--set", key]));
    folder.call(&arguments).exits(3).says(words);
    arguments[0] = "plan";
    folder.call(&arguments).exits(3).says(words);
    assert!(originals(folder) == before, "{keys:?}: something has changed");
}

/// The words of a refusal may be broken into lines anywhere.
const PLACE: &[&str] = &["the place of the input"];

#[test]
fn a_photograph_is_never_replaced_whatever_path_leads_to_it() {
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    folder.write("photos/cat.png", &photo);
    let absolute = format!("output.directory={}", folder.path("photos").display());
    let mut directories = vec![
        "output.directory=photos".to_owned(),
        "output.directory=./photos/../photos/".to_owned(),
        "output.directory=out/../photos".to_owned(),
        absolute,
    ];
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(folder.path("photos"), folder.path("linked")).unwrap();
        symlink(folder.path("photos/cat.png"), folder.path("link.png")).unwrap();
        symlink(folder.path("link.png"), folder.path("chain.png")).unwrap();
        directories.push("output.directory=linked".to_owned());
        directories.push("output.directory=linked/../linked/.".to_owned());
    }
    for directory in &directories {
        for content in ["photos/cat.png", "photos", "./photos/*.png", "linked/cat.png"] {
            if content.starts_with("linked") && cfg!(not(unix)) {
                continue;
            }
            let content = format!("input.content={content}");
            refused(&folder, &[&content, directory, "output.name={content}.png"], PLACE);
        }
        // Letters in another case are another name here, and the same one elsewhere.
        let keys = ["input.content=photos/cat.png", directory, "output.name=CAT.Png"];
        refused(&folder, &keys, PLACE);
    }
    #[cfg(unix)]
    for name in ["link.png", "chain.png"] {
        let name = format!("output.name={name}");
        refused(&folder, &["input.content=photos/cat.png", "output.directory=.", &name], PLACE);
        refused(&folder, &["input.content=chain.png", "output.directory=.", &name], PLACE);
    }
    std::fs::hard_link(folder.path("photos/cat.png"), folder.path("hard.png")).unwrap();
    let keys = ["input.content=photos/cat.png", "output.directory=.", "output.name=hard.png"];
    refused(&folder, &keys, PLACE);
}

#[test]
fn every_file_that_a_pipeline_reads_is_an_original() {
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    folder.write("start.png", &photo);
    folder.write("base.png", "objective.content-weight = 2.0\n");
    folder.write("weights.png", "no weights, but a file that is there");
    folder.write("paper.png", "no profile, but a file that is there");
    let text = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    folder.write("pipeline.toml", format!("extends = \"base.png\"\n{text}"));
    let start = ["start.from=image", "start.image=start.png"];
    let others = ["network.weights=weights.png", "color.output-profile=paper.png"];
    for name in ["photo", "painting", "start", "base", "weights", "paper"] {
        let name = format!("output.name={name}.png");
        let keys = [&["output.directory=.", &name][..], &start, &others].concat();
        refused(&folder, &keys, PLACE);
    }
}

#[test]
fn a_companion_never_takes_the_place_of_an_original() {
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    for name in [
        "p/cat.tiff.png",
        "p/cat.preview.jpg",
        "q/cat.partial.png",
        "r/cat_files/inside.png",
        "s/cat.level-1-0002.png",
    ] {
        folder.write(name, &photo);
    }
    folder.write("cat.png", &photo);
    let of = |directory: &str, more: &[&str], words: &[&str]| {
        let (content, directory) = (
            format!("input.content=[\"cat.png\", \"{directory}/**/*\"]"),
            format!("output.directory={directory}"),
        );
        let keys =
            [&[content.as_str(), &directory, "output.name={content}.png"][..], more].concat();
        refused(&folder, &keys, words);
    };
    of(
        "p",
        &[
            "output.name={content}-x.png",
            "input.content=[\"p/cat.preview.jpg\", \"cat.png\"]",
            "output.name={content}.png",
        ],
        &["the preview of `cat.png`", "the place of the input"],
    );
    of("q", &[], &["partial picture of", "the place of the input"]);
    of("r", &["output.pyramid=dzi"], &["folder of Deep Zoom tiles", "the folder of the input"]);
    of("s", &["watch.save-every=2"], &["intermediate picture of `cat.png`", "the input"]);
}

#[test]
fn companions_of_two_pictures_never_meet() {
    // The preview of the second would replace the print of the first, and then be removed.
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    folder.write("photos/cat.preview.png", &photo);
    folder.write("photos/cat.png", &photo);
    let keys = ["input.content=photos", "output.name={content}.jpg"];
    refused(&folder, &keys, &["the picture of", "the preview of", "would both be"]);

    // Two variants that share every companion.
    let text = std::fs::read_to_string(folder.path("pipeline.toml")).unwrap();
    folder.write(
        "pipeline.toml",
        format!("{text}[[variant]]\nname = \"a\"\noutput.name = \"x.jpg\"\n[[variant]]\nname = \"b\"\noutput.name = \"x.tiff\"\noutput.preview = true\n"),
    );
    refused(&folder, &[], &["preview of `photo.png` (a)", "preview of `photo.png` (b)"]);
}

#[test]
fn a_strange_file_in_the_place_of_a_companion_is_reported_before_anything_begins() {
    let folder = Folder::new();
    for (name, keys) in [
        ("out/photo-painting.preview.jpg", &["output.preview=true"][..]),
        ("out/photo-painting.partial.png", &[]),
        ("out/photo-painting.dzi", &["output.pyramid=dzi"]),
        ("out/photo-painting_files/0/0_0.jpg", &["output.pyramid=dzi"]),
        ("out/photo-painting.level-1-0002.png", &["watch.save-every=2"]),
    ] {
        folder.write(name, "precious");
        for command in ["run", "plan"] {
            let mut arguments = vec![command, "pipeline.toml"];
            keys.iter().for_each(|key| arguments.extend(["--set", key]));
            let words = ["photo-painting", "already exists", "output.overwrite"];
            folder.call(&arguments).exits(3).one_line(&words);
        }
        assert_eq!(std::fs::read_to_string(folder.path(name)).unwrap(), "precious");
        assert!(!folder.path("out/.impasto").exists(), "{name}: nothing is made before the check");
        std::fs::remove_dir_all(folder.path("out")).unwrap();
    }
    // Where a folder is in the way no setting helps.
    std::fs::create_dir_all(folder.path("out/photo-painting.png")).unwrap();
    folder
        .run(&["output.overwrite=true"])
        .exits(4)
        .one_line(&["photo-painting.png is a directory"]);
}

#[test]
fn the_companions_of_a_run_are_its_own() {
    let folder = Folder::new();
    let keys = ["--set", "output.long-side-px=192", "--set", "pyramid.evaluations=[2, 60]"];
    let arguments = [&["run", "pipeline.toml"][..], &keys].concat();
    let first = folder.call(&[&arguments[..], &["--set", "budget.hours=0.0001"]].concat());
    assert!(matches!(first.code, Some(0 | 130)), "{first:?}");
    // Whatever it left, preview or partial, the next start may replace it.
    folder.call(&arguments).exits(0);
    assert_eq!(folder.names("out"), ["photo-painting.png"]);
}
