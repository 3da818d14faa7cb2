//! The arithmetic of a network's products.

/// The numbers that products are made of. Sums for Gram matrices are float32 within small groups of
/// cells in any case, and exact or float64 beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// float32 throughout.
    Float32,
    /// float32 values whose products a GPU may round to 10 bits of mantissa. The CPU has no such
    /// products.
    Tf32,
    /// On the CPU, products of bfloat16 numbers summed in float32 and everything else float32; on a
    /// GPU, features and kernels in bfloat16. A fast mode with 2 to 3 digits.
    Bfloat16,
}
