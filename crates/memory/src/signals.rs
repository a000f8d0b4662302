//! Signals of the system: which are ignored since the start, and a file that was cut while it is mapped.

/// Whether hangups were to be ignored when this process began, as `nohup` arranges it.
pub fn ignores_hangup() -> bool {
    #[cfg(unix)]
    {
        let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: without a new action the call only fills the structure that it is given.
        let told = unsafe { libc::sigaction(libc::SIGHUP, std::ptr::null(), now.as_mut_ptr()) };
        // SAFETY: where the call succeeded the structure is filled.
        told == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
    }
    #[cfg(not(unix))]
    false
}

/// Lets hangups be ignored from now on.
pub fn ignore_hangup() {
    #[cfg(unix)]
    // SAFETY: ignoring a signal runs no code of this process.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
    }
}

#[cfg(unix)]
pub(crate) use cut::Watched;
#[cfg(unix)]
pub use cut::end_where_files_are_cut;

/// The range of a map, on systems where nothing can be told of a file that was cut.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct Watched;

#[cfg(not(unix))]
impl Watched {
    pub(crate) fn new(_map: &[u8], _path: &std::path::Path) -> Self {
        Self
    }
}

/// Nothing can be told here of a file that was cut.
#[cfg(not(unix))]
pub fn end_where_files_are_cut(_exit: i32) {}

/// A file that is cut while it is mapped: who reads beyond its new end gets SIGBUS, in which the file is named and the process ended.
///
/// All that a handler touches is in fixed places and atomic: it may run in the middle of anything.
#[cfg(unix)]
mod cut {
    use std::ffi::c_int;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::sync::Once;
    use std::sync::atomic::{AtomicI32, AtomicU8, AtomicUsize, Ordering};

    /// Maps that are watched at the same time; of more, the later ones are not.
    const PLACES: usize = 128;
    /// Bytes of a path that are told, from its end.
    const PATH_BYTES: usize = 500;

    /// One map: its range, and the path of its file.
    struct Place {
        /// The first address; 0 of a free place, 1 of one that is being filled.
        start: AtomicUsize,
        end: AtomicUsize,
        length: AtomicUsize,
        path: [AtomicU8; PATH_BYTES],
    }

    static PLACE: [Place; PLACES] = [const {
        Place {
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
            path: [const { AtomicU8::new(0) }; PATH_BYTES],
        }
    }; PLACES];

    /// The exit code.
    static EXIT: AtomicI32 = AtomicI32::new(0);

    /// A map that is watched until this is dropped.
    #[derive(Debug)]
    pub(crate) struct Watched(Option<usize>);

    impl Watched {
        pub(crate) fn new(map: &[u8], path: &Path) -> Self {
            if map.is_empty() {
                return Self(None);
            }
            let free = |place: &Place| {
                place.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok()
            };
            let Some(number) = PLACE.iter().position(free) else { return Self(None) };
            let place = &PLACE[number];
            let name = path.as_os_str().as_bytes();
            let name = &name[name.len().saturating_sub(PATH_BYTES)..];
            for (byte, kept) in name.iter().zip(&place.path) {
                // Control characters never reach a terminal.
                let shown = if byte.is_ascii_control() { b'?' } else { *byte };
                kept.store(shown, Ordering::Relaxed);
            }
            place.length.store(name.len(), Ordering::Relaxed);
            let start = map.as_ptr().addr();
            place.end.store(start + map.len(), Ordering::Relaxed);
            place.start.store(start, Ordering::Release);
            Self(Some(number))
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            if let Some(number) = self.0 {
                PLACE[number].start.store(0, Ordering::Release);
            }
        }
    }

    /// From now on a mapped file that is cut ends the process with this exit code, and with a line that names the file.
    pub fn end_where_files_are_cut(exit: i32) {
        static ONCE: Once = Once::new();
        EXIT.store(exit, Ordering::Relaxed);
        ONCE.call_once(|| {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: an action of zeros is a valid one: the default, no flags, an empty mask. The handler calls only what a handler
            // may: it reads atomics, and writes to a descriptor and ends the process by calls of the system.
            unsafe {
                let action = action.assume_init_mut();
                action.sa_sigaction = handler as extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void)
                    as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(libc::SIGBUS, action, std::ptr::null_mut());
            }
        });
    }

    extern "C" fn handler(_signal: c_int, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
        // SAFETY: the system gives the handler a whole structure, and of this signal it has an address.
        let address = unsafe { (*about).si_addr() }.addr();
        for place in &PLACE {
            let start = place.start.load(Ordering::Acquire);
            if start > 1 && (start..place.end.load(Ordering::Relaxed)).contains(&address) {
                told(place);
            }
        }
        // Of no map that is known here: the default action comes when the instruction is tried again.
        // SAFETY: setting the default action runs no code of this process.
        unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
        }
    }

    /// Names the file and ends the process.
    fn told(place: &Place) -> ! {
        const AFTER: &[u8] = b": the file was cut, or its disk is full or failed, while it was in use\n";
        let mut line = [0_u8; 7 + PATH_BYTES + AFTER.len()];
        line[..7].copy_from_slice(b"error: ");
        let mut end = 7;
        for byte in place.path.iter().take(place.length.load(Ordering::Relaxed)) {
            line[end] = byte.load(Ordering::Relaxed);
            end += 1;
        }
        line[end..end + AFTER.len()].copy_from_slice(AFTER);
        end += AFTER.len();
        // SAFETY: the bytes are on this stack, and so many of them were filled; both calls may stand in a handler.
        unsafe {
            libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), end);
            libc::_exit(EXIT.load(Ordering::Relaxed))
        }
    }
}
