//! Smaller tiles where memory is short.

use crate::geometry::GRID;
use crate::render::devices::worker_pool::WorkerPool;
use crate::render::error::RenderError;

/// Does `work` with tiles of `core` px, and again with tiles of half that side whenever it fails for
/// memory, down to 64 px: a smaller tile would be margin almost only. `core` is then what fitted.
/// Before each further attempt the `workers` give back the memory that they keep between tiles.
///
/// # Errors
/// Those of `work`, memory's only where halving does not help.
pub(crate) fn with_halving<R>(
    core: &mut usize,
    workers: &WorkerPool<'_>,
    mut work: impl FnMut(usize) -> Result<R, RenderError>,
) -> Result<R, RenderError> {
    loop {
        let half = (*core / 2).next_multiple_of(GRID);
        match work(*core) {
            Err(error) if error.is_out_of_memory() && half < *core => {
                workers.release();
                *core = half;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::NoMemory;
    use crate::network::NetworkError;

    #[test]
    fn cores_are_halved_down_to_the_grid_and_for_memory_only() {
        let workers = WorkerPool::single(None);
        for (start, fits, tried) in [
            (640, 200, vec![640, 320, 192]),
            (640, 640, vec![640]),
            (100, 0, vec![100, 64]),
            (64, 0, vec![64]),
            (40, 0, vec![40]),
        ] {
            let (mut core, mut seen) = (start, vec![]);
            let found = with_halving(&mut core, &workers, |core| {
                seen.push(core);
                let full = NetworkError::from(NoMemory { bytes: core });
                if core <= fits { Ok(core) } else { Err(full.into()) }
            });
            assert_eq!(seen, tried);
            assert_eq!(found.ok(), (core <= fits).then_some(core));
        }
        let mut core = 640;
        let other = with_halving(&mut core, &workers, |_| Err::<(), _>(RenderError::NoThreads));
        assert!(matches!(other, Err(RenderError::NoThreads)) && core == 640);
    }
}
