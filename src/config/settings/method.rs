//! `[pyramid]`, `[optimise]` and `[tiling]`: how the objective is minimised.

use crate::config::choice::choice;
use crate::config::table::settings;
use crate::config::values::OrAuto;
use crate::units::Px;

settings! {
    /// `[pyramid]`: levels and their evaluations.
    Pyramid = "pyramid" {
        /// Short side of the first level. Each further level is twice as large, up to the picture's
        /// size.
        short_side_px: Option<Px> = None => "preset", Pixels, Whole(64, 65_536);
        /// Evaluations at each level, smallest level first. Further levels take the last number; a
        /// single number is for all levels.
        evaluations: Option<Vec<u32>> = None => "preset", Pixels, Whole(1, 1_000_000);
    }
}

choice! {
    /// The algorithm that moves the canvas.
    Method {
        /// L-BFGS without a line search.
        Lbfgs = "lbfgs",
        /// Adam.
        Adam = "adam",
    }
}

settings! {
    /// `[optimise]`: how the objective is minimised.
    Optimise = "optimise" {
        /// The optimiser.
        method: Method = Method::Lbfgs, Pixels;
        /// Steps that L-BFGS remembers.
        history: Option<u32> = None => "100, less where memory is short", Pixels, Whole(1, 1000);
        /// Step of Adam on colours from 0 to 1, or factor on the steps of L-BFGS.
        learning_rate: Option<f64> = None => "0.02 for Adam, 1 for L-BFGS", Pixels, Above(0.0, 1000.0);
    }
}

choice! {
    /// How a canvas that is too large for one piece is computed.
    TilingMode {
        /// Exact where the optimiser's state fits the memory, else blocks.
        Auto = "auto",
        /// The whole image's loss, tile by tile, one optimiser.
        Exact = "exact",
        /// Rounds in which each tile has an optimiser of its own on the whole image's loss.
        Blocks = "blocks",
        /// Overlapping tiles, each optimised alone, blended.
        Feathered = "feathered",
    }
}

impl TilingMode {
    /// Whether tiles are optimised one by one, in rounds, on every level.
    pub fn is_in_rounds(self) -> bool {
        matches!(self, TilingMode::Blocks | TilingMode::Feathered)
    }
}

choice! {
    /// How far the tiles of exact mode reach beyond their cores.
    TilingMargins {
        /// So far that the tiles give the whole image's loss and gradient to rounding.
        Exact = "exact",
        /// So far that no byte depends on the core, where it is a multiple of 64 px; for more time
        /// and memory.
        Bitwise = "bitwise",
    }
}

settings! {
    /// `[tiling]`: how large canvases are cut.
    Tiling = "tiling" {
        /// `exact`: one optimiser on the whole picture. `blocks`: for pictures whose optimiser does
        /// not fit the memory. `feathered`: independent tiles, blended. `auto`: exact where it fits,
        /// else blocks.
        mode: TilingMode = TilingMode::Auto, Pixels;
        /// Side of a tile. `auto` is the largest that the memory holds. Results agree to rounding
        /// whatever the side, see docs/tiling.md.
        core_px: OrAuto<Px> = OrAuto::Auto, Nothing, Multiple(16, 16, 65_536);
        /// How far tiles of exact mode reach beyond their cores. `bitwise`: so far that no byte
        /// depends on the core. That costs time and memory, needs a `core-px` that is a multiple of
        /// 64, and works in exact mode on the CPU only, see docs/tiling.md.
        margins: TilingMargins = TilingMargins::Exact, Pixels;
        /// Rounds of blocks and feathered mode.
        rounds: Option<u32> = None => "from the evaluations", Pixels, Whole(1, 10_000);
        /// Evaluations of one tile in one round of blocks and feathered mode.
        visit: Option<u32> = None => "from the evaluations", Pixels, Whole(1, 100_000);
        /// How far tiles of blocks and feathered mode reach into their neighbours.
        overlap_px: Option<Px> = None => "48", Pixels, Whole(0, 4096);
    }
}
