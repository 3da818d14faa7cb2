//! Which of a TIFF's directories is the picture.

use std::collections::HashSet;
use std::io::{self, Read, Seek};

use crate::image::ifd::{Directory, Reader};

/// Pages looked at before counting stops.
const MAX_PAGES: usize = 10_000;

/// Directories below one that are looked at.
const MAX_BELOW: u64 = 64;

mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const SUBFILE_TYPE: u16 = 255;
    pub const WIDTH: u16 = 256;
    pub const SUB_DIRECTORIES: u16 = 330;
}

/// The picture's directory and what is beside it.
pub(super) struct Page {
    pub directory: Directory,
    /// The file's first directory, which says of the photograph what the picture's own does not.
    pub first: Directory,
    /// Pages of full size in the chain of directories.
    pub count: usize,
}

impl Page {
    /// The first directory that is neither a copy at lower resolution nor a mask: of the chain, or
    /// of those below a page that is such a copy. Where there is none, the first of all.
    ///
    /// # Errors
    ///
    /// When there is no directory.
    pub fn choose<R: Read + Seek>(reader: &mut Reader<R>) -> io::Result<Self> {
        let mut at = reader.first()?;
        let first = reader.directory(at)?;
        let (mut chosen, mut count, mut seen) = (None, 0, HashSet::new());
        // A chain may bite its own tail, or end in rubbish: the pages before are there.
        while at != 0 && seen.insert(at) && seen.len() <= MAX_PAGES {
            let Ok(directory) = reader.directory(at) else { break };
            at = directory.next;
            if is_picture(reader, &directory) {
                count += 1;
                chosen = chosen.or(Some(directory));
            } else if chosen.is_none() {
                chosen = below(reader, &directory);
            }
        }
        Ok(Page { directory: chosen.unwrap_or_else(|| first.clone()), first, count: count.max(1) })
    }
}

/// The first picture among the directories below one.
fn below<R: Read + Seek>(reader: &mut Reader<R>, directory: &Directory) -> Option<Directory> {
    let places = directory.find(tag::SUB_DIRECTORIES)?;
    let places = reader.numbers(&places, MAX_BELOW * 8)?;
    places.into_iter().find_map(|at| {
        let found = reader.directory(at).ok()?;
        is_picture(reader, &found).then_some(found)
    })
}

/// Whether a directory is that of a picture at its full size.
fn is_picture<R: Read + Seek>(reader: &mut Reader<R>, directory: &Directory) -> bool {
    let mut number = |tag| directory.find(tag).and_then(|e| reader.first_number(&e)).unwrap_or(0);
    let (reduced, mask) = (1, 4);
    number(tag::WIDTH) > 0
        && number(tag::NEW_SUBFILE_TYPE) & (reduced | mask) == 0
        && number(tag::SUBFILE_TYPE) != 2
}
