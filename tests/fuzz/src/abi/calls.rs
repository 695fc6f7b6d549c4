//! One call of each slot.

use std::ffi::{CString, c_char};
use std::ptr::{null, null_mut};

use pellucid_ffi::*;

use super::callbacks::{self, KERNEL, context};
use super::memory::Block;
use super::take::Take;
use super::{Kind, Session, api};

/// Calls a slot of the table with arguments that its contract allows.
macro_rules! slot {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        let slot = api().$name.expect("a slot");
        // SAFETY: the memory behind the arguments is what the header demands, see `memory`.
        #[allow(clippy::macro_metavars_in_unsafe, reason = "the arguments are plain values")]
        unsafe { slot($($arg),*) }
    }};
}

const CONFIGS: &[&str] = &[
    "{}",
    r#"{"queue_capacity": 1}"#,
    r#"{"log_level": "trace"}"#,
    r#"{"log_level": "loud"}"#,
    r#"{"queue_capacity": 18446744073709551615}"#,
    r#"{"queue_capacity": 4000000000}"#,
    r#"{"queue_capacity": 0}"#,
    r#"{"threads": -1}"#,
    "[]",
    "null",
    "{",
    r#"{"fail_in": "predict"}"#,
    r#"{"fail_in": "engine_create"}"#,
    r#"{"model_dirs": ["\u0000"]}"#,
];
const OPTIONS: &[&str] = &[
    r#"{"steps": 1, "step_ms": 0}"#,
    r#"{"steps": 0}"#,
    r#"{"failed_samples": [0, 1, 99]}"#,
    r#"{"fail_in": "worker"}"#,
    r#"{"steps": -1}"#,
    r#"{"steps": 1e3}"#,
    "[1]",
    "{",
    r#"{"failed_samples": [0, 1, 2, 3]}"#,
    r#"{"steps": 18446744073709551615, "step_ms": 0}"#,
    r#"{"steps": 1, "step_ms": 18446744073709551615}"#,
];
/// Those of [`OPTIONS`] that end by themselves.
const ENDLESS: &str = "18446744073709551615";
const HEADERS: &[&str] = &[
    "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRVAL1  = 150.0\nCRVAL2  = 2.0\nCRPIX1  = 4.5\n\
     CRPIX2  = 4.5\nCD1_1   = -1.4E-5\nCD2_2   = 1.4E-5\n",
    "CTYPE1  = 'RA---TAN-SIP'\nCTYPE2  = 'DEC--TAN-SIP'\nCRVAL1  = 150.0\nCRVAL2  = 2.0\nCRPIX1  = 4.5\n\
     CRPIX2  = 4.5\nCD1_1   = -1.4E-5\nCD2_2   = 1.4E-5\nA_ORDER = 2\nB_ORDER = 2\nA_2_0   = 1E-5\n",
    "",
    "CTYPE1  = 'RA---TAN'\n",
];

impl Session {
    pub(super) fn call(&mut self, slot: u8, take: &mut Take<'_>) {
        match slot % 29 {
            0 => self.engine_create(take),
            1 => self.wcs_from_fits_header(take),
            2 => self.psf_from_array(take),
            3 => self.exposure_create(take),
            4 => self.job_submit(take),
            5 => self.job_wait(take),
            6 => self.job_result(take),
            7 => self.result_array(take),
            8 => self.result_text(take),
            9 => self.predict(take),
            10 => self.wcs_from_grid(take),
            11 => self.wcs_from_callback(take),
            12 => self.psf_from_callback(take),
            13 => self.psf_from_grid(take),
            14 => self.job_estimate(take),
            15 => self.job_poll(take),
            16 => self.engine_text(take),
            17 => self.devices(take),
            18 => self.texts(take),
            19 => slot!(engine_release(self.handle(take, Kind::Engine))),
            20 => slot!(wcs_release(self.handle(take, Kind::Wcs))),
            21 => slot!(psf_release(self.handle(take, Kind::Psf))),
            22 => slot!(exposure_release(self.handle(take, Kind::Exposure))),
            23 => slot!(job_release(self.handle(take, Kind::Job))),
            24 => slot!(result_release(self.handle(take, Kind::Result))),
            25 => slot!(error_release(self.handle(take, Kind::Error))),
            26 => {
                let job = self.handle(take, Kind::Job);
                self.status(take, "job_cancel", |_| slot!(job_cancel(job)).min(0));
            }
            27 => self.release_one_array(take),
            _ => {
                slot!(log_drain(self.handle(take, Kind::Engine), take.size(100)));
            }
        }
    }

    fn release_one_array(&mut self, take: &mut Take<'_>) {
        let n = self.arrays.len();
        if n > 0 {
            Self::release_array(&mut self.arrays[take.byte() as usize % n]);
        }
    }

    fn engine_create(&mut self, take: &mut Take<'_>) {
        // Each has a thread.
        if self.handles[Kind::Engine as usize].len() >= 4 {
            return;
        }
        let config = take.text(CONFIGS);
        self.told |= told(config.as_ref());
        let host = pellucid_host {
            struct_size: 0,
            flags: take.word32(0),
            ctx: context(take.byte(), 0),
            log: (!take.odd()).then_some(callbacks::log),
        };
        let mut host = Block::of(take, host);
        let mut out = null_mut();
        let place = if take.odd() { null_mut() } else { &raw mut out };
        self.status(take, "engine_create", |e| {
            slot!(engine_create(pointer(config.as_ref()), host.pointer(), place, e))
        });
        self.keep(Kind::Engine, out);
    }

    fn wcs_from_fits_header(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let values = self.elements.array(take, PELLUCID_F64, &[3, 4]);
        let mut values = Block::of(take, values);
        let mut table = |take: &mut Take<'_>, axis: i32| pellucid_lookup_table {
            struct_size: 0,
            kind: take.int(PELLUCID_NPOL),
            axis: take.int(axis),
            reserved: take.word32(0),
            values: values.pointer(),
            crpix: [take.real(1.0), 1.0],
            crval: [take.real(1.0), 1.0],
            cdelt: [take.real(100.0), 100.0],
        };
        let tables = [table(take, 1), table(take, 2)];
        let mut tables = Block::row(take, &tables);
        // Beyond two they are zeros: refused by their size.
        let n = take.of(&[0, 0, 0, 1, 2, 2, 3, 16, 17, usize::MAX]);
        let text = take.text(HEADERS).map(CString::into_bytes);
        let text = text.as_deref();
        let right = text.map_or(0, <[u8]>::len);
        let len = match take.size(right) {
            n if n <= right || n > 1 << 24 => n,
            _ => right,
        };
        let cards = text.map_or(null(), |text| text.as_ptr().cast());
        let n = if n == 3 || n == 16 { 2 } else { n };
        let mut out = null_mut();
        self.status(take, "wcs_from_fits_header", |e| {
            slot!(wcs_from_fits_header(engine, cards, len, tables.pointer(), n, &mut out, e))
        });
        self.keep(Kind::Wcs, out);
    }

    fn wcs_from_grid(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let radec = self.elements.array(take, PELLUCID_F64, &[8, 8, 2]);
        let mut radec = Block::of(take, radec);
        let (x0, y0, step) = (take.real(-8.0), take.real(-8.0), take.real(4.0));
        let mut out = null_mut();
        self.status(take, "wcs_from_grid", |e| {
            slot!(wcs_from_grid(engine, radec.pointer(), x0, y0, step, &mut out, e))
        });
        self.keep(Kind::Wcs, out);
    }

    fn wcs_from_callback(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let callback = pellucid_wcs_callback {
            struct_size: 0,
            flags: take.word32(0),
            ctx: context(take.byte(), 0),
            pix2sky: (!take.odd()).then_some(callbacks::map_points),
            sky2pix: take.odd().then_some(callbacks::map_points),
            release: (!take.odd()).then_some(callbacks::release),
            ny: take.int(8),
            nx: take.int(8),
            margin: take.int(4),
            reserved: take.word32(0),
            step: take.real(0.0),
        };
        let mut callback = Block::of(take, callback);
        let mut out = null_mut();
        self.status(take, "wcs_from_callback", |e| {
            slot!(wcs_from_callback(engine, callback.pointer(), &mut out, e))
        });
        self.keep(Kind::Wcs, out);
    }

    fn psf_from_array(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let kernel = self.elements.array(take, PELLUCID_F64, &[3, 3]);
        let mut kernel = Block::of(take, kernel);
        let (oversample, flags) = (oversample(take), take.word32(0));
        let mut out = null_mut();
        self.status(take, "psf_from_array", |e| {
            slot!(psf_from_array(engine, kernel.pointer(), oversample, flags, &mut out, e))
        });
        self.keep(Kind::Psf, out);
    }

    fn psf_from_grid(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let kernels = self.elements.array(take, PELLUCID_F32, &[2, 3, 3, 3]);
        let mut kernels = Block::of(take, kernels);
        // As many nodes as an array can have here.
        let mut x: Vec<f64> = (0..4096).map(f64::from).collect();
        x[1] = take.real(1.0);
        let y = if take.odd() { null() } else { x.as_ptr() };
        let (oversample, flags) = (oversample(take), take.word32(0));
        let mut out = null_mut();
        self.status(take, "psf_from_grid", |e| {
            let kernels = kernels.pointer();
            slot!(psf_from_grid(engine, kernels, x.as_ptr(), y, oversample, flags, &mut out, e))
        });
        self.keep(Kind::Psf, out);
    }

    fn psf_from_callback(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let (mut ny, mut nx) = (take.int(5), take.int(5));
        let valid = |n: i32| (1..=32_768).contains(&n);
        if valid(ny) && valid(nx) && (ny as usize * nx as usize) > KERNEL {
            (ny, nx) = (3, 4);
        }
        let values = if valid(ny) && valid(nx) { ny as usize * nx as usize } else { 0 };
        let callback = pellucid_psf_callback {
            struct_size: 0,
            flags: take.word32(0),
            ctx: context(take.byte(), values),
            ny,
            nx,
            oversample: oversample(take),
            reserved: take.int(0),
            eval: (!take.odd()).then_some(callbacks::kernel),
            release: (!take.odd()).then_some(callbacks::release),
        };
        let mut callback = Block::of(take, callback);
        let mut out = null_mut();
        self.status(take, "psf_from_callback", |e| {
            slot!(psf_from_callback(engine, callback.pointer(), &mut out, e))
        });
        self.keep(Kind::Psf, out);
    }

    fn exposure_create(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let (wcs, psf) = (self.handle(take, Kind::Wcs), self.handle(take, Kind::Psf));
        let sci = self.elements.array(take, PELLUCID_F32, &[8, 8]);
        let mut sci = Block::of(take, sci);
        let id = take.text(&["one", "two", ""]);
        let optional = |take: &mut Take<'_>, block: &mut Block| match take.byte() {
            192.. => block.pointer(),
            _ => null_mut(),
        };
        let mut desc = pellucid_exposure_desc {
            struct_size: 0,
            flags: take.word32(0),
            id: pointer(id.as_ref()),
            band: take.int(0),
            err_kind: take.int(PELLUCID_ERR_VARIANCE),
            sci: sci.pointer(),
            err: sci.pointer(),
            dq: optional(take, &mut sci),
            dq_bad_mask: take.word32(0),
            reserved: take.word32(0),
            gain: take.real(0.0),
            zero_point: take.real(0.0),
            wcs,
            psf,
            flux_convention: take.int(PELLUCID_SURFACE_BRIGHTNESS),
            reserved2: take.word32(0),
            noise_correlation: optional(take, &mut sci),
        };
        if take.odd() {
            desc.err = null();
        }
        let mut desc = Block::of(take, desc);
        let mut out = null_mut();
        self.status(take, "exposure_create", |e| {
            slot!(exposure_create(engine, desc.pointer(), &mut out, e))
        });
        self.keep(Kind::Exposure, out);
    }

    /// Calls `then` with a description of a job.
    fn with_job(
        &mut self,
        take: &mut Take<'_>,
        then: impl FnOnce(&mut Self, &mut Take<'_>, *mut pellucid_job_desc),
    ) {
        let mut exposures = vec![self.handle(take, Kind::Exposure); 4096];
        exposures[1] = self.handle(take, Kind::Exposure);
        let prior = take.text(&["stub", ""]);
        let likelihood = if take.odd() { take.text(&["gaussian", "x"]) } else { None };
        let options = take.text(OPTIONS);
        self.told |= told(options.as_ref());
        let n = take.size(1);
        let desc = pellucid_job_desc {
            struct_size: 0,
            flags: take.word32(0),
            exposures: if take.odd() { null() } else { exposures.as_ptr() },
            n_exposures: n,
            ra: take.real(150.0),
            dec: take.real(2.0),
            pixscale: take.real(0.05),
            out_ny: take.int(8),
            out_nx: take.int(8),
            n_samples: take.int(4),
            priority: take.int(0),
            seed: take.integer(7) as u64,
            prior: pointer(prior.as_ref()),
            likelihood: pointer(likelihood.as_ref()),
            options_json: pointer(options.as_ref()),
            user: context(take.byte(), 0),
            on_state: take.odd().then_some(callbacks::on_state),
        };
        let mut desc = Block::of(take, desc);
        then(self, take, desc.pointer());
    }

    fn job_submit(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        self.with_job(take, |this, take, desc| {
            let mut out = null_mut();
            this.status(take, "job_submit", |e| slot!(job_submit(engine, desc, &mut out, e)));
            this.keep(Kind::Job, out);
        });
    }

    fn job_estimate(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let mut need = Block::of(take, memory());
        self.with_job(take, |this, take, desc| {
            this.status(take, "job_estimate", |e| {
                slot!(job_estimate(engine, desc, need.pointer(), e))
            });
        });
    }

    fn job_wait(&mut self, take: &mut Take<'_>) {
        let job = self.handle(take, Kind::Job);
        // One that may go on for ever is not waited for.
        let timeout = match take.integer(20) {
            n if self.told => n.clamp(0, 20),
            n => n,
        };
        self.status(take, "job_wait", |e| slot!(job_wait(job, timeout, e)));
    }

    fn job_poll(&mut self, take: &mut Take<'_>) {
        let job = self.handle(take, Kind::Job);
        let mut progress = Block::of(
            take,
            pellucid_progress {
                struct_size: 0,
                state: 0,
                step: 0,
                n_steps: 0,
                samples_done: 0,
                device: 0,
                fraction: 0.0,
                eta_s: 0.0,
            },
        );
        self.status(take, "job_poll", |e| slot!(job_poll(job, progress.pointer(), e)));
    }

    fn job_result(&mut self, take: &mut Take<'_>) {
        let job = self.handle(take, Kind::Job);
        let mut out = null_mut();
        let place = if take.odd() { null_mut() } else { &raw mut out };
        self.status(take, "job_result", |e| slot!(job_result(job, place, e)));
        self.keep(Kind::Result, out);
    }

    fn result_array(&mut self, take: &mut Take<'_>) {
        let result = self.handle(take, Kind::Result);
        let mut block = Block::of(take, empty());
        let out = block.pointer();
        let done = match take.byte() % 4 {
            0 => {
                let (first, n) = (take.integer(0), take.integer(-1));
                self.status(take, "result_samples", |e| {
                    slot!(result_samples(result, first, n, out, e))
                })
            }
            1 => {
                let stat = take.text(&["mean", "median", "std", "rhat", "mode", ""]);
                let stat = pointer(stat.as_ref());
                self.status(take, "result_stat", |e| slot!(result_stat(result, stat, out, e)))
            }
            2 => {
                let q: Vec<f64> =
                    (0..1024).map(|k| if k < 4 { take.real(16.0) } else { 50.0 }).collect();
                let (q, n) = (if take.odd() { null() } else { q.as_ptr() }, take.size(2));
                self.status(take, "result_percentiles", |e| {
                    slot!(result_percentiles(result, q, n, out, e))
                })
            }
            _ => {
                let (sample, exposure) = (take.integer(-1), take.size(0));
                self.status(take, "result_residuals", |e| {
                    slot!(result_residuals(result, sample, exposure, out, e))
                })
            }
        };
        if done {
            self.keep_array(block.value());
        }
    }

    fn result_text(&mut self, take: &mut Take<'_>) {
        let result = self.handle(take, Kind::Result);
        let (mut text, mut len) = (null::<c_char>(), 0);
        let place = if take.odd() { null_mut() } else { &raw mut text };
        if take.byte().is_multiple_of(2) {
            self.status(take, "result_diagnostics", |e| {
                slot!(result_diagnostics(result, place, e))
            });
        } else {
            let length = if take.odd() { null_mut() } else { &raw mut len };
            let done = self
                .status(take, "result_header", |e| slot!(result_header(result, place, length, e)));
            assert!(!done || len % 80 == 0, "cards of 80 bytes");
        }
    }

    fn predict(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let exposures: Vec<*mut pellucid_exposure> =
            (0..4).map(|_| self.handle(take, Kind::Exposure)).collect();
        let n = match take.size(1) {
            n @ (1..=4 | 4097.. | 0) => n,
            _ => 2,
        };
        let model = self.elements.array(take, PELLUCID_F32, &[8, 8]);
        let mut model = Block::of(take, model);
        let (ra, dec, scale) = (take.real(150.0), take.real(2.0), take.real(0.05));
        let mut block = Block::row(take, &[empty(); 4]);
        let out = block.pointer::<pellucid_array>();
        let extension = pellucid::predict_extension::<pellucid::stub::StubEngine>();
        let predict = extension.predict.expect("a slot");
        let done = self.status(take, "predict", |e| {
            let (exposures, model) = (exposures.as_ptr(), model.pointer());
            // SAFETY: as in `slot`.
            unsafe { predict(engine, exposures, n, ra, dec, scale, model, out, e) }
        });
        if done {
            // SAFETY: each element has the size that the first one says.
            let size = unsafe { out.cast::<u32>().read() } as usize;
            for index in 0..n {
                // SAFETY: the block holds four, unaligned where that size is odd.
                self.keep_array(unsafe { out.byte_add(size * index).read_unaligned() });
            }
        }
    }

    fn engine_text(&mut self, take: &mut Take<'_>) {
        let engine = self.handle(take, Kind::Engine);
        let mut text = null::<c_char>();
        let place = if take.odd() { null_mut() } else { &raw mut text };
        self.status(take, "list_models", |e| slot!(list_models(engine, place, e)));
        let mut block = Block::of(take, memory());
        self.status(take, "engine_memory", |e| slot!(engine_memory(engine, block.pointer(), e)));
    }

    fn devices(&mut self, take: &mut Take<'_>) {
        let device = pellucid_device {
            struct_size: 0,
            kind: 0,
            index: 0,
            flags: 0,
            mem_total: 0,
            mem_free: 0,
            name: [0; 64],
        };
        let mut out = Block::row(take, &[device; 3]);
        let mut n = take.of(&[0_usize, 1, 2, 3]);
        let place = if take.odd() { null_mut() } else { &raw mut n };
        self.status(take, "devices", |e| slot!(devices(out.pointer(), place, e)));
    }

    fn texts(&mut self, take: &mut Take<'_>) {
        let id = take.text(&[PELLUCID_EXT_PREDICT, "org.pellucid.predict/2", ""]);
        slot!(get_extension(pointer(id.as_ref())));
        assert!(!slot!(status_name(take.int(3))).is_null());
        assert!(!slot!(version_string()).is_null());
        let error = self.handle(take, Kind::Error);
        slot!(error_code(error));
        assert!(!slot!(error_message(error)).is_null() && !slot!(error_json(error)).is_null());
        let mut range = [0_u32; 2];
        let place = if take.odd() { null_mut() } else { range.as_mut_ptr() };
        // SAFETY: two numbers, or NULL.
        unsafe { pellucid::pellucid_get_api(take.word32(1), place) };
    }
}

/// The stub's slow forward model takes the fourth power of it.
fn oversample(take: &mut Take<'_>) -> i32 {
    match take.int(1) {
        4..=32 => 3,
        n => n,
    }
}

fn pointer(text: Option<&CString>) -> *const c_char {
    text.map_or(null(), |text| text.as_ptr())
}

/// Whether a text may ask for a panic, or for a job that does not end by itself.
fn told(text: Option<&CString>) -> bool {
    let text = text.map_or("".into(), |text| text.to_string_lossy());
    let known = CONFIGS.iter().chain(OPTIONS).any(|known| *known == text);
    !known || text.contains(ENDLESS)
}

fn memory() -> pellucid_mem {
    pellucid_mem {
        struct_size: 0,
        reserved: 0,
        host_now: 0,
        host_peak: 0,
        dev_now: 0,
        dev_peak: 0,
        results_held: 0,
    }
}

fn empty() -> pellucid_array {
    pellucid_array {
        struct_size: 0,
        flags: 0,
        release: None,
        owner: null_mut(),
        data: null(),
        dtype: 0,
        ndim: 0,
        shape: [0; 6],
        stride: [0; 6],
    }
}
