//! Keeps the floor plan of `src/lib.rs`: a module imports only from floors below its own, and no
//! file is in a circle of imports.
//!
//! Imports are the `crate::`, `super::` and `self::` paths of a file outside its tests, followed
//! through re-exports to the file that defines the name. `mod` and `pub use` lines are no imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const FLOORS: &[(usize, &[&str])] = &[
    (8, &["cli"]),
    (7, &["batch", "report", "page"]),
    (6, &["render"]),
    (5, &["journal"]),
    (4, &["plan"]),
    (3, &["objective", "config"]),
    (2, &["image", "tiling", "network", "optimise"]),
    (1, &["kernels", "event", "planes", "resources"]),
    (0, &["units", "geometry", "files", "format", "memory", "random", "tensor"]),
];

type ModulePath = Vec<String>;

/// The library's files by module path, without comments and tests.
struct Sources(BTreeMap<ModulePath, String>);

impl Sources {
    fn read() -> Self {
        let mut found = BTreeMap::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut vec![], &mut found);
        Self(found)
    }

    /// The module whose file defines what `path` names, re-exports followed.
    fn resolve(&self, path: &[String]) -> Option<ModulePath> {
        let mut module: ModulePath = vec![];
        let mut rest = path;
        while let Some((name, after)) = rest.split_first() {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            if self.0.contains_key(&child) {
                (module, rest) = (child, after);
                continue;
            }
            let exported = self
                .paths(&module, true)
                .into_iter()
                .find(|exported| exported.last() == Some(name) && exported[..] != *path);
            if let Some(exported) = exported {
                return self.resolve(&exported);
            }
            break;
        }
        (!module.is_empty()).then_some(module)
    }

    /// The paths from the crate's root that a file names in its `pub use` lines, or everywhere
    /// else.
    fn paths(&self, module: &[String], exported: bool) -> Vec<ModulePath> {
        let text = &self.0[module];
        let mut found = vec![];
        for (statement, is_export) in statements(text) {
            if is_export != exported {
                continue;
            }
            for path in expand(&statement) {
                found.extend(absolute(module, path, exported));
            }
        }
        found
    }
}

fn collect(directory: &Path, module: &mut ModulePath, found: &mut BTreeMap<ModulePath, String>) {
    for entry in fs::read_dir(directory).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            module.push(stem);
            collect(&path, module, found);
            module.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("readable");
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = |line: &&str| !line.trim_start().starts_with("//");
            let text: String = text.lines().filter(code).flat_map(|line| [line, "\n"]).collect();
            let mut own = module.clone();
            if !["mod", "lib", "main"].contains(&stem.as_str()) {
                own.push(stem);
            }
            found.entry(own).or_default().push_str(&text);
        }
    }
}

/// Every path that begins with `crate`, `super` or `self`, with its braces, and whether a `pub use`
/// names it. A `pub use` may begin with a child's name.
fn statements(text: &str) -> Vec<(String, bool)> {
    let mut found = vec![];
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let (before, after) = rest.split_at(at);
        found.extend(inline(before));
        let end = after.find(';').unwrap_or(after.len());
        let visibility = before.lines().next_back().unwrap_or_default().trim();
        let path = after[4..end].split_whitespace().collect::<String>();
        found.push((path, visibility.starts_with("pub")));
        rest = &after[end..];
    }
    found.extend(inline(rest));
    found
}

/// Paths that are named outside `use` lines.
fn inline(text: &str) -> Vec<(String, bool)> {
    let name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    ["crate::", "super::"]
        .iter()
        .flat_map(|root| text.match_indices(root))
        .filter(|(at, _)| !text[..*at].ends_with(|c: char| name(c) || c == '$'))
        .map(|(at, _)| (text[at..].chars().take_while(|c| name(*c)).collect(), false))
        .collect()
}

/// `a::{b, c::{d, e}}` as its single paths.
fn expand(tree: &str) -> Vec<ModulePath> {
    let Some(open) = tree.find('{') else {
        let tree = tree.split(" as ").next().unwrap_or_default();
        return vec![tree.split("::").map(str::to_owned).filter(|part| !part.is_empty()).collect()];
    };
    let inside = tree[open + 1..].strip_suffix('}').unwrap_or(&tree[open + 1..]);
    let (mut depth, mut start, mut parts) = (0, 0, vec![]);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[start..]);
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.flat_map(|part| expand(&format!("{}{part}", &tree[..open]))).collect()
}

/// A path from the crate's root; nothing for one into another crate.
fn absolute(module: &[String], path: ModulePath, exported: bool) -> Option<ModulePath> {
    let mut base = module.to_vec();
    let mut parts = path.into_iter().filter(|part| part != "self").peekable();
    match parts.peek().map(String::as_str) {
        Some("crate") => {
            base.clear();
            parts.next();
        }
        Some("super") => {
            while parts.next_if(|part| part == "super").is_some() {
                base.pop();
            }
        }
        _ if exported => {}
        _ => return None,
    }
    base.extend(parts);
    Some(base)
}

/// The files that each file imports from.
fn imports(sources: &Sources) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let edges = |module: &ModulePath| {
        let paths = sources.paths(module, false).into_iter();
        paths.filter_map(|path| sources.resolve(&path)).filter(|other| other != module).collect()
    };
    let inside = sources.0.keys().filter(|module| !module.is_empty());
    inside.map(|module| (module.clone(), edges(module))).collect()
}

#[test]
fn modules_import_only_from_floors_below() {
    let floors: BTreeMap<&str, usize> =
        FLOORS.iter().flat_map(|(floor, names)| names.iter().map(|name| (*name, *floor))).collect();
    let floor = |module: &ModulePath| {
        *floors
            .get(module[0].as_str())
            .unwrap_or_else(|| panic!("{} is on no floor: add it to the plan", module[0]))
    };
    let mut seen = 0;
    let mut wrong = vec![];
    for (module, imported) in imports(&Sources::read()) {
        for other in imported.iter().filter(|other| other[0] != module[0]) {
            seen += 1;
            let (own, below) = (floor(&module), floor(other));
            if below >= own {
                let (module, other) = (module.join("::"), other.join("::"));
                wrong.push(format!("{module} (floor {own}) imports {other} (floor {below})"));
            }
        }
    }
    assert!(seen > 200, "the test reads imports at all, and not {seen} only");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every file that a file imports from, directly or through others.
fn reached<'s>(
    imports: &'s BTreeMap<ModulePath, BTreeSet<ModulePath>>,
    module: &'s ModulePath,
) -> BTreeSet<&'s ModulePath> {
    let mut found = BTreeSet::new();
    let mut open = vec![module];
    while let Some(next) = open.pop() {
        open.extend(imports.get(next).into_iter().flatten().filter(|other| found.insert(*other)));
    }
    found
}

#[test]
fn no_file_is_in_a_circle_of_imports() {
    let imports = imports(&Sources::read());
    let reached: BTreeMap<_, _> =
        imports.keys().map(|module| (module, reached(&imports, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, others) in reached.iter().filter(|(module, others)| others.contains(*module)) {
        let together = others
            .iter()
            .filter(|other| reached.get(*other).is_some_and(|reached| reached.contains(*module)));
        let names: Vec<String> = together.map(|other| other.join("::")).collect();
        circles.insert(names.join(", "));
    }
    assert_eq!(circles, BTreeSet::new());
}
