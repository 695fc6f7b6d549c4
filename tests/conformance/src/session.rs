//! The library under test, and calls of its slots that end in a verdict.

use std::cell::OnceCell;
use std::ffi::{CStr, c_char};
use std::mem::{MaybeUninit, size_of};
use std::path::{Path, PathBuf};
use std::ptr::{self, null_mut};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use pellucid_ffi::*;

use crate::check::{Fault, ensure};
use crate::field::Field;

/// Calls a slot of a table: its return value, or a fault if the slot is empty.
///
/// Checks pass pointers that are valid, or that the header allows to be wrong (NULL, dead handles).
macro_rules! slot {
    ($table:expr, $name:ident($($arg:expr),* $(,)?)) => {
        match $table.$name {
            // SAFETY: see the macro.
            Some(slot) => Ok(unsafe { slot($($arg),*) }),
            None => Err($crate::check::Fault::Broken(concat!("slot ", stringify!($name), " is NULL").into())),
        }
    };
}

/// Calls a slot that must succeed; the error argument is added.
macro_rules! ok {
    ($api:expr, $name:ident($($arg:expr),* $(,)?)) => {
        $crate::session::succeed($api, stringify!($name), |e| slot!($api, $name($($arg,)* e)))
    };
}

/// Calls a slot that must fail with a status, without and with an error object; its message.
macro_rules! fails {
    ($api:expr, $code:expr, $name:ident($($arg:expr),* $(,)?)) => {
        $crate::session::fail($api, $code, stringify!($name), |e| slot!($api, $name($($arg,)* e)))
    };
}

/// Where a slot puts its error.
pub(crate) type ErrorOut = *mut *mut pellucid_error;

/// What checks share: the library, loaded on first use, and a folder.
pub(crate) struct Session {
    pub(crate) path: PathBuf,
    pub(crate) folder: PathBuf,
    loaded: OnceCell<Result<Loaded, String>>,
    field: OnceCell<Result<Field, String>>,
}

/// A loaded library.
pub(crate) struct Loaded {
    pub(crate) get_api: pellucid_get_api_fn,
    /// The table as it is.
    pub(crate) table: &'static pellucid_api,
    /// As much of the table as both sides know; the rest is empty.
    pub(crate) api: pellucid_api,
}

/// Opens the library the way the header says, for ever.
pub(crate) fn open(path: &Path) -> Result<pellucid_get_api_fn, String> {
    // SAFETY: loading runs the library's constructors; that is what is under test.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| format!("dlopen: {error}"))?;
    // SAFETY: the header gives the symbol this type.
    let symbol = unsafe { library.get::<pellucid_get_api_fn>(PELLUCID_GET_API) };
    let entry = *symbol.map_err(|error| format!("dlsym: {error}"))?;
    std::mem::forget(library);
    Ok(entry)
}

fn load(path: &Path) -> Result<Loaded, String> {
    let get_api = open(path)?;
    // SAFETY: the range may be NULL.
    let table = unsafe { get_api(PELLUCID_ABI, null_mut()).as_ref() };
    let table = table.ok_or("pellucid_get_api(PELLUCID_ABI) is NULL")?;
    let mut api = MaybeUninit::<pellucid_api>::zeroed();
    let size = (table.struct_size as usize).min(size_of::<pellucid_api>());
    // SAFETY: `size` bytes are the table's own by its struct_size and fit ours; zero is an empty
    // slot.
    let api = unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(table).cast::<u8>(), api.as_mut_ptr().cast(), size);
        api.assume_init()
    };
    Ok(Loaded { get_api, table, api })
}

impl Session {
    pub(crate) fn new(path: PathBuf, folder: PathBuf) -> Self {
        Self { path, folder, loaded: OnceCell::new(), field: OnceCell::new() }
    }

    /// The library.
    pub(crate) fn library(&self) -> Result<&Loaded, Fault> {
        let loaded = self.loaded.get_or_init(|| load(&self.path));
        loaded.as_ref().map_err(|error| Fault::Broken(error.clone()))
    }

    /// Its table.
    pub(crate) fn api(&self) -> Result<&pellucid_api, Fault> {
        Ok(&self.library()?.api)
    }

    /// The prediction table; a library need not have one.
    pub(crate) fn predict(&self) -> Result<&'static pellucid_predict_ext, Fault> {
        let id = std::ffi::CString::new(PELLUCID_EXT_PREDICT).expect("because it has no NUL");
        let table = slot!(self.api()?, get_extension(id.as_ptr()))?;
        // SAFETY: the header gives an extension of this name this type, static.
        let table = unsafe { table.cast::<pellucid_predict_ext>().as_ref() };
        table.ok_or_else(|| Fault::Absent(format!("no extension {PELLUCID_EXT_PREDICT}")))
    }

    /// The Gaussian-field prior of the checks and its file.
    pub(crate) fn field(&self) -> Result<&Field, Fault> {
        let field = self.field.get_or_init(|| Field::write(&self.folder));
        field.as_ref().map_err(|error| Fault::Broken(error.clone()))
    }
}

/// Text of the library, which must be UTF-8.
pub(crate) fn text<'a>(pointer: *const c_char) -> Result<&'a str, Fault> {
    ensure!(!pointer.is_null(), "a text is NULL");
    // SAFETY: the header's texts are NUL-terminated.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Fault::Broken("a text is not UTF-8".into()))
}

/// Runs a call that must succeed.
pub(crate) fn succeed(
    api: &pellucid_api,
    name: &str,
    call: impl FnOnce(ErrorOut) -> Result<pellucid_status, Fault>,
) -> Result<(), Fault> {
    let mut error = null_mut::<pellucid_error>().wrapping_byte_add(1);
    let status = call(&mut error)?;
    if status != PELLUCID_OK {
        let message = text(slot!(api, error_message(error))?)?.to_owned();
        slot!(api, error_release(error))?;
        return Err(Fault::Broken(format!("{name}: status {status}, need 0: {message}")));
    }
    ensure!(error.is_null(), "{name}: the error is not NULL on success");
    Ok(())
}

/// Runs a call that must fail with `code`; returns the message of its error.
pub(crate) fn fail(
    api: &pellucid_api,
    code: pellucid_status,
    name: &str,
    mut call: impl FnMut(ErrorOut) -> Result<pellucid_status, Fault>,
) -> Result<String, Fault> {
    let status = call(null_mut())?;
    ensure!(status == code, "{name}: status {status} without an error object, need {code}");
    let mut error = null_mut();
    let status = call(&mut error)?;
    ensure!(!error.is_null() || status == PELLUCID_OK, "{name}: failed without an error object");
    let message = text(slot!(api, error_message(error))?)?.to_owned();
    ensure!(status == code, "{name}: status {status}, need {code}: {message}");
    let reported = slot!(api, error_code(error))?;
    ensure!(reported == code, "{name}: error_code {reported}, need {code}");
    ensure!(!message.is_empty(), "{name}: the error has no message");
    slot!(api, error_release(error))?;
    Ok(message)
}

/// A handle that is released when dropped.
pub(crate) struct Handle<T> {
    pointer: *mut T,
    release: Option<unsafe extern "C" fn(*mut T)>,
}

// SAFETY: a handle is a number; any thread may call any slot.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Handle<T> {
    /// Owns `pointer`, which must be a handle.
    pub(crate) fn new(
        pointer: *mut T,
        release: Option<unsafe extern "C" fn(*mut T)>,
    ) -> Result<Self, Fault> {
        ensure!(!pointer.is_null(), "a handle is NULL on success");
        ensure!(release.is_some(), "a release slot is NULL");
        Ok(Self { pointer, release })
    }

    pub(crate) fn get(&self) -> *mut T {
        self.pointer
    }

    /// The number, for use on other threads.
    pub(crate) fn number(&self) -> usize {
        self.pointer.addr()
    }

    /// Releases it now and returns the dead handle.
    pub(crate) fn release(self) -> *mut T {
        self.pointer
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: a handle of the library and its own release.
            unsafe { release(self.pointer) };
        }
    }
}
