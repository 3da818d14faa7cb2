//! Folders of photographs as people have them: pictures written into them, links, files of other
//! kinds, several formats of one name, pictures deleted and added.

use crate::folder::{Folder, lines};

/// `photos` with some photographs of these names.
fn photos(names: &[&str]) -> Folder {
    let folder = Folder::new();
    let photo = std::fs::read(folder.path("photo.png")).unwrap();
    names.iter().for_each(|name| drop(folder.write(&format!("photos/{name}"), &photo)));
    folder
}

fn run<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["run", "pipeline.toml"];
    keys.iter().for_each(|key| all.extend(["--set", key]));
    all
}

#[test]
fn pictures_painted_into_the_photographs_folder_are_no_photographs() {
    for content in ["photos", "photos/*", "./photos/../photos/*.jpg", "photos/**"] {
        let folder = photos(&["a.jpg", "b.jpg"]);
        let content = format!("input.content={content}");
        let keys = [
            content.as_str(),
            "output.directory=photos",
            "output.name={content}-{style}.jpg",
            "output.preview=true",
            "output.pyramid=dzi",
            "watch.save-every=2",
            "output.long-side-px=192",
            "pyramid.evaluations=[3, 3]",
        ];
        folder.call(&run(&keys)).exits(0);
        let names = folder.names("photos");
        assert!(names.len() > 8, "{names:?}");
        for _ in 0..2 {
            let again = folder.call(&run(&keys)).exits(0);
            assert!(again.out.contains("nothing to do: 2 pictures done"), "{content}: {again:?}");
        }
        assert_eq!(folder.names("photos"), names);
        // One that is added is painted, and only that one.
        std::fs::copy(folder.path("photo.png"), folder.path("photos/c.jpg")).unwrap();
        let added = folder.call(&run(&keys)).exits(0);
        assert!(added.err.contains("c-painting") && !added.err.contains("a-painting"), "{added:?}");
        let again = folder.call(&run(&keys)).exits(0);
        assert!(again.out.contains("nothing to do: 3 pictures done"), "{content}: {again:?}");
    }
}

#[test]
fn an_interrupted_run_into_the_photographs_folder_is_resumed() {
    let folder = photos(&["a.png", "b.png"]);
    let keys = ["input.content=photos", "output.directory=photos", "output.name={content}-x.png"];
    let more = ["pyramid.evaluations=[4, 60]", "output.long-side-px=192", "batch.parallel-jobs=1"];
    let keys = [&keys[..], &more].concat();
    let mut left = 0;
    for _ in 0..6 {
        let ran = folder.call(&run(&[&keys[..], &["budget.hours=0.00006"]].concat()));
        assert!(matches!(ran.code, Some(0 | 130)), "{ran:?}");
        left += usize::from(folder.names("photos").iter().any(|name| name.contains(".partial.")));
    }
    assert!(left > 0, "an interruption leaves a picture that looks like a photograph");
    folder.call(&run(&keys)).exits(0);
    assert_eq!(folder.names("photos"), ["a-x.png", "a.png", "b-x.png", "b.png"]);
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_find_each_photograph_once_and_quickly() {
    use std::os::unix::fs::symlink;
    let folder = photos(&["a.jpg", "sub/b.jpg"]);
    for number in 0..3 {
        symlink("..", folder.path(&format!("photos/sub/up-{number}"))).unwrap();
        symlink("../..", folder.path(&format!("photos/sub/root-{number}"))).unwrap();
    }
    symlink("../a.jpg", folder.path("photos/sub/same.jpg")).unwrap();
    symlink("gone.jpg", folder.path("photos/sub/broken.jpg")).unwrap();
    let keys = ["input.content=photos/**/*.jpg", "output.name={index}.png"];
    let started = std::time::Instant::now();
    let ran = folder.call(&run(&keys)).exits(0);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!(folder.names("out"), ["0001.png", "0002.png"]);
    let warned = lines(&ran.err, "warning: ");
    assert!(warned.len() == 1 && warned[0].contains("broken.jpg` is left out"), "{ran:?}");
}

#[test]
fn a_picture_that_was_deleted_is_painted_again_and_only_that_one() {
    let folder = photos(&["a.png", "b.png", "c.png"]);
    let keys = ["input.content=photos"];
    folder.call(&run(&keys)).exits(0);
    let read = |name: &str| std::fs::read(folder.path("out").join(name)).unwrap();
    let before = ["a-painting.png", "b-painting.png", "c-painting.png"].map(&read);
    let written =
        |name: &str| folder.path("out").join(name).metadata().unwrap().modified().unwrap();
    let times = [written("a-painting.png"), written("c-painting.png")];
    std::fs::remove_file(folder.path("out/b-painting.png")).unwrap();
    let again = folder.call(&run(&keys)).exits(0);
    assert!(
        again.err.contains("b-painting.png") && !again.err.contains("a-painting.png"),
        "{again:?}"
    );
    assert_eq!(["a-painting.png", "b-painting.png", "c-painting.png"].map(&read), before);
    assert_eq!([written("a-painting.png"), written("c-painting.png")], times);
    let done = folder.call(&run(&keys)).exits(0);
    assert!(done.out.contains("nothing to do: 3 pictures done"), "{done:?}");
    // Its photograph may have been replaced meanwhile: nothing is left of what was painted from it.
    std::fs::remove_file(folder.path("out/b-painting.png")).unwrap();
    image::open(folder.path("photo.png"))
        .unwrap()
        .fliph()
        .save(folder.path("photos/b.png"))
        .unwrap();
    folder.call(&run(&keys)).exits(0);
    assert_ne!(read("b-painting.png"), before[1]);
}

#[test]
fn photographs_that_are_added_change_no_name_and_no_number() {
    let folder = photos(&["b.png", "d.png"]);
    let keys = ["input.content=photos", "output.name={index}-{content}.png"];
    folder.call(&run(&keys)).exits(0);
    assert_eq!(folder.names("out"), ["0001-b.png", "0002-d.png"]);
    for name in ["a.png", "c.png"] {
        std::fs::copy(folder.path("photo.png"), folder.path("photos").join(name)).unwrap();
    }
    let plan = folder.call(&["plan", "pipeline.toml", "--set", keys[0], "--set", keys[1]]).exits(0);
    assert!(plan.out.contains("0003-a.png") && plan.out.contains("0002-d.png"), "{plan:?}");
    folder.call(&run(&keys)).exits(0);
    std::fs::remove_file(folder.path("photos/a.png")).unwrap();
    std::fs::copy(folder.path("photo.png"), folder.path("photos/0.png")).unwrap();
    folder.call(&run(&keys)).exits(0);
    assert_eq!(
        folder.names("out"),
        ["0001-b.png", "0002-d.png", "0003-a.png", "0004-c.png", "0005-0.png"]
    );
}

#[test]
fn several_formats_of_one_name_are_told_apart_and_one_that_cannot_be_read_blocks_nobody() {
    let folder = photos(&["img.jpg", "other.png"]);
    folder.write("photos/img.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic then nothing");
    folder.write("photos/img.NEF", b"MM\0*\0\0\0\x08 raw");
    folder.write("photos/img.png", "no picture at all");
    folder.write("photos/clip.mp4", "a film");
    folder.write("photos/notes.txt", "a text");
    folder.write("photos/.hidden.jpg", "nobody sees it");
    let keys = ["input.content=photos"];
    let ran = folder.call(&run(&keys)).exits(5);
    assert_eq!(folder.names("out"), ["img-painting.png", "other-painting.png"]);
    let errors = lines(&ran.err, "error: ");
    assert_eq!(errors.len(), 3, "{ran:?}");
    for name in ["img.heic", "img.NEF", "img.png"] {
        assert!(errors.iter().any(|line| line.contains(name)), "{name} in {ran:?}");
    }
    let warned = lines(&ran.err, "warning: ");
    assert!(warned.len() == 1 && warned[0].contains("2 files are left out"), "{ran:?}");
    // Two that can be read need names of their own.
    std::fs::copy(folder.path("photo.png"), folder.path("photos/img.png")).unwrap();
    folder.call(&run(&keys)).exits(3).says(&["would both become", "{extension}"]);
    let named = [keys[0], "output.name={content}-{extension}.png", "output.directory=both"];
    folder.call(&run(&named)).exits(5);
    assert_eq!(folder.names("both"), ["img-jpg.png", "img-png.png", "other-png.png"]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_opened_is_one_line_and_the_others_are_painted() {
    use std::os::unix::fs::PermissionsExt;
    let folder = photos(&["a.png", "closed.png", "sub/b.png"]);
    let close = |name: &str, mode| {
        std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    close("photos/closed.png", 0o000);
    close("photos/sub", 0o000);
    if std::fs::read(folder.path("photos/closed.png")).is_ok() {
        close("photos/sub", 0o755);
        println!("skipped: this user may read everything");
        return;
    }
    let ran = folder.call(&run(&["input.content=photos/**/*.png"])).exits(5);
    close("photos/sub", 0o755);
    assert_eq!(folder.names("out"), ["a-painting.png"]);
    assert!(lines(&ran.err, "error: ")[0].contains("closed.png"), "{ran:?}");
    assert!(
        lines(&ran.err, "warning: ")[0].contains("sub` is left out: it cannot be read"),
        "{ran:?}"
    );
}

#[test]
fn a_plan_reports_what_would_keep_the_run_from_beginning() {
    let folder = Folder::new();
    folder.write("out/photo-painting.png", "precious");
    let plan = folder.call(&["plan", "pipeline.toml"]).exits(3);
    plan.says(&["photo-painting.png already exists", "output.overwrite"]);
    assert_eq!(folder.names("out"), ["photo-painting.png"], "and makes nothing");
    assert!(!folder.path("out/.impasto").exists());
    let overwrite = ["plan", "pipeline.toml", "--set", "output.overwrite=true"];
    folder.call(&overwrite).exits(0);
    // Of a run that is finished or interrupted nothing is in the way.
    std::fs::remove_file(folder.path("out/photo-painting.png")).unwrap();
    folder.call(&["run", "pipeline.toml"]).exits(0);
    folder.call(&["plan", "pipeline.toml"]).exits(0);
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_cannot_be_written_is_reported_by_plan_and_run() {
    use crate::runs::Mounted;
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let out = folder.path("out");
    std::fs::create_dir(&out).unwrap();
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut _mounted = None;
    if std::fs::write(out.join("probe"), "").is_ok() {
        // This user may write everything, but on a disk that is read-only.
        std::fs::remove_dir_all(&out).unwrap();
        let Some(mounted) = Mounted::new(&folder, "ro,size=64m") else { return };
        _mounted = Some(mounted);
    }
    for command in ["plan", "run"] {
        let ran = folder.call(&[command, "pipeline.toml"]).exits(4);
        ran.one_line(&["cannot create a file in", "out"]);
    }
    std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o755)).ok();
}
