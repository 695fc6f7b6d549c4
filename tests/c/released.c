/* A host with a defect: it reads samples after their release. Memory checkers must see it, which
 * shows that they look at the plugin's memory at all. released LIBRARY (the stub engine) */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <pellucid/pellucid.h>

static int32_t pix2sky(void *ctx, size_t n, const double *xy, double *radec) {
  size_t k;
  (void)ctx;
  for (k = 0; k < 2 * n; ++k) radec[k] = 10.0 + xy[k] / 36000.0;
  return 0;
}

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  const pellucid_api *api;
  pellucid_engine *engine = NULL;
  pellucid_wcs_callback sky;
  pellucid_wcs *wcs = NULL;
  pellucid_psf *psf = NULL;
  pellucid_exposure_desc seen;
  pellucid_exposure *exposure = NULL;
  pellucid_job_desc wanted;
  pellucid_job *job = NULL;
  pellucid_result *result = NULL;
  pellucid_array image, out;
  const float one = 1.0f;
  volatile const float *late;
  void *library, *symbol;
  if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return 2;
  symbol = dlsym(library, PELLUCID_GET_API);
  memcpy(&get_api, &symbol, sizeof get_api);
  if (symbol == NULL || (api = get_api(PELLUCID_ABI, NULL)) == NULL) return 2;
  memset(&sky, 0, sizeof sky);
  memset(&image, 0, sizeof image);
  memset(&seen, 0, sizeof seen);
  memset(&wanted, 0, sizeof wanted);
  memset(&out, 0, sizeof out);
  sky.struct_size = sizeof sky;
  image.struct_size = sizeof image;
  seen.struct_size = sizeof seen;
  wanted.struct_size = sizeof wanted;
  out.struct_size = sizeof out;
  sky.pix2sky = pix2sky;
  sky.ny = sky.nx = 8;
  image.data = &one; /* strides 0: one value for all */
  image.dtype = PELLUCID_F32;
  image.ndim = 2;
  image.shape[0] = image.shape[1] = 1;
  if (api->engine_create(NULL, NULL, &engine, NULL) != PELLUCID_OK) return 3;
  if (api->wcs_from_callback(engine, &sky, &wcs, NULL) != PELLUCID_OK) return 4;
  if (api->psf_from_array(engine, &image, 1, 0, &psf, NULL) != PELLUCID_OK) return 5;
  image.shape[0] = image.shape[1] = 8;
  seen.id = "one";
  seen.err_kind = PELLUCID_ERR_SIGMA;
  seen.sci = seen.err = &image;
  seen.wcs = wcs;
  seen.psf = psf;
  if (api->exposure_create(engine, &seen, &exposure, NULL) != PELLUCID_OK) return 6;
  wanted.exposures = &exposure;
  wanted.n_exposures = 1;
  wanted.ra = wanted.dec = 10.0;
  wanted.pixscale = 0.1;
  wanted.out_ny = wanted.out_nx = 8;
  wanted.n_samples = 1;
  wanted.prior = "stub";
  if (api->job_submit(engine, &wanted, &job, NULL) != PELLUCID_OK) return 7;
  if (api->job_wait(job, -1, NULL) != PELLUCID_OK) return 8;
  if (api->job_result(job, &result, NULL) != PELLUCID_OK) return 9;
  /* The worker holds the samples a moment longer than the job lasts: it is joined here, so that the
   * release below is the last. */
  api->job_release(job);
  api->exposure_release(exposure);
  api->psf_release(psf);
  api->wcs_release(wcs);
  api->engine_release(engine);
  if (api->result_samples(result, 0, -1, &out, NULL) != PELLUCID_OK) return 10;
  late = (const float *)out.data;
  api->result_release(result);
  printf("alive: %g\n", (double)late[3]); /* the array holds it */
  out.release(&out);
  printf("dead: %g\n", (double)late[3]);
  fflush(stdout);
  return 0;
}
