//! Memory that the system may refuse. What grows with pictures is asked for here, and a refusal is
//! an error: tiles become smaller, or a picture fails with the reason.

/// The system has no memory for something large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {bytes} bytes")]
pub struct NoMemory {
    /// Bytes that were asked for.
    pub bytes: usize,
}

/// `length` zeros.
///
/// # Errors
/// When the system has no memory for them.
pub fn zeros<T: Clone + Default>(length: usize) -> Result<Vec<T>, NoMemory> {
    let mut values = reserved(length)?;
    values.resize(length, T::default());
    Ok(values)
}

/// No values yet, and memory for `length` of them.
///
/// # Errors
/// When the system has no memory for them.
pub fn reserved<T>(length: usize) -> Result<Vec<T>, NoMemory> {
    let mut values = Vec::new();
    let bytes = length.saturating_mul(size_of::<T>());
    values.try_reserve_exact(length).map_err(|_| NoMemory { bytes })?;
    Ok(values)
}

/// Asks the system for `bytes` and gives them back: for code of libraries that would end the
/// process if it got none.
///
/// # Errors
/// When the system has no memory for them.
pub fn on_trial(bytes: usize) -> Result<(), NoMemory> {
    reserved::<u8>(bytes).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused() {
        for bytes in [usize::MAX, usize::MAX / 2, 1 << 60] {
            assert_eq!(on_trial(bytes), Err(NoMemory { bytes }));
        }
        assert_eq!(zeros::<f32>(usize::MAX), Err(NoMemory { bytes: usize::MAX }));
        assert_eq!(zeros::<f32>(3), Ok(vec![0.0; 3]));
        assert!(reserved::<u8>(7).is_ok_and(|values| values.capacity() >= 7));
        on_trial(0).unwrap();
    }
}
