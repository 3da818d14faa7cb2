//! Names of every kind: bytes that are no text, accents, emoji, too long, `~`.

use crate::folder::Folder;

#[cfg(unix)]
fn bytes(name: &[u8]) -> &std::path::Path {
    use std::os::unix::ffi::OsStrExt;
    std::path::Path::new(std::ffi::OsStr::from_bytes(name))
}

/// The pipeline inside a PNG.
fn recipe(png: &std::path::Path) -> String {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(png).unwrap()));
    let reader = decoder.read_info().unwrap();
    let info = reader.info();
    let long = info.utf8_text.iter().map(|text| text.get_text().unwrap());
    let short = info.uncompressed_latin1_text.iter().map(|text| text.text.clone());
    let found = short.chain(long).find(|text| text.starts_with("# impasto"));
    found.unwrap_or_else(|| panic!("no recipe in {}", png.display()))
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_painted_from_a_folder_and_from_a_glob() {
    for content in ["photos", "photos/*.PNG", "**/*.png"] {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("photos")).unwrap();
        for name in [&b"caf\xe9.png"[..], b"caf\xe8.png", b"ok.png", "é\u{301}.png".as_bytes()] {
            std::fs::copy(folder.path("photo.png"), folder.path("photos").join(bytes(name)))
                .unwrap();
        }
        for name in ["photo.png", "painting.png"] {
            std::fs::rename(folder.path(name), folder.path(name).with_extension("jpg")).unwrap();
        }
        let keys = [&format!("input.content={content}"), "style.image=painting.jpg"];
        let arguments = ["pipeline.toml", "--set", keys[0], "--set", keys[1]];
        let plan = folder.call(&[&["plan", "--json"][..], &arguments].concat()).exits(0);
        assert!(plan.out.contains(r#""output": "out/caf\\xE9-painting.png""#), "{plan:?}");
        let ran = folder.call(&[&["run"][..], &arguments].concat()).exits(0);
        assert!(
            ran.out.contains(r"caf\xE9-painting.png") && !ran.out.contains("failed"),
            "{ran:?}"
        );
        for name in [&b"caf\xe9-painting.png"[..], b"caf\xe8-painting.png", b"ok-painting.png"] {
            assert!(folder.path("out").join(bytes(name)).exists(), "{content}: {name:?}");
        }
        let again = folder.call(&[&["run"][..], &arguments].concat()).exits(0);
        assert!(again.out.contains("nothing to do: 4 pictures done"), "{again:?}");
        let status = folder.call(&["status", "out", "--json"]).exits(0);
        assert!(status.out.contains(r#""output": "out/caf\\xE8-painting.png""#), "{status:?}");
        folder.call(&["status", "out"]).exits(0);
        // The pipeline inside such a print finds its photograph again, though TOML has no words for it.
        let recipe = recipe(&folder.path("out").join(bytes(b"caf\xe9-painting.png")));
        let table: toml::Table = recipe.parse().unwrap_or_else(|e| panic!("{e}\n{recipe}"));
        assert_eq!(table["input"]["content"][0].as_str(), Some("photos/caf?.png"), "{recipe}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipeline_in_a_folder_whose_name_is_no_text_is_a_pipeline() {
    let folder = Folder::new();
    let place = folder.path(".").join(bytes(b"\xff\xfe"));
    std::fs::create_dir(&place).unwrap();
    for name in ["photo.png", "painting.png", "pipeline.toml"] {
        std::fs::rename(folder.path(name), place.join(name)).unwrap();
    }
    let call = |arguments: &[&str]| {
        let mut command = folder.impasto(arguments);
        command.current_dir(&place);
        command.output().unwrap()
    };
    for said in ["photo-painting.png", "nothing to do: 1 picture done"] {
        let ran = call(&["run", "pipeline.toml"]);
        let out = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && out.contains(said), "{out} {:?}", ran.stderr);
    }
    assert!(call(&["status", "pipeline.toml", "--json"]).status.success());
    assert!(
        call(&["run", "pipeline.toml", "--restart", "--set", "output.overwrite=true", "--json"])
            .status
            .success()
    );
    let table: toml::Table = recipe(&place.join("out/photo-painting.png")).parse().unwrap();
    assert_eq!(table["input"]["content"][0].as_str(), Some("photo.png"));
}

#[test]
fn the_pipeline_inside_a_print_is_toml_whatever_the_name() {
    let folder = Folder::new();
    let names = [
        "cafe\u{301}",
        "family \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "quo\"te's",
        "no\u{a0}break",
        "b{race}d",
        "comma, [dot].v2",
        "#hash = 1",
        "\u{202e}right to left",
    ];
    std::fs::create_dir(folder.path("photos")).unwrap();
    for name in names {
        std::fs::copy(folder.path("photo.png"), folder.path(&format!("photos/{name}.png")))
            .unwrap();
    }
    folder.run(&["input.content=photos"]).exits(0);
    for name in names {
        let recipe = recipe(&folder.path(&format!("out/{name}-painting.png")));
        let table: toml::Table = recipe.parse().unwrap_or_else(|e| panic!("{name}: {e}\n{recipe}"));
        let content = table["input"]["content"][0].as_str();
        assert_eq!(content, Some(format!("photos/{name}.png").as_str()));
        // And it makes the picture again.
        let again = folder.write("again.toml", &recipe);
        std::fs::remove_dir_all(folder.path("again")).ok();
        let again = again.display().to_string();
        let set = ["--set", "output.directory=again", "--set", "compute.threads=1"];
        folder.call(&[&["run", again.as_str()][..], &set].concat()).exits(0);
        let picture = folder.names("again").pop().expect("a picture");
        let read = |path: std::path::PathBuf| image::open(path).unwrap().to_rgb8();
        assert_eq!(
            read(folder.path("again").join(&picture)),
            read(folder.path(&format!("out/{name}-painting.png"))),
            "{name}"
        );
    }
}

#[test]
fn names_too_long_for_what_is_written_beside_them_are_reported_before_anything_begins() {
    let folder = Folder::new();
    let at_most = 255 - ".random.tmp".len() - ".".len() - ".preview.jpg".len() + ".png".len();
    for (length, code) in [(at_most, 0), (at_most + 1, 3), (255, 3)] {
        let name = format!("output.name={}.png", "n".repeat(length - 4));
        let set = ["--set", &name, "--set", "output.long-side-px=192"];
        for command in ["plan", "run"] {
            let ran = folder.call(&[&[command, "pipeline.toml"][..], &set].concat()).exits(code);
            if code == 3 {
                ran.says(&["bytes; with what is written", &format!("{length} bytes")]);
            }
        }
    }
    // Letters of several bytes count as such.
    let name = format!("output.name={}.png", "画".repeat(80));
    folder.call(&["plan", "pipeline.toml", "--set", &name]).exits(3).says(&["244 bytes"]);
}

#[cfg(unix)]
#[test]
fn a_tilde_is_the_home_folder_or_refused_with_words() {
    let folder = Folder::new();
    let home = folder.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::copy(folder.path("photo.png"), home.join("mine.png")).unwrap();
    let call = |keys: &[&str]| {
        let mut arguments = vec!["run", "pipeline.toml"];
        keys.iter().for_each(|key| arguments.extend(["--set", key]));
        let ran = folder.impasto(&arguments).env("HOME", &home).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stderr).unwrap())
    };
    let (code, said) = call(&["output.directory=~/paintings", "input.content=~/*.png"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(home.join("paintings/mine-painting.png").exists());
    let (code, said) = call(&["output.directory=~somebody/x"]);
    assert!(code == Some(3) && said.contains("./~"), "{code:?} {said}");
    for name in folder.names(".") {
        assert!(!name.starts_with('~'), "{name}");
    }
}
