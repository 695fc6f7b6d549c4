/* realpath. */
#define _XOPEN_SOURCE 700
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "failure.h"
#include "json.h"

/* By how much the model's pixel scale may be off the prior's. */
static const double SCALE_TOLERANCE = 0.01;

const kernel *session_psf(const session *session, size_t exposure) {
  return &session->psfs[session->frames.n_psfs == 1 ? 0 : exposure];
}

/* A model's file as an absolute path, so that it is never taken for a name. */
static cpl_error_code model_file(char **name, const char *frame, const char *otherwise) {
  char *path;
  if (frame == NULL) {
    *name = cpl_strdup(otherwise);
    return CPL_ERROR_NONE;
  }
  path = realpath(frame, NULL);
  if (path == NULL) return FAIL(CPL_ERROR_FILE_NOT_FOUND, "%s: no such file", frame);
  *name = cpl_strdup(path);
  free(path);
  return CPL_ERROR_NONE;
}

/* What a noise model has no use for would be ignored, and said in the products. */
static cpl_error_code refuse_unused(const session *session) {
  if (strcmp(session->noise, "gaussian") == 0) return CPL_ERROR_NONE;
  if (session->frames.noise_correlation != NULL) {
    return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT,
                "needed no NOISE_CORRELATION with noise model %s, which has its own, got %s", session->noise,
                session->frames.noise_correlation);
  }
  if (session->chosen.sweeps >= 0) {
    return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT,
                "sweeps: needed -1 with noise model %s, which samples by trajectories, got %d", session->noise,
                session->chosen.sweeps);
  }
  return CPL_ERROR_NONE;
}

static cpl_error_code read_frames(session *session) {
  const recipe_frames *frames = &session->frames;
  size_t k;
  TRY(model_file(&session->prior, frames->prior, session->chosen.prior));
  TRY(model_file(&session->noise, frames->noise_model, session->chosen.noise));
  TRY(refuse_unused(session));
  if (frames->noise_correlation != NULL) {
    TRY(kernel_read_correlation(&session->correlation, frames->noise_correlation));
  }
  session->n = frames->n_exposures;
  session->files = cpl_calloc(session->n, sizeof *session->files);
  session->stamps = cpl_calloc(session->n, sizeof *session->stamps);
  session->exposures = cpl_calloc(session->n, sizeof *session->exposures);
  session->psfs = cpl_calloc(frames->n_psfs, sizeof *session->psfs);
  for (k = 0; k < session->n; ++k) {
    TRY(exposure_open(&session->files[k], frames->exposures[k], &session->chosen));
  }
  for (k = 0; k < frames->n_psfs; ++k) {
    TRY(kernel_read_psf(&session->psfs[k], frames->psfs[k], &session->chosen));
  }
  return CPL_ERROR_NONE;
}

static cpl_error_code start_engine(session *session, engine_prior *prior) {
  char *folder = NULL, *slash;
  cpl_error_code code;
  if (session->frames.prior != NULL) {
    folder = cpl_strdup(session->prior);
    slash = strrchr(folder, '/');
    slash[slash == folder] = '\0';
  }
  code = engine_start(&session->engine, &session->chosen, folder);
  cpl_free(folder);
  TRY(code);
  return engine_find_prior(&session->engine, session->prior, prior);
}

/* The grid asked for, completed by the prior's size and scale and the exposures' centre. */
static cpl_error_code choose_grid(session *session, const engine_prior *prior) {
  model_grid *grid = &session->grid;
  const options *chosen = &session->chosen;
  sky_position *centres;
  size_t k;
  int found;
  grid->nx = chosen->size > 0 ? chosen->size : prior->nx;
  grid->ny = chosen->size > 0 ? chosen->size : prior->ny;
  grid->pixel_scale_arcsec = chosen->pixel_scale_arcsec > 0.0 ? chosen->pixel_scale_arcsec
                                                              : prior->pixel_scale_arcsec;
  grid->centre = chosen->target;
  if (grid->nx < 1 || grid->ny < 1 || !(grid->pixel_scale_arcsec > 0.0)) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                "the engine does not tell image size and pixel scale of prior %s: needed size and pixel_scale",
                session->prior);
  }
  if (chosen->has_target) return CPL_ERROR_NONE;
  centres = cpl_malloc(session->n * sizeof *centres);
  for (k = 0; k < session->n; ++k) centres[k] = exposure_centre(&session->files[k].chips[0]);
  found = sky_mean(centres, session->n, &grid->centre);
  cpl_free(centres);
  return found ? CPL_ERROR_NONE : FAIL(CPL_ERROR_DATA_NOT_FOUND, "the exposures have no common centre");
}

static cpl_error_code doubt_grid(session *session, const engine_prior *prior) {
  const model_grid *grid = &session->grid;
  const double scale = grid->pixel_scale_arcsec, trained = prior->pixel_scale_arcsec;
  double share;
  if (trained > 0.0 && fabs(scale / trained - 1.0) > SCALE_TOLERANCE) {
    session->doubts |= DOUBT_PRIOR_SCALE;
    cpl_msg_warning(cpl_func,
                    "the model's pixels are %g\", those the prior was trained at %g\": it takes galaxies for "
                    "%.3f times as large as they are",
                    scale, trained, trained / scale);
  }
  TRY(session_edge_light(session, &share));
  if (share > 0.0) {
    session->doubts |= DOUBT_EDGE_FLUX;
    cpl_msg_warning(cpl_func,
                    "the model covers %.2f\" x %.2f\" and just beyond its edge the exposures have %.0f %% of the "
                    "light within: that flux is lost. Use a larger pixel_scale or size with a prior for it, "
                    "centre it with ra and dec, or subtract the sky with sky",
                    (double)grid->nx * scale, (double)grid->ny * scale, 100.0 * share);
  }
  return CPL_ERROR_NONE;
}

static cpl_error_code make_exposure(session *session, size_t k) {
  const engine *engine = &session->engine;
  const pellucid_api *api = engine->api;
  const exposure_stamp *stamp = &session->stamps[k];
  const exposure_chip *chip = stamp->chip;
  const kernel *image = session_psf(session, k), *noise = &session->correlation;
  const long ny = stamp->region.ny, nx = stamp->region.nx;
  pellucid_array kernel = array_lend(image->pixels, PELLUCID_F64, sizeof(double), image->ny, image->nx);
  pellucid_array sci = array_lend(stamp->pixels, PELLUCID_F64, sizeof(double), ny, nx);
  pellucid_array err = array_lend(stamp->sigma, PELLUCID_F64, sizeof(double), ny, nx);
  pellucid_array dq = array_lend(stamp->quality, PELLUCID_U32, sizeof(uint32_t), ny, nx);
  pellucid_array correlation = array_lend(noise->pixels, PELLUCID_F64, sizeof(double), noise->ny, noise->nx);
  pellucid_lookup_table tables[MAX_TABLES];
  pellucid_exposure_desc desc;
  pellucid_error *error = NULL;
  pellucid_wcs *wcs = NULL;
  pellucid_psf *psf = NULL;
  char *header = header_shifted(chip->header, stamp->region.x0, stamp->region.y0);
  cpl_error_code code;
  size_t t;
  for (t = 0; t < chip->n_tables; ++t) {
    tables[t] = chip->tables[t];
    tables[t].values = &chip->table_values[t];
    tables[t].crval[0] -= (double)stamp->region.x0;
    tables[t].crval[1] -= (double)stamp->region.y0;
  }
  code = engine_check(engine,
                      api->wcs_from_fits_header(engine->handle, header, strlen(header),
                                                chip->n_tables > 0 ? tables : NULL, chip->n_tables, &wcs, &error),
                      &error, chip->label);
  cpl_free(header);
  TRY(code);
  code = engine_check(engine,
                      api->psf_from_array(engine->handle, &kernel, image->oversample,
                                          image->pixel_integrated ? PELLUCID_PSF_PIXEL_INTEGRATED : 0, &psf,
                                          &error),
                      &error, image->path);
  if (code == CPL_ERROR_NONE) {
    memset(&desc, 0, sizeof desc);
    desc.struct_size = sizeof desc;
    desc.id = stamp->id;
    desc.err_kind = PELLUCID_ERR_SIGMA;
    desc.sci = &sci;
    desc.err = &err;
    desc.dq = stamp->quality != NULL ? &dq : NULL;
    desc.dq_bad_mask = chip->bad_bits;
    desc.wcs = wcs;
    desc.psf = psf;
    desc.flux_convention = chip->flux_convention;
    desc.noise_correlation = noise->pixels != NULL ? &correlation : NULL;
    code = engine_check(engine, api->exposure_create(engine->handle, &desc, &session->exposures[k], &error),
                        &error, "exposure_create");
  }
  api->psf_release(psf);
  api->wcs_release(wcs);
  return code;
}

static int is_same_camera(const exposure_camera *a, const exposure_camera *b) {
  return strcmp(a->instrument, b->instrument) == 0 && strcmp(a->detector, b->detector) == 0 &&
         strcmp(a->filter, b->filter) == 0;
}

static exposure_camera camera_of(const session *session, size_t k) {
  return exposure_taken_by(session->stamps[k].chip->header, session->files[k].file.hdus[0].header);
}

/* Adds `"key":value` to an object under construction; value is freed. */
static void add(char **json, const char *key, char *value) {
  char *longer = cpl_sprintf("%s%s\"%s\":%s", *json, (*json)[1] != '\0' ? "," : "", key, value);
  cpl_free(value);
  cpl_free(*json);
  *json = longer;
}

/* EXPTIME of every exposure as a JSON array; NULL where one does not say. */
static char *exposure_times(const session *session) {
  char *json = cpl_strdup("[");
  size_t k;
  for (k = 0; k < session->n; ++k) {
    double seconds;
    char *longer;
    if (!header_real(session->stamps[k].chip->header, "EXPTIME", &seconds) &&
        !header_real(session->files[k].file.hdus[0].header, "EXPTIME", &seconds)) {
      cpl_free(json);
      return NULL;
    }
    longer = cpl_sprintf("%s%s%.17g", json, k > 0 ? "," : "", seconds);
    cpl_free(json);
    json = longer;
  }
  json = cpl_realloc(json, strlen(json) + 2);
  strcat(json, "]");
  return json;
}

static cpl_error_code describe_options(session *session) {
  const options *chosen = &session->chosen;
  exposure_camera camera = camera_of(session, 0);
  char **json = &session->job_options, *times;
  size_t k;
  *json = cpl_strdup("{");
  if (chosen->sampler != NULL) add(json, "sampler", json_quote(chosen->sampler));
  if (chosen->precision != NULL) add(json, "precision", json_quote(chosen->precision));
  if (chosen->steps > 0) add(json, "steps", cpl_sprintf("%d", chosen->steps));
  if (chosen->sweeps >= 0) add(json, "sweeps", cpl_sprintf("%d", chosen->sweeps));
  if (chosen->flux_scale > 0.0) add(json, "flux_scale", cpl_sprintf("%.17g", chosen->flux_scale));
  if (strcmp(session->noise, "gaussian") != 0) {
    for (k = 1; k < session->n; ++k) {
      const exposure_camera other = camera_of(session, k);
      if (is_same_camera(&camera, &other)) continue;
      if (chosen->accept_noise_mismatch) {
        session->doubts |= DOUBT_NOISE_MISMATCH;
        cpl_msg_warning(cpl_func,
                        "noise: one noise model serves %s %s %s (%s) and %s %s %s (%s) alike, as accept_noise_mismatch "
                        "says",
                        camera.instrument, camera.detector, camera.filter, session->files[0].file.path,
                        other.instrument, other.detector, other.filter, session->files[k].file.path);
        continue;
      }
      return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT,
                  "noise: one noise model serves one instrument and filter, got %s %s (%s) and %s %s (%s)",
                  camera.instrument, camera.filter, session->files[0].file.path, other.instrument, other.filter,
                  session->files[k].file.path);
    }
    if (camera.instrument[0] != '\0') add(json, "instrument", json_quote(camera.instrument));
    if (camera.detector[0] != '\0') add(json, "detector", json_quote(camera.detector));
    if (camera.filter[0] != '\0') add(json, "filter", json_quote(camera.filter));
    times = exposure_times(session);
    if (times != NULL) add(json, "exposure_times_s", times);
    if (chosen->accept_noise_mismatch) add(json, "accept_noise_mismatch", cpl_strdup("true"));
  }
  *json = cpl_realloc(*json, strlen(*json) + 2);
  strcat(*json, "}");
  return CPL_ERROR_NONE;
}

static cpl_error_code sample(session *session) {
  const engine *engine = &session->engine;
  pellucid_error *error = NULL;
  pellucid_job_desc desc;
  memset(&desc, 0, sizeof desc);
  desc.struct_size = sizeof desc;
  desc.exposures = session->exposures;
  desc.n_exposures = session->n;
  desc.ra = session->grid.centre.ra_deg;
  desc.dec = session->grid.centre.dec_deg;
  desc.pixscale = session->grid.pixel_scale_arcsec;
  desc.out_ny = (int32_t)session->grid.ny;
  desc.out_nx = (int32_t)session->grid.nx;
  desc.n_samples = session->chosen.n_samples;
  desc.seed = (uint64_t)session->chosen.seed;
  desc.prior = session->prior;
  desc.likelihood = session->noise;
  desc.options_json = session->job_options;
  TRY(engine_check(engine, engine->api->job_submit(engine->handle, &desc, &session->job, &error), &error,
                   "job_submit"));
  TRY(engine_wait(engine, session->job, session->chosen.n_samples));
  return engine_check(engine, engine->api->job_result(session->job, &session->result, &error), &error,
                      "job_result");
}

cpl_error_code session_run(session *session, cpl_frameset *frames, const cpl_parameterlist *parameters) {
  engine_prior prior;
  size_t k;
  TRY(options_read(&session->chosen, parameters));
  TRY(frames_sort(&session->frames, frames));
  TRY(read_frames(session));
  TRY(engine_load(&session->engine, &session->chosen));
  TRY(start_engine(session, &prior));
  TRY(choose_grid(session, &prior));
  TRY(doubt_grid(session, &prior));
  for (k = 0; k < session->n; ++k) {
    TRY(exposure_cut(&session->stamps[k], &session->files[k], &session->grid, &session->chosen,
                     session->correlation.sigma));
    TRY(make_exposure(session, k));
  }
  TRY(describe_options(session));
  return sample(session);
}

void session_free(session *session) {
  const pellucid_api *api = session->engine.api;
  size_t k;
  if (api != NULL) {
    api->result_release(session->result);
    api->job_release(session->job);
  }
  for (k = 0; k < session->n; ++k) {
    if (api != NULL) api->exposure_release(session->exposures[k]);
    exposure_stamp_free(&session->stamps[k]);
    exposure_close(&session->files[k]);
  }
  for (k = 0; session->psfs != NULL && k < session->frames.n_psfs; ++k) kernel_free(&session->psfs[k]);
  engine_stop(&session->engine);
  kernel_free(&session->correlation);
  cpl_free(session->psfs);
  cpl_free(session->exposures);
  cpl_free(session->stamps);
  cpl_free(session->files);
  cpl_free(session->job_options);
  cpl_free(session->noise);
  cpl_free(session->prior);
  frames_free(&session->frames);
  memset(session, 0, sizeof *session);
}
