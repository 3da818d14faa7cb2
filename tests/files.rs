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
