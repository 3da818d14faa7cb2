//! Panics inside decoders, which only bugs in them can cause, as errors about the file.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;

use crate::image::{Error, Format};

thread_local! {
    /// Whether this thread is inside a decoder.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder; a panic inside it is an error about this file.
pub(super) fn run<T>(
    path: &Path,
    format: Format,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let before = DECODING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    DECODING.set(before);
    result.unwrap_or_else(|_| {
        let detail = "the decoder gave up on it".to_owned();
        Err(Error::Malformed { path: path.to_path_buf(), format, detail })
    })
}

/// Keeps panics inside decoders, which are reported as errors, from being printed as well. This
/// changes the process's panic hook, which belongs to the program: the library never does it by
/// itself.
pub fn silence_decoder_panics() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        if !DECODING.try_with(Cell::get).unwrap_or(false) {
            print(panic);
        }
    }));
}
