//! What the pictures of a run depend on, and what of it has changed.
//!
//! Settings count when they change the finished file (see [`crate::config::Effect`]), files that
//! settings name count by their bytes. What only decides how fast or where the work is done does
//! not count, and neither do pictures that are added.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Effect, ListedSetting, Settings};
use crate::files::{Digests, FileId};

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
    /// SHA-256 of each content image.
    pub content: BTreeMap<FileId, String>,
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

/// A file that cannot be read, and the system's reason.
pub type UnreadableFile = (PathBuf, io::Error);

impl Fingerprint {
    /// The fingerprint of pictures of `content` under `config`, with weights of this SHA-256. The
    /// digests of all files are kept in `digests`, which may know those of the content already.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn take<'a>(
        config: &Config,
        content: impl IntoIterator<Item = &'a crate::files::NamedFile>,
        weights: &str,
        digests: &mut Digests,
    ) -> Result<Self, UnreadableFile> {
        let mut variants = BTreeMap::new();
        for variant in &config.variants {
            let name = variant.name.clone().unwrap_or_default();
            variants.insert(name, settings(config, &variant.settings, digests)?);
        }
        let mut of_content = BTreeMap::new();
        for file in content {
            of_content.insert(file.id.clone(), digest(digests, file)?);
        }
        Ok(Self { algorithm: ALGORITHM, weights: weights.into(), variants, content: of_content })
    }

    /// What has changed from `self` to `now`, but for the content images. Variants that are only in
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

    /// How a content image has changed from `self` to `now`, if it is in both.
    pub fn content_change(&self, now: &Fingerprint, id: &FileId) -> Option<Change> {
        let (old, new) = (self.content.get(id)?, now.content.get(id)?);
        let what = format!("the content image {id}");
        (old != new).then(|| Change { what, old: Some(short(old)), new: Some(short(new)) })
    }

    /// `self` with the content images of `now` and the variants that are only there.
    pub fn with(mut self, now: &Fingerprint) -> Self {
        for (name, keys) in &now.variants {
            self.variants.entry(name.clone()).or_insert_with(|| keys.clone());
        }
        self.content.extend(now.content.clone());
        self
    }
}

/// The settings that change pixels, and the hashes of files that the picture's own settings name.
/// Those of the run are the weights, which count by themselves.
fn settings(
    config: &Config,
    settings: &Settings,
    digests: &mut Digests,
) -> Result<BTreeMap<String, String>, UnreadableFile> {
    let mut keys = BTreeMap::new();
    for ListedSetting { key, value, effect, file } in settings.listing(&config.home) {
        match (effect, file) {
            (Effect::Pixels, _) => keys.insert(key, value),
            (Effect::Input, Some(path)) => {
                keys.insert(format!("the file of {key}"), short(&digest(digests, &path)?))
            }
            _ => None,
        };
    }
    let of_run = config.run.listing(&config.home).into_iter();
    let of_run = of_run.filter(|listed| listed.effect == Effect::Pixels);
    keys.extend(of_run.map(|listed| (listed.key, listed.value)));
    Ok(keys)
}

fn digest(digests: &mut Digests, path: &Path) -> Result<String, UnreadableFile> {
    digests.of(path).map(str::to_owned).map_err(|error| (path.to_path_buf(), error))
}

/// A hash as people compare it.
fn short(hash: &str) -> String {
    format!("sha256 {}", hash.get(..16).unwrap_or(hash))
}
