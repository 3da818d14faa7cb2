//! The CPU's engine behind the common interface: tensors in, tensors out, no copy where none is
//! needed.

use candle_core::{Device, Tensor};

use super::cpu::{self, ContentTarget, CpuNetwork, TapRequest};
use super::layer::Layer;
use super::{Features, Moments, Network, NetworkError, Pass, Request, TapGradient};
use crate::tensor::{HostView, host_views};

impl Network for CpuNetwork {
    fn forward<'a>(
        &'a self,
        pixels: &Tensor,
        request: &Request,
    ) -> Result<Box<dyn Pass + 'a>, NetworkError> {
        request.check(pixels)?;
        let (_, height, width) = pixels.dims3()?;
        let mut layers: Vec<Layer> = request
            .moments
            .iter()
            .chain(&request.features)
            .chain(&request.gradients)
            .copied()
            .collect();
        layers.sort_unstable();
        layers.dedup();
        let tap = |layer| TapRequest {
            layer,
            moments: request.moments.contains(&layer),
            features: request.features.contains(&layer),
        };
        let taps: Vec<TapRequest> = layers.into_iter().map(tap).collect();
        let view = HostView::new(pixels)?;
        let request = cpu::Request {
            taps: &taps,
            core: request.core,
            wanted: request.wanted,
            same_bits: request.same_bits,
            keep: request.keep,
        };
        let pass = CpuNetwork::forward(self, view.values(), height, width, &request)?;
        Ok(Box::new(CpuPass { pass, height, width }))
    }

    fn release(&self) {
        self.clear();
    }
}

struct CpuPass<'a> {
    pass: cpu::Pass<'a>,
    height: usize,
    width: usize,
}

impl Pass for CpuPass<'_> {
    fn moments(&self, layer: Layer) -> Result<Moments, NetworkError> {
        Ok(Moments::Exact(self.pass.moments(layer)?.clone()))
    }

    fn features(&self, layer: Layer) -> Result<Features, NetworkError> {
        Ok(Features::Blocked(self.pass.features(layer)?))
    }

    fn content_distance(
        &self,
        layer: Layer,
        target: &Features,
        (top, left): (usize, usize),
    ) -> Result<Vec<f64>, NetworkError> {
        let features = blocked(target)?;
        Ok(self.pass.content_loss(layer, ContentTarget { features, top, left })?)
    }

    fn backward(self: Box<Self>, gradients: &[TapGradient<'_>]) -> Result<Tensor, NetworkError> {
        let tensors: Vec<&Tensor> = gradients
            .iter()
            .flat_map(|gradient| match gradient {
                TapGradient::Affine { matrix, offset, .. } => vec![*matrix, *offset],
                TapGradient::Content { .. } => vec![],
            })
            .collect();
        let views = host_views(&tensors)?;
        let mut next = views.iter().map(HostView::values);
        let mut native = Vec::with_capacity(gradients.len());
        for gradient in gradients {
            native.push(match gradient {
                TapGradient::Affine { layer, .. } => {
                    let matrix = next.next().expect("two views for each affine gradient");
                    let offset = next.next().expect("two views for each affine gradient");
                    cpu::TapGradient::Affine { layer: *layer, matrix, offset }
                }
                TapGradient::Content { layer, target, origin: (top, left), scale } => {
                    let target =
                        ContentTarget { features: blocked(target)?, top: *top, left: *left };
                    cpu::TapGradient::Content { layer: *layer, target, scale: *scale }
                }
            });
        }
        let pixels = self.pass.backward(&native)?;
        Ok(Tensor::from_vec(pixels, (3, self.height, self.width), &Device::Cpu)?)
    }
}

fn blocked(features: &Features) -> Result<&cpu::Features, NetworkError> {
    match features {
        Features::Blocked(features) => Ok(features),
        Features::Plain(_) => Err(NetworkError::Mixed),
    }
}
