#include "posterior.h"

#include <math.h>
#include <string.h>

#include "array.h"
#include "failure.h"
#include "json.h"
#include "quality.h"

static cpl_error_code check(const session *session, pellucid_status status, pellucid_error **error,
                            const char *call) {
  return engine_check(&session->engine, status, error, call);
}

/* A copy of the last two axes of an array of the engine's, the others being at `i` (and 0). */
static cpl_image *image_of(const pellucid_array *array, int64_t i) {
  const int y_axis = array->ndim - 2, x_axis = array->ndim - 1;
  const int64_t ny = array->shape[y_axis], nx = array->shape[x_axis];
  const char *plane = (const char *)array->data + (array->ndim > 2 ? i * array->stride[0] : 0);
  float *pixels = cpl_malloc((size_t)(nx * ny) * sizeof *pixels);
  int64_t x, y;
  for (y = 0; y < ny; ++y) {
    for (x = 0; x < nx; ++x) {
      memcpy(&pixels[y * nx + x], plane + y * array->stride[y_axis] + x * array->stride[x_axis], sizeof *pixels);
    }
  }
  return cpl_image_wrap_float((cpl_size)nx, (cpl_size)ny, pixels);
}

static double sum_of(const cpl_image *image) {
  const float *pixels = cpl_image_get_data_float_const(image);
  const cpl_size n = cpl_image_get_size_x(image) * cpl_image_get_size_y(image);
  double sum = 0.0;
  cpl_size k;
  for (k = 0; k < n; ++k) sum += pixels[k];
  return sum;
}

static cpl_error_code collect_samples(posterior *posterior, const session *session) {
  const double scale = session->grid.pixel_scale_arcsec / sky_pixel_scale_arcsec(&session->stamps[0].chip->wcs);
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  int64_t k;
  TRY(check(session, session->engine.api->result_samples(session->result, 0, -1, &array, &error), &error,
            "result_samples"));
  posterior->samples = cpl_imagelist_new();
  posterior->fluxes = cpl_malloc((size_t)array.shape[0] * sizeof *posterior->fluxes);
  for (k = 0; k < array.shape[0]; ++k) {
    cpl_image *image = image_of(&array, k);
    posterior->fluxes[k] = sum_of(image) * scale * scale;
    cpl_imagelist_set(posterior->samples, image, (cpl_size)k);
  }
  array_release(&array);
  return CPL_ERROR_NONE;
}

static cpl_error_code statistic(const session *session, const char *name, cpl_image **image) {
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  TRY(check(session, session->engine.api->result_stat(session->result, name, &array, &error), &error, name));
  *image = image_of(&array, 0);
  array_release(&array);
  return CPL_ERROR_NONE;
}

/* With a single sample there is no spread, but still a product worth writing. */
static cpl_image *blank_like(const cpl_image *image) {
  cpl_image *blank = cpl_image_duplicate(image);
  float *pixels = cpl_image_get_data_float(blank);
  const cpl_size n = cpl_image_get_size_x(image) * cpl_image_get_size_y(image);
  cpl_size k;
  for (k = 0; k < n; ++k) pixels[k] = NAN;
  return blank;
}

static cpl_error_code collect_statistics(posterior *posterior, const session *session, size_t alive) {
  const double q[2] = {16.0, 84.0};
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  TRY(statistic(session, "mean", &posterior->stats[STAT_MEAN]));
  TRY(statistic(session, "median", &posterior->stats[STAT_MEDIAN]));
  if (alive > 1) {
    TRY(statistic(session, "std", &posterior->stats[STAT_STD]));
  } else {
    posterior->stats[STAT_STD] = blank_like(posterior->stats[STAT_MEAN]);
  }
  TRY(check(session, session->engine.api->result_percentiles(session->result, q, 2, &array, &error), &error,
            "result_percentiles"));
  posterior->stats[STAT_P16] = image_of(&array, 0);
  posterior->stats[STAT_P84] = image_of(&array, 1);
  array_release(&array);
  return CPL_ERROR_NONE;
}

/* Values where the pixel was used, NaN elsewhere. */
static cpl_image *used(const double *values, const cpl_image *residual) {
  cpl_image *image = cpl_image_duplicate(residual);
  float *pixels = cpl_image_get_data_float(image);
  const cpl_size n = cpl_image_get_size_x(image) * cpl_image_get_size_y(image);
  cpl_size k;
  for (k = 0; k < n; ++k) {
    if (!isnan(pixels[k])) pixels[k] = (float)values[k];
  }
  return image;
}

static cpl_error_code collect_fit(cpl_image *fit[N_FITS], const session *session, size_t k) {
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  TRY(check(session, session->engine.api->result_residuals(session->result, -1, k, &array, &error), &error,
            "result_residuals"));
  fit[FIT_RESIDUAL] = image_of(&array, 0);
  fit[FIT_DATA] = used(session->stamps[k].pixels, fit[FIT_RESIDUAL]);
  fit[FIT_SIGMA] = used(session->stamps[k].sigma, fit[FIT_RESIDUAL]);
  array_release(&array);
  return CPL_ERROR_NONE;
}

/* A x of the mean. */
static cpl_error_code collect_models(posterior *posterior, const session *session) {
  const model_grid *grid = &session->grid;
  const pellucid_array mean = array_lend(cpl_image_get_data_float_const(posterior->stats[STAT_MEAN]),
                                         PELLUCID_F32, sizeof(float), grid->ny, grid->nx);
  pellucid_array *models = cpl_malloc(session->n * sizeof *models);
  pellucid_error *error = NULL;
  cpl_error_code code;
  size_t k;
  for (k = 0; k < session->n; ++k) models[k] = array_empty();
  code = check(session,
               session->engine.predict->predict(session->engine.handle, session->exposures, session->n,
                                                grid->centre.ra_deg, grid->centre.dec_deg,
                                                grid->pixel_scale_arcsec, &mean, models, &error),
               &error, "predict");
  for (k = 0; k < session->n; ++k) {
    if (code == CPL_ERROR_NONE) posterior->fits[k][FIT_MODEL] = image_of(&models[k], 0);
    array_release(&models[k]);
  }
  cpl_free(models);
  return code;
}

/* Says which samples failed; an error if all did. */
static cpl_error_code report_failures(const session *session, const char *diagnostics) {
  const char *errors = json_get(diagnostics, "sample_errors");
  const size_t n = json_length(errors);
  size_t k;
  for (k = 0; k < n; ++k) {
    char *why = json_text(json_item(errors, k));
    if (why != NULL) cpl_msg_warning(cpl_func, "sample %d failed: %s", (int)k, why);
    cpl_free(why);
  }
  if (quality_failed(diagnostics) < (size_t)session->chosen.n_samples) return CPL_ERROR_NONE;
  return FAIL(CPL_ERROR_ILLEGAL_OUTPUT, "all %d samples failed", session->chosen.n_samples);
}

/* The engine's cards of eight-letter keywords hold the grid's WCS. */
static cpl_error_code collect_grid(posterior *posterior, const session *session) {
  pellucid_error *error = NULL;
  const char *cards = NULL;
  size_t length = 0;
  TRY(check(session, session->engine.api->result_header(session->result, &cards, &length, &error), &error,
            "result_header"));
  posterior->grid = cpl_propertylist_new();
  header_append_wcs(posterior->grid, cards);
  return CPL_ERROR_NONE;
}

cpl_error_code posterior_collect(posterior *posterior, const session *session) {
  const size_t n = (size_t)session->chosen.n_samples;
  pellucid_error *error = NULL;
  size_t k;
  TRY(check(session, session->engine.api->result_diagnostics(session->result, &posterior->diagnostics, &error),
            &error, "result_diagnostics"));
  TRY(report_failures(session, posterior->diagnostics));
  TRY(collect_samples(posterior, session));
  TRY(collect_statistics(posterior, session, n - quality_failed(posterior->diagnostics)));
  posterior->fits = cpl_calloc(session->n, sizeof *posterior->fits);
  for (k = 0; k < session->n; ++k) TRY(collect_fit(posterior->fits[k], session, k));
  TRY(collect_models(posterior, session));
  return collect_grid(posterior, session);
}

void posterior_free(posterior *posterior, const session *session) {
  size_t k;
  int i;
  for (k = 0; posterior->fits != NULL && k < session->n; ++k) {
    for (i = 0; i < N_FITS; ++i) cpl_image_delete(posterior->fits[k][i]);
  }
  for (i = 0; i < N_STATS; ++i) cpl_image_delete(posterior->stats[i]);
  cpl_imagelist_delete(posterior->samples);
  cpl_propertylist_delete(posterior->grid);
  cpl_free(posterior->fits);
  cpl_free(posterior->fluxes);
  memset(posterior, 0, sizeof *posterior);
}
