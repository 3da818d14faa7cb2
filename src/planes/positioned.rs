//! A file that is read at places, without a cursor that workers would fight over.

use std::fs::File;
use std::io;

/// A file that is read at places.
#[derive(Debug)]
pub(super) struct PositionedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
}

#[cfg(unix)]
impl PositionedFile {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }
}

#[cfg(not(unix))]
impl PositionedFile {
    pub(super) fn new(file: File) -> Self {
        Self { file: std::sync::Mutex::new(file) }
    }

    pub(super) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read, Seek};
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.seek(io::SeekFrom::Start(offset))?;
        file.read_exact(buffer)
    }
}
