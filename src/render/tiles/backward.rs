//! The backward sweep: gradients at the taps brought back to the pixels.
//!
//! Tiles that the forward sweep kept run backward only; the others run forward once more first.

use std::collections::{BTreeMap, VecDeque};

use candle_core::{DType, Tensor};
use parking_lot::Mutex;

use super::assembly::Assembly;
use super::source::PixelSource;
use super::sweeps::{ContentTargets, KeptPasses, TileSweeps, first_cell, required};
use crate::geometry::Rect;
use crate::network::{Layer, Network, Pass, Request, TapGradient};
use crate::objective::StyleGradient;
use crate::render::devices::ordered::Queue;
use crate::render::error::RenderError;

impl TileSweeps<'_> {
    /// The backward sweep over the same canvas in the same tiles: the gradient at `canvas`, float32
    /// `[3, H, W]`, of the style terms and, for each content tap, of its weight times a cell's
    /// squared difference, a mean over channels.
    ///
    /// # Errors
    /// When a region cannot be read, the device fails, or the workers are to stop.
    pub(crate) fn gradient<'t>(
        &'t self,
        canvas: &dyn PixelSource,
        core: usize,
        mut kept: KeptPasses<'t>,
        style: &[StyleGradient],
        contents: &BTreeMap<Layer, f64>,
    ) -> Result<Tensor, RenderError> {
        if !self.asks_networks() {
            let shape = (3, self.size.1, self.size.0);
            return Ok(Tensor::zeros(shape, DType::F32, &canvas.device())?);
        }
        let grid = self.grid(core);
        let first = grid.count() - kept.0.len();
        let mut left: Vec<usize> = (0..first).collect();
        if grid.count() == 1
            && let Some((worker, pass)) = kept.0.pop()
        {
            let region = Rect::whole(grid.width, grid.height);
            match self.workers.install(|| self.backward(pass, &region, style, contents)) {
                Err(error) if self.workers.lose(worker, &error) => left.push(0),
                done => return Ok(done?.to_device(&canvas.device())?),
            }
        }
        let mut gradient = Assembly::new(grid, canvas.device())?;
        let mut paste = |index: usize, part: Tensor| {
            let tile = grid.tile(index);
            gradient.put(&tile, self.region(&tile), &part)?;
            Ok(())
        };
        // What is kept goes first: it gives its memory back.
        let (queue, passes) = kept.share(self.workers.count());
        let backward = |_: Option<&'t dyn Network>, worker, index: usize| {
            let pass = passes[index].lock().take().expect("each pass is asked for once");
            let region = self.region(&grid.tile(first + index));
            match self.backward(pass, &region, style, contents) {
                // What a device kept goes with it.
                Err(error) if self.workers.lose(worker, &error) => Ok(None),
                done => done.map(Some),
            }
        };
        self.workers.each(queue, backward, |index, part| match part {
            Some(part) => paste(first + index, part),
            None => {
                left.push(first + index);
                Ok(())
            }
        })?;
        let both = |network: Option<&'t dyn Network>, _, place: usize| {
            let tile = grid.tile(left[place]);
            let region = self.region(&tile);
            let mut request = Request { keep: true, ..self.request(&tile, &region) };
            request.features.extend(&self.styles);
            let pass = required(network).forward(&canvas.region(region)?, &request)?;
            self.backward(pass, &region, style, contents)
        };
        self.workers
            .each(Queue::Shared(left.len()), both, |place, part| paste(left[place], part))?;
        Ok(gradient.finish()?)
    }

    fn backward(
        &self,
        pass: Box<dyn Pass + '_>,
        region: &Rect,
        style: &[StyleGradient],
        contents: &BTreeMap<Layer, f64>,
    ) -> Result<Tensor, RenderError> {
        let ContentTargets::Held(targets) = &self.contents else {
            return Err(RenderError::Broken("a backward sweep without the content's features"));
        };
        let contents = targets.values().filter_map(|target| {
            let layer = target.layer();
            let scale = (2.0 * contents.get(&layer)? / target.channels() as f64) as f32;
            let origin = first_cell(region, layer);
            Some(TapGradient::Content { layer, target, origin, scale })
        });
        let style = style.iter().map(|StyleGradient { layer, matrix, offset }| {
            TapGradient::Affine { layer: *layer, matrix, offset }
        });
        let gradients: Vec<TapGradient<'_>> = style.chain(contents).collect();
        Ok(pass.backward(&gradients)?)
    }
}

/// Passes by tile, each taken once.
type Passes<'t> = Vec<Mutex<Option<Box<dyn Pass + 't>>>>;

impl<'t> KeptPasses<'t> {
    /// Each pass goes back to the worker that holds it.
    fn share(self, workers: usize) -> (Queue, Passes<'t>) {
        let mut queues = vec![VecDeque::new(); workers];
        self.0.iter().enumerate().for_each(|(index, (worker, _))| queues[*worker].push_back(index));
        let passes = self.0.into_iter().map(|(_, pass)| Mutex::new(Some(pass))).collect();
        (Queue::PerWorker(queues), passes)
    }
}
