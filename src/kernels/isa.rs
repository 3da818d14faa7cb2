//! Which vector instructions the kernels use: chosen once, carried as a capability token.
//!
//! An [`Isa`] can only be obtained by detection, so holding one proves that this processor has the
//! instructions.

use thiserror::Error;

#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{Portable, Simd};

/// An instruction set that this processor has. AVX-512 and AVX2 give the same bytes, and so does
/// the portable code wherever it is compiled for a target with fused multiply-add.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa(Instructions);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Why a named instruction set cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IsaError {
    /// The name is none of `avx512`, `avx2`, `portable`.
    #[error("unknown instruction set `{0}`: expected `avx512`, `avx2` or `portable`")]
    Unknown(String),
    /// The name is known, but this processor lacks the instructions.
    #[error("this processor has no `{0}`: it can run {1}")]
    Missing(String, String),
}

impl Isa {
    /// The best instruction set of this processor.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All instruction sets that this processor can run, best first; the portable code is always
    /// the last.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                found.push(Self(Instructions::Avx512));
            }
            if avx2 {
                found.push(Self(Instructions::Avx2));
            }
        }
        found.push(Self(Instructions::Portable));
        found
    }

    /// The instruction set called `name`: `avx512`, `avx2` or `portable`.
    ///
    /// # Errors
    /// If the name is unknown, or if this processor lacks the instructions.
    pub fn from_name(name: &str) -> Result<Self, IsaError> {
        if !["avx512", "avx2", "portable"].contains(&name) {
            return Err(IsaError::Unknown(name.to_owned()));
        }
        let available = Self::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|isa| format!("`{}`", isa.name())).collect();
            IsaError::Missing(name.to_owned(), names.join(", "))
        })
    }

    /// The name that [`Isa::from_name`] takes.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "avx2",
            Instructions::Portable => "portable",
        }
    }

    /// Whether bfloat16 products (`vdpbf16ps`) are there as well.
    pub fn has_bfloat16(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Instructions::Avx512 {
            return is_x86_feature_detected!("avx512bf16");
        }
        false
    }

    /// Blocks of 16 output channels in one panel of the matrix product: what its accumulator
    /// registers hold.
    pub(crate) fn panel_blocks(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => 4,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => 1,
            Instructions::Portable => 1,
        }
    }

    /// Rows (tiles or cells) of one micro-kernel of the matrix product.
    pub(crate) fn rows(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Avx512::ROWS,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Avx2::ROWS,
            Instructions::Portable => Portable::ROWS,
        }
    }

    /// Runs a kernel compiled for this instruction set.
    ///
    /// # Safety
    /// The pointers inside `kernel` must satisfy what its type documents.
    #[inline]
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: this token exists, so the processor has the instructions; the caller answers for
        // the kernel's pointers.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx512 => run_avx512(kernel),
                #[cfg(target_arch = "x86_64")]
                Instructions::Avx2 => run_avx2(kernel),
                Instructions::Portable => kernel.run(Portable),
            }
        }
    }
}

/// A piece of work written once for every instruction set.
pub(crate) trait Kernel {
    /// What the work returns.
    type Output;
    /// Does the work with the vectors of `S`. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The pointers inside must satisfy what the type documents, and the processor must have the
    /// instructions of `S`.
    unsafe fn run<S: Simd>(self, simd: S) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller answers for the instructions and the kernel's pointers.
    unsafe { kernel.run(Avx512) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: the caller answers for the instructions and the kernel's pointers.
    unsafe { kernel.run(Avx2) }
}
