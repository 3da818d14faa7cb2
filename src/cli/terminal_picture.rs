//! Pictures in a terminal that can show them: kitty's and iTerm2's protocols.

use std::io::IsTerminal;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::say::{bytes, complain};
use crate::files::Overwrite;
use crate::image::{self, Encoding, Limits, OutputFormat};

/// Bytes of base64 in one of kitty's commands.
const CHUNK: usize = 4096;
/// The most columns that a picture takes.
const COLUMNS: u16 = 100;

/// How a terminal takes a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// A PNG in pieces, between `ESC _ G` and `ESC \`.
    Kitty,
    /// A file of any format, between `ESC ] 1337` and a bell.
    Iterm,
}

impl Protocol {
    /// What the terminal says of itself in the environment.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let value = |name: &str| variable(name).unwrap_or_default();
        let (term, program) = (value("TERM"), value("TERM_PROGRAM"));
        if variable("KITTY_WINDOW_ID").is_some()
            || ["xterm-kitty", "xterm-ghostty"].contains(&&*term)
        {
            return Some(Protocol::Kitty);
        }
        ["iTerm.app", "WezTerm", "mintty"].contains(&&*program).then_some(Protocol::Iterm)
    }
}

/// Shows the JPEG at `path`, or says why not.
pub fn show(path: &Path) {
    let protocol = Protocol::of(|name| std::env::var(name).ok());
    let Some(protocol) = protocol.filter(|_| std::io::stdout().is_terminal()) else {
        complain!(
            "this terminal shows no pictures (those of kitty, Ghostty, iTerm2, WezTerm and mintty do); `impasto view` shows them in the browser"
        );
        return;
    };
    let columns = console::Term::stdout().size().1.min(COLUMNS);
    match protocol {
        Protocol::Iterm => match std::fs::read(path) {
            Ok(file) => bytes(&iterm(&file, columns)),
            Err(error) => complain!("cannot read {}: {error}", path.display()),
        },
        Protocol::Kitty => match png(path) {
            Ok(file) => bytes(&kitty(&file, columns)),
            Err(error) => complain!("{error}"),
        },
    }
}

/// The picture at `path` as PNG.
fn png(path: &Path) -> Result<Vec<u8>, image::Error> {
    let picture = image::decode(path, &Limits::default())?;
    let png = path.with_extension("png");
    let (size, encoding) = ((picture.width, picture.height), Encoding::new(OutputFormat::Png));
    image::encode_picture(&png, size, &picture.pixels, None, &encoding, Overwrite::Allow)?;
    std::fs::read(&png).map_err(|source| image::Error::Read { path: png, source })
}

/// What makes kitty show a PNG, `columns` wide.
fn kitty(png: &[u8], columns: u16) -> Vec<u8> {
    let text = STANDARD.encode(png);
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(CHUNK).collect();
    let mut out = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let more = u8::from(number + 1 < pieces.len());
        let first = if number == 0 { format!("a=T,f=100,c={columns},") } else { String::new() };
        out.extend(format!("\x1b_G{first}m={more};").into_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\x1b\\");
    }
    out.push(b'\n');
    out
}

/// What makes iTerm2 show a file, `columns` wide.
fn iterm(file: &[u8], columns: u16) -> Vec<u8> {
    let (size, text) = (file.len(), STANDARD.encode(file));
    format!("\x1b]1337;File=inline=1;size={size};width={columns}:{text}\x07\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_known_by_what_they_say_of_themselves() {
        let of = |pairs: &[(&str, &str)]| {
            Protocol::of(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.into()))
        };
        assert_eq!(of(&[("TERM", "xterm-kitty")]), Some(Protocol::Kitty));
        assert_eq!(of(&[("KITTY_WINDOW_ID", "1"), ("TERM", "tmux")]), Some(Protocol::Kitty));
        assert_eq!(of(&[("TERM_PROGRAM", "iTerm.app")]), Some(Protocol::Iterm));
        assert_eq!(of(&[("TERM", "xterm-256color")]), None);
    }

    #[test]
    fn a_picture_comes_in_pieces_and_whole() {
        let file: Vec<u8> = (0..10_000).map(|i| i as u8).collect();
        let out = String::from_utf8(kitty(&file, 80)).unwrap();
        assert!(out.starts_with("\x1b_Ga=T,f=100,c=80,m=1;"));
        let mut text = String::new();
        for piece in out.trim_end().split_terminator("\x1b\\") {
            let (head, body) = piece.split_once(';').unwrap();
            assert!(head.starts_with("\x1b_G") && body.len() <= CHUNK);
            text.push_str(body);
        }
        assert_eq!(out.matches("m=0;").count(), 1, "the last piece says so");
        assert_eq!(STANDARD.decode(text).unwrap(), file);
        let out = String::from_utf8(iterm(&file, 80)).unwrap();
        let body = out.split_once(':').unwrap().1.strip_suffix("\x07\n").unwrap();
        assert_eq!(STANDARD.decode(body).unwrap(), file);
    }
}
