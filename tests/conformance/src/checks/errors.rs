//! Error objects.

use std::ptr::{null, null_mut, without_provenance_mut};

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::Host;
use crate::session::{Handle, Session, text};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "errors.object",
        "an error has a code and a message that says what is wrong",
        object,
    ),
    Check::new(
        "errors.json",
        "error_json holds code, name, message and the chain that makes the message",
        json,
    ),
    Check::new(
        "errors.optional",
        "the error argument may be NULL, on failure and on success",
        optional,
    ),
    Check::new(
        "errors.null-on-success",
        "the error argument is set to NULL on success",
        null_on_success,
    ),
    Check::new(
        "errors.released",
        "a released, NULL or invented error is E_ARG, \"\" and \"{}\"; a second release does nothing",
        released,
    ),
    Check::new(
        "errors.owned",
        "each failure makes its own error, which outlives the engine",
        owned,
    ),
];

/// An error with the code E_CONFIG.
fn error(api: &pellucid_api) -> Result<Handle<pellucid_error>, Fault> {
    let mut error = null_mut();
    let config = c"{\"devise\": 1}";
    let status = slot!(api, engine_create(config.as_ptr(), null(), &mut null_mut(), &mut error))?;
    ensure!(status == PELLUCID_E_CONFIG, "status {status}, need E_CONFIG");
    Handle::new(error, api.error_release)
}

fn object(session: &Session) -> Verdict {
    let api = session.api()?;
    let error = error(api)?;
    let code = slot!(api, error_code(error.get()))?;
    ensure!(code == PELLUCID_E_CONFIG, "error_code is {code}, need {PELLUCID_E_CONFIG}");
    let message = text(slot!(api, error_message(error.get()))?)?;
    ensure!(!message.is_empty(), "the message is empty");
    ensure!(message.contains("devise"), "the message does not name the cause: {message}");
    Ok(message.into())
}

fn json(session: &Session) -> Verdict {
    let api = session.api()?;
    let error = error(api)?;
    let message = text(slot!(api, error_message(error.get()))?)?;
    let json = text(slot!(api, error_json(error.get()))?)?;
    let value: serde_json::Value = serde_json::from_str(json)
        .map_err(|reason| Fault::Broken(format!("not JSON ({reason}): {json}")))?;
    ensure!(value["code"] == PELLUCID_E_CONFIG, "code: {json}");
    ensure!(value["name"] == "PELLUCID_E_CONFIG", "name: {json}");
    ensure!(value["message"] == message, "message: {json}");
    let chain: Vec<_> = value["chain"].as_array().into_iter().flatten().collect();
    let texts: Vec<_> = chain.iter().filter_map(|cause| cause.as_str()).collect();
    ensure!(texts.len() == chain.len() && texts.join(": ") == message, "chain: {json}");
    Ok(format!("{} causes", chain.len()).into())
}

fn optional(session: &Session) -> Verdict {
    let api = session.api()?;
    let status = slot!(api, list_models(null_mut(), &mut null(), null_mut()))?;
    ensure!(status == PELLUCID_E_ARG, "status {status}, need {PELLUCID_E_ARG}");
    let status = slot!(api, devices(null_mut(), &mut 0, null_mut()))?;
    ensure!(status == PELLUCID_OK, "status {status}, need 0");
    pass()
}

fn null_on_success(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    ok!(host.api, engine_memory(host.raw(), &mut sized()))?;
    ok!(host.api, list_models(host.raw(), &mut null()))?;
    pass()
}

fn released(session: &Session) -> Verdict {
    let api = session.api()?;
    let dead = error(api)?.release();
    let local = 0_u64;
    for handle in
        [dead, null_mut(), without_provenance_mut(9), (&raw const local).cast_mut().cast()]
    {
        let code = slot!(api, error_code(handle))?;
        ensure!(code == PELLUCID_E_ARG, "error_code of {handle:?} is {code}");
        let message = text(slot!(api, error_message(handle))?)?;
        ensure!(message.is_empty(), "error_message of {handle:?} is {message:?}");
        let json = text(slot!(api, error_json(handle))?)?;
        ensure!(json == "{}", "error_json of {handle:?} is {json}");
        slot!(api, error_release(handle))?;
    }
    pass()
}

fn owned(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let api = host.api;
    let mut errors = [null_mut(); 2];
    let kernel = crate::arrays::array(&[1.0_f64], &[1, 1]);
    let spoil = |oversample, out: &mut *mut pellucid_error| {
        slot!(api, psf_from_array(host.raw(), &kernel, oversample, 0, &mut null_mut(), out))
    };
    spoil(0, &mut errors[0])?;
    spoil(-77, &mut errors[1])?;
    drop(host);
    let [first, second] = errors.map(|error| Handle::new(error, api.error_release));
    let (first, second) = (first?, second?);
    ensure!(first.get() != second.get(), "two failures share an error");
    let message = text(slot!(api, error_message(second.get()))?)?;
    ensure!(message.contains("-77"), "the second error says {message:?}");
    drop(first);
    let again = text(slot!(api, error_message(second.get()))?)?;
    ensure!(again == message, "releasing one error changed another");
    pass()
}
