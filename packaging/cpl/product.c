#include "product.h"

#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "posterior.h"
#include "provenance.h"
#include "quality.h"
#include "tables.h"

#define PIPELINE "pellucid/" PELLUCID_VERSION
#define UNIT "electron/s"

/* What all products of a session share. */
typedef struct {
  const session *session;
  const posterior *posterior;
  cpl_frameset *frames;
  const cpl_parameterlist *parameters;
  provenance provenance;
  cpl_propertylist *common; /* quality and provenance */
} product_set;

static void set_text(cpl_propertylist *list, const char *key, const char *value, const char *comment) {
  cpl_propertylist_update_string(list, key, value);
  cpl_propertylist_set_comment(list, key, comment);
}

static cpl_error_code describe(product_set *set) {
  const posterior *posterior = set->posterior;
  TRY(provenance_collect(&set->provenance, set->session));
  set->common = cpl_propertylist_new();
  quality_append(set->common, set->session, posterior->diagnostics, posterior->fluxes);
  provenance_append(&set->provenance, set->common, set->session, posterior->diagnostics);
  return cpl_error_get_code();
}

/* The header of a product. */
static cpl_propertylist *header_of(const product_set *set, const char *category, int on_grid) {
  cpl_propertylist *list = cpl_propertylist_duplicate(set->common);
  set_text(list, CPL_DFS_PRO_CATG, category, "category of the product");
  if (!on_grid) return list;
  cpl_propertylist_update_bool(list, CPL_DFS_PRO_SCIENCE, 1);
  set_text(list, "BUNIT", UNIT, "per detector pixel");
  cpl_propertylist_append(list, set->posterior->grid);
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

static cpl_error_code save_samples(const product_set *set) {
  cpl_propertylist *list = header_of(set, "POSTERIOR_SAMPLES", 1);
  cpl_propertylist_update_long_long(list, "WCSAXES", 3);
  set_text(list, "CTYPE3", "SAMPLE", "number of the sample, from 0");
  cpl_propertylist_append_double(list, "CRPIX3", 1.0);
  cpl_propertylist_append_double(list, "CRVAL3", 0.0);
  cpl_propertylist_append_double(list, "CD3_3", 1.0);
  cpl_dfs_save_imagelist(set->frames, NULL, set->parameters, set->session->frames.used, NULL,
                         set->posterior->samples, CPL_TYPE_FLOAT, RECIPE, list, NULL, PIPELINE,
                         RECIPE "_samples.fits");
  cpl_propertylist_delete(list);
  return cpl_error_get_code();
}

static cpl_error_code save_statistics(const product_set *set) {
  static const char *const names[N_STATS][2] = {{"POSTERIOR_MEAN", RECIPE "_mean.fits"},
                                                {"POSTERIOR_MEDIAN", RECIPE "_median.fits"},
                                                {"POSTERIOR_STD", RECIPE "_std.fits"},
                                                {"POSTERIOR_P16", RECIPE "_p16.fits"},
                                                {"POSTERIOR_P84", RECIPE "_p84.fits"}};
  int k;
  for (k = 0; k < N_STATS; ++k) TRY(save_image(set, set->posterior->stats[k], names[k][0], names[k][1]));
  return CPL_ERROR_NONE;
}

/* An exposure's data, noise, model and residual, one extension each, in the frame of its detector. */
static cpl_error_code save_exposure(const product_set *set, size_t k) {
  static const char *const names[N_FITS] = {"DATA", "SIGMA", "MODEL", "RESIDUAL"};
  const exposure_stamp *stamp = &set->session->stamps[k];
  char *header = header_shifted(stamp->chip->header, stamp->region.x0, stamp->region.y0);
  char *file = cpl_sprintf(RECIPE "_exposure_%d.fits", (int)k + 1);
  cpl_propertylist *list = header_of(set, "EXPOSURE_FIT", 0);
  int e;
  cpl_propertylist_append_int(list, "EXPOSURE", (int)k + 1);
  cpl_dfs_save_propertylist(set->frames, NULL, set->parameters, set->session->frames.used, NULL, RECIPE, list,
                            NULL, PIPELINE, file);
  cpl_propertylist_empty(list);
  set_text(list, "BUNIT", UNIT, "per pixel");
  header_append_wcs(list, header);
  set_text(list, "EXPID", stamp->id, "");
  cpl_propertylist_append_long(list, "STAMPX0", stamp->region.x0);
  cpl_propertylist_set_comment(list, "STAMPX0", "first column on the chip, 0-based");
  cpl_propertylist_append_long(list, "STAMPY0", stamp->region.y0);
  cpl_propertylist_set_comment(list, "STAMPY0", "first row on the chip, 0-based");
  for (e = 0; e < N_FITS && cpl_error_get_code() == CPL_ERROR_NONE; ++e) {
    set_text(list, "EXTNAME", names[e], "");
    cpl_image_save(set->posterior->fits[k][e], file, CPL_TYPE_FLOAT, list, CPL_IO_EXTEND);
  }
  cpl_propertylist_delete(list);
  cpl_free(header);
  cpl_free(file);
  return cpl_error_get_code();
}

static cpl_error_code save_tables(const product_set *set) {
  static const char *const names[3] = {"DIAGNOSTICS", "EXPOSURES", "PROVENANCE"};
  cpl_table *const tables[3] = {tables_diagnostics(set->session, set->posterior->diagnostics),
                                tables_exposures(set->session, &set->provenance, set->posterior->diagnostics),
                                tables_provenance(set->session, set->posterior->diagnostics)};
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

static cpl_error_code save_all(const product_set *set) {
  size_t k;
  TRY(save_samples(set));
  TRY(save_statistics(set));
  for (k = 0; k < set->session->n; ++k) TRY(save_exposure(set, k));
  return save_tables(set);
}

/* Completes all that was written. */
static cpl_error_code seal(const product_set *set) {
  const cpl_frameset *frames = set->frames;
  const cpl_size n = cpl_frameset_get_size(frames);
  cpl_size k;
  for (k = 0; k < n; ++k) {
    const cpl_frame *frame = cpl_frameset_get_position_const(frames, k);
    if (cpl_frame_get_group(frame) != CPL_FRAME_GROUP_PRODUCT) continue;
    TRY(provenance_seal(cpl_frame_get_filename(frame), set->session, set->posterior->diagnostics));
  }
  return CPL_ERROR_NONE;
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
  posterior posterior;
  product_set set;
  cpl_error_code code;
  memset(&posterior, 0, sizeof posterior);
  memset(&set, 0, sizeof set);
  set.session = session;
  set.posterior = &posterior;
  set.frames = frames;
  set.parameters = parameters;
  /* All of it first: a host that is killed leaves nothing behind but in the instant of writing. */
  code = posterior_collect(&posterior, session);
  if (code == CPL_ERROR_NONE) code = describe(&set);
  if (code == CPL_ERROR_NONE) {
    code = save_all(&set);
    if (code == CPL_ERROR_NONE) code = seal(&set);
    if (code != CPL_ERROR_NONE) withdraw(frames);
  }
  cpl_propertylist_delete(set.common);
  provenance_free(&set.provenance);
  posterior_free(&posterior, session);
  return code;
}
