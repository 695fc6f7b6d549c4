#include "product.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "failure.h"
#include "json.h"
#include "quality.h"
#include "tables.h"

#define PIPELINE "pellucid/" PELLUCID_VERSION
#define UNIT "electron/s"

/* What all products of a session share. */
typedef struct {
  const session *session;
  cpl_frameset *frames;
  const cpl_parameterlist *parameters;
  const char *diagnostics;
  cpl_propertylist *common; /* quality and provenance */
  cpl_propertylist *grid;   /* WCS of the model grid */
} product_set;

static cpl_error_code check(const session *session, pellucid_status status, pellucid_error *error,
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

static cpl_error_code all_samples(const session *session, cpl_imagelist **cube) {
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  int64_t k;
  TRY(check(session, session->engine.api->result_samples(session->result, 0, -1, &array, &error), error,
            "result_samples"));
  *cube = cpl_imagelist_new();
  for (k = 0; k < array.shape[0]; ++k) cpl_imagelist_set(*cube, image_of(&array, k), (cpl_size)k);
  array_release(&array);
  return CPL_ERROR_NONE;
}

static cpl_error_code statistic(const session *session, const char *name, cpl_image **image) {
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  TRY(check(session, session->engine.api->result_stat(session->result, name, &array, &error), error, name));
  *image = image_of(&array, 0);
  array_release(&array);
  return CPL_ERROR_NONE;
}

static cpl_error_code percentile(const session *session, double q, cpl_image **image) {
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  TRY(check(session, session->engine.api->result_percentiles(session->result, &q, 1, &array, &error), error,
            "result_percentiles"));
  *image = image_of(&array, 0);
  array_release(&array);
  return CPL_ERROR_NONE;
}

static void set_text(cpl_propertylist *list, const char *key, const char *value, const char *comment) {
  cpl_propertylist_update_string(list, key, value);
  cpl_propertylist_set_comment(list, key, comment);
}

static double sum_of(const cpl_image *image) {
  const float *pixels = cpl_image_get_data_float_const(image);
  const cpl_size n = cpl_image_get_size_x(image) * cpl_image_get_size_y(image);
  double sum = 0.0;
  cpl_size k;
  for (k = 0; k < n; ++k) sum += pixels[k];
  return sum;
}

/* The engine's cards of eight-letter keywords hold the grid's WCS; the provenance goes into a table. */
static cpl_error_code read_grid(const session *session, cpl_propertylist *grid) {
  pellucid_error *error = NULL;
  const char *cards = NULL;
  size_t length = 0;
  TRY(check(session, session->engine.api->result_header(session->result, &cards, &length, &error), error,
            "result_header"));
  header_append_wcs(grid, cards);
  return CPL_ERROR_NONE;
}

static void describe(product_set *set, const cpl_imagelist *cube) {
  const session *session = set->session;
  const double scale = session->grid.pixel_scale_arcsec / sky_pixel_scale_arcsec(&session->stamps[0].chip->wcs);
  const cpl_size n = cpl_imagelist_get_size(cube);
  const char *record = json_get(set->diagnostics, "provenance");
  double *fluxes = cpl_malloc((size_t)n * sizeof *fluxes);
  char *device = json_text(json_get(record, "device"));
  char *hash = json_text(json_get(json_get(record, "prior"), "sha256"));
  char seed[16];
  cpl_size k;
  for (k = 0; k < n; ++k) fluxes[k] = sum_of(cpl_imagelist_get_const(cube, k)) * scale * scale;
  quality_append(set->common, session, set->diagnostics, fluxes);
  set_text(set->common, "PLUGIN", session->engine.api->version_string(), "engine");
  set_text(set->common, "PRIOR", session->prior, "prior");
  if (hash != NULL) set_text(set->common, "PRIORSHA", hash, "SHA-256");
  set_text(set->common, "NOISE", session->noise, "noise model");
  snprintf(seed, sizeof seed, "%d", session->chosen.seed);
  set_text(set->common, "SEED", seed, "seed of the samples");
  set_text(set->common, "DEVICE", device != NULL ? device : session->chosen.device, "where the sampler ran");
  cpl_free(fluxes);
  cpl_free(device);
  cpl_free(hash);
}

/* The header of a product on the model grid. */
static cpl_propertylist *header_of(const product_set *set, const char *category, int on_grid) {
  cpl_propertylist *list = cpl_propertylist_duplicate(set->common);
  set_text(list, CPL_DFS_PRO_CATG, category, "category of the product");
  if (!on_grid) return list;
  cpl_propertylist_update_bool(list, CPL_DFS_PRO_SCIENCE, 1);
  set_text(list, "BUNIT", UNIT, "per detector pixel");
  cpl_propertylist_append(list, set->grid);
  return list;
}

static cpl_error_code save_image(const product_set *set, const cpl_image *image, const char *category,
                                 const char *file) {
  cpl_propertylist *list = header_of(set, category, 1);
  cpl_dfs_save_image(set->frames, NULL, set->parameters, set->session->frames.used, NULL, image, CPL_TYPE_FLOAT,
                     RECIPE, list, NULL, PIPELINE, file);
  cpl_propertylist_delete(list);
  return cpl_error_get_code();
}

static cpl_error_code save_cube(const product_set *set, const cpl_imagelist *cube) {
  cpl_propertylist *list = header_of(set, "POSTERIOR_SAMPLES", 1);
  cpl_propertylist_update_long_long(list, "WCSAXES", 3);
  set_text(list, "CTYPE3", "SAMPLE", "number of the sample, from 0");
  cpl_propertylist_append_double(list, "CRPIX3", 1.0);
  cpl_propertylist_append_double(list, "CRVAL3", 0.0);
  cpl_propertylist_append_double(list, "CD3_3", 1.0);
  cpl_dfs_save_imagelist(set->frames, NULL, set->parameters, set->session->frames.used, NULL, cube,
                         CPL_TYPE_FLOAT, RECIPE, list, NULL, PIPELINE, RECIPE "_samples.fits");
  cpl_propertylist_delete(list);
  return cpl_error_get_code();
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

static cpl_error_code save_statistics(const product_set *set, const cpl_image *mean, size_t alive) {
  const session *session = set->session;
  cpl_image *images[4] = {NULL, NULL, NULL, NULL};
  static const char *const names[4][2] = {{"POSTERIOR_MEDIAN", RECIPE "_median.fits"},
                                          {"POSTERIOR_STD", RECIPE "_std.fits"},
                                          {"POSTERIOR_P16", RECIPE "_p16.fits"},
                                          {"POSTERIOR_P84", RECIPE "_p84.fits"}};
  cpl_error_code code = statistic(session, "median", &images[0]);
  int k;
  if (code == CPL_ERROR_NONE && alive > 1) code = statistic(session, "std", &images[1]);
  if (code == CPL_ERROR_NONE && alive == 1) images[1] = blank_like(mean);
  if (code == CPL_ERROR_NONE) code = percentile(session, 16.0, &images[2]);
  if (code == CPL_ERROR_NONE) code = percentile(session, 84.0, &images[3]);
  if (code == CPL_ERROR_NONE) code = save_image(set, mean, "POSTERIOR_MEAN", RECIPE "_mean.fits");
  for (k = 0; k < 4; ++k) {
    if (code == CPL_ERROR_NONE) code = save_image(set, images[k], names[k][0], names[k][1]);
    cpl_image_delete(images[k]);
  }
  return code;
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

/* An exposure's data, noise, model and residual, one extension each, in the frame of its detector. */
static cpl_error_code save_exposure(const product_set *set, size_t k, const pellucid_array *prediction) {
  static const char *const names[4] = {"DATA", "SIGMA", "MODEL", "RESIDUAL"};
  const exposure_stamp *stamp = &set->session->stamps[k];
  pellucid_array array = array_empty();
  pellucid_error *error = NULL;
  cpl_propertylist *list;
  cpl_image *images[4];
  char *header, *file;
  int e;
  TRY(check(set->session, set->session->engine.api->result_residuals(set->session->result, -1, k, &array, &error),
            error, "result_residuals"));
  images[3] = image_of(&array, 0);
  array_release(&array);
  images[0] = used(stamp->pixels, images[3]);
  images[1] = used(stamp->sigma, images[3]);
  images[2] = image_of(prediction, 0);
  file = cpl_sprintf(RECIPE "_exposure_%d.fits", (int)k + 1);
  list = header_of(set, "EXPOSURE_FIT", 0);
  cpl_propertylist_append_int(list, "EXPOSURE", (int)k + 1);
  cpl_dfs_save_propertylist(set->frames, NULL, set->parameters, set->session->frames.used, NULL, RECIPE, list,
                            NULL, PIPELINE, file);
  cpl_propertylist_empty(list);
  header = header_shifted(stamp->chip->header, stamp->region.x0, stamp->region.y0);
  set_text(list, "BUNIT", UNIT, "per pixel");
  header_append_wcs(list, header);
  set_text(list, "EXPID", stamp->id, "");
  cpl_propertylist_append_long(list, "STAMPX0", stamp->region.x0);
  cpl_propertylist_set_comment(list, "STAMPX0", "first column on the chip, 0-based");
  cpl_propertylist_append_long(list, "STAMPY0", stamp->region.y0);
  cpl_propertylist_set_comment(list, "STAMPY0", "first row on the chip, 0-based");
  for (e = 0; e < 4; ++e) {
    set_text(list, "EXTNAME", names[e], "");
    if (cpl_error_get_code() == CPL_ERROR_NONE) {
      cpl_image_save(images[e], file, CPL_TYPE_FLOAT, list, CPL_IO_EXTEND);
    }
    cpl_image_delete(images[e]);
  }
  cpl_propertylist_delete(list);
  cpl_free(header);
  cpl_free(file);
  return cpl_error_get_code();
}

static cpl_error_code save_exposures(const product_set *set, const cpl_image *mean) {
  const session *session = set->session;
  const model_grid *grid = &session->grid;
  const pellucid_array model =
      array_lend(cpl_image_get_data_float_const(mean), PELLUCID_F32, sizeof(float), grid->ny, grid->nx);
  pellucid_array *predictions = cpl_malloc(session->n * sizeof *predictions);
  pellucid_error *error = NULL;
  cpl_error_code code;
  size_t k;
  for (k = 0; k < session->n; ++k) predictions[k] = array_empty();
  code = check(session,
               session->engine.predict->predict(session->engine.handle, session->exposures, session->n,
                                                grid->centre.ra_deg, grid->centre.dec_deg,
                                                grid->pixel_scale_arcsec, &model, predictions, &error),
               error, "predict");
  for (k = 0; k < session->n; ++k) {
    if (code == CPL_ERROR_NONE) code = save_exposure(set, k, &predictions[k]);
    array_release(&predictions[k]);
  }
  cpl_free(predictions);
  return code;
}

static cpl_error_code save_tables(const product_set *set) {
  static const char *const names[3] = {"DIAGNOSTICS", "EXPOSURES", "PROVENANCE"};
  cpl_table *const tables[3] = {tables_diagnostics(set->session, set->diagnostics),
                                tables_exposures(set->session, set->diagnostics),
                                tables_provenance(set->session, set->diagnostics)};
  cpl_propertylist *list = header_of(set, "DIAGNOSTICS", 0), *extension = cpl_propertylist_new();
  const char *file = RECIPE "_diagnostics.fits";
  int k;
  set_text(extension, "EXTNAME", names[0], "");
  cpl_dfs_save_table(set->frames, NULL, set->parameters, set->session->frames.used, NULL, tables[0], extension,
                     RECIPE, list, NULL, PIPELINE, file);
  for (k = 1; k < 3; ++k) {
    set_text(extension, "EXTNAME", names[k], "");
    if (cpl_error_get_code() == CPL_ERROR_NONE) cpl_table_save(tables[k], NULL, extension, file, CPL_IO_EXTEND);
  }
  for (k = 0; k < 3; ++k) cpl_table_delete(tables[k]);
  cpl_propertylist_delete(extension);
  cpl_propertylist_delete(list);
  return cpl_error_get_code();
}

static cpl_error_code save_all(product_set *set, const cpl_imagelist *cube) {
  const size_t failed = quality_failed(set->diagnostics), n = (size_t)set->session->chosen.n_samples;
  cpl_image *mean = NULL;
  cpl_error_code code;
  TRY(read_grid(set->session, set->grid));
  describe(set, cube);
  TRY(statistic(set->session, "mean", &mean));
  code = save_cube(set, cube);
  if (code == CPL_ERROR_NONE) code = save_statistics(set, mean, n - failed);
  if (code == CPL_ERROR_NONE) code = save_exposures(set, mean);
  if (code == CPL_ERROR_NONE) code = save_tables(set);
  cpl_image_delete(mean);
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

/* Removes what was written before a failure. */
static void withdraw(cpl_frameset *frames) {
  cpl_size k = cpl_frameset_get_size(frames);
  while (k-- > 0) {
    cpl_frame *frame = cpl_frameset_get_position(frames, k);
    if (cpl_frame_get_group(frame) != CPL_FRAME_GROUP_PRODUCT) continue;
    remove(cpl_frame_get_filename(frame));
    cpl_frameset_erase_frame(frames, frame);
  }
}

cpl_error_code product_save(const session *session, cpl_frameset *frames, const cpl_parameterlist *parameters) {
  product_set set;
  cpl_imagelist *cube = NULL;
  cpl_error_code code;
  memset(&set, 0, sizeof set);
  set.session = session;
  set.frames = frames;
  set.parameters = parameters;
  TRY(quality_diagnostics(session, &set.diagnostics));
  TRY(report_failures(session, set.diagnostics));
  TRY(all_samples(session, &cube));
  set.common = cpl_propertylist_new();
  set.grid = cpl_propertylist_new();
  code = save_all(&set, cube);
  if (code != CPL_ERROR_NONE) withdraw(frames);
  cpl_propertylist_delete(set.common);
  cpl_propertylist_delete(set.grid);
  cpl_imagelist_delete(cube);
  return code;
}
