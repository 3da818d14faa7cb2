//! Operations of the optimiser on float32 vectors of any shape, which pass over memory as seldom as
//! they can.

use candle_core::{DType, Result, Tensor};

use super::{Cuda, Launch, Number};

/// Vectors on the left that one pass multiplies with those on the right.
const LEFTS: usize = 3;
/// Vectors on the right, and vectors that one pass adds up.
const RIGHTS: usize = 4;
/// Blocks that share a dot product. Their sums are added in order.
const PARTS: usize = 256;

impl Cuda {
    /// All products `lefts[i] . rights[j]`, added up in float64: `table[i][j]`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn dots(&self, lefts: &[&Tensor], rights: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
        let mut table = vec![vec![0f64; rights.len()]; lefts.len()];
        if lefts.is_empty() || rights.is_empty() {
            return Ok(table);
        }
        let groups = rights.len().div_ceil(RIGHTS);
        let out =
            self.empty((lefts.len().div_ceil(LEFTS) * groups, PARTS, LEFTS, RIGHTS), DType::F64)?;
        let pairs = lefts
            .chunks(LEFTS)
            .flat_map(|left| rights.chunks(RIGHTS).map(move |right| (left, right)));
        for (pass, (left, right)) in pairs.enumerate() {
            // Places without a vector repeat one; their products are passed over.
            let places = (0..LEFTS)
                .map(|at| left[at.min(left.len() - 1)])
                .chain((0..RIGHTS).map(|at| right[at.min(right.len() - 1)]));
            let inputs: Vec<Option<&Tensor>> = places.map(Some).collect();
            let (items, grid) = (left[0].elem_count(), (PARTS, 1));
            let launch = Launch {
                cuda: self,
                name: "dots",
                either: false,
                items,
                grid,
                inputs: &inputs,
                numbers: &[],
            };
            launch.into(&out.narrow(0, pass, 1)?)?;
        }
        let sums = out.sum(1)?.flatten_all()?.to_vec1::<f64>()?;
        for (i, row) in table.iter_mut().enumerate() {
            for (j, sum) in row.iter_mut().enumerate() {
                *sum = sums
                    [((i / LEFTS * groups + j / RIGHTS) * LEFTS + i % LEFTS) * RIGHTS + j % RIGHTS];
            }
        }
        Ok(table)
    }

    /// `base + sum of factor * vector`, in float32 and in the order given.
    ///
    /// # Errors
    /// When the device fails.
    pub fn combine(&self, base: &Tensor, terms: &[(f64, &Tensor)]) -> Result<Tensor> {
        if terms.is_empty() {
            return Ok(base.clone());
        }
        let items = base.elem_count();
        let out = self.empty(base.shape(), DType::F32)?;
        for (pass, terms) in terms.chunks(RIGHTS).enumerate() {
            let mut inputs = vec![(pass == 0).then_some(base)];
            inputs.extend((0..RIGHTS).map(|at| terms.get(at).map(|(_, vector)| *vector)));
            let numbers: Vec<Number> = (0..RIGHTS)
                .map(|at| Number::Float(terms.get(at).map_or(0.0, |(factor, _)| *factor as f32)))
                .collect();
            Launch::by_channel(self, "combine", items, 1)
                .float32()
                .with(&inputs, &numbers)
                .into(&out)?;
        }
        Ok(out)
    }
}
