//! The checkpoints of one job on disk: written, found again, cleared away.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{Tensor, TensorId};

use super::manifest::{Manifest, Stage, VectorFile, parse_manifest};
use super::seal::is_sealed;
use super::vector;
use crate::event::Losses;
use crate::files::{self, Overwrite};
use crate::journal::error::JournalError;
use crate::journal::lock::Lock;

/// Checkpoints that stay beside the ends of levels: the newest and the one before.
const KEPT: usize = 2;

/// What is to be kept of a job.
pub struct Snapshot {
    /// How far it is.
    pub stage: Stage,
    /// Evaluations done in all levels.
    pub evaluations: usize,
    /// The losses of the best canvas.
    pub losses: Losses,
    /// Vectors of one shape `[3, H, W]`, as the stage wants them.
    pub vectors: Vec<Tensor>,
}

/// What was found of a job.
pub struct Loaded {
    /// What was kept of it.
    pub snapshot: Snapshot,
    /// The level's number in the pyramid that the work is to go on with.
    pub level: usize,
}

/// What a checkpoint took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Saved {
    /// Bytes that were written.
    pub bytes: u64,
    /// Seconds it took.
    pub seconds: f64,
}

/// The checkpoints of one job. There are some only under the lock of their run.
pub struct Checkpoints {
    directory: PathBuf,
    every: Duration,
    last: Instant,
    /// The number of the next file.
    next: u64,
    /// Files that hold a tensor of this process. A tensor never changes, so its identity tells its
    /// content.
    known: HashMap<TensorId, VectorFile>,
    /// Manifests on disk by number.
    manifests: BTreeMap<u64, Manifest>,
    _lock: Arc<Lock>,
}

impl Checkpoints {
    pub(in crate::journal) fn new(directory: PathBuf, every: Duration, lock: Arc<Lock>) -> Self {
        let (known, manifests) = (HashMap::new(), BTreeMap::new());
        Self { directory, every, last: Instant::now(), next: 1, known, manifests, _lock: lock }
    }

    /// Whether it is time for the next checkpoint.
    pub fn due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// A directory for the files of a level that keeps its own, such as canvases and tiles of
    /// rounds; they last until the job is over. It is made when missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn level_directory(&self, level: usize) -> Result<PathBuf, JournalError> {
        let directory = self.directory.join(format!("level-{}", level + 1));
        files::create_directories(&self.directory)?;
        files::create_directories(&directory)?;
        Ok(directory)
    }

    /// Removes a level's own directory: its result is kept otherwise.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn clear_level(&self, level: usize) -> Result<(), JournalError> {
        remove_all(&self.directory.join(format!("level-{}", level + 1)))
    }

    /// The newest checkpoint that is whole; `notes` hears of those that are not. Files that belong
    /// to none are removed.
    ///
    /// # Errors
    /// When the directory cannot be read or cleared.
    pub fn load(&mut self, notes: &mut dyn FnMut(String)) -> Result<Option<Loaded>, JournalError> {
        let mut numbers = Vec::new();
        for name in names(&self.directory)? {
            let Some((number, kind)) = name.split_once('.') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            self.next = self.next.max(number.saturating_add(1));
            if kind == "checkpoint" {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        let mut loaded = None;
        for number in numbers.into_iter().rev() {
            let path = self.manifest_path(number);
            match std::fs::read(&path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| parse_manifest(&bytes))
            {
                // Older ones are kept for their files; only the newest whole one is read.
                Ok(manifest) if loaded.is_some() => drop(self.manifests.insert(number, manifest)),
                Ok(manifest) => match self.vectors(&manifest) {
                    Ok(vectors) => {
                        loaded = Some(snapshot(&manifest, vectors));
                        self.manifests.insert(number, manifest);
                    }
                    Err(reason) => notes(format!(
                        "the checkpoint {} cannot be used: {reason}; an older one will do",
                        path.display()
                    )),
                },
                Err(reason) => notes(format!(
                    "the checkpoint {} cannot be used: {reason}; an older one will do",
                    path.display()
                )),
            }
        }
        self.clear_away()?;
        self.last = Instant::now();
        Ok(loaded)
    }

    /// The name by which a checkpoint speaks of a file in one of its level directories.
    ///
    /// # Errors
    /// When it is somewhere else, which is a mistake of the program.
    pub fn name_of(&self, path: &Path) -> Result<String, JournalError> {
        let inside = path.strip_prefix(&self.directory).map_err(std::io::Error::other);
        let inside =
            inside.map_err(JournalError::io("find the checkpoint's directory around", path))?;
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        Ok(parts.join("/"))
    }

    /// The file of that name.
    pub fn path_of(&self, name: &str) -> PathBuf {
        name.split('/').fold(self.directory.clone(), |path, part| path.join(part))
    }

    /// Reads the vectors of a manifest, those of one file as one tensor, and looks after a canvas's
    /// file.
    fn vectors(&mut self, manifest: &Manifest) -> Result<Vec<Tensor>, String> {
        if let Stage::LevelDone { file: Some(name), .. } = &manifest.stage
            && !is_sealed(&self.path_of(name))
        {
            return Err(format!("{name} is not whole"));
        }
        let mut read: HashMap<&str, Tensor> = HashMap::new();
        for file in &manifest.vectors {
            if !read.contains_key(file.file.as_str()) {
                let tensor =
                    vector::read(&self.directory.join(&file.file), manifest.shape, file.crc)
                        .map_err(|reason| format!("{}: {reason}", file.file))?;
                self.known.insert(tensor.id(), file.clone());
                read.insert(&file.file, tensor);
            }
        }
        Ok(manifest.vectors.iter().map(|file| read[file.file.as_str()].clone()).collect())
    }

    /// Makes a checkpoint durable, then removes what it made superfluous.
    ///
    /// # Errors
    /// When a file cannot be written; the checkpoints before are untouched then.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<Saved, JournalError> {
        let started = Instant::now();
        files::create_directories(&self.directory)?;
        let mut bytes = 0;
        let mut listed = Vec::with_capacity(snapshot.vectors.len());
        for tensor in &snapshot.vectors {
            let file = match self.known.get(&tensor.id()) {
                Some(file) => file.clone(),
                None => self.write(tensor, &mut bytes)?,
            };
            listed.push(file);
        }
        // The vectors' names last before a manifest speaks of them.
        files::sync_directory(&self.directory)?;
        let shape = snapshot
            .vectors
            .first()
            .and_then(|v| v.dims3().ok())
            .map_or([0; 3], |(c, h, w)| [c, h, w]);
        let Snapshot { stage, evaluations, losses, .. } = snapshot;
        let manifest = Manifest {
            stage: stage.clone(),
            evaluations: *evaluations,
            losses: *losses,
            shape,
            vectors: listed,
        };
        let number = self.take_number();
        let text = manifest.to_bytes();
        bytes += text.len() as u64;
        files::write(&self.manifest_path(number), &text, Overwrite::Allow)?;
        self.manifests.insert(number, manifest);
        self.clear_away()?;
        self.last = Instant::now();
        Ok(Saved { bytes, seconds: started.elapsed().as_secs_f64() })
    }

    fn write(&mut self, tensor: &Tensor, bytes: &mut u64) -> Result<VectorFile, JournalError> {
        let name = format!("{:06}.vector", self.take_number());
        let path = self.directory.join(&name);
        let (crc, length) = vector::write(&path, tensor).map_err(|error| {
            let _ = std::fs::remove_file(&path);
            JournalError::io("write", &path)(error)
        })?;
        *bytes += length;
        let file = VectorFile { file: name, crc };
        self.known.insert(tensor.id(), file.clone());
        Ok(file)
    }

    /// Removes manifests that newer ones replace, and then the files that no manifest names any
    /// more.
    fn clear_away(&mut self) -> Result<(), JournalError> {
        let newest: Vec<u64> = self.manifests.keys().rev().take(KEPT).copied().collect();
        let ended = self
            .manifests
            .iter()
            .rev()
            .find(|(_, m)| matches!(m.stage, Stage::LevelDone { .. }))
            .map(|(number, _)| *number);
        self.manifests.retain(|number, _| newest.contains(number) || ended == Some(*number));
        let wanted: HashSet<String> = self
            .manifests
            .iter()
            .flat_map(|(number, manifest)| {
                std::iter::once(format!("{number:06}.checkpoint"))
                    .chain(manifest.vectors.iter().map(|file| file.file.clone()))
            })
            .collect();
        self.known.retain(|_, file| wanted.contains(&file.file));
        let mut gone: Vec<String> =
            names(&self.directory)?.into_iter().filter(|name| !wanted.contains(name)).collect();
        // Manifests go first: one that names a file that is gone would be called damaged.
        gone.sort_by_key(|name| !name.ends_with(".checkpoint"));
        for name in gone {
            let path = self.directory.join(name);
            if path.is_file() {
                std::fs::remove_file(&path).map_err(JournalError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Removes everything: the job's picture is there.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn clear(self) -> Result<(), JournalError> {
        remove_all(&self.directory)
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn manifest_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:06}.checkpoint"))
    }
}

fn remove_all(directory: &Path) -> Result<(), JournalError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(JournalError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

fn snapshot(manifest: &Manifest, vectors: Vec<Tensor>) -> Loaded {
    let Manifest { stage, evaluations, losses, .. } = manifest.clone();
    let level = match &stage {
        Stage::Exact { level, .. } => *level,
        Stage::LevelDone { level, .. } => level + 1,
    };
    Loaded { snapshot: Snapshot { stage, evaluations, losses, vectors }, level }
}

/// Names of the files in a directory; none when it is not there.
fn names(directory: &Path) -> Result<Vec<String>, JournalError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(JournalError::io("read", directory)(error)),
    };
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect::<std::io::Result<_>>().map_err(JournalError::io("read", directory))
}
