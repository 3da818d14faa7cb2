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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_panic_inside_a_decoder_is_an_error_and_is_not_printed() {
        static PRINTED: AtomicUsize = AtomicUsize::new(0);
        let before = take_hook();
        set_hook(Box::new(move |panic| match panic.payload().downcast_ref::<&str>() {
            Some(&"a fault for the test") => {
                PRINTED.fetch_add(1, Ordering::Relaxed);
            }
            _ => before(panic),
        }));
        silence_decoder_panics();
        let result: Result<(), Error> =
            run(Path::new("x.tga"), Format::Tga, || panic!("a fault for the test"));
        let text = result.unwrap_err().to_string();
        assert!(text.contains("x.tga") && text.contains("gave up"), "{text}");
        assert_eq!(PRINTED.load(Ordering::Relaxed), 0);
        // Others are still printed.
        let other = catch_unwind(|| panic!("a fault for the test"));
        assert!(other.is_err());
        assert_eq!(PRINTED.load(Ordering::Relaxed), 1);
    }
}
