//! Kernels: the arithmetic of VGG19's value and gradient, in vectors on the CPU. (Those of CUDA
//! devices are in `cuda`.)
//!
//! This module owns memory layout, instruction sets, threads inside one operation, and every
//! `unsafe` line of the program. It knows convolutions, taps and sums, but no network: the order of
//! layers is `network::cpu`'s. It is private to the crate: maps and sums carry their shapes beside
//! their memory, and only code that keeps the two together may call it.
//!
//! # Layout
//!
//! A map of C channels lies as `[C/16][rows][pitch][16]` ([`map`]): 16 channels of one cell beside
//! each other, which is one cache line, one AVX-512 register or two AVX2 registers. Everything
//! works on such blocks: transforms without shuffles, products that read rows without packing them,
//! Gram matrices and tap gradients in the same layout.
//!
//! # One convolution
//!
//! A 3x3 convolution is computed by Winograd's F(4x4, 3x3) (Lavin & Gray 2015, arXiv:1509.09308;
//! the matrices are in [`winograd`]): a tile of 4x4 outputs costs 36 products instead of 144. For
//! one layer, and for each block of about 60 tiles:
//!
//! ```text
//! for each block of 16 input channels, each tile:    V[36 planes][C_in/16][tile][16] = B^T d B       d: 6x6 cells
//! for each 64 output channels:
//!     for each of 36 planes:                          M[plane][tile][64] = V[plane] U[plane]          product.rs
//!     for each tile, each 16 channels:                Y = A^T M A, then bias, ReLU, pooling, mask, tap
//! ```
//!
//! The product is where three quarters of the time goes. Its inner loop holds 6 tiles x 64 output
//! channels in 24 registers; each input channel costs four loads of weights and six broadcasts for
//! 24 multiply-adds. The weights were packed in panels `[C_in][64]`, so both operands are read in
//! order; while one panel is in use, the next one and the next plane of V are asked for from
//! memory, a line each for every two k: faster requests would hold up the loads of the loop itself.
//! V of a plane and one panel fit the second-level cache together.
//!
//! The transforms hold half of a tile at a time (points 0, ±a apart from ±b and infinity; outputs 0
//! and 2 apart from 1 and 3): the halves share no operation, and one of them fits the registers.
//! Maps of 16 MiB and more are written past the caches.
//!
//! The way back through a convolution with frozen weights is the same convolution with the kernel
//! flipped and its channels exchanged; so there is one routine ([`convolve`]) with different things
//! before ([`convolve::Source`]) and after it ([`convolve::Sink`]). The ReLU's way back needs one
//! bit a value; for a pooled layer one bit for each cell of a window serves both.
//!
//! # The same bytes
//!
//! Every tile is computed alone, sums run in ascending order of channels, and `simd` has only
//! operations that every vector length does lane by lane in the same way, so neither threads nor
//! instruction sets (AVX-512, AVX2, or portable code where the target has fused multiply-add)
//! change a byte. Statistics are float32 inside fixed groups of cells and integers beyond
//! ([`gram`]).
//!
//! Times, memory and accuracy are in docs/measurements/kernels.md.

pub mod buffer;
pub mod convolve;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod distance;
pub mod first;
pub mod gram;
pub mod isa;
pub mod map;
mod pooling;
mod product;
mod product16;
mod simd;
pub mod winograd;

pub use isa::{Isa, IsaError};
pub use pooling::Pooling;
