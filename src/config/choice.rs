//! Settings whose value is one of a few words: an enum for each, with its words written once.
//!
//! An enum that only the settings need is made by [`choice!`]. One that belongs to a module below
//! is used as it is: its words are listed at the end of this file.

use crate::image::{Compression, Intent};
use crate::network::{Pooling, Precision};

/// A setting that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every alternative, in the order in which messages list them.
    const ALL: &'static [Self];

    /// The word that stands for this alternative in a pipeline file.
    fn word(self) -> &'static str;

    /// The words, in their order.
    fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|choice| choice.word())
    }

    /// The alternative that `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|choice| choice.word() == word)
    }
}

/// Gives an enum its words.
macro_rules! words {
    ($name:ident { $($choice:ident = $word:literal),+ $(,)? }) => {
        impl $crate::config::Choice for $name {
            const ALL: &'static [Self] = &[$($name::$choice),+];

            fn word(self) -> &'static str {
                match self {
                    $($name::$choice => $word),+
                }
            }
        }
    };
}

/// Defines an enum whose alternatives are words of the pipeline file.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$other:meta])* $choice:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$other])* $choice),+
        }

        $crate::config::choice::words!($name { $($choice = $word),+ });

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str($crate::config::Choice::word(*self))
            }
        }
    };
}

pub(crate) use {choice, words};

words! { Pooling { Max = "max", Average = "average" } }
words! { Compression { Deflate = "deflate", Lzw = "lzw", None = "none" } }
words! { Precision { Float32 = "float32", Tf32 = "tf32", Bfloat16 = "bfloat16" } }
words! { Intent { RelativeColorimetric = "relative-colorimetric", Perceptual = "perceptual" } }
