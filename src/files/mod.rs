//! Files: which file a path means (`identity`, `names`), what bytes it has (`digests`), and atomic
//! writing: a file appears under its final name whole, or not at all.
//!
//! Owns identities, temporary names, renaming and syncing. It knows nothing of what is in a file; pictures are
//! written by [`crate::image`], through [`AtomicFile`].
//!
//! The order is always the same: a temporary file in the destination's own directory (so that the
//! rename stays on one file system), the data, `fsync` of the file, the rename, `fsync` of the
//! directory. A process that dies at any point leaves the old file or the new one under the final
//! name, and at worst a hidden `.NAME.RANDOM.tmp` beside it, which [`remove_leftovers`] removes.

mod atomic;
mod digest;
mod digests;
mod directories;
mod error;
mod identity;
mod names;
mod probe;
mod temporary;

pub use atomic::{AtomicFile, Overwrite, write};
pub use digest::{sha256, sha256_of_file, sha256_of_parts};
pub use digests::Digests;
pub use directories::{create_directories, sync_directory, sync_tree, syncs_directories};
pub use error::Error;
pub use identity::{
    FileId, Home, NamedFile, canonical, canonical_name, name_text, path_text, relative,
};
pub use names::{FileNumber, FolderKey, NameKey, NameKeys, longest_name, temporary_length};
pub use probe::{check_writable, probe};
pub use temporary::{
    remove_all_leftovers, remove_leftovers, remove_old_leftovers, temporary_directory,
};
