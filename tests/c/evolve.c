/* A host of another age: the same program is compiled with the header as it is, with an older one
 * (-DOLDER: fields and slots of later minors are cut off) and with a newer one (-DNEWER: each
 * struct and the table have one more member, from_the_future).
 *
 *   evolve LIBRARY PRIOR MODEL_DIR */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pellucid/pellucid.h>

#define SIDE 32
#define DETECTOR 8

static const pellucid_api *api;

static void check(int condition, const char *what) {
  if (!condition) {
    fprintf(stderr, "FAILED: %s\n", what);
    exit(1);
  }
}

static void must(pellucid_status status, pellucid_error **error, const char *what) {
  if (status != PELLUCID_OK) fprintf(stderr, "%s\n", api->error_message(*error));
  check(status == PELLUCID_OK && *error == NULL, what);
}

/* What lies behind a struct: not the plugin's to read or write. */
#define POISON 0x5a5a5a5a5a5a5a5aULL
#define GUARDED(type, name)             \
  struct {                              \
    type it;                            \
    uint64_t guard;                     \
  } name;                               \
  memset(&name, 0, sizeof name);        \
  name.it.struct_size = sizeof name.it; \
  name.guard = POISON
#define INTACT(name) check(name.guard == POISON, #name " ends where struct_size says")

/* An input from the future: refused while it uses what this plugin cannot know, else taken. */
#ifdef NEWER
#define TRY(name, call)                                                         \
  do {                                                                          \
    pellucid_error *told = NULL;                                                \
    name.it.from_the_future = 1;                                                \
    check((call) == PELLUCID_E_ABI, #name " with an unknown field is refused"); \
    error = NULL;                                                               \
    check(told == NULL, "no stray error");                                      \
    name.it.from_the_future = 0;                                                \
    must((call), &error, #call);                                                \
    INTACT(name);                                                               \
  } while (0)
#define KEEPS(name) check(name.it.from_the_future == 42, #name ": an unknown output is left alone")
#define MARK(name) name.it.from_the_future = 42
#else
#define TRY(name, call)          \
  do {                           \
    must((call), &error, #call); \
    INTACT(name);                \
  } while (0)
#define KEEPS(name) (void)0
#define MARK(name) (void)0
#endif

static void fill(pellucid_array *array, const void *data, int32_t dtype, int64_t item, int64_t ny,
                 int64_t nx) {
  array->data = data;
  array->dtype = dtype;
  array->ndim = 2;
  array->shape[0] = ny;
  array->shape[1] = nx;
  array->stride[0] = nx * item;
  array->stride[1] = item;
}

static int32_t pix2sky(void *ctx, size_t n, const double *xy, double *radec) {
  size_t k;
  (void)ctx;
  for (k = 0; k < n; ++k) {
    radec[2 * k] = 150.0 - (xy[2 * k] - 3.5) * 0.06 / 3600.0;
    radec[2 * k + 1] = (xy[2 * k + 1] - 3.5) * 0.06 / 3600.0;
  }
  return 0;
}

static int32_t eval(void *ctx, int32_t band, double x, double y, float *out) {
  (void)ctx;
  (void)band;
  (void)x;
  (void)y;
  out[0] = 1.0f;
  return 0;
}

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  pellucid_engine *engine = NULL;
  pellucid_wcs *wcs = NULL;
  pellucid_psf *psf = NULL;
  pellucid_exposure *exposure = NULL;
  pellucid_job *job = NULL;
  pellucid_result *result = NULL;
  pellucid_error *error = NULL;
  const pellucid_predict_ext *ext;
  float pixels[DETECTOR * DETECTOR], scene[SIDE * SIDE];
  char config[4096];
  size_t n, k;
  void *library, *symbol;
  GUARDED(pellucid_host, host);
  GUARDED(pellucid_device, device);
  GUARDED(pellucid_mem, memory);
  GUARDED(pellucid_wcs_callback, sky);
  GUARDED(pellucid_psf_callback, blur);
  GUARDED(pellucid_array, image);
  GUARDED(pellucid_array, model);
  GUARDED(pellucid_array, out);
  GUARDED(pellucid_exposure_desc, exposed);
  GUARDED(pellucid_job_desc, wanted);
  GUARDED(pellucid_progress, progress);

  if (argc != 4 || (library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return 2;
  symbol = dlsym(library, PELLUCID_GET_API);
  memcpy(&get_api, &symbol, sizeof get_api);
  if (symbol == NULL || (api = get_api(PELLUCID_ABI, NULL)) == NULL) return 2;
#if defined(OLDER)
  check(api->minor > PELLUCID_ABI_MINOR && api->struct_size > sizeof *api, "the plugin is newer");
#elif defined(NEWER)
  check(api->minor < PELLUCID_ABI_MINOR && api->struct_size < sizeof *api, "the plugin is older");
  check(!PELLUCID_HAS(api, from_the_future), "a slot beyond the table is absent");
  check(PELLUCID_HAS(api, psf_from_grid), "the last slot of the table is there");
#else
  check(api->minor == PELLUCID_ABI_MINOR && api->struct_size == sizeof *api, "the same age");
#endif
  check(PELLUCID_HAS(api, result_release), "slots of minor 0 are there");

  n = 1;
  MARK(device);
  must(api->devices(&device.it, &n, &error), &error, "devices");
  check(n >= 1 && device.it.kind == PELLUCID_DEVICE_CPU, "the CPU is a device");
  KEEPS(device);
  INTACT(device);
  sprintf(config, "{\"device\": \"cpu\", \"threads\": 1, \"model_dirs\": [\"%.3000s\"]}", argv[3]);
  TRY(host, api->engine_create(config, &host.it, &engine, &error));
  MARK(memory);
  must(api->engine_memory(engine, &memory.it, &error), &error, "engine_memory");
  KEEPS(memory);
  INTACT(memory);

  sky.it.pix2sky = pix2sky;
  sky.it.ny = sky.it.nx = DETECTOR;
  sky.it.margin = 4;
  TRY(sky, api->wcs_from_callback(engine, &sky.it, &wcs, &error));
  blur.it.ny = blur.it.nx = blur.it.oversample = 1;
  blur.it.eval = eval;
  TRY(blur, api->psf_from_callback(engine, &blur.it, &psf, &error));
  api->psf_release(psf);
  pixels[0] = 1.0f;
  fill(&image.it, pixels, PELLUCID_F32, sizeof *pixels, 1, 1);
  TRY(image, api->psf_from_array(engine, &image.it, 1, 0, &psf, &error));

  for (k = 0; k < DETECTOR * DETECTOR; ++k) pixels[k] = 1.0f;
  fill(&image.it, pixels, PELLUCID_F32, sizeof *pixels, DETECTOR, DETECTOR);
  exposed.it.id = "one";
  exposed.it.err_kind = PELLUCID_ERR_SIGMA;
  exposed.it.sci = exposed.it.err = &image.it;
  exposed.it.wcs = wcs;
  exposed.it.psf = psf;
  TRY(exposed, api->exposure_create(engine, &exposed.it, &exposure, &error));

  ext = (const pellucid_predict_ext *)api->get_extension(PELLUCID_EXT_PREDICT);
  check(ext != NULL, "the extension is there");
  for (k = 0; k < SIDE * SIDE; ++k) scene[k] = 2.0f;
  fill(&model.it, scene, PELLUCID_F32, sizeof *scene, SIDE, SIDE);
  MARK(out);
  TRY(model, ext->predict(engine, &exposure, 1, 150.0, 0.0, 0.03, &model.it, &out.it, &error));
  check(*(const float *)out.it.data > 1.99f && *(const float *)out.it.data < 2.01f, "A x");
  KEEPS(out);
  INTACT(out);
  out.it.release(&out.it);

  wanted.it.exposures = &exposure;
  wanted.it.n_exposures = 1;
  wanted.it.ra = 150.0;
  wanted.it.pixscale = 0.03;
  wanted.it.out_ny = wanted.it.out_nx = SIDE;
  wanted.it.n_samples = 2;
  wanted.it.prior = argv[2];
  MARK(memory);
  TRY(wanted, api->job_estimate(engine, &wanted.it, &memory.it, &error));
  KEEPS(memory);
  TRY(wanted, api->job_submit(engine, &wanted.it, &job, &error));
  must(api->job_wait(job, -1, &error), &error, "job_wait");
  MARK(progress);
  must(api->job_poll(job, &progress.it, &error), &error, "job_poll");
  check(progress.it.state == PELLUCID_JOB_DONE, "the job is done");
  KEEPS(progress);
  INTACT(progress);
  must(api->job_result(job, &result, &error), &error, "job_result");
  must(api->result_samples(result, 0, -1, &out.it, &error), &error, "result_samples");
  check(out.it.ndim == 4 && out.it.shape[0] == 2 && out.it.shape[3] == SIDE, "the samples");
  KEEPS(out);
  INTACT(out);
  out.it.release(&out.it);
  INTACT(out);

  api->result_release(result);
  api->job_release(job);
  api->exposure_release(exposure);
  api->psf_release(psf);
  api->wcs_release(wcs);
  api->engine_release(engine);
  printf("ok\n");
  return 0;
}
