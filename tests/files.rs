//! Atomic files: whole or not at all, and one winner.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use impasto::files::{self, AtomicFile, Error, Overwrite};

#[test]
fn a_file_appears_whole_at_commit_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/a.txt");
    let mut file = AtomicFile::create(&path, Overwrite::Refuse).unwrap();
    file.write_all(b"half").unwrap();
    file.flush().unwrap();
    assert!(!path.exists());
    let beside: Vec<_> = std::fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert!(beside.len() == 1 && beside[0].to_string_lossy().starts_with(".a.txt."), "{beside:?}");
    file.write_all(b" and half").unwrap();
    assert_eq!(file.commit().unwrap(), path);
    assert_eq!(std::fs::read(&path).unwrap(), b"half and half");
    drop(AtomicFile::create(&path, Overwrite::Allow).unwrap());
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(folder.path().join("plain"), b"").unwrap();
        let mode = |p: &std::path::Path| std::fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&folder.path().join("plain")), "as any new file");
    }
}

#[test]
fn of_many_writers_of_one_name_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    // All of them pass the first check before any commits.
    let ready = std::sync::Barrier::new(8);
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8u8)
            .map(|i| {
                let (path, ready) = (&path, &ready);
                scope.spawn(move || {
                    let mut file = AtomicFile::create(path, Overwrite::Refuse).unwrap();
                    file.write_all(&[i; 100_000]).unwrap();
                    ready.wait();
                    match file.commit() {
                        Ok(_) => 1,
                        Err(Error::Exists { .. }) => 0,
                        Err(other) => panic!("{other}"),
                    }
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() == 100_000 && bytes.iter().all(|b| *b == bytes[0]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    files::write(&path, b"1", Overwrite::Refuse).unwrap();
    let text = files::write(&path, b"2", Overwrite::Refuse).unwrap_err().to_string();
    assert!(text.contains(&*path.to_string_lossy()) && text.contains("exists"), "{text}");
    files::write(&path, b"3", Overwrite::Allow).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"3");
    assert!(matches!(
        files::write(folder.path(), b"", Overwrite::Allow),
        Err(Error::Directory { .. })
    ));
    assert!(matches!(files::write("/".as_ref(), b"", Overwrite::Allow), Err(Error::NoName { .. })));
    let inside = path.join("b");
    let text = files::write(&inside, b"", Overwrite::Refuse).unwrap_err().to_string();
    assert!(text.contains(&*path.to_string_lossy()), "{text}");
}

#[test]
fn what_a_dead_process_left_is_removed_by_its_final_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in [".a.png.Ab3xY9.tmp", ".b.png.Ab3xY9.tmp", ".a.png.tmp", "a.png.Ab3xY9.tmp"] {
        std::fs::write(path(name), b"part").unwrap();
    }
    for name in [".a.dzi.Ab3xY9.tmp/tiles/0", ".b.dzi.Ab3xY9.tmp/tiles/0"] {
        std::fs::create_dir_all(path(name)).unwrap();
        std::fs::write(path(name).join("0_0.jpg"), b"tile").unwrap();
    }
    files::remove_leftovers(&[path("a.png"), path("a.dzi")]).unwrap();
    let left = |folder: &std::path::Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(
        left(folder.path()),
        [".a.png.tmp", ".b.dzi.Ab3xY9.tmp", ".b.png.Ab3xY9.tmp", "a.png.Ab3xY9.tmp"],
        "another's and what is not temporary stays"
    );
    // What was just written may be another process's; an hour later it is nobody's.
    files::remove_old_leftovers(folder.path(), std::time::Duration::from_secs(3600)).unwrap();
    assert_eq!(left(folder.path()).len(), 4);
    files::remove_old_leftovers(folder.path(), std::time::Duration::ZERO).unwrap();
    assert_eq!(left(folder.path()), [".a.png.tmp", "a.png.Ab3xY9.tmp"]);
    // A directory for what is being made is named so that it is found again, and goes by itself.
    let building = files::temporary_directory(&path("c.dzi")).unwrap();
    assert!(building.path().is_dir() && left(folder.path()).len() == 3);
    std::mem::forget(building);
    files::remove_leftovers(&[path("c.dzi")]).unwrap();
    assert_eq!(left(folder.path()).len(), 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_leftover_whose_name_is_not_utf8_is_removed() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = |bytes: &[u8]| folder.path().join(std::ffi::OsStr::from_bytes(bytes));
    std::fs::write(name(b".caf\xe9.png.Ab3xY9.tmp"), b"part").unwrap();
    files::remove_leftovers(&[name(b"caf\xe8.png")]).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "another name");
    files::remove_leftovers(&[name(b"caf\xe9.png")]).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn directories_are_made_with_their_parents_and_a_file_in_the_way_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("a/b/c");
    files::create_directories(&deep).unwrap();
    files::create_directories(&deep).unwrap();
    assert!(deep.is_dir());
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let text = files::create_directories(&folder.path().join("file/d")).unwrap_err().to_string();
    assert!(text.contains("create the directory") && text.contains("file"), "{text}");
}
