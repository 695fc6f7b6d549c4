/* A forked child is told so by every call, at once, and its parent goes on: fork LIBRARY. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pellucid/pellucid.h>

int main(int argc, char **argv) {
  pellucid_get_api_fn get_api;
  const pellucid_api *api;
  pellucid_engine *engine = NULL, *other = NULL;
  pellucid_error *error = NULL;
  pellucid_mem memory;
  pellucid_wcs *wcs = NULL;
  pellucid_psf *psf = NULL;
  pellucid_exposure *exposure = NULL;
  pellucid_job *job = NULL;
  pellucid_result *result = NULL;
  pellucid_status codes[22];
  const char *json = NULL;
  size_t n = 0, k;
  int status = 0;
  pid_t child;
  void *library, *symbol;
  if (argc != 2 || (library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return 2;
  symbol = dlsym(library, PELLUCID_GET_API);
  memcpy(&get_api, &symbol, sizeof get_api);
  if (symbol == NULL || (api = get_api(PELLUCID_ABI, NULL)) == NULL) return 2;

  /* Before the first handle a fork is harmless: the child may use the library. */
  child = fork();
  if (child == 0) {
    _exit(api->engine_create(NULL, NULL, &engine, NULL) == PELLUCID_OK ? 0 : 1);
  }
  if (waitpid(child, &status, 0) != child || status != 0) return 3;

  if (api->engine_create(NULL, NULL, &engine, NULL) != PELLUCID_OK) return 4;
  memset(&memory, 0, sizeof memory);
  memory.struct_size = sizeof memory;
  child = fork();
  if (child == 0) {
    alarm(20);
    if (api->engine_memory(engine, &memory, &error) != PELLUCID_E_FORKED) _exit(11);
    if (api->error_code(error) != PELLUCID_E_FORKED) _exit(12);
    if (strstr(api->error_message(error), "forked") == NULL) _exit(13);
    if (strstr(api->error_json(error), "PELLUCID_E_FORKED") == NULL) _exit(14);
    api->error_release(error);
    for (k = 0; k < sizeof codes / sizeof *codes; ++k) codes[k] = PELLUCID_E_FORKED;
    k = 0;
    codes[k++] = api->list_models(engine, &json, NULL);
    codes[k++] = api->engine_create(NULL, NULL, &other, NULL);
    codes[k++] = api->devices(NULL, &n, NULL);
    codes[k++] = api->wcs_from_fits_header(engine, "END", 3, NULL, 0, &wcs, NULL);
    codes[k++] = api->wcs_from_grid(engine, NULL, 0, 0, 1, &wcs, NULL);
    codes[k++] = api->wcs_from_callback(engine, NULL, &wcs, NULL);
    codes[k++] = api->psf_from_array(engine, NULL, 1, 0, &psf, NULL);
    codes[k++] = api->psf_from_grid(engine, NULL, NULL, NULL, 1, 0, &psf, NULL);
    codes[k++] = api->psf_from_callback(engine, NULL, &psf, NULL);
    codes[k++] = api->exposure_create(engine, NULL, &exposure, NULL);
    codes[k++] = api->job_estimate(engine, NULL, &memory, NULL);
    codes[k++] = api->job_submit(engine, NULL, &job, NULL);
    codes[k++] = api->job_poll(job, NULL, NULL);
    codes[k++] = api->job_wait(job, -1, NULL);
    codes[k++] = api->job_cancel(job);
    codes[k++] = api->job_result(job, &result, NULL);
    codes[k++] = api->result_samples(result, 0, 1, NULL, NULL);
    codes[k++] = api->result_stat(result, "mean", NULL, NULL);
    codes[k++] = api->result_percentiles(result, NULL, 0, NULL, NULL);
    codes[k++] = api->result_residuals(result, 0, 0, NULL, NULL);
    codes[k++] = api->result_diagnostics(result, &json, NULL);
    codes[k++] = api->result_header(result, &json, &n, NULL);
    for (k = 0; k < sizeof codes / sizeof *codes; ++k) {
      if (codes[k] != PELLUCID_E_FORKED) _exit(20 + (int)k);
    }
    if (json != NULL || other != NULL || job != NULL) _exit(15);
    if (api->log_drain(engine, 1) != 0) _exit(16);
    api->wcs_release(wcs);
    api->psf_release(psf);
    api->exposure_release(exposure);
    api->job_release(job);
    api->result_release(result);
    api->engine_release(engine);
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child) return 5;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    fprintf(stderr, "child: status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -status);
    return 6;
  }
  if (api->engine_memory(engine, &memory, NULL) != PELLUCID_OK) return 7;
  api->engine_release(engine);
  printf("ok\n");
  return 0;
}
