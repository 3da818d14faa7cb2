//! What a convolution and its sink must agree on, or the kernels would leave their memory.

use super::super::map::{CHANNEL_BLOCK, Mask, Shape};
use super::{Convolution, Features, Sink, Source, Tap};
use crate::geometry::Rect;

impl Convolution<'_> {
    /// The shapes of all maps.
    pub(super) fn check(&self, sink: &Sink) {
        let whole = self.shape(self.outputs);
        let half = Shape { channels: self.outputs, height: self.height / 2, width: self.width / 2 };
        let padded = self.outputs.next_multiple_of(CHANNEL_BLOCK);
        if let Some((source, filters)) = &self.source {
            assert_eq!(filters.outputs, self.outputs);
            match source {
                Source::Map(map) => assert_eq!(map.shape, self.shape(filters.inputs)),
                Source::Unpooled(map, mask) => {
                    assert_eq!(
                        map.shape,
                        Shape {
                            channels: filters.inputs,
                            height: self.height / 2,
                            width: self.width / 2
                        }
                    );
                    assert!(mask.shape == map.shape && mask.words == 4);
                }
                Source::First(first, pixels) => {
                    assert!(
                        first.outputs() == filters.inputs
                            && (pixels.height, pixels.width) == (self.height, self.width)
                    );
                }
            }
        }
        let mask_fits = |mask: &Mask, shape, words| mask.shape == shape && mask.words == words;
        match sink {
            Sink::Relu { bias, out, mask } => {
                assert!(bias.len() == padded && out.shape == whole);
                assert!(mask.as_ref().is_none_or(|m| mask_fits(m, whole, 1)));
            }
            Sink::Pooled { bias, out, mask, full, .. } => {
                assert!(bias.len() == padded && out.shape == half);
                assert!(mask.as_ref().is_none_or(|m| mask_fits(m, half, 4)));
                assert!(full.as_ref().is_none_or(|m| m.shape == whole));
            }
            Sink::Masked { out, mask, tap } => {
                assert_eq!(out.shape, whole);
                assert!(mask.is_none_or(|m| mask_fits(m, whole, 1)));
                assert!(
                    mask.is_some() || tap.is_some(),
                    "the features or a mask must say where the gradient passes"
                );
                if let Some(tap) = tap {
                    match tap.features {
                        Features::Map(map) => assert_eq!(map.shape, whole),
                        Features::First(first, pixels) => {
                            assert!(
                                first.outputs() == self.outputs
                                    && (pixels.height, pixels.width) == (self.height, self.width)
                            );
                        }
                    }
                    assert!(tap.affine.is_none_or(|a| a.offset.len() == padded));
                    if let Some(difference) = &tap.difference {
                        let shape = difference.target.shape;
                        assert_eq!(shape.channels, self.outputs);
                        assert!(
                            shape.height >= difference.top + self.height
                                && shape.width >= difference.left + self.width
                        );
                    }
                }
            }
            Sink::Plain { out } => assert_eq!(out.shape, whole),
            Sink::Pixels { out } => {
                assert!(self.outputs == 3 && out.len() == 3 * self.height * self.width)
            }
        }
    }

    /// The area is made of tiles, and nothing is made that the sink's maps do not say is there.
    pub(super) fn check_area(&self, sink: &Sink) {
        let Rect { left, top, width, height } = self.area;
        let (right, bottom) = (left + width, top + height);
        assert!(right <= self.width && bottom <= self.height);
        assert!(
            left % 4 == 0
                && top % 4 == 0
                && (right % 4 == 0 || right == self.width)
                && (bottom % 4 == 0 || bottom == self.height)
        );
        let half = self.area.halved();
        let covers =
            |valid: Rect, area: Rect| area.area() == 0 || valid.intersection(&area) == area;
        match sink {
            Sink::Relu { out, mask, .. } => {
                assert!(
                    out.valid == self.area && mask.as_ref().is_none_or(|m| m.valid == self.area)
                );
            }
            Sink::Pooled { out, mask, full, .. } => {
                assert!(out.valid == half && mask.as_ref().is_none_or(|m| m.valid == half));
                assert!(full.as_ref().is_none_or(|m| m.valid == self.area));
            }
            Sink::Masked { out, mask, tap } => {
                assert!(out.valid == self.area && mask.is_none_or(|m| covers(m.valid, self.area)));
                if let Some(Tap { features: Features::Map(map), .. }) = tap {
                    assert!(covers(map.valid, self.area));
                }
            }
            Sink::Plain { out } => assert_eq!(out.valid, self.area),
            Sink::Pixels { .. } => {}
        }
    }
}
