//! Configuration of an engine.

use std::ffi::CString;
use std::ptr::{null, null_mut};

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, SHORT, Shot};
use crate::session::{Handle, Session};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("config.null", "config_json and host may be NULL", nothing),
    Check::new("config.known-keys", "every key of the header is taken", known_keys),
    Check::new(
        "config.unknown-key",
        "an unknown key is E_CONFIG, and the message names it",
        unknown_key,
    ),
    Check::new("config.bad-json", "text that is no JSON object is E_CONFIG", bad_json),
    Check::new(
        "config.bad-values",
        "a value of the wrong type or out of range is E_CONFIG",
        bad_values,
    ),
    Check::new("config.not-utf8", "text that is not UTF-8 is E_ARG", not_utf8),
    Check::new("config.host-flags", "unknown bits of host.flags are E_ARG", host_flags),
    Check::new(
        "config.option-unknown-key",
        "an unknown key of options_json is E_CONFIG, and the message names it",
        option_unknown,
    ),
    Check::new(
        "config.option-bad-values",
        "options_json that is no object, or a number out of range, is E_CONFIG",
        option_bad,
    ),
];

fn refuse(session: &Session, code: pellucid_status, config: &[u8]) -> Result<String, Fault> {
    let config = CString::new(config).expect("because it has no NUL");
    let mut engine = null_mut::<pellucid_engine>().wrapping_byte_add(1);
    let message = fails!(session.api()?, code, engine_create(config.as_ptr(), null(), &mut engine))
        .map_err(|fault| match fault {
            Fault::Broken(why) => Fault::Broken(format!("{config:?}: {why}")),
            other => other,
        })?;
    ensure!(engine.is_null(), "the handle is not NULL after a failure");
    Ok(message)
}

fn nothing(session: &Session) -> Verdict {
    let api = session.api()?;
    let mut engine = null_mut();
    ok!(api, engine_create(null(), null(), &mut engine))?;
    Handle::new(engine, api.engine_release)?;
    pass()
}

fn known_keys(session: &Session) -> Verdict {
    for config in [
        "{}",
        r#"{"device": "cpu"}"#,
        r#"{"device": "auto"}"#,
        r#"{"threads": 1}"#,
        r#"{"threads": 0}"#,
        r#"{"queue_capacity": 3}"#,
        r#"{"max_batch": 1}"#,
        r#"{"model_dirs": ["/nowhere", "."]}"#,
    ] {
        Host::with(session, config, null())?;
    }
    for level in ["off", "error", "warn", "info", "debug", "trace"] {
        Host::with(session, &format!(r#"{{"log_level": "{level}"}}"#), null())?;
    }
    pass()
}

fn unknown_key(session: &Session) -> Verdict {
    for config in [r#"{"devise": "cpu"}"#, r#"{"threads": 1, "devise": null}"#] {
        let message = refuse(session, PELLUCID_E_CONFIG, config.as_bytes())?;
        ensure!(message.contains("devise"), "the message does not name the key: {message}");
    }
    pass()
}

fn bad_json(session: &Session) -> Verdict {
    for config in ["", "{", r#"{"threads": 1"#, "[]", "7", "null", "{} {}"] {
        refuse(session, PELLUCID_E_CONFIG, config.as_bytes())?;
    }
    pass()
}

fn bad_values(session: &Session) -> Verdict {
    for config in [
        r#"{"threads": -1}"#,
        r#"{"threads": "two"}"#,
        r#"{"threads": 1.5}"#,
        r#"{"queue_capacity": -4}"#,
        r#"{"model_dirs": "one"}"#,
        r#"{"log_level": "loud"}"#,
        r#"{"log_level": 3}"#,
        r#"{"device": 0}"#,
        r#"{"device": "abacus"}"#,
    ] {
        refuse(session, PELLUCID_E_CONFIG, config.as_bytes())?;
    }
    pass()
}

fn not_utf8(session: &Session) -> Verdict {
    refuse(session, PELLUCID_E_ARG, b"\xff")?;
    pass()
}

fn host_flags(session: &Session) -> Verdict {
    let mut functions: pellucid_host = sized();
    functions.flags = 2;
    let api = session.api()?;
    fails!(api, PELLUCID_E_ARG, engine_create(null(), &functions, &mut null_mut()))?;
    pass()
}

fn refuse_options(host: &Host<'_>, options: &str) -> Result<String, Fault> {
    let exposure = host.exposure(&Shot::plain())?;
    let (api, engine) = (host.api, host.raw());
    host.describe(&[exposure.get()], &Ask::new(options), |desc| {
        fails!(api, PELLUCID_E_CONFIG, job_estimate(engine, desc, &mut sized()))?;
        let mut job = null_mut::<pellucid_job>().wrapping_byte_add(1);
        let message = fails!(api, PELLUCID_E_CONFIG, job_submit(engine, desc, &mut job))?;
        ensure!(job.is_null(), "the handle is not NULL after a failure");
        Ok(message)
    })?
}

fn option_unknown(session: &Session) -> Verdict {
    let message = refuse_options(&Host::new(session)?, r#"{"stepz": 5}"#)?;
    ensure!(message.contains("stepz"), "the message does not name the key: {message}");
    pass()
}

fn option_bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    for options in ["{", "[]", "", r#"{"steps": -1}"#, r#"{"steps": "two"}"#, r#"{"steps": 0}"#] {
        refuse_options(&host, options)?;
    }
    let exposure = host.exposure(&Shot::plain())?;
    host.draw(&[exposure.get()], &Ask { spoil: &|d| d.options_json = null(), ..Ask::new(SHORT) })?;
    pass()
}
