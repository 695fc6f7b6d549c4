//! Without an engine: the test program has no folder `pellucid/` beside it.

use super::*;

fn table() -> &'static pellucid_api {
    let mut range = [0; 2];
    // SAFETY: memory for two.
    let table = unsafe { pellucid_get_api(PELLUCID_ABI, range.as_mut_ptr()) };
    assert_eq!(range, [PELLUCID_ABI; 2]);
    // SAFETY: a static table or NULL.
    unsafe { table.as_ref() }.expect("this level is spoken")
}

#[test]
fn another_level_has_no_table() {
    // SAFETY: the range may be NULL.
    assert!(unsafe { pellucid_get_api(PELLUCID_ABI + 1, ptr::null_mut()) }.is_null());
}

#[test]
fn a_missing_engine_is_an_error_with_what_and_where() {
    let table = table();
    let (mut engine, mut error) = (ptr::null_mut(), ptr::null_mut());
    let create = table.engine_create.expect("a full table");
    // SAFETY: configuration and host may be NULL, the outputs are memory for a handle.
    let status = unsafe { create(ptr::null(), ptr::null(), &mut engine, &mut error) };
    assert_eq!((status, engine.is_null()), (PELLUCID_E_UNSUPPORTED, true));
    // SAFETY: the error just made.
    let text = |slot: unsafe extern "C" fn(*const pellucid_error) -> *const c_char| unsafe {
        CStr::from_ptr(slot(error)).to_str().expect("UTF-8").to_owned()
    };
    let message = text(error_message);
    assert!(message.contains("pellucid/libpellucid_engine.so: cannot open"), "{message}");
    let json = text(error_json);
    assert!(json.starts_with(r#"{"code": 11, "message": "cannot load"#), "{json}");
    // SAFETY: as above; it is not used after its release.
    unsafe {
        assert_eq!(error_code(error), PELLUCID_E_UNSUPPORTED);
        assert_eq!(CStr::from_ptr(status_name(status)), c"PELLUCID_E_UNSUPPORTED");
        error_release(error);
        engine_release(engine);
        assert_eq!(job_cancel(ptr::null_mut()), PELLUCID_E_UNSUPPORTED);
        assert_eq!(log_drain(engine, 1), 0);
    }
}

#[test]
fn a_foreign_library_is_no_engine() {
    let error = load::open(std::path::Path::new("libc.so.6")).expect_err("it is no plugin");
    assert!(error.contains("pellucid_get_api"), "{error}");
}
