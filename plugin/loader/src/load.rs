//! Opening the engine beside this library, once.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use pellucid_ffi::*;

/// The engine, from the folder of this library.
const ENGINE: &str = "pellucid/libpellucid_engine.so";
/// What a slot says when there is no engine.
pub(crate) const MISSING: pellucid_status = PELLUCID_E_UNSUPPORTED;

/// Why there is no engine.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: CString,
    pub(crate) json: CString,
}

impl Failure {
    fn new(engine: &Path, reason: &str) -> Self {
        let text = format!(
            "cannot load the engine {}: {reason}; install pellucid again, libpellucid.so.1 and the \
             folder pellucid/ beside it in one piece",
            engine.display()
        );
        let json = format!(r#"{{"code": {MISSING}, "message": "{}"}}"#, escaped(&text));
        let c_string = |text: String| CString::new(text.replace('\0', " ")).unwrap_or_default();
        Self { message: c_string(text), json: c_string(json) }
    }
}

/// The characters JSON does not allow in a string, replaced (RFC 8259, section 7).
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The engine's table; the first call loads it, and what fails once fails for ever.
pub(crate) fn loaded() -> Result<&'static pellucid_api, &'static Failure> {
    static TABLE: OnceLock<Result<&'static pellucid_api, Failure>> = OnceLock::new();
    let load = || {
        let path = folder().join(ENGINE);
        open(&path).map_err(|reason| Failure::new(&path, &reason))
    };
    TABLE.get_or_init(load).as_ref().copied()
}

/// The engine's prediction extension.
pub(crate) fn prediction() -> Result<&'static pellucid_predict_ext, &'static Failure> {
    static NONE: pellucid_predict_ext =
        pellucid_predict_ext { struct_size: 0, reserved: 0, predict: None };
    let id = CString::new(PELLUCID_EXT_PREDICT).unwrap_or_default();
    let table = loaded()?;
    // SAFETY: `id` is NUL-terminated.
    let found = table.get_extension.map_or(ptr::null(), |get| unsafe { get(id.as_ptr()) });
    // SAFETY: a static table of the version that `open` has checked.
    Ok(unsafe { found.cast::<pellucid_predict_ext>().as_ref() }.unwrap_or(&NONE))
}

/// Loads an engine and checks that it was made with this library.
pub(crate) fn open(path: &Path) -> Result<&'static pellucid_api, String> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: loading runs the initialisers of a library that is installed with this one.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() {
        return Err(complaint());
    }
    // SAFETY: a live library, which is never closed, and a NUL-terminated name.
    let symbol = unsafe { libc::dlsym(library, PELLUCID_GET_API.as_ptr().cast()) };
    if symbol.is_null() {
        return Err(complaint());
    }
    // SAFETY: the symbol has this type at every ABI level, frozen for ever.
    let get_api = unsafe { std::mem::transmute::<*mut c_void, pellucid_get_api_fn>(symbol) };
    // SAFETY: the range may be NULL.
    let table = unsafe { get_api(PELLUCID_ABI, ptr::null_mut()) };
    // SAFETY: NULL, or a static table that starts with its size.
    let size = unsafe { table.cast::<u32>().as_ref() }.map_or(0, |size| *size as usize);
    if size != size_of::<pellucid_api>() {
        let need = size_of::<pellucid_api>();
        return Err(format!("its function table has {size} bytes, needed {need}"));
    }
    // SAFETY: as long as this library's own table, and static.
    Ok(unsafe { &*table })
}

/// What the dynamic loader says of its last failure on this thread.
fn complaint() -> String {
    // SAFETY: NULL or a string that lives until this thread's next call of the dynamic loader.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "no reason given".into();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The folder of this library, symbolic links resolved.
fn folder() -> PathBuf {
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    // SAFETY: an address inside this library, and memory for the answer.
    let known =
        unsafe { libc::dladdr(folder as fn() -> PathBuf as *const c_void, info.as_mut_ptr()) };
    if known == 0 {
        return PathBuf::new();
    }
    // SAFETY: dladdr succeeded, so it has filled in the answer; the name is a C string.
    let name = unsafe { CStr::from_ptr(info.assume_init().dli_fname) };
    let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
    let path = path.canonicalize().unwrap_or(path);
    path.parent().map(Path::to_owned).unwrap_or_default()
}
