//! What a precision means for tensors.

use candle_core::DType;

use crate::network::precision::Precision;

/// The type of features and kernels.
pub(super) fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::Float32 | Precision::Tf32 => DType::F32,
        Precision::Bfloat16 => DType::BF16,
    }
}

/// Bytes of one feature.
pub fn value_bytes(precision: Precision) -> usize {
    dtype(precision).size_in_bytes()
}

/// Lets the GPU's matrix products round to TF32 if `precision` says so, or forbids it. This holds
/// for the whole process: candle has one switch.
pub fn allow_tf32(precision: Precision) {
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
}
