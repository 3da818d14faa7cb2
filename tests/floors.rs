//! Keeps the floor plan of `src/lib.rs`: a module imports only from floors below its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FLOORS: &[(usize, &[&str])] = &[
    (8, &["cli"]),
    (7, &["batch", "report"]),
    (6, &["render"]),
    (5, &["journal"]),
    (4, &["plan"]),
    (3, &["objective", "config"]),
    (2, &["image", "tiling", "network", "optimise"]),
    (1, &["kernels"]),
    (0, &["units", "geometry", "event", "stop", "files", "random", "tensor"]),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names after `crate::` in a line, `crate::{a, b::c}` included.
fn imports(line: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with('$'))
        .flat_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            match rest.strip_prefix('{') {
                Some(list) => list.split(',').map(name).collect(),
                None => vec![name(rest)],
            }
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn modules_import_only_from_floors_below() {
    let floors: BTreeMap<&str, usize> = FLOORS
        .iter()
        .flat_map(|(floor, names)| names.iter().map(move |name| (*name, *floor)))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files {
        let relative = file.strip_prefix(&root).expect("below src");
        let own = relative
            .components()
            .next()
            .expect("a name")
            .as_os_str()
            .to_string_lossy()
            .replace(".rs", "");
        if own == "lib" || own == "main" {
            continue;
        }
        let floor = *floors
            .get(own.as_str())
            .unwrap_or_else(|| panic!("{own} is on no floor: add it to the plan"));
        for (number, line) in fs::read_to_string(&file).expect("readable").lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for name in imports(line).into_iter().filter(|name| *name != own) {
                seen += 1;
                match floors.get(name.as_str()) {
                    Some(other) if *other < floor => {}
                    Some(other) => wrong.push(format!(
                        "{}:{}: {own} (floor {floor}) imports {name} (floor {other})",
                        file.display(),
                        number + 1
                    )),
                    None => wrong.push(format!(
                        "{}:{}: {name} is on no floor",
                        file.display(),
                        number + 1
                    )),
                }
            }
        }
    }
    assert!(seen > 50, "the test reads imports at all");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
