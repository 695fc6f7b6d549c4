#include "tables.h"

#include <string.h>

#include "json.h"
#include "quality.h"

static void set_hash(cpl_table *table, const char *column, size_t row, const char *value) {
  char *text = json_text(value);
  if (text != NULL) cpl_table_set_string(table, column, (cpl_size)row, text);
  cpl_free(text);
}

/* FITS tables have no missing integers but CPL's invalid ones. */
static void set_count(cpl_table *table, const char *column, size_t row, double value) {
  if (value == value) cpl_table_set_int(table, column, (cpl_size)row, (int)value);
}

cpl_table *tables_diagnostics(const session *session, const char *diagnostics) {
  static const char *const reals[3][2] = {
      {"CHI2", "chi2"}, {"WHITENESS", "whiteness"}, {"P_VALUE", "p_values"}};
  const size_t n = (size_t)session->chosen.n_samples;
  const char *errors = json_get(diagnostics, "sample_errors");
  const char *edge = json_get(diagnostics, "edge_flux_fraction");
  cpl_table *table = cpl_table_new((cpl_size)(n * session->n));
  size_t k, e, c;
  cpl_table_new_column(table, "SAMPLE", CPL_TYPE_INT);
  cpl_table_new_column(table, "EXPOSURE", CPL_TYPE_INT);
  for (c = 0; c < 3; ++c) cpl_table_new_column(table, reals[c][0], CPL_TYPE_DOUBLE);
  cpl_table_new_column(table, "DOF", CPL_TYPE_INT);
  cpl_table_new_column(table, "EDGE_FLUX", CPL_TYPE_DOUBLE);
  cpl_table_new_column(table, "FAILED", CPL_TYPE_INT);
  for (k = 0; k < n; ++k) {
    const char *error = json_item(errors, k);
    for (e = 0; e < session->n; ++e) {
      const cpl_size row = (cpl_size)(k * session->n + e);
      const char *fit = quality_fit(diagnostics, e);
      cpl_table_set_int(table, "SAMPLE", row, (int)k);
      cpl_table_set_int(table, "EXPOSURE", row, (int)e + 1);
      for (c = 0; c < 3; ++c) {
        cpl_table_set_double(table, reals[c][0], row, json_number(json_item(json_get(fit, reals[c][1]), k)));
      }
      set_count(table, "DOF", (size_t)row, json_number(json_get(fit, "dof")));
      cpl_table_set_double(table, "EDGE_FLUX", row, json_number(json_item(edge, k)));
      cpl_table_set_int(table, "FAILED", row, error != NULL && strncmp(error, "null", 4) != 0);
    }
  }
  return table;
}

cpl_table *tables_exposures(const session *session, const provenance *provenance, const char *diagnostics) {
  /* Of the files, and of what the engine was given of them. */
  static const char *const texts[8] = {"ID",  "FLAGS",      "SOURCE", "SOURCE_SHA256", "PIXELS_SHA256",
                                       "PSF", "PSF_SHA256", "KERNEL_SHA256"};
  static const char *const reals[4][2] = {{"CHI2_MEAN_REDUCED", "chi2_mean_reduced"},
                                          {"EFFECTIVE_PARAMETERS", "effective_parameters"},
                                          {"PPP", "ppp"},
                                          {"WHITENESS_SE", "whiteness_se"}};
  const char *records = json_get(json_get(diagnostics, "provenance"), "exposures");
  cpl_table *table = cpl_table_new((cpl_size)session->n);
  size_t k, c;
  for (c = 0; c < 8; ++c) cpl_table_new_column(table, texts[c], CPL_TYPE_STRING);
  cpl_table_new_column(table, "DOF", CPL_TYPE_INT);
  cpl_table_new_column(table, "CHI2_DOF", CPL_TYPE_DOUBLE);
  for (c = 0; c < 4; ++c) cpl_table_new_column(table, reals[c][0], CPL_TYPE_DOUBLE);
  cpl_table_new_column(table, "PIXEL_SCALE", CPL_TYPE_DOUBLE);
  cpl_table_set_column_unit(table, "PIXEL_SCALE", "arcsec");
  for (k = 0; k < session->n; ++k) {
    const char *fit = quality_fit(diagnostics, k), *record = json_item(records, k);
    const double dof = json_number(json_get(fit, "dof"));
    const cpl_size row = (cpl_size)k;
    char flags[MAX_FLAGS];
    quality_describe(quality_doubts(fit), flags);
    cpl_table_set_string(table, "ID", row, session->stamps[k].id);
    cpl_table_set_string(table, "FLAGS", row, flags);
    cpl_table_set_string(table, "SOURCE", row, session->files[k].file.path);
    cpl_table_set_string(table, "PSF", row, session_psf(session, k)->path);
    cpl_table_set_string(table, "SOURCE_SHA256", row, provenance->sources[k]);
    cpl_table_set_string(table, "PSF_SHA256", row, provenance->psfs[k]);
    set_hash(table, "PIXELS_SHA256", k, json_get(record, "sha256"));
    set_hash(table, "KERNEL_SHA256", k, json_get(record, "psf_sha256"));
    set_count(table, "DOF", k, dof);
    cpl_table_set_double(table, "CHI2_DOF", row, quality_quantile_of(json_get(fit, "chi2"), 0.5) / dof);
    for (c = 0; c < 4; ++c) {
      cpl_table_set_double(table, reals[c][0], row, json_number(json_get(fit, reals[c][1])));
    }
    cpl_table_set_double(table, "PIXEL_SCALE", row, sky_pixel_scale_arcsec(&session->stamps[k].chip->wcs));
  }
  return table;
}

cpl_table *tables_provenance(const session *session, const char *diagnostics) {
  static const char *const names[] = {"ENGINE", "PRIOR", "NOISE", "NOISE_CORRELATION", "OPTIONS", "RECORD"};
  const char *record = json_get(diagnostics, "provenance");
  /* With the hashes of all that the engine was given. */
  char *own = json_value_copy(record), *config = provenance_config(session);
  const char *const values[] = {session->engine.api->version_string(),
                                session->prior,
                                session->noise,
                                session->correlation.path != NULL ? session->correlation.path : "-",
                                config,
                                own};
  cpl_table *table = cpl_table_new(6);
  cpl_size k;
  cpl_table_new_column(table, "KEY", CPL_TYPE_STRING);
  cpl_table_new_column(table, "VALUE", CPL_TYPE_STRING);
  for (k = 0; k < 6; ++k) {
    cpl_table_set_string(table, "KEY", k, names[k]);
    cpl_table_set_string(table, "VALUE", k, values[k]);
  }
  cpl_free(config);
  cpl_free(own);
  return table;
}
