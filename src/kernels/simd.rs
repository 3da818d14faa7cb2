//! Vectors of float32: the few operations that the kernels are written in, for each instruction
//! set.
//!
//! Every operation is one machine instruction (or one per half where the vectors are shorter), so a
//! kernel written over [`Simd`] does the same operations in the same order on every lane whatever
//! the vector length: the same bytes.

#![allow(clippy::missing_safety_doc)]

#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::*;

/// Operations on one vector register of float32.
///
/// # Safety
/// All methods are unsafe for one reason: the processor must have the instructions. Pointers must
/// be valid for `LANES` values (no alignment needed).
pub(crate) trait Simd: Copy {
    /// Values in a register; divides 16.
    const LANES: usize;
    /// Registers in a panel of the matrix product.
    const PANEL: usize;
    /// Rows of one micro-kernel of the matrix product.
    const ROWS: usize;
    /// Rows of one micro-kernel of the Gram product, a divisor of 16.
    const GRAM_ROWS: usize;
    /// A register.
    type F: Copy;
    unsafe fn splat(self, x: f32) -> Self::F;
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// Lanes whose bit is clear become 0.
    unsafe fn load_bits(self, p: *const f32, bits: u32) -> Self::F;
    /// Lanes whose bit is clear become 0.
    unsafe fn keep_bits(self, v: Self::F, bits: u32) -> Self::F;
    unsafe fn store(self, p: *mut f32, v: Self::F);
    /// Stores past the caches where the processor can, for what will not be read soon. `p` must be
    /// aligned to the register, and [`Simd::settle`] must follow before another thread reads.
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: Self::F) {
        // SAFETY: the caller's.
        unsafe { self.store(p, v) }
    }
    /// Makes all that was streamed visible to others.
    #[inline(always)]
    unsafe fn settle(self) {}
    /// Rounds to bfloat16, to nearest even.
    #[inline(always)]
    unsafe fn store_bfloat16(self, p: *mut u16, v: Self::F) {
        let mut values = [0f32; 16];
        // SAFETY: `LANES` is at most 16.
        unsafe {
            self.store(values.as_mut_ptr(), v);
            for (lane, value) in values[..Self::LANES].iter().enumerate() {
                *p.add(lane) = half::bf16::from_f32(*value).to_bits();
            }
        }
    }
    unsafe fn add(self, a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// a * b + c
    unsafe fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// c - a * b
    unsafe fn fnma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// a where a > b, else b (so a NaN in b survives).
    unsafe fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// One bit a lane: a > b.
    unsafe fn gt_bits(self, a: Self::F, b: Self::F) -> u32;
    /// One bit a lane: a == b.
    unsafe fn eq_bits(self, a: Self::F, b: Self::F) -> u32;
    /// Asks for a cache line; any address is allowed.
    unsafe fn prefetch(self, p: *const f32);
}

/// 512-bit vectors.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

// SAFETY of every block below: the method's contract, see `Simd`.
#[cfg(target_arch = "x86_64")]
impl Simd for Avx512 {
    const LANES: usize = 16;
    const PANEL: usize = 4;
    const ROWS: usize = 6;
    const GRAM_ROWS: usize = 8;
    type F = __m512;
    #[inline(always)]
    unsafe fn splat(self, x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_bits(self, p: *const f32, bits: u32) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(bits as u16, p) }
    }
    #[inline(always)]
    unsafe fn keep_bits(self, v: __m512, bits: u32) -> __m512 {
        unsafe { _mm512_maskz_mov_ps(bits as u16, v) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: __m512) {
        unsafe { _mm512_stream_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn settle(self) {
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    unsafe fn store_bfloat16(self, p: *mut u16, v: __m512) {
        // Nearest even: half a step, less one if the bit that stays is even. (A NaN may become
        // infinite; it stays noticed.)
        unsafe {
            let bits = _mm512_castps_si512(v);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded)));
        }
    }
    #[inline(always)]
    unsafe fn add(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn gt_bits(self, a: __m512, b: __m512) -> u32 {
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn eq_bits(self, a: __m512, b: __m512) -> u32 {
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn prefetch(self, p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}

/// 256-bit vectors with fused multiply-add.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// A lane mask from the low eight bits.
    #[inline(always)]
    unsafe fn lanes(bits: u32) -> __m256 {
        unsafe {
            let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let all = _mm256_set1_epi32(bits as i32);
            _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(all, each), each))
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx2 {
    const LANES: usize = 8;
    const PANEL: usize = 2;
    const ROWS: usize = 6;
    const GRAM_ROWS: usize = 4;
    type F = __m256;
    #[inline(always)]
    unsafe fn splat(self, x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_bits(self, p: *const f32, bits: u32) -> __m256 {
        unsafe { _mm256_and_ps(_mm256_loadu_ps(p), Self::lanes(bits)) }
    }
    #[inline(always)]
    unsafe fn keep_bits(self, v: __m256, bits: u32) -> __m256 {
        unsafe { _mm256_and_ps(v, Self::lanes(bits)) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: __m256) {
        unsafe { _mm256_stream_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn settle(self) {
        unsafe { _mm_sfence() }
    }
    #[inline(always)]
    unsafe fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn fnma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn gt_bits(self, a: __m256, b: __m256) -> u32 {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) as u32 }
    }
    #[inline(always)]
    unsafe fn eq_bits(self, a: __m256, b: __m256) -> u32 {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) as u32 }
    }
    #[inline(always)]
    unsafe fn prefetch(self, p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
}

/// Plain Rust on arrays of four, which every target's compiler turns into its own 128-bit vectors.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// a * b + c: fused where the target has the instruction, in two steps where it would be a slow
/// library call.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        a.mul_add(b, c)
    } else {
        a * b + c
    }
}

impl Simd for Portable {
    const LANES: usize = 4;
    const PANEL: usize = 4;
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };
    const GRAM_ROWS: usize = 2;
    type F = [f32; 4];
    #[inline(always)]
    unsafe fn splat(self, x: f32) -> [f32; 4] {
        [x; 4]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> [f32; 4] {
        unsafe { p.cast::<[f32; 4]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_bits(self, p: *const f32, bits: u32) -> [f32; 4] {
        unsafe { self.keep_bits(self.load(p), bits) }
    }
    #[inline(always)]
    unsafe fn keep_bits(self, v: [f32; 4], bits: u32) -> [f32; 4] {
        std::array::from_fn(|i| if bits >> i & 1 == 1 { v[i] } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: [f32; 4]) {
        unsafe { p.cast::<[f32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn fma(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| multiply_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn fnma(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| multiply_add(-a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn gt_bits(self, a: [f32; 4], b: [f32; 4]) -> u32 {
        (0..4).fold(0, |bits, i| bits | u32::from(a[i] > b[i]) << i)
    }
    #[inline(always)]
    unsafe fn eq_bits(self, a: [f32; 4], b: [f32; 4]) -> u32 {
        (0..4).fold(0, |bits, i| bits | u32::from(a[i] == b[i]) << i)
    }
    #[inline(always)]
    unsafe fn prefetch(self, _: *const f32) {}
}
