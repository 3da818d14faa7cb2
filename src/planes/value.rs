//! The numbers that planes hold.

/// A float that planes hold: float32 or float64.
pub trait Value: Copy + Default + private::Sealed {
    /// Bytes of a value.
    const BYTES: usize;

    /// Appends a line's bytes, little-endian.
    fn encode(line: &[Self], bytes: &mut Vec<u8>);

    /// Reads a line's bytes, little-endian, of which there are as many as values.
    fn decode(bytes: &[u8], line: &mut [Self]);
}

impl Value for f32 {
    const BYTES: usize = 4;

    fn encode(line: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(line.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn decode(bytes: &[u8], line: &mut [Self]) {
        for (value, bytes) in line.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = Self::from_le_bytes(*bytes);
        }
    }
}

impl Value for f64 {
    const BYTES: usize = 8;

    fn encode(line: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend(line.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn decode(bytes: &[u8], line: &mut [Self]) {
        for (value, bytes) in line.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *value = Self::from_le_bytes(*bytes);
        }
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}
