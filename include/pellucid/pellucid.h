/* pellucid.h: the C interface of Pellucid, a Bayesian deconvolver for galaxy images.
 *
 * A host opens libpellucid.so.1, looks up the one symbol pellucid_get_api and works through the
 * table it returns. README.md beside this file is the page of conventions; the rules in short:
 *
 *   threads    Any thread may call any slot, except from inside a callback (see pellucid_host).
 *   text       UTF-8, NUL terminated where no length is given.
 *   structs    Zero the whole struct, then set struct_size = sizeof(struct) and the fields.
 *   handles    Opaque; each *_create, *_from_*, *_submit, job_result gives one that its *_release
 *              ends. A released, NULL or mistyped handle is PELLUCID_E_ARG, never a crash.
 *              Releasing NULL does nothing.
 *   errors     A slot with a pellucid_error ** last argument sets it to NULL on PELLUCID_OK and to
 *              an object the caller releases on failure. The argument may be NULL.
 *   outputs    Come after the inputs and are written on success only; handle and string outputs
 *              are set to NULL on failure.
 *   images     C order [y, x]. Pixel coordinates are 0-based, integers at pixel centres.
 *   units      Sky angles ICRS degrees, pixel scales arcsec, flux the exposures' own unit per
 *              detector pixel (e-/s by custom), uncertainty never a bare "noise".
 *
 * Nothing unwinds or aborts across this boundary. Compiles as C89 to C17 and C++98 to C++20. */
#ifndef PELLUCID_PELLUCID_H
#define PELLUCID_PELLUCID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Breaking level of this interface, equal to the number in the soname libpellucid.so.1. */
#define PELLUCID_ABI 1u
/* Additions since that level: slots at the end of the table, fields at the end of structs. */
#define PELLUCID_ABI_MINOR 1u
/* Name to hand to dlopen, with RTLD_NOW | RTLD_LOCAL. */
#define PELLUCID_SONAME "libpellucid.so.1"

/* Result of a call. An int, never a C enum, so that a newer plugin may return a newer code. */
typedef int32_t pellucid_status;
enum {
  PELLUCID_OK = 0,
  PELLUCID_E_ARG = 1,          /* an argument is NULL, out of range, misshapen or a dead handle */
  PELLUCID_E_ABI = 2,          /* a struct_size or a field that this plugin does not know */
  PELLUCID_E_STATE = 3,        /* not now: queue full, job unfinished, inside a callback */
  PELLUCID_E_CONFIG = 4,       /* configuration or options: bad JSON, unknown key, bad value */
  PELLUCID_E_MODEL = 5,        /* a prior or noise model is missing, damaged or does not fit */
  PELLUCID_E_DEVICE = 6,       /* a compute device is absent, lost or fails */
  PELLUCID_E_NOMEM = 7,        /* memory, on the host or the device */
  PELLUCID_E_CALLBACK = 8,     /* a host callback returned non-zero or not-finite values */
  PELLUCID_E_CANCELLED = 9,    /* the job was cancelled */
  PELLUCID_E_TIMEOUT = 10,     /* job_wait ran out of time; the job goes on */
  PELLUCID_E_UNSUPPORTED = 11, /* valid, but this plugin cannot do it */
  PELLUCID_E_FORKED = 12,      /* the process forked after its first handle was made */
  PELLUCID_E_NUMERIC = 13,     /* NaN, infinity or no convergence in the computation */
  PELLUCID_E_PANIC = 99        /* a defect of the plugin, caught; the message says where */
};

/* Element type of a pellucid_array. */
enum {
  PELLUCID_F32 = 1,
  PELLUCID_F64 = 2,
  PELLUCID_U8 = 3,
  PELLUCID_I32 = 4,
  PELLUCID_U32 = 5
};

/* State of a job; the last three are final. */
enum {
  PELLUCID_JOB_QUEUED = 0,
  PELLUCID_JOB_RUNNING = 1,
  PELLUCID_JOB_DONE = 2, /* single samples may have failed: see result_diagnostics */
  PELLUCID_JOB_FAILED = 3,
  PELLUCID_JOB_CANCELLED = 4
};

/* What pellucid_exposure_desc.err holds. */
enum {
  PELLUCID_ERR_SIGMA = 1,
  PELLUCID_ERR_VARIANCE = 2,
  PELLUCID_ERR_INVERSE_VARIANCE = 3 /* 0 masks the pixel */
};

/* What a detector pixel's value measures (pellucid_exposure_desc.flux_convention). */
enum {
  PELLUCID_SURFACE_BRIGHTNESS = 0, /* flat-fielded: a constant sky is a constant image (default) */
  PELLUCID_PER_PIXEL = 1           /* multiplied by the pixel area map: flux per pixel */
};

/* Kind of a look-up table (pellucid_lookup_table.kind). */
enum {
  PELLUCID_NPOL = 1, /* WCSDVARR of CPDIS/DP: added after the pixel shift, beside SIP */
  PELLUCID_D2IM = 2  /* D2IMARR of D2IMDIS/D2IM: added to the raw pixel position */
};

/* Severity of a log message. */
enum {
  PELLUCID_LOG_ERROR = 1,
  PELLUCID_LOG_WARN = 2,
  PELLUCID_LOG_INFO = 3,
  PELLUCID_LOG_DEBUG = 4,
  PELLUCID_LOG_TRACE = 5
};

/* Kind of a compute device. */
enum {
  PELLUCID_DEVICE_CPU = 1,
  PELLUCID_DEVICE_CUDA = 2
};

/* Flag bits. Bits not listed must be 0 (PELLUCID_E_ARG). */
enum {
  PELLUCID_ARRAY_READ_ONLY = 1,      /* pellucid_array: the receiver must not write through data */
  PELLUCID_HOST_LOG_ANY_THREAD = 1,  /* pellucid_host: log may be called at once, on any thread */
  PELLUCID_WCS_REENTRANT = 1,        /* pellucid_wcs_callback: any thread, any time until release */
  PELLUCID_PSF_PIXEL_INTEGRATED = 1  /* psf_from_array, pellucid_psf_callback: pixel included */
};

typedef struct pellucid_error pellucid_error;
typedef struct pellucid_engine pellucid_engine;
typedef struct pellucid_wcs pellucid_wcs;
typedef struct pellucid_psf pellucid_psf;
typedef struct pellucid_exposure pellucid_exposure;
typedef struct pellucid_job pellucid_job;
typedef struct pellucid_result pellucid_result;

/* A strided n-dimensional array, in either direction; always passed by pointer.
 *
 * To the plugin: with release NULL it is borrowed and copied during the call. With release set it
 * is moved when the call returns PELLUCID_OK: the plugin calls release exactly once, before it
 * returns, on a bitwise copy of the struct; after a failure it is still the caller's. A stride may
 * be 0 or negative, data need not be aligned: one value with strides {0, 0} is a constant image.
 *
 * From the plugin: the caller sets struct_size; the call fills in the rest, read-only and in native
 * byte order. The caller calls release(&array) once when done with data, from any thread, and at
 * any time, also after the result and the engine are gone. release clears data and itself. */
typedef struct pellucid_array {
  uint32_t struct_size;
  uint32_t flags; /* PELLUCID_ARRAY_* */
  void (*release)(struct pellucid_array *);
  void *owner; /* belongs to whoever set release */
  const void *data;
  int32_t dtype;      /* PELLUCID_F32 ... */
  int32_t ndim;       /* 1 to 6 */
  int64_t shape[6];   /* slowest axis first; unused entries 0 */
  int64_t stride[6];  /* bytes */
} pellucid_array;

/* What the host offers an engine; copied by engine_create. ctx must outlive the engine.
 *
 * Inside log, on_state, the WCS and PSF callbacks and an array's release, slots that take an engine
 * or a job do not work (PELLUCID_E_STATE): they could wait for the very thread they run on.
 * Releases work there, except engine_release, which is ignored. A callback must return: behaviour
 * is undefined if an exception or a longjmp leaves it (pellucid.hpp catches exceptions). */
typedef struct pellucid_host {
  uint32_t struct_size;
  uint32_t flags; /* PELLUCID_HOST_* */
  void *ctx;
  /* Receives log messages; may be NULL. By default messages queue (the oldest of more than 1024
   * are dropped and counted) and arrive inside job_wait, log_drain and engine_release, on the
   * thread that calls them. target and msg live for the call only. */
  void (*log)(void *ctx, int32_t level, const char *target, const char *msg);
} pellucid_host;

/* A compute device of this machine. Memory in bytes, 0 where unknown. */
typedef struct pellucid_device {
  uint32_t struct_size;
  int32_t kind;  /* PELLUCID_DEVICE_* */
  int32_t index; /* cuda:index; -1 for the CPU */
  uint32_t flags;
  uint64_t mem_total;
  uint64_t mem_free;
  char name[64];
} pellucid_device;

/* One distortion look-up table of an HST image, described by the words of its own FITS header, and
 * therefore 1-based. values [ny, nx] float holds shifts in pixels, interpolated bilinearly at crpix
 * + (pixel - crval) / cdelt, constant beyond the table; transpose it where DPj.AXIS.1 (or
 * D2IMj.AXIS.1) is 2. A stamp cut from a chip must shift crval by its corner, as it shifts the
 * CRPIX of its main header. */
typedef struct pellucid_lookup_table {
  uint32_t struct_size;
  int32_t kind; /* PELLUCID_NPOL or PELLUCID_D2IM */
  int32_t axis; /* the pixel axis it shifts: 1 = x, 2 = y */
  uint32_t reserved;
  const pellucid_array *values;
  double crpix[2];
  double crval[2];
  double cdelt[2];
} pellucid_lookup_table;

/* A WCS by host functions. xy holds n pairs (x, y), 0-based; radec n pairs (ra, dec), ICRS degrees.
 * Return 0, or any other value to fail with PELLUCID_E_CALLBACK. */
typedef struct pellucid_wcs_callback {
  uint32_t struct_size;
  uint32_t flags; /* PELLUCID_WCS_REENTRANT; else used on a grid during wcs_from_callback only */
  void *ctx;
  int32_t (*pix2sky)(void *ctx, size_t n, const double *xy, double *radec);
  /* May be NULL: then pix2sky is inverted numerically, to 1e-8 pixel. */
  int32_t (*sky2pix)(void *ctx, size_t n, const double *radec, double *xy);
  void (*release)(void *ctx); /* called once, when no longer needed; not after a failure */
  /* For a WCS that is not reentrant: the pixels to cover, plus margin on every side, sampled every
   * step pixels and interpolated (error: see wcs_from_grid). step 0 means 8. */
  int32_t ny;
  int32_t nx;
  int32_t margin;
  uint32_t reserved;
  double step;
} pellucid_wcs_callback;

/* A PSF by a host function. eval fills out [ny, nx] with the kernel for a source at pixel (x, y) of
 * the exposure in that band; same rules as psf_from_array, and at most 2^28 samples. It is called
 * once during exposure_create, on its thread, for the centre of the image, and that kernel blurs
 * the whole exposure: a stamp of one galaxy is small against a PSF's variation over a detector. Of
 * a larger frame pass a stamp around the galaxy. Return 0, or fail as above. */
typedef struct pellucid_psf_callback {
  uint32_t struct_size;
  uint32_t flags; /* PELLUCID_PSF_PIXEL_INTEGRATED */
  void *ctx;
  int32_t ny;
  int32_t nx;
  int32_t oversample;
  int32_t reserved;
  int32_t (*eval)(void *ctx, int32_t band, double x, double y, float *out);
  void (*release)(void *ctx); /* called once, when no longer needed; not after a failure */
} pellucid_psf_callback;

/* One calibrated exposure. Arrays are [ny, nx]. The last three fields are optional: a struct_size
 * that ends before them is valid and gives their defaults. */
typedef struct pellucid_exposure_desc {
  uint32_t struct_size;
  uint32_t flags;
  const char *id; /* names the exposure in errors and products; required */
  int32_t band;   /* 0; more bands are not supported yet */
  int32_t err_kind;
  const pellucid_array *sci; /* float; finite at every good pixel */
  const pellucid_array *err; /* float; positive and finite at every good pixel */
  const pellucid_array *dq;  /* integers, or NULL: every pixel is good */
  uint32_t dq_bad_mask;      /* a pixel is bad where dq & mask; 0 means any bit */
  uint32_t reserved;
  double gain;       /* sci and the sigma of err are multiplied by it; 0 means 1 */
  double zero_point; /* AB magnitude of one unit per second, recorded in products; 0 = unknown */
  pellucid_wcs *wcs; /* retained */
  pellucid_psf *psf; /* retained */
  int32_t flux_convention;
  uint32_t reserved2;
  /* Stationary correlation of the noise between pixels, odd x odd, centre at the centre of the
   * array, normalised to 1 there; NULL: pixels are independent. Cov = sigma_i sigma_j corr. */
  const pellucid_array *noise_correlation;
} pellucid_exposure_desc;

/* What to sample. The model grid is TAN, north up, east left, square pixels, with (ra, dec) at the
 * 0-based pixel ((out_nx - 1) / 2, (out_ny - 1) / 2). user and on_state are optional fields. */
typedef struct pellucid_job_desc {
  uint32_t struct_size;
  uint32_t flags;
  pellucid_exposure *const *exposures; /* all of one galaxy; retained */
  size_t n_exposures;
  double ra;
  double dec;
  double pixscale; /* arcsec */
  int32_t out_ny;
  int32_t out_nx;
  int32_t n_samples;
  int32_t priority; /* higher runs first */
  uint64_t seed;    /* sample k depends on (seed, k, description) only */
  const char *prior;        /* a name of list_models or a path */
  const char *likelihood;   /* "gaussian", a noise model's name or a path; NULL: "gaussian" */
  const char *options_json; /* sampler options; NULL: defaults; an unknown key or a number out of
                               range is E_CONFIG */
  void *user;
  /* Called at every change of state, in order and one call at a time, on a worker or on the thread
   * that cancels: a wake-up. job_wait and job_cancel may return before the last call. When
   * job_release has returned no call runs or begins, except one that it was called from; so calls
   * of two jobs must not release each other's. */
  void (*on_state)(void *user, int32_t state);
} pellucid_job_desc;

/* How far a job is. */
typedef struct pellucid_progress {
  uint32_t struct_size;
  int32_t state; /* PELLUCID_JOB_* */
  int32_t step;  /* sampler steps done in the current batch */
  int32_t n_steps;
  int32_t samples_done;
  int32_t device;  /* index, or -1 for the CPU */
  double fraction; /* 0 to 1 */
  double eta_s;    /* NaN while unknown */
} pellucid_progress;

/* Memory in bytes; 0 where unknown. */
typedef struct pellucid_mem {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t host_now;
  uint64_t host_peak;
  uint64_t dev_now;
  uint64_t dev_peak;
  uint64_t results_held; /* samples kept alive by results and arrays */
} pellucid_mem;

/* The function table. It only grows: a slot exists if it ends within struct_size and is not NULL,
 * which PELLUCID_HAS(api, slot) tells. Slots that say "since minor ..." may be absent from a plugin
 * that is older than this header; the others are always there.
 *
 * Every slot that returns a pellucid_status may also return E_ARG, E_ABI, E_FORKED and E_PANIC as
 * described above; slots that take an engine or a job also E_STATE from inside a callback.
 * Only further codes are listed. */
typedef struct pellucid_api {
  uint32_t struct_size;
  uint32_t abi;   /* PELLUCID_ABI */
  uint32_t minor; /* PELLUCID_ABI_MINOR of the plugin */
  uint32_t reserved;

  /* "pellucid 0.1.0 (engine: ...)"; static. */
  const char *(*version_string)(void);
  /* "PELLUCID_E_ARG" and so on; "PELLUCID_E_?" for a code this plugin does not know; static. */
  const char *(*status_name)(pellucid_status status);
  /* Experimental tables by name, "org.pellucid.NAME/REVISION"; static, NULL if absent. */
  const void *(*get_extension)(const char *id);

  /* The code of an error; E_ARG if error is not a live error. */
  pellucid_status (*error_code)(const pellucid_error *error);
  /* What failed, with all causes, outermost first, joined by ": ". Valid until error_release;
   * "" if error is not live. */
  const char *(*error_message)(const pellucid_error *error);
  /* {"code": 1, "name": "PELLUCID_E_ARG", "message": "...", "chain": ["...", ...]}; lifetime as
   * error_message; "{}" if error is not live. */
  const char *(*error_json)(const pellucid_error *error);
  void (*error_release)(pellucid_error *error);

  /* Lists devices without starting anything; whether an engine can use one shows in engine_create.
   * In: *n = elements of out, each with its struct_size set. Out: *n = devices there are; as many
   * as fit are written. out may be NULL when *n is 0. */
  pellucid_status (*devices)(pellucid_device *out, size_t *n, pellucid_error **error);

  /* Starts an engine: the first touch of threads and devices. config_json may be NULL; its keys,
   * all optional: "device" ("auto", "cpu", "cuda:0"), "threads" (0 = one per core, at most four per
   * core), "queue_capacity", "max_batch", "model_dirs" ([...]), "log_level" ("off", "error",
   * "warn", "info", "debug", "trace"; default "info"). An unknown key or a value out of range is
   * E_CONFIG. host may be NULL. E_CONFIG, E_DEVICE, E_NOMEM. */
  pellucid_status (*engine_create)(const char *config_json, const pellucid_host *host,
                                   pellucid_engine **engine, pellucid_error **error);
  /* Lets calls on other threads finish, cancels all jobs, joins the workers, delivers the last log
   * messages. Afterwards host.ctx is not used any more. Jobs stay pollable and results valid.
   * Ignored inside a callback. */
  void (*engine_release)(pellucid_engine *engine);

  /* [{"name": "...", "kind": "prior", ...}, ...]; the string lives as long as the engine. E_MODEL.
   * */
  pellucid_status (*list_models)(pellucid_engine *engine, const char **json,
                                 pellucid_error **error);
  /* Memory in use. In: memory->struct_size. */
  pellucid_status (*engine_memory)(pellucid_engine *engine, pellucid_mem *memory,
                                   pellucid_error **error);
  /* Delivers at most max queued log messages on this thread; returns how many. */
  size_t (*log_drain)(pellucid_engine *engine, size_t max);

  /* A WCS from FITS header cards: len bytes, either 80-byte cards without line ends or lines. SIP
   * is applied; CPDIS, DP and D2IM cards are replaced by tables (n_tables elements, NULL if none).
   * Accuracy: 1e-6 pixel against astropy's all_pix2world. */
  pellucid_status (*wcs_from_fits_header)(pellucid_engine *engine, const char *cards, size_t len,
                                          const pellucid_lookup_table *tables, size_t n_tables,
                                          pellucid_wcs **wcs, pellucid_error **error);
  /* A WCS from sky positions: radec [ny, nx, 2] float, degrees, node (i, j) at pixel (x0 + j step,
   * y0 + i step), at least 2 x 2 nodes. Four-point polynomials in between (fewer nodes: lower
   * order), continued beyond the edge for as far as the grid is long: cover the stamp and the reach
   * of its PSF. Exact for cubic distortions; within 1e-6 pixel on WFC3/IR with step 16. */
  pellucid_status (*wcs_from_grid)(pellucid_engine *engine, const pellucid_array *radec, double x0,
                                   double y0, double step, pellucid_wcs **wcs,
                                   pellucid_error **error);
  /* A WCS from host functions. E_CALLBACK. */
  pellucid_status (*wcs_from_callback)(pellucid_engine *engine,
                                       const pellucid_wcs_callback *callback, pellucid_wcs **wcs,
                                       pellucid_error **error);
  /* A PSF from an image: kernel [ny, nx] float, sampled oversample times per detector pixel,
   * normalised here to unit sum, its centre at row (ny - 1) / 2, column (nx - 1) / 2, between two
   * samples when the size is even. The image blurs by true convolution. flags: PELLUCID_PSF_*. */
  pellucid_status (*psf_from_array)(pellucid_engine *engine, const pellucid_array *kernel,
                                    int32_t oversample, uint32_t flags, pellucid_psf **psf,
                                    pellucid_error **error);
  /* A PSF from a host function, evaluated in exposure_create. */
  pellucid_status (*psf_from_callback)(pellucid_engine *engine,
                                       const pellucid_psf_callback *callback, pellucid_psf **psf,
                                       pellucid_error **error);
  void (*wcs_release)(pellucid_wcs *wcs);
  void (*psf_release)(pellucid_psf *psf);

  /* An exposure; copies pixels, retains wcs and psf. Errors name the exposure and the pixel.
   * E_CALLBACK from the PSF. */
  pellucid_status (*exposure_create)(pellucid_engine *engine, const pellucid_exposure_desc *desc,
                                     pellucid_exposure **exposure, pellucid_error **error);
  void (*exposure_release)(pellucid_exposure *exposure);

  /* What a job would need, as peaks; nothing is queued. In: need->struct_size. Errors as
   * job_submit. */
  pellucid_status (*job_estimate)(pellucid_engine *engine, const pellucid_job_desc *desc,
                                  pellucid_mem *need, pellucid_error **error);
  /* Queues a job. E_STATE when the queue is full, E_CONFIG, E_MODEL, E_CALLBACK, E_NOMEM,
   * E_UNSUPPORTED. */
  pellucid_status (*job_submit)(pellucid_engine *engine, const pellucid_job_desc *desc,
                                pellucid_job **job, pellucid_error **error);
  /* Never blocks. In: progress->struct_size. */
  pellucid_status (*job_poll)(pellucid_job *job, pellucid_progress *progress,
                              pellucid_error **error);
  /* Waits for a final state, delivering log messages meanwhile; timeout_ms < 0 waits for ever.
   * OK when DONE, E_TIMEOUT, E_CANCELLED when cancelled, otherwise the job's own error. */
  pellucid_status (*job_wait)(pellucid_job *job, int64_t timeout_ms, pellucid_error **error);
  /* Asks the job to stop; seen within one sampler step. Returns at once; idempotent; a finished job
   * is left as it is. */
  pellucid_status (*job_cancel)(pellucid_job *job);
  /* The result of a DONE job; may be called again. E_STATE while unfinished, E_CANCELLED, otherwise
   * the job's own error. */
  pellucid_status (*job_result)(pellucid_job *job, pellucid_result **result,
                                pellucid_error **error);
  /* Cancels the job if unfinished and lets go of it. Does not wait for a sampler step. */
  void (*job_release)(pellucid_job *job);

  /* Samples first to first + n - 1 without a copy: float32 [n, band, y, x], surface brightness on
   * the model grid; a failed sample is all NaN. n < 0 means all from first on. */
  pellucid_status (*result_samples)(pellucid_result *result, int64_t first, int64_t n,
                                    pellucid_array *out, pellucid_error **error);
  /* float32 [band, y, x] over the samples that did not fail. stat: "mean", "median", "std" (n - 1),
   * "rhat" (split-half potential scale reduction: 1 for independent samples; needs 4).
   * E_NUMERIC when too few samples are left. */
  pellucid_status (*result_stat)(pellucid_result *result, const char *stat, pellucid_array *out,
                                 pellucid_error **error);
  /* float32 [nq, band, y, x]: percentiles q in 0..100, linear between order statistics. E_NUMERIC
   * as above. */
  pellucid_status (*result_percentiles)(pellucid_result *result, const double *q, size_t nq,
                                        pellucid_array *out, pellucid_error **error);
  /* y - A x on the detector, float32 [y, x], NaN where a pixel was not used; exposure counts as in
   * the job. sample -1: x is the posterior mean. E_CALLBACK from a reentrant WCS. */
  pellucid_status (*result_residuals)(pellucid_result *result, int64_t sample, size_t exposure,
                                      pellucid_array *out, pellucid_error **error);
  /* Per exposure and sample chi2, dof, whiteness, p-values, flags; "sample_errors" ([null or text]
   * per sample) and "provenance". The string lives as long as the result. */
  pellucid_status (*result_diagnostics)(pellucid_result *result, const char **json,
                                        pellucid_error **error);
  /* FITS cards for a product, 80 bytes each, no END, len bytes in all: the model grid's WCS,
   * quality, provenance. Also NUL terminated. The text lives as long as the result. */
  pellucid_status (*result_header)(pellucid_result *result, const char **cards, size_t *len,
                                   pellucid_error **error);
  void (*result_release)(pellucid_result *result);

  /* Since minor 1. A PSF that depends on position, from images at the nodes of a rectangular grid:
   * kernels [my, mx, ny, nx] float, each as in psf_from_array, for sources at column x[j] of mx and
   * row y[i] of my, strictly ascending 0-based pixels of the exposure, also outside it (of a stamp,
   * subtract its corner from the detector's positions). Bilinear between the nodes, constant beyond
   * the outermost. Taken at the centre of the exposure, whose blur it is throughout (see
   * pellucid_psf_callback). */
  pellucid_status (*psf_from_grid)(pellucid_engine *engine, const pellucid_array *kernels,
                                   const double *x, const double *y, int32_t oversample,
                                   uint32_t flags, pellucid_psf **psf, pellucid_error **error);
} pellucid_api;

/* Whether a plugin's table has a slot of this header. */
#define PELLUCID_HAS(api, slot)                                                        \
  ((api)->struct_size >= offsetof(pellucid_api, slot) + sizeof(((api)->slot)) && \
   (api)->slot != NULL)

/* Extension "org.pellucid.predict/1": what exposures would see of a model image. */
#define PELLUCID_EXT_PREDICT "org.pellucid.predict/1"
typedef struct pellucid_predict_ext {
  uint32_t struct_size;
  uint32_t reserved;
  /* A x without noise, float32 [y, x] for every detector pixel of each exposure. model [ny, nx]
   * float is surface brightness on the TAN grid centred on (ra, dec) (see pellucid_job_desc), 0
   * outside. out: n arrays with struct_size set; on failure none is written. E_NOMEM: an exposure
   * takes about 256 bytes for each sub-pixel of the PSF's sampling, all over the image. E_CALLBACK
   * from a reentrant WCS. */
  pellucid_status (*predict)(pellucid_engine *engine, pellucid_exposure *const *exposures, size_t n,
                             double ra, double dec, double pixscale, const pellucid_array *model,
                             pellucid_array *out, pellucid_error **error);
} pellucid_predict_ext;

/* The only exported symbol, frozen for ever. Pure and thread-safe: starts nothing. Returns the
 * table for breaking level abi, or NULL if this plugin has none; range (2 elements, may be NULL)
 * always receives the lowest and the highest level it has. The table is static. */
const pellucid_api *pellucid_get_api(uint32_t abi, uint32_t range[2]);
typedef const pellucid_api *(*pellucid_get_api_fn)(uint32_t abi, uint32_t range[2]);
#define PELLUCID_GET_API "pellucid_get_api"

#ifdef __cplusplus
}
#endif

#endif /* PELLUCID_PELLUCID_H */
