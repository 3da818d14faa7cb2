//! Time of one convolution for each shape that VGG19 has at 512x512, forward, for each instruction
//! set, and of the Gram sums.

#![allow(missing_docs)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use impasto::geometry::Rect;
use impasto::internal::buffer::BufferCache;
use impasto::internal::convolve::{Convolution, Sink, Source};
use impasto::internal::gram;
use impasto::internal::map::{Map, Shape};
use impasto::internal::winograd::{Direction, Filters, Layer3x3};
use impasto::network::Isa;

/// `(inputs, outputs, side)`.
const SHAPES: [(usize, usize, usize); 8] = [
    (64, 64, 512),
    (64, 128, 256),
    (128, 128, 256),
    (128, 256, 128),
    (256, 256, 128),
    (256, 512, 64),
    (512, 512, 64),
    (512, 512, 32),
];

fn noise(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / 16_777_216.0)
        .collect()
}

fn convolutions(criterion: &mut Criterion) {
    let cache = BufferCache::new();
    let mut group = criterion.benchmark_group("convolution");
    group.sample_size(10);
    for (inputs, outputs, side) in SHAPES {
        let shape = |channels| Shape { channels, height: side, width: side };
        let map =
            Map::from_planar(&cache, shape(inputs), &noise(inputs * side * side)).expect("memory");
        let weights = noise(inputs * outputs * 9);
        let bias = vec![0.0; outputs];
        group.throughput(Throughput::Elements((side * side * inputs * outputs * 18) as u64));
        for isa in Isa::available() {
            for bfloat16 in [false, true] {
                if bfloat16 && !isa.has_bfloat16() {
                    continue;
                }
                let layer = Layer3x3 { weights: &weights, outputs, inputs };
                let filters = Filters::new(isa, &cache, layer, Direction::Forward, 1.0, bfloat16)
                    .expect("memory");
                let mut out = Map::new(&cache, shape(outputs)).expect("memory");
                let name = format!("{}{}", isa.name(), if bfloat16 { "-bfloat16" } else { "" });
                group.bench_function(
                    BenchmarkId::new(name, format!("{inputs}-{outputs}-{side}")),
                    |bencher| {
                        bencher.iter(|| {
                            let source = Some((Source::Map(&map), &filters));
                            let area = Rect::whole(side, side);
                            Convolution {
                                isa,
                                cache: &cache,
                                source,
                                height: side,
                                width: side,
                                outputs,
                                area,
                            }
                            .run(Sink::Relu { bias: &bias, out: &mut out, mask: None })
                            .expect("memory");
                        });
                    },
                );
            }
        }
    }
    group.finish();
}

fn grams(criterion: &mut Criterion) {
    let cache = BufferCache::new();
    let mut group = criterion.benchmark_group("gram");
    group.sample_size(10);
    for (channels, side, stride) in [(128, 256, 2), (256, 128, 4), (512, 64, 8), (512, 32, 16)] {
        let shape = Shape { channels, height: side, width: side };
        let map = Map::from_planar(&cache, shape, &noise(channels * side * side)).expect("memory");
        for isa in Isa::available() {
            let job = gram::Summation {
                isa,
                cache: &cache,
                features: gram::Features::Map(&map),
                rows: 0..side,
                columns: 0..side,
                side: 64 / stride,
                product_scale: 1024.0,
                feature_scale: 1024.0,
            };
            group.bench_function(
                BenchmarkId::new(isa.name(), format!("{channels}-{side}")),
                |bencher| bencher.iter(|| job.run()),
            );
        }
    }
    group.finish();
}

criterion_group!(benches, convolutions, grams);
criterion_main!(benches);
