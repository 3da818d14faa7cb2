//! The checkpoints of one job on disk: written, read, and removed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor, TensorId};

use super::manifest::{FileSeal, Manifest, ManifestError, Stage, parse_manifest};
use crate::event::Losses;
use crate::files::{self, Overwrite};
use crate::journal::directory::level_preview;
use crate::journal::error::JournalError;
use crate::journal::lock::Lock;
use crate::planes::{PlaneError, PlaneFile, PlaneWriter, Shape};
use crate::tensor::{HostView, first_line};

/// Checkpoints that stay beside the ends of levels: the newest and the one before.
const NEWEST: usize = 2;
/// What a vector's file says that it is.
const LABEL: &str = "vector";

/// A job at one moment.
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

/// What a checkpoint cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
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
    known: HashMap<TensorId, FileSeal>,
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

    /// Keeps the preview of a finished level of `job`, a JPEG at `preview`, with the run.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn keep_preview(
        &self,
        job: usize,
        level: usize,
        preview: &Path,
    ) -> Result<(), JournalError> {
        let run = self.directory.ancestors().nth(2).unwrap_or(&self.directory);
        let bytes = std::fs::read(preview).map_err(JournalError::io("read", preview))?;
        files::write(&level_preview(run, job, level), &bytes, Overwrite::Allow)?;
        Ok(())
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

    /// The newest checkpoint that is whole; `note` gets those that are damaged, in words. Files that
    /// belong to none are removed.
    ///
    /// # Errors
    /// When a file cannot be read for another reason than damage, or was written by another version
    /// of the program: nothing is removed then. When what is to be removed cannot be.
    pub fn load(&mut self, note: &mut dyn FnMut(String)) -> Result<Option<Snapshot>, JournalError> {
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
        let mut newest = None;
        for number in numbers.into_iter().rev() {
            let path = self.manifest_path(number);
            let mut lost = |reason: String| {
                note(format!(
                    "the checkpoint {} cannot be used: {reason}; an older one will do",
                    path.display()
                ));
            };
            let bytes = std::fs::read(&path).map_err(|source| PlaneError::Io {
                action: "read",
                path: path.clone(),
                source,
            })?;
            let manifest = match parse_manifest(&bytes) {
                Ok(manifest) => manifest,
                Err(ManifestError::Damaged(reason)) => {
                    lost(reason);
                    continue;
                }
                Err(ManifestError::Format(format)) => {
                    let format = format!("`impasto-checkpoint` {format}");
                    return Err(PlaneError::Format { path, format }.into());
                }
            };
            // Older ones are kept for their files; only the newest whole one is read.
            if newest.is_none() {
                match self.vectors(&manifest) {
                    Ok(vectors) => newest = Some(snapshot(&manifest, vectors)),
                    Err(error) if error.is_loss() => {
                        lost(error.to_string());
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            self.manifests.insert(number, manifest);
        }
        self.clear_away()?;
        self.last = Instant::now();
        Ok(newest)
    }

    /// What a manifest says of a canvas's file in one of the level directories.
    ///
    /// # Errors
    /// When it is somewhere else, which is a mistake of the program.
    pub fn seal_of(&self, canvas: &PlaneFile<f32>) -> Result<FileSeal, JournalError> {
        let path = canvas.path();
        let inside = path.strip_prefix(&self.directory).map_err(io::Error::other);
        let inside =
            inside.map_err(JournalError::io("find the checkpoint's directory around", path))?;
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        Ok(FileSeal { file: parts.join("/"), seal: canvas.seal() })
    }

    /// Opens the file that a manifest speaks of.
    ///
    /// # Errors
    /// When it cannot be read or is not that file.
    pub fn open(&self, sealed: &FileSeal) -> Result<PlaneFile<f32>, PlaneError> {
        let parts = sealed.file.split('/');
        let path = parts.fold(self.directory.clone(), |path, part| path.join(part));
        let file = PlaneFile::open(&path)?;
        match file.seal() == sealed.seal {
            true => Ok(file),
            false => {
                let reason = "it is not the file that the checkpoint names".into();
                Err(PlaneError::Damaged { path, reason })
            }
        }
    }

    /// Reads the vectors of a manifest, those of one file as one tensor, and verifies a canvas's
    /// file.
    fn vectors(&mut self, manifest: &Manifest) -> Result<Vec<Tensor>, PlaneError> {
        if let Stage::LevelDone { canvas: Some(canvas), .. } = &manifest.stage {
            self.open(canvas)?.verify()?;
        }
        let mut read: HashMap<&str, Tensor> = HashMap::new();
        for vector in &manifest.vectors {
            if !read.contains_key(vector.file.as_str()) {
                let file = self.open(vector)?;
                let Shape { channels, height, width } = manifest.shape;
                let damaged = |reason: String| {
                    let path = file.path().to_path_buf();
                    PlaneError::Damaged { path, reason }
                };
                if file.shape() != manifest.shape {
                    return Err(damaged("it has another shape than the checkpoint says".into()));
                }
                let shape = (channels, height, width);
                let tensor = Tensor::from_vec(file.read_all()?, shape, &Device::Cpu)
                    .map_err(|error| damaged(first_line(&error)))?;
                self.known.insert(tensor.id(), vector.clone());
                read.insert(&vector.file, tensor);
            }
        }
        Ok(manifest.vectors.iter().map(|vector| read[vector.file.as_str()].clone()).collect())
    }

    /// Makes a checkpoint durable, then removes what it made superfluous.
    ///
    /// # Errors
    /// When a file cannot be written; the checkpoints before are untouched then.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<Cost, JournalError> {
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
        let shape = snapshot.vectors.first().and_then(|vector| vector.dims3().ok());
        let (channels, height, width) = shape.unwrap_or((0, 0, 0));
        let shape = Shape { channels, height, width };
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
        Ok(Cost { bytes, seconds: started.elapsed().as_secs_f64() })
    }

    fn write(&mut self, tensor: &Tensor, bytes: &mut u64) -> Result<FileSeal, JournalError> {
        let name = format!("{:06}.vector", self.take_number());
        let path = self.directory.join(&name);
        let other = |error: candle_core::Error| {
            JournalError::io("write", &path)(io::Error::other(first_line(&error)))
        };
        let host = tensor
            .to_device(&Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(DType::F32)?.contiguous())
            .map_err(other)?;
        let (channels, height, width) = host.dims3().map_err(other)?;
        let shape = Shape { channels, height, width };
        let view = HostView::new(&host).map_err(other)?;
        let file = PlaneWriter::write(&path, shape, LABEL, view.values())?;
        *bytes += file.bytes();
        let vector = FileSeal { file: name, seal: file.seal() };
        self.known.insert(tensor.id(), vector.clone());
        Ok(vector)
    }

    /// Removes manifests that newer ones replace, and then the files that no manifest names any
    /// more.
    fn clear_away(&mut self) -> Result<(), JournalError> {
        let newest: Vec<u64> = self.manifests.keys().rev().take(NEWEST).copied().collect();
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(JournalError::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

fn snapshot(manifest: &Manifest, vectors: Vec<Tensor>) -> Snapshot {
    let Manifest { stage, evaluations, losses, .. } = manifest.clone();
    Snapshot { stage, evaluations, losses, vectors }
}

/// Names of the files in a directory; none when it is not there.
fn names(directory: &Path) -> Result<Vec<String>, JournalError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(JournalError::io("read", directory)(error)),
    };
    let name = |entry: io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect::<io::Result<_>>().map_err(JournalError::io("read", directory))
}
