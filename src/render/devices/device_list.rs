//! Which workers are still there: a device that fails takes its worker with it, and the others
//! continue.

use parking_lot::Mutex;

use crate::render::error::RenderError;

/// A device that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDevice {
    /// What it was, in words.
    pub device: String,
    /// What it said.
    pub reason: String,
    /// How many workers are left.
    pub left: usize,
}

/// The workers of an engine by number. All worker pools of the engine share it: a device that has
/// failed is not tried again.
pub(crate) struct DeviceList {
    names: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lost: Vec<bool>,
    /// Devices whose loss nobody has asked about.
    unreported: Vec<LostDevice>,
}

impl DeviceList {
    /// Workers with these names, all there.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let state = State { lost: vec![false; names.len()], unreported: vec![] };
        Self { names, state: Mutex::new(state) }
    }

    /// The numbers of the workers that are there.
    pub(crate) fn present(&self) -> Vec<usize> {
        let state = self.state.lock();
        (0..self.names.len()).filter(|worker| !state.lost[*worker]).collect()
    }

    /// Whether `worker` is lost, now or before, because its device failed, and others are left to do
    /// its work.
    pub(crate) fn lose(&self, worker: usize, error: &RenderError) -> bool {
        let Some(reason) = device_failure(error) else { return false };
        let mut state = self.state.lock();
        let left =
            (0..self.names.len()).filter(|other| *other != worker && !state.lost[*other]).count();
        if left == 0 {
            return false;
        }
        if !std::mem::replace(&mut state.lost[worker], true) {
            let device = self.names[worker].clone();
            state.unreported.push(LostDevice { device, reason, left });
        }
        true
    }

    /// The devices that were lost since this was last asked.
    pub(crate) fn take_lost(&self) -> Vec<LostDevice> {
        std::mem::take(&mut self.state.lock().unreported)
    }
}

/// What a device said, if it was a device that failed.
fn device_failure(error: &RenderError) -> Option<String> {
    match error {
        RenderError::Network(error) => error.is_device_failure().then(|| error.to_string()),
        _ => None,
    }
}
