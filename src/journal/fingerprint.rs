//! What the pictures of a run depend on, and what of it has changed.
//!
//! Settings count when they change the finished file (see [`crate::config::Effect`]), files that
//! settings name count by their bytes. What only decides how fast or where the work is done does
//! not count, and neither do pictures that join.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Effect, Listed, Settings};
use crate::files;

/// Raised whenever the program comes to paint other bytes from the same plan.
pub const ALGORITHM: u32 = 3;

/// What the pictures of a run depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fingerprint {
    /// [`ALGORITHM`] of the program.
    pub algorithm: u32,
    /// SHA-256 of the weights.
    pub weights: String,
    /// Settings and files by variant; a pipeline without variants has one of the empty name.
    pub variants: BTreeMap<String, BTreeMap<String, String>>,
    /// SHA-256 of each photograph, by its path as seen from the pipeline's folder.
    pub photographs: BTreeMap<PathBuf, String>,
}

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// A key, a file, or something of the program.
    pub what: String,
    /// What it was; nothing when it was not there.
    pub old: Option<String>,
    /// What it is now.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".into());
        write!(f, "{}: was {}, is {}", self.what, shown(&self.old), shown(&self.new))
    }
}

impl Fingerprint {
    /// The fingerprint of `photographs` (as the configuration names them) under `config`, with
    /// weights of this SHA-256.
    ///
    /// # Errors
    /// When a file cannot be read: its path and the system's reason.
    pub fn take<'a>(
        config: &Config,
        photographs: impl IntoIterator<Item = &'a Path>,
        weights: &str,
    ) -> Result<Self, (PathBuf, std::io::Error)> {
        let mut variants = BTreeMap::new();
        for variant in &config.variants {
            variants.insert(
                variant.name.clone().unwrap_or_default(),
                settings(config, &variant.settings)?,
            );
        }
        let mut hashes = BTreeMap::new();
        for path in photographs {
            let seen = path.strip_prefix(config.directory()).unwrap_or(path).to_path_buf();
            if let Entry::Vacant(entry) = hashes.entry(seen) {
                entry.insert(hash(path)?);
            }
        }
        Ok(Self { algorithm: ALGORITHM, weights: weights.into(), variants, photographs: hashes })
    }

    /// What has changed from `self` to `now`, but for the photographs. Variants that are only in
    /// one of them are no change.
    pub fn changes(&self, now: &Fingerprint) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut compare = |what: String, old: Option<String>, new: Option<String>| {
            if old != new {
                changes.push(Change { what, old, new });
            }
        };
        let version = |number: u32| Some(format!("version {number}"));
        compare("the program's algorithm".into(), version(self.algorithm), version(now.algorithm));
        compare(
            "the network's weights".into(),
            Some(short(&self.weights)),
            Some(short(&now.weights)),
        );
        for (name, old) in &self.variants {
            let Some(new) = now.variants.get(name) else { continue };
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            let of = if name.is_empty() { String::new() } else { format!(" of variant {name}") };
            keys.into_iter().for_each(|key| {
                compare(format!("{key}{of}"), old.get(key).cloned(), new.get(key).cloned())
            });
        }
        changes
    }

    /// How a photograph, named as in [`Fingerprint::photographs`], has changed from `self` to
    /// `now`, if it is in both.
    pub fn photograph_change(&self, now: &Fingerprint, path: &Path) -> Option<Change> {
        let (old, new) = (self.photographs.get(path)?, now.photographs.get(path)?);
        let what = format!("the photograph {}", path.display());
        (old != new).then(|| Change { what, old: Some(short(old)), new: Some(short(new)) })
    }

    /// `self` with the photographs of `now` and the variants that are only there.
    pub fn joined(mut self, now: &Fingerprint) -> Self {
        for (name, keys) in &now.variants {
            self.variants.entry(name.clone()).or_insert_with(|| keys.clone());
        }
        self.photographs.extend(now.photographs.clone());
        self
    }
}

/// The settings that change pixels, and the hashes of files that the picture's own settings name.
/// Those of the run are the weights, which count by themselves.
fn settings(
    config: &Config,
    settings: &Settings,
) -> Result<BTreeMap<String, String>, (PathBuf, std::io::Error)> {
    let base = config.directory();
    let mut keys = BTreeMap::new();
    for Listed { key, value, effect, file } in settings.listing(base) {
        match (effect, file) {
            (Effect::Pixels, _) => keys.insert(key, value),
            (Effect::Input, Some(path)) => {
                keys.insert(format!("the file of {key}"), short(&hash(&path)?))
            }
            _ => None,
        };
    }
    let of_run = config.run.listing(base).into_iter();
    let of_run = of_run.filter(|listed| listed.effect == Effect::Pixels);
    keys.extend(of_run.map(|listed| (listed.key, listed.value)));
    Ok(keys)
}

/// A file's SHA-256.
fn hash(path: &Path) -> Result<String, (PathBuf, std::io::Error)> {
    files::sha256_of_file(path).map_err(|error| (path.to_path_buf(), error))
}

/// A hash as people compare it.
fn short(hash: &str) -> String {
    format!("sha256 {}", hash.get(..16).unwrap_or(hash))
}
