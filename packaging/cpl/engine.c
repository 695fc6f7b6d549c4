/* RTLD_NODELETE. */
#define _GNU_SOURCE
#include "engine.h"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "failure.h"
#include "json.h"

/* Where the engine is if neither parameter nor environment says so: where an installation keeps it beside the
 * recipe's own folder ($ORIGIN), whatever its prefix, else where the loader looks for libraries. */
#ifndef PELLUCID_ENGINE
#define PELLUCID_ENGINE "$ORIGIN/../../../" PELLUCID_SONAME
#endif

#define WAIT_MS 200
#define REPORT_S 15

static cpl_error_code code_of(pellucid_status status) {
  switch (status) {
    case PELLUCID_E_ARG:
    case PELLUCID_E_CONFIG: return CPL_ERROR_ILLEGAL_INPUT;
    case PELLUCID_E_ABI: return CPL_ERROR_INCOMPATIBLE_INPUT;
    case PELLUCID_E_MODEL: return CPL_ERROR_BAD_FILE_FORMAT;
    case PELLUCID_E_UNSUPPORTED: return CPL_ERROR_UNSUPPORTED_MODE;
    case PELLUCID_E_NUMERIC: return CPL_ERROR_ILLEGAL_OUTPUT;
    default: return CPL_ERROR_UNSPECIFIED;
  }
}

cpl_error_code engine_check(const engine *engine, pellucid_status status, pellucid_error **error,
                            const char *call) {
  const char *message = "no details given", *name;
  cpl_error_code code;
  if (status == PELLUCID_OK) return CPL_ERROR_NONE;
  name = engine->api->status_name(status);
  if (*error != NULL) message = engine->api->error_message(*error);
  /* CPL cuts its messages at 256 bytes. */
  if (strlen(message) > 150) cpl_msg_error(call, "%s: %s", name, message);
  code = FAIL(code_of(status), "%s: %s: %s", call, name, message);
  engine->api->error_release(*error);
  *error = NULL;
  return code;
}

static void forward_log(void *ctx, int32_t level, const char *target, const char *message) {
  (void)ctx;
  switch (level) {
    case PELLUCID_LOG_ERROR: cpl_msg_error(target, "%s", message); break;
    case PELLUCID_LOG_WARN: cpl_msg_warning(target, "%s", message); break;
    case PELLUCID_LOG_INFO: cpl_msg_info(target, "%s", message); break;
    default: cpl_msg_debug(target, "%s", message);
  }
}

cpl_error_code engine_load(engine *engine, const options *chosen) {
  const char *environment = getenv("PELLUCID_PLUGIN");
  const char *path = PELLUCID_ENGINE, *from = "built-in paths; set engine or PELLUCID_PLUGIN";
  pellucid_get_api_fn get_api;
  uint32_t range[2] = {0, 0};
  void *library, *symbol;
  if (chosen->engine[0] != '\0') {
    path = chosen->engine;
    from = "parameter engine";
  } else if (environment != NULL && environment[0] != '\0') {
    path = environment;
    from = "PELLUCID_PLUGIN";
  }
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == NULL && strcmp(path, PELLUCID_ENGINE) == 0) {
    cpl_msg_debug(cpl_func, "%s", dlerror());
    path = PELLUCID_SONAME;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  }
  if (library == NULL) return FAIL(CPL_ERROR_FILE_NOT_FOUND, "engine (%s): %s", from, dlerror());
  symbol = dlsym(library, PELLUCID_GET_API);
  if (symbol == NULL) {
    return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT, "engine %s: no Pellucid plugin: %s is missing", path,
                PELLUCID_GET_API);
  }
  memcpy(&get_api, &symbol, sizeof get_api);
  engine->api = get_api(PELLUCID_ABI, range);
  if (engine->api == NULL || engine->api->struct_size < sizeof *engine->api) {
    engine->api = NULL;
    return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT, "engine %s: needed ABI %u, got %u to %u", path, PELLUCID_ABI,
                range[0], range[1]);
  }
  engine->predict = engine->api->get_extension(PELLUCID_EXT_PREDICT);
  if (engine->predict == NULL || engine->predict->predict == NULL) {
    return FAIL(CPL_ERROR_UNSUPPORTED_MODE, "engine %s: needed the extension %s, which it has not", path,
                PELLUCID_EXT_PREDICT);
  }
  cpl_msg_info(cpl_func, "%s from %s", engine->api->version_string(), path);
  return CPL_ERROR_NONE;
}

/* Appends to a text, which it frees. */
static char *joined(char *text, const char *separator, char *more) {
  char *both = cpl_sprintf("%s%s%s", text, separator, more);
  cpl_free(text);
  cpl_free(more);
  return both;
}

static char *config_json(const options *chosen, const char *folder) {
  char *device = json_quote(chosen->device), *folders = cpl_strdup(""), *config;
  char *list = cpl_strdup(chosen->models), *rest = list, *each;
  while ((each = strtok_r(rest, ":", &rest)) != NULL) {
    folders = joined(folders, folders[0] != '\0' ? "," : "", json_quote(each));
  }
  if (folder != NULL) folders = joined(folders, folders[0] != '\0' ? "," : "", json_quote(folder));
  config = cpl_sprintf("{\"device\":%s,\"model_dirs\":[%s]", device, folders);
  config = joined(config, "", chosen->threads > 0 ? cpl_sprintf(",\"threads\":%d}", chosen->threads)
                                                  : cpl_strdup("}"));
  cpl_free(device);
  cpl_free(folders);
  cpl_free(list);
  return config;
}

cpl_error_code engine_start(engine *engine, const options *chosen, const char *folder) {
  char *config = config_json(chosen, folder);
  pellucid_error *error = NULL;
  pellucid_status status;
  pellucid_host host;
  memset(&host, 0, sizeof host);
  host.struct_size = sizeof host;
  host.log = forward_log;
  status = engine->api->engine_create(config, &host, &engine->handle, &error);
  cpl_free(config);
  return engine_check(engine, status, &error, "engine_create");
}

void engine_stop(engine *engine) {
  if (engine->handle != NULL) engine->api->engine_release(engine->handle);
  engine->handle = NULL;
}

/* A key of a model's entry or of its metadata. */
static const char *of_model(const char *model, const char *key) {
  const char *value = json_get(model, key);
  return value != NULL ? value : json_get(json_get(model, "metadata"), key);
}

static int is_same_file(const char *one, const char *other) {
  char *a = realpath(one, NULL), *b = realpath(other, NULL);
  const int same = a != NULL && b != NULL && strcmp(a, b) == 0;
  free(a);
  free(b);
  return same;
}

cpl_error_code engine_find_prior(const engine *engine, const char *prior, engine_prior *found) {
  const int is_file = strchr(prior, '/') != NULL;
  pellucid_error *error = NULL;
  const char *models = NULL;
  size_t k, n;
  memset(found, 0, sizeof *found);
  found->pixel_scale_arcsec = NAN;
  TRY(engine_check(engine, engine->api->list_models(engine->handle, &models, &error), &error, "list_models"));
  n = json_length(models);
  for (k = 0; k < n; ++k) {
    const char *model = json_item(models, k), *size = of_model(model, "image_size");
    char *name = json_text(json_get(model, is_file ? "path" : "name")), *unusable;
    const int same = name != NULL && (is_file ? is_same_file(name, prior) : strcmp(name, prior) == 0);
    cpl_free(name);
    if (!same) continue;
    unusable = json_text(json_get(model, "error"));
    if (unusable != NULL) {
      FAIL(CPL_ERROR_BAD_FILE_FORMAT, "prior %s: %s", prior, unusable);
      cpl_free(unusable);
      return cpl_error_get_code();
    }
    if (json_length(size) == 2) {
      found->ny = (long)json_number(json_item(size, 0));
      found->nx = (long)json_number(json_item(size, 1));
    }
    found->pixel_scale_arcsec = json_number(of_model(model, "pixel_scale_arcsec"));
    return CPL_ERROR_NONE;
  }
  if (is_file) return CPL_ERROR_NONE;
  return FAIL(CPL_ERROR_DATA_NOT_FOUND,
              "prior: needed a PRIOR frame or the name of one of the engine's %d models, got '%s'", (int)n, prior);
}

/* One line at once, then every quarter of a minute. */
static void report(const pellucid_progress *progress, int n_samples, double *next_s) {
  struct timespec now;
  double seconds;
  clock_gettime(CLOCK_MONOTONIC, &now);
  seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  if (seconds < *next_s) return;
  *next_s = seconds + REPORT_S;
  if (isfinite(progress->eta_s)) {
    cpl_msg_info("sampling", "%.0f %%, %d of %d samples, %.0f s left", 100.0 * progress->fraction,
                 (int)progress->samples_done, n_samples, progress->eta_s);
  } else {
    cpl_msg_info("sampling", "%.0f %%, %d of %d samples", 100.0 * progress->fraction,
                 (int)progress->samples_done, n_samples);
  }
}

cpl_error_code engine_wait(const engine *engine, pellucid_job *job, int n_samples) {
  pellucid_progress progress;
  pellucid_error *error = NULL;
  pellucid_status status;
  double next_s = 0.0;
  memset(&progress, 0, sizeof progress);
  progress.struct_size = sizeof progress;
  while ((status = engine->api->job_wait(job, WAIT_MS, &error)) == PELLUCID_E_TIMEOUT) {
    engine->api->error_release(error);
    error = NULL;
    TRY(engine_check(engine, engine->api->job_poll(job, &progress, &error), &error, "job_poll"));
    report(&progress, n_samples, &next_s);
  }
  return engine_check(engine, status, &error, "job_wait");
}
