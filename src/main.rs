//! The `impasto` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    impasto::image::silence_decoder_panics();
    impasto::cli::run(std::env::args_os()).into()
}
