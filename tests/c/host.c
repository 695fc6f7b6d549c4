/* A complete host: four dithered exposures of a galaxy in, a cube of posterior samples out.
 *
 *   host LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE [MODEL_DIR]
 *
 * It makes its own exposures with the prediction extension, uses every slot of the table once,
 * checks what comes back and prints a summary. Exit code 0 if all is well. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pellucid/pellucid.h>

#define N_EXPOSURES 4
#define N_SAMPLES 6
#ifndef SIDE
#define SIDE 16
#define PSF_SIDE 13
#define OVERSAMPLE 4
#endif

static const pellucid_api *api;
static const double RA = 150.1, DEC = 2.2, DATA_SCALE = 0.06, SIGMA = 0.05;

static void fail(const char *what) {
  fprintf(stderr, "FAILED: %s\n", what);
  exit(1);
}

static void check(int condition, const char *what) {
  if (!condition) fail(what);
}

/* The pattern of every call: on failure the error says what, where and what to do. By its address,
 * since C leaves open whether an argument is read before or after the call beside it. */
static void must(pellucid_status status, pellucid_error **error, const char *what) {
  if (status == PELLUCID_OK) {
    check(*error == NULL, "no error object on success");
    return;
  }
  fprintf(stderr, "%s: %s: %s\n%s\n", what, api->status_name(status), api->error_message(*error),
          api->error_json(*error));
  check(api->error_code(*error) == status, "the error carries the status");
  api->error_release(*error);
  fail(what);
}

static pellucid_array describe(const void *data, int32_t dtype, int64_t size, int64_t ny,
                               int64_t nx) {
  pellucid_array array;
  memset(&array, 0, sizeof array);
  array.struct_size = sizeof array;
  array.flags = PELLUCID_ARRAY_READ_ONLY;
  array.data = data;
  array.dtype = dtype;
  array.ndim = 2;
  array.shape[0] = ny;
  array.shape[1] = nx;
  array.stride[0] = nx * size;
  array.stride[1] = size;
  return array;
}

static pellucid_array empty(void) {
  pellucid_array array;
  memset(&array, 0, sizeof array);
  array.struct_size = sizeof array;
  return array;
}

static void log_to_stderr(void *ctx, int32_t level, const char *target, const char *msg) {
  ++*(int *)ctx;
  fprintf(stderr, "[%d] %s: %s\n", (int)level, target, msg);
}

static void count_state(void *user, int32_t state) {
  (void)state;
  ++*(volatile int *)user;
}

/* Standard normal noise from a small linear congruential generator (Box & Muller 1958). */
static double gauss(void) {
  static uint32_t state = 12345u;
  double u[2];
  int k;
  for (k = 0; k < 2; ++k) {
    state = state * 1664525u + 1013904223u;
    u[k] = (state / 256u + 0.5) / 16777216.0;
  }
  return sqrt(-2.0 * log(u[0])) * cos(6.283185307179586 * u[1]);
}

/* FITS cards of a rotated, dithered TAN WCS; k numbers the exposure. */
static void header(char *cards, int k) {
  static const double dx[N_EXPOSURES] = {0.0, 0.5, 0.0, 0.5};
  static const double dy[N_EXPOSURES] = {0.0, 0.0, 0.5, 0.5};
  double turn = 0.1 * k, scale = DATA_SCALE / 3600.0;
  double values[8];
  static const char *const keys[8] = {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2",
                                      "CD1_1",  "CD1_2",  "CD2_1",  "CD2_2"};
  int i, n;
  values[0] = (SIDE + 1) / 2.0 + dx[k];
  values[1] = (SIDE + 1) / 2.0 + dy[k];
  values[2] = RA;
  values[3] = DEC;
  values[4] = -scale * cos(turn);
  values[5] = scale * sin(turn);
  values[6] = scale * sin(turn);
  values[7] = scale * cos(turn);
  n = sprintf(cards, "%-80s%-80s", "CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'");
  for (i = 0; i < 8; ++i) {
    char card[81];
    sprintf(card, "%-8s= %20.13E", keys[i], values[i]);
    n += sprintf(cards + n, "%-80s", card);
  }
}

static int32_t tan_pix2sky(void *ctx, size_t n, const double *xy, double *radec) {
  size_t k;
  (void)ctx;
  for (k = 0; k < n; ++k) {
    radec[2 * k] = RA - (xy[2 * k] - SIDE / 2) * DATA_SCALE / 3600.0 / cos(DEC / 57.29577951308232);
    radec[2 * k + 1] = DEC + (xy[2 * k + 1] - SIDE / 2) * DATA_SCALE / 3600.0;
  }
  return 0;
}

static int32_t eval_psf(void *ctx, int32_t band, double x, double y, float *out) {
  (void)band;
  (void)x;
  (void)y;
  memcpy(out, ctx, PSF_SIDE * PSF_SIDE * sizeof *out);
  return 0;
}

static void wait_for(pellucid_job *job) {
  pellucid_progress progress;
  pellucid_error *error = NULL;
  pellucid_status status;
  memset(&progress, 0, sizeof progress);
  progress.struct_size = sizeof progress;
  while ((status = api->job_wait(job, 500, &error)) == PELLUCID_E_TIMEOUT) {
    api->error_release(error);
    error = NULL;
    must(api->job_poll(job, &progress, &error), &error, "job_poll");
    fprintf(stderr, "%3.0f %%, step %d of %d\n", 100.0 * progress.fraction, (int)progress.step,
            (int)progress.n_steps);
  }
  must(status, &error, "job_wait");
  must(api->job_poll(job, &progress, &error), &error, "job_poll");
  check(progress.state == PELLUCID_JOB_DONE && progress.samples_done == N_SAMPLES, "progress");
}

/* The slots that need no data, and the ones the main run has no use for. */
static void tour(pellucid_engine *engine, float *kernel) {
  pellucid_error *error = NULL;
  pellucid_device devices[8];
  pellucid_mem memory;
  pellucid_wcs_callback wcs_callback;
  pellucid_psf_callback psf_callback;
  pellucid_wcs *wcs = NULL;
  pellucid_psf *psf = NULL;
  pellucid_array radec = empty(), kernels = empty();
  static const double corners[2] = {-100.0, 100.0};
  double nodes[4 * 4 * 2], xy[2];
  const char *models = NULL;
  size_t n = 8, k;
  memset(devices, 0, sizeof devices);
  for (k = 0; k < n; ++k) devices[k].struct_size = sizeof devices[k];
  must(api->devices(devices, &n, &error), &error, "devices");
  check(n >= 1 && devices[0].kind == PELLUCID_DEVICE_CPU, "the CPU is a device");
  printf("device: %s\n", devices[0].name);
  must(api->list_models(engine, &models, &error), &error, "list_models");
  check(models[0] == '[', "models are a JSON array");
  memset(&memory, 0, sizeof memory);
  memory.struct_size = sizeof memory;
  must(api->engine_memory(engine, &memory, &error), &error, "engine_memory");
  for (k = 0; k < 16; ++k) {
    xy[0] = 8.0 * (double)(k % 4) - 4.0;
    xy[1] = 8.0 * (double)(k / 4) - 4.0;
    tan_pix2sky(NULL, 1, xy, nodes + 2 * k);
  }
  radec.data = nodes;
  radec.dtype = PELLUCID_F64;
  radec.ndim = 3;
  radec.shape[0] = radec.shape[1] = 4;
  radec.shape[2] = 2;
  radec.stride[0] = 64;
  radec.stride[1] = 16;
  radec.stride[2] = 8;
  must(api->wcs_from_grid(engine, &radec, -4.0, -4.0, 8.0, &wcs, &error), &error, "wcs_from_grid");
  api->wcs_release(wcs);
  memset(&wcs_callback, 0, sizeof wcs_callback);
  wcs_callback.struct_size = sizeof wcs_callback;
  wcs_callback.pix2sky = tan_pix2sky;
  wcs_callback.ny = wcs_callback.nx = SIDE;
  wcs_callback.margin = 4;
  must(api->wcs_from_callback(engine, &wcs_callback, &wcs, &error), &error, "wcs_from_callback");
  api->wcs_release(wcs);
  memset(&psf_callback, 0, sizeof psf_callback);
  psf_callback.struct_size = sizeof psf_callback;
  psf_callback.ctx = kernel;
  psf_callback.ny = psf_callback.nx = PSF_SIDE;
  psf_callback.oversample = OVERSAMPLE;
  psf_callback.eval = eval_psf;
  must(api->psf_from_callback(engine, &psf_callback, &psf, &error), &error, "psf_from_callback");
  api->psf_release(psf);
  check(PELLUCID_HAS(api, psf_from_grid), "the plugin is of minor 1 at least");
  kernels.data = kernel;
  kernels.dtype = PELLUCID_F32;
  kernels.ndim = 4;
  kernels.shape[0] = kernels.shape[1] = 2;
  kernels.shape[2] = kernels.shape[3] = PSF_SIDE;
  kernels.stride[2] = PSF_SIDE * 4; /* the same kernel at all four nodes */
  kernels.stride[3] = 4;
  must(api->psf_from_grid(engine, &kernels, corners, corners, OVERSAMPLE, 0, &psf, &error), &error,
       "psf_from_grid");
  api->psf_release(psf);
  api->psf_release(NULL);
}

static pellucid_exposure *expose(pellucid_engine *engine, const char *id, const float *pixels,
                                 const unsigned char *bits, pellucid_wcs *wcs, pellucid_psf *psf) {
  pellucid_exposure_desc desc;
  pellucid_exposure *exposure = NULL;
  pellucid_error *error = NULL;
  pellucid_array sci = describe(pixels, PELLUCID_F32, 4, SIDE, SIDE);
  pellucid_array dq = describe(bits, PELLUCID_U8, 1, SIDE, SIDE);
  /* One value for all pixels: strides 0. */
  pellucid_array err = describe(&SIGMA, PELLUCID_F64, 0, SIDE, SIDE);
  memset(&desc, 0, sizeof desc);
  desc.struct_size = sizeof desc;
  desc.id = id;
  desc.err_kind = PELLUCID_ERR_SIGMA;
  desc.sci = &sci;
  desc.err = &err;
  desc.dq = &dq;
  desc.zero_point = 25.0;
  desc.wcs = wcs;
  desc.psf = psf;
  must(api->exposure_create(engine, &desc, &exposure, &error), &error, "exposure_create");
  return exposure;
}

static void report(pellucid_result *result, int side, const float *truth) {
  static const char *const stats[4] = {"mean", "median", "std", "rhat"};
  static const double q[2] = {16.0, 84.0};
  pellucid_array array = empty();
  pellucid_error *error = NULL;
  const char *json = NULL, *cards = NULL;
  const float *values;
  double sum = 0.0, chi2 = 0.0, flux = 0.0;
  size_t len = 0;
  int k, n = 0;
  must(api->result_samples(result, 0, -1, &array, &error), &error, "result_samples");
  check(array.ndim == 4 && array.shape[0] == N_SAMPLES && array.shape[2] == side, "sample shape");
  values = (const float *)array.data;
  for (k = 0; k < N_SAMPLES * side * side; ++k) sum += values[k];
  check(isfinite(sum), "samples are finite");
  array.release(&array);
  for (k = 0; k < 4; ++k) {
    must(api->result_stat(result, stats[k], &array, &error), &error, stats[k]);
    check(array.ndim == 3 && array.shape[1] == side, "shape of a statistic");
    array.release(&array);
  }
  must(api->result_percentiles(result, q, 2, &array, &error), &error, "result_percentiles");
  check(array.ndim == 4 && array.shape[0] == 2, "shape of percentiles");
  array.release(&array);
  must(api->result_residuals(result, -1, 0, &array, &error), &error, "result_residuals");
  check(array.ndim == 2 && array.shape[0] == SIDE, "shape of residuals");
  values = (const float *)array.data;
  for (k = 0; k < SIDE * SIDE; ++k) {
    if (isfinite(values[k])) {
      chi2 += values[k] * values[k] / (SIGMA * SIGMA);
      ++n;
    }
  }
  array.release(&array);
  must(api->result_diagnostics(result, &json, &error), &error, "result_diagnostics");
  check(json[0] == '{' && strstr(json, "sample_errors") != NULL, "diagnostics");
  must(api->result_header(result, &cards, &len, &error), &error, "result_header");
  check(len % 80 == 0 && strlen(cards) == len && strstr(cards, "RA---TAN") != NULL, "header");
  for (k = 0; k < side * side; ++k) flux += truth[k];
  printf("samples: %d of %d x %d, mean flux %.3f (truth %.3f)\n", N_SAMPLES, side, side,
         sum / N_SAMPLES, flux);
  printf("residual of the mean, exposure 0: chi2/n = %.3f over %d pixels\n", chi2 / n, n);
  printf("header: %d cards, diagnostics: %d bytes\n", (int)(len / 80), (int)strlen(json));
}

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  uint32_t range[2];
  const pellucid_predict_ext *ext;
  pellucid_host functions;
  pellucid_engine *engine = NULL;
  pellucid_psf *psf = NULL;
  pellucid_exposure *exposures[N_EXPOSURES];
  pellucid_job_desc desc;
  pellucid_mem need;
  pellucid_job *job = NULL, *second = NULL;
  pellucid_result *result = NULL;
  pellucid_error *error = NULL;
  pellucid_array kernel, scene, images[N_EXPOSURES];
  float psf_values[PSF_SIDE * PSF_SIDE], *truth;
  char config[4096];
  int logged = 0, side, k, y, x;
  volatile int states = 0;
  void *library, *symbol;

  if (argc < 5) {
    fprintf(stderr, "usage: host LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE [MODEL_DIR]\n");
    return 2;
  }
  library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fail(dlerror());
  symbol = dlsym(library, PELLUCID_GET_API);
  check(symbol != NULL, "the entry symbol is there");
  memcpy(&get_api, &symbol, sizeof get_api);
  check(get_api(PELLUCID_ABI + 1000u, range) == NULL, "an unknown level has no table");
  api = get_api(PELLUCID_ABI, range);
  check(api != NULL && range[0] <= PELLUCID_ABI && range[1] >= PELLUCID_ABI, "the table is there");
  check(api->struct_size >= sizeof *api, "the table is as long as this header's");
  printf("%s\n", api->version_string());
  ext = (const pellucid_predict_ext *)api->get_extension(PELLUCID_EXT_PREDICT);
  check(ext != NULL && api->get_extension("org.pellucid.nothing/1") == NULL, "extensions");

  memset(&functions, 0, sizeof functions);
  functions.struct_size = sizeof functions;
  functions.ctx = &logged;
  functions.log = log_to_stderr;
  check(
      api->engine_create("{\"no_such_key\": 1}", &functions, &engine, &error) == PELLUCID_E_CONFIG,
      "an unknown key is refused");
  check(engine == NULL && strstr(api->error_message(error), "no_such_key") != NULL, "and named");
  api->error_release(error);
  error = NULL;
  sprintf(config, "{\"device\": \"cpu\", \"log_level\": \"debug\", \"model_dirs\": [\"%.3000s\"]}",
          argc > 5 ? argv[5] : ".");
  must(api->engine_create(config, &functions, &engine, &error), &error, "engine_create");

  for (k = 0; k < PSF_SIDE * PSF_SIDE; ++k) {
    double dx = k % PSF_SIDE - PSF_SIDE / 2, dy = k / PSF_SIDE - PSF_SIDE / 2;
    psf_values[k] = (float)exp(-0.5 * (dx * dx + dy * dy) / 9.0);
  }
  tour(engine, psf_values);
  kernel = describe(psf_values, PELLUCID_F32, 4, PSF_SIDE, PSF_SIDE);
  must(api->psf_from_array(engine, &kernel, OVERSAMPLE, 0, &psf, &error), &error, "psf_from_array");

  side = atoi(argv[3]);
  check(side > 0 && side <= 1024, "MODEL_SIDE");
  truth = (float *)malloc(sizeof *truth * (size_t)(side * side));
  check(truth != NULL, "memory");
  for (y = 0; y < side; ++y) {
    for (x = 0; x < side; ++x) {
      double dx = x - 0.5 * side - 1.0, dy = (y - 0.5 * side) / 0.6;
      truth[y * side + x] = (float)exp(-sqrt(dx * dx + dy * dy) / (0.08 * side));
    }
  }
  scene = describe(truth, PELLUCID_F32, 4, side, side);

  /* Empty exposures give the geometry; A x of the scene plus noise gives the real ones. */
  for (k = 0; k < N_EXPOSURES; ++k) {
    char cards[10 * 80 + 1], id[32];
    float pixels[SIDE * SIDE] = {0};
    unsigned char bits[SIDE * SIDE] = {0};
    pellucid_wcs *wcs = NULL;
    pellucid_exposure *blank;
    header(cards, k);
    must(api->wcs_from_fits_header(engine, cards, 10 * 80, NULL, 0, &wcs, &error), &error,
         "wcs_from_fits_header");
    sprintf(id, "exposure-%d", k);
    blank = expose(engine, id, pixels, bits, wcs, psf);
    images[k] = empty();
    must(ext->predict(engine, &blank, 1, RA, DEC, atof(argv[4]), &scene, &images[k], &error),
         &error, "predict");
    check(images[k].shape[0] == SIDE && images[k].dtype == PELLUCID_F32, "shape of a prediction");
    for (x = 0; x < SIDE * SIDE; ++x) {
      pixels[x] = (float)(((const float *)images[k].data)[x] + SIGMA * gauss());
    }
    images[k].release(&images[k]);
    pixels[17 * k] = (float)NAN; /* a dead pixel, flagged */
    bits[17 * k] = 4;
    exposures[k] = expose(engine, id, pixels, bits, wcs, psf);
    api->exposure_release(blank);
    api->wcs_release(wcs);
  }
  api->psf_release(psf);

  memset(&desc, 0, sizeof desc);
  desc.struct_size = sizeof desc;
  desc.exposures = exposures;
  desc.n_exposures = N_EXPOSURES;
  desc.ra = RA;
  desc.dec = DEC;
  desc.pixscale = atof(argv[4]);
  desc.out_ny = desc.out_nx = side;
  desc.n_samples = N_SAMPLES;
  desc.seed = 42;
  desc.prior = argv[2];
  desc.user = (void *)&states;
  desc.on_state = count_state;
  memset(&need, 0, sizeof need);
  need.struct_size = sizeof need;
  must(api->job_estimate(engine, &desc, &need, &error), &error, "job_estimate");
  check(need.results_held > 0, "a result takes memory");
  must(api->job_submit(engine, &desc, &job, &error), &error, "job_submit");
  desc.priority = -1;
  desc.user = NULL;
  desc.on_state = NULL;
  must(api->job_submit(engine, &desc, &second, &error), &error, "job_submit, again");
  for (k = 0; k < N_EXPOSURES; ++k) api->exposure_release(exposures[k]);
  check(api->job_cancel(second) == PELLUCID_OK, "job_cancel");
  wait_for(job);
  check(api->job_wait(second, -1, NULL) == PELLUCID_E_CANCELLED, "the second job is cancelled");
  must(api->job_result(job, &result, &error), &error, "job_result");
  api->job_release(job);
  api->job_release(second);
  /* job_wait may return before the last call, which job_release then suppresses. */
  check(states >= 1, "the job's states were told");
  api->log_drain(engine, SIZE_MAX);
  api->engine_release(engine);
  check(logged > 0, "there were log messages");
  report(result, side, truth);
  api->result_release(result);
  check(api->engine_memory(engine, &need, NULL) == PELLUCID_E_ARG, "a released engine is refused");
  free(truth);
  dlclose(library);
  printf("ok\n");
  return 0;
}
