//! Large working memory: aligned buffers, handed out from one reserved stretch that is kept between
//! calls.
//!
//! A fresh buffer comes zeroed from the system (which costs nothing until it is touched); a used
//! one holds whatever was written last. Nobody may rely on the contents, but they are always
//! initialised values.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use crate::memory::NoMemory;

/// Bytes of a cache line, the smallest alignment.
const LINE: usize = 64;
/// Bytes of a large page; big buffers are aligned to it so that the system can use such pages.
const PAGE: usize = 2 << 20;

struct Buffer {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a buffer owns its memory like a `Vec<u8>` does.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn layout(bytes: usize) -> Option<Layout> {
        let align = if bytes >= 2 * PAGE { PAGE } else { LINE };
        Layout::from_size_align(bytes, align).ok()
    }

    fn new(bytes: usize) -> Result<Self, NoMemory> {
        let none = NoMemory { bytes };
        let bytes = bytes.max(LINE).checked_next_multiple_of(LINE).ok_or(none)?;
        let layout = Self::layout(bytes).ok_or(none)?;
        // SAFETY: the layout's size is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(none)?;
        if bytes >= 2 * PAGE {
            prefer_large_pages(start, bytes);
        }
        Ok(Self { start, bytes })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.bytes) {
            // SAFETY: allocated in `new` with the same layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

/// Tells Linux that large pages are welcome here; a refusal changes nothing but speed.
#[cfg(target_os = "linux")]
fn prefer_large_pages(start: NonNull<u8>, bytes: usize) {
    unsafe extern "C" {
        fn madvise(start: *mut core::ffi::c_void, length: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    // SAFETY: the range is our own allocation, and this advice never changes its contents.
    unsafe {
        madvise(start.as_ptr().cast(), bytes / 4096 * 4096, MADV_HUGEPAGE);
    }
}

#[cfg(not(target_os = "linux"))]
fn prefer_large_pages(_: NonNull<u8>, _: usize) {}

/// Values that any bytes are valid for and that hold no pointers.
///
/// # Safety
/// Every bit pattern must be a value.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: every bit pattern is a value.
unsafe impl Plain for f32 {}
// SAFETY: every bit pattern is a value.
unsafe impl Plain for u16 {}
// SAFETY: every bit pattern is a value.
unsafe impl Plain for i64 {}

/// Which parts of a stretch of memory are free: first fit from the low end, neighbours joined.
///
/// Only numbers, so that memory can be planned with the same code that hands it out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// `(start, length)`, ascending, never touching.
    holes: Vec<(usize, usize)>,
    /// Bytes given out.
    live: usize,
    /// The highest end that was ever given out.
    high: usize,
}

impl Ledger {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { holes: vec![(0, bytes)], live: 0, high: 0 }
    }

    /// Bytes as they are accounted: whole cache lines.
    pub(crate) fn round(bytes: usize) -> usize {
        bytes.max(LINE).next_multiple_of(LINE)
    }

    pub(crate) fn high(&self) -> usize {
        self.high
    }

    pub(crate) fn live(&self) -> usize {
        self.live
    }

    pub(crate) fn take(&mut self, bytes: usize) -> Option<usize> {
        let bytes = Self::round(bytes);
        let at = self.holes.iter().position(|hole| hole.1 >= bytes)?;
        let start = self.holes[at].0;
        self.holes[at] = (start + bytes, self.holes[at].1 - bytes);
        if self.holes[at].1 == 0 {
            self.holes.remove(at);
        }
        self.live += bytes;
        self.high = self.high.max(start + bytes);
        Some(start)
    }

    pub(crate) fn give(&mut self, start: usize, bytes: usize) {
        let bytes = Self::round(bytes);
        self.live -= bytes;
        let at = self.holes.partition_point(|hole| hole.0 < start);
        self.holes.insert(at, (start, bytes));
        if at + 1 < self.holes.len() && start + bytes == self.holes[at + 1].0 {
            self.holes[at].1 += self.holes.remove(at + 1).1;
        }
        if at > 0 && self.holes[at - 1].0 + self.holes[at - 1].1 == start {
            self.holes[at - 1].1 += self.holes.remove(at).1;
        }
    }
}

/// Working memory kept between calls, so that the system need not hand out and clear hundreds of
/// megabytes every evaluation.
///
/// One stretch is reserved for what is known to be needed; what does not fit there is allocated
/// alone and freed at once.
#[derive(Default)]
pub struct BufferCache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    main: Option<(Arc<Buffer>, Ledger)>,
    /// The largest need so far.
    wanted: usize,
    /// Bytes in use beside the reserved stretch.
    beside: usize,
    /// Requests that the reserved stretch could not serve.
    overflows: usize,
}

impl BufferCache {
    /// An empty pool.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Says that `bytes` more will be needed. When nothing is in use the stretch is made so large,
    /// and as large as was needed before; else what it lacks is only asked of the system on trial,
    /// and made piece by piece when it is taken.
    ///
    /// # Errors
    /// When the system has no memory for them.
    pub fn reserve(&self, bytes: usize) -> Result<(), NoMemory> {
        let mut state = self.state();
        let (live, size) =
            state.main.as_ref().map_or((0, 0), |(buffer, ledger)| (ledger.live, buffer.bytes));
        let wanted = state.wanted.max(live + state.beside + bytes);
        if live + state.beside > 0 {
            let lacking = (live + bytes).saturating_sub(size);
            if lacking > 0 {
                drop(Buffer::new(lacking)?);
            }
        } else if size < wanted {
            // The old stretch goes before the new one comes.
            state.main = None;
            // After a failure smaller needs must not ask for the large one again.
            state.wanted = 0;
            let buffer = Buffer::new(wanted)?;
            let ledger = Ledger::new(buffer.bytes);
            state.main = Some((Arc::new(buffer), ledger));
        }
        state.wanted = wanted;
        Ok(())
    }

    /// A buffer of `length` values with unspecified contents.
    ///
    /// # Errors
    /// When it is not in the reserved stretch and the system has no memory for it.
    pub fn take<T: Plain>(self: &Arc<Self>, length: usize) -> Result<Store<T>, NoMemory> {
        let bytes = length.saturating_mul(size_of::<T>());
        {
            let mut state = self.state();
            if let Some((buffer, ledger)) = &mut state.main
                && let Some(offset) = ledger.take(bytes)
            {
                let (buffer, cache) = (Arc::clone(buffer), Arc::clone(self));
                return Ok(Store { buffer, offset, length, cache, kind: std::marker::PhantomData });
            }
            state.overflows += 1;
        }
        let buffer = Arc::new(Buffer::new(bytes)?);
        self.state().beside += Ledger::round(bytes);
        let cache = Arc::clone(self);
        Ok(Store { buffer, offset: 0, length, cache, kind: std::marker::PhantomData })
    }

    /// Bytes of the reserved stretch that were ever in use.
    pub fn high(&self) -> usize {
        self.state().main.as_ref().map_or(0, |(_, ledger)| ledger.high)
    }

    /// Requests since the last [`BufferCache::clear`] that the reserved stretch could not serve.
    pub fn overflows(&self) -> usize {
        self.state().overflows
    }

    /// Gives the reserved memory back to the system, if none of it is in use.
    pub fn clear(&self) {
        let mut state = self.state();
        state.wanted = 0;
        state.overflows = 0;
        if state.main.as_ref().is_some_and(|(_, ledger)| ledger.live == 0) {
            state.main = None;
        }
    }
}

/// A slice of working memory that returns to its pool when dropped.
pub struct Store<T: Plain> {
    buffer: Arc<Buffer>,
    /// Bytes from the buffer's start.
    offset: usize,
    length: usize,
    cache: Arc<BufferCache>,
    kind: std::marker::PhantomData<T>,
}

impl<T: Plain> Deref for Store<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the pool gave this part of the buffer to this store alone; it is aligned, long
        // enough and initialised, and any bytes are values of a plain type.
        unsafe {
            std::slice::from_raw_parts(
                self.buffer.start.as_ptr().add(self.offset).cast(),
                self.length,
            )
        }
    }
}

impl<T: Plain> DerefMut for Store<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the exclusive borrow of the store makes this the only
        // reference.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.buffer.start.as_ptr().add(self.offset).cast(),
                self.length,
            )
        }
    }
}

impl<T: Plain> Drop for Store<T> {
    fn drop(&mut self) {
        let bytes = self.length * size_of::<T>();
        let mut state = self.cache.state();
        match &mut state.main {
            Some((buffer, ledger)) if Arc::ptr_eq(buffer, &self.buffer) => {
                ledger.give(self.offset, bytes)
            }
            _ => state.beside -= Ledger::round(bytes),
        }
    }
}

/// A pointer that the workers of one stage share. Each stage says why its workers never write the
/// same place.
pub(crate) struct SharedPointer<T>(pub(crate) *mut T);
impl<T> Clone for SharedPointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SharedPointer<T> {}
// SAFETY: only a pointer; every use of it is an unsafe block of its own.
unsafe impl<T> Send for SharedPointer<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for SharedPointer<T> {}
