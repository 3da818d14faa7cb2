//! Names and geometry of VGG19's sixteen layers.
//!
//! The chain is straight: two, two, four, four and four 3x3 convolutions, each followed by a ReLU,
//! with a 2x2 pooling (stride 2, floor) after each of the first four blocks (Simonyan and
//! Zisserman, arXiv:1409.1556, column E).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Convolutions in each of the five blocks.
const BLOCKS: [usize; 5] = [2, 2, 4, 4, 4];

/// One layer: a convolution and its ReLU. As a tap it means the value after the ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Layer(u8);

impl Layer {
    /// How many there are.
    pub const COUNT: usize = 16;

    /// All layers, from the pixels on.
    pub const ALL: [Layer; Self::COUNT] = {
        let mut all = [Layer(0); Self::COUNT];
        let mut i = 0;
        while i < Self::COUNT {
            all[i] = Layer(i as u8);
            i += 1;
        }
        all
    };

    /// All layers, from the pixels on, by value.
    pub fn all() -> impl DoubleEndedIterator<Item = Layer> + ExactSizeIterator {
        Self::ALL.into_iter()
    }

    /// The layer called `name` (`relu1_1` .. `relu5_4`).
    pub fn parse(name: &str) -> Option<Layer> {
        Layer::all().find(|layer| layer.to_string() == name)
    }

    /// Position in the chain, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Block (1 to 5) and place in it (from 1): `relu4_2` is `(4, 2)`.
    pub fn place(self) -> (usize, usize) {
        let mut left = self.index();
        for (block, &count) in BLOCKS.iter().enumerate() {
            if left < count {
                return (block + 1, left + 1);
            }
            left -= count;
        }
        unreachable!("a layer's index is below sixteen")
    }

    /// The block, 1 to 5.
    pub fn block(self) -> usize {
        self.place().0
    }

    /// Whether a pooling follows: relu1_2, relu2_2, relu3_4 and relu4_4.
    pub fn is_before_pool(self) -> bool {
        let (block, place) = self.place();
        block < BLOCKS.len() && place == BLOCKS[block - 1]
    }

    /// Whether it is the first of its block: relu1_1, relu2_1 and so on.
    pub fn is_first_of_block(self) -> bool {
        self.place().1 == 1
    }

    /// Side of the square of pixels that one cell stands for: 1, 2, 4, 8 or 16.
    pub fn stride(self) -> usize {
        1 << (self.block() - 1)
    }

    /// Cells along a side of `pixels`: each pooling halves and floors.
    pub fn cells(self, pixels: usize) -> usize {
        pixels >> (self.block() - 1)
    }

    /// How many pixels a cell sees beyond its own square, on each side: the context a tile needs
    /// for exact features.
    ///
    /// Each 3x3 convolution adds its stride; a pooling reads only inside its cell's square.
    pub fn reach(self) -> usize {
        Layer::all().take(self.index() + 1).map(Layer::stride).sum()
    }

    /// Name of the convolution's tensors in a weights file: `conv4_2` for relu4_2.
    pub fn convolution(self) -> String {
        let (block, place) = self.place();
        format!("conv{block}_{place}")
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (block, place) = self.place();
        f.pad(&format!("relu{block}_{place}"))
    }
}

impl std::str::FromStr for Layer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Layer::parse(name).ok_or_else(|| format!("`{name}` is not a layer: relu1_1 .. relu5_4"))
    }
}

impl Serialize for Layer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Layer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> Layer {
        Layer::parse(name).expect("a layer's name")
    }

    #[test]
    fn names_go_both_ways() {
        let names: Vec<String> = Layer::all().map(|l| l.to_string()).collect();
        assert_eq!(names.first().map(String::as_str), Some("relu1_1"));
        assert_eq!(names.last().map(String::as_str), Some("relu5_4"));
        for (i, name) in names.iter().enumerate() {
            assert_eq!(layer(name).index(), i);
        }
        assert_eq!(Layer::parse("relu2_3"), None);
        assert_eq!(Layer::parse("relu6_1"), None);
        assert_eq!(layer("relu3_4").convolution(), "conv3_4");
    }

    #[test]
    fn geometry_is_the_chains() {
        let before_pool: Vec<String> =
            Layer::all().filter(|l| l.is_before_pool()).map(|l| l.to_string()).collect();
        assert_eq!(before_pool, ["relu1_2", "relu2_2", "relu3_4", "relu4_4"]);
        assert_eq!(layer("relu1_1").reach(), 1);
        assert_eq!(layer("relu5_1").reach(), 2 + 4 + 16 + 32 + 16);
        assert_eq!(layer("relu5_1").cells(101), 6);
    }
}
