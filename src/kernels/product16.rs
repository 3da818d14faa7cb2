//! The matrix micro-kernel on bfloat16 numbers with float32 sums (`vdpbf16ps`): two k at once.
//!
//! The same loop as in [`super::product`]: 6 rows x 4 registers. Rows hold 16 channels of a cell as
//! 16-bit numbers, and one broadcast brings a pair of them; columns hold pairs of k for each output
//! channel.

use super::isa::Isa;

/// One micro-kernel call; fields as in [`super::product::Product`], strides in values.
///
/// # Safety
/// As [`super::product::Product`].
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) struct Product16 {
    pub a: *const u16,
    pub a_row: usize,
    pub a_block: usize,
    pub blocks: usize,
    pub u: *const u16,
    pub out: *mut f32,
    pub out_row: usize,
    pub out_block: usize,
    pub rows: usize,
    pub panel: usize,
    pub prefetch: [*const u16; 2],
}

impl Product16 {
    /// Does it.
    ///
    /// # Safety
    /// As the type says.
    ///
    /// # Panics
    /// If the processor has no such instructions.
    pub(crate) unsafe fn run(&self, isa: Isa) {
        debug_assert!(isa.has_bfloat16());
        #[cfg(target_arch = "x86_64")]
        // SAFETY: filters are made in bfloat16 only where the instructions were detected; the
        // caller answers for the pointers.
        unsafe {
            match self.panel {
                4 => x86::rows::<4>(self),
                3 => x86::rows::<3>(self),
                2 => x86::rows::<2>(self),
                _ => x86::rows::<1>(self),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!("{} has no bfloat16 products", isa.name());
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Product16;
    use core::arch::x86_64::*;

    /// # Safety
    /// As [`Product16`], with the instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn rows<const REGS: usize>(p: &Product16) {
        // SAFETY: the caller's.
        unsafe {
            match p.rows {
                6 => tile::<6, REGS>(p),
                5 => tile::<5, REGS>(p),
                4 => tile::<4, REGS>(p),
                3 => tile::<3, REGS>(p),
                2 => tile::<2, REGS>(p),
                _ => tile::<1, REGS>(p),
            }
        }
    }

    /// # Safety
    /// As [`Product16`], with the instructions.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn tile<const ROWS: usize, const REGS: usize>(p: &Product16) {
        // SAFETY: all addresses are those of the contract; prefetches may go anywhere. 512 bits are
        // 32 bfloat16 numbers.
        unsafe {
            let mut acc = [[_mm512_setzero_ps(); REGS]; ROWS];
            let mut u = p.u;
            let mut wanted = p.prefetch;
            for block in 0..p.blocks {
                let a = p.a.add(block * p.a_block);
                for pair in 0..8 {
                    let column: [__m512bh; REGS] = std::array::from_fn(|j| {
                        let bits = _mm512_loadu_si512(u.add(j * 32).cast());
                        std::mem::transmute::<__m512i, __m512bh>(bits)
                    });
                    for (i, row) in acc.iter_mut().enumerate() {
                        let two = a.add(i * p.a_row + pair * 2).cast::<i32>().read_unaligned();
                        let x = std::mem::transmute::<__m512i, __m512bh>(_mm512_set1_epi32(two));
                        for j in 0..REGS {
                            row[j] = _mm512_dpbf16_ps(row[j], x, column[j]);
                        }
                    }
                    u = u.add(REGS * 32);
                    let wanted = &mut wanted[pair % 2];
                    _mm_prefetch::<_MM_HINT_T1>(wanted.cast());
                    *wanted = wanted.wrapping_add(32);
                }
            }
            for (i, row) in acc.iter().enumerate() {
                for (j, value) in row.iter().enumerate() {
                    _mm512_storeu_ps(p.out.add(i * p.out_row + j * p.out_block), *value);
                }
            }
        }
    }
}
