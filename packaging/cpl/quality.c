#include "quality.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

const char *quality_fit(const char *diagnostics, size_t exposure) {
  return json_item(json_get(diagnostics, "exposures"), exposure);
}

enum { N_DOUBTS = 7 };

static const struct {
  unsigned doubt;
  const char *key, *name;
} doubts_of[N_DOUBTS] = {{DOUBT_CHI2, "chi2", "chi2"},
                  {DOUBT_WHITENESS, "whiteness", "whiteness"},
                  {DOUBT_EDGE_FLUX, "edge_flux", "edge-flux"},
                  {DOUBT_PRIOR_SCALE, "prior_scale", "prior-scale"},
                  {DOUBT_NOISE_MISMATCH, "noise_mismatch", "noise-mismatch"},
                  {DOUBT_NOISE_UNCHECKED, "noise_unchecked", "noise-unchecked"},
                  {DOUBT_EXPOSURE_TIME, "exposure_time", "exposure-time"}};

unsigned quality_doubts(const char *object) {
  const char *flags = json_get(object, "flags");
  unsigned doubts = 0;
  int k;
  for (k = 0; k < N_DOUBTS; ++k) {
    if (json_is_true(json_get(flags, doubts_of[k].key))) doubts |= doubts_of[k].doubt;
  }
  return doubts;
}

void quality_describe(unsigned doubts, char *text) {
  int k;
  text[0] = '\0';
  for (k = 0; k < N_DOUBTS; ++k) {
    if ((doubts & doubts_of[k].doubt) == 0) continue;
    if (text[0] != '\0') strcat(text, ",");
    strcat(text, doubts_of[k].name);
  }
  if (text[0] == '\0') strcpy(text, "-");
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double quality_quantile(const double *values, size_t n, double q) {
  double *sorted = cpl_malloc((n + 1) * sizeof *sorted), position, low, high;
  size_t kept = 0, k;
  for (k = 0; k < n; ++k) {
    if (isfinite(values[k])) sorted[kept++] = values[k];
  }
  if (kept == 0) {
    cpl_free(sorted);
    return NAN;
  }
  qsort(sorted, kept, sizeof *sorted, ascending);
  position = q * (double)(kept - 1);
  low = sorted[(size_t)floor(position)];
  high = sorted[(size_t)ceil(position)];
  cpl_free(sorted);
  return low + (high - low) * (position - floor(position));
}

double quality_quantile_of(const char *array, double q) {
  const size_t n = json_length(array);
  double *values = cpl_malloc((n + 1) * sizeof *values), quantile;
  size_t k;
  for (k = 0; k < n; ++k) values[k] = json_number(json_item(array, k));
  quantile = quality_quantile(values, n, q);
  cpl_free(values);
  return quantile;
}

size_t quality_failed(const char *diagnostics) {
  const char *errors = json_get(diagnostics, "sample_errors");
  const size_t n = json_length(errors);
  size_t failed = 0, k;
  for (k = 0; k < n; ++k) failed += strncmp(json_item(errors, k), "null", 4) != 0;
  return failed;
}

/* FITS has no NaN: what the engine does not tell is left out. */
static void real(cpl_propertylist *list, const char *key, double value, const char *comment) {
  if (!isfinite(value)) return;
  cpl_propertylist_append_double(list, key, value);
  cpl_propertylist_set_comment(list, key, comment);
}

static void integer(cpl_propertylist *list, const char *key, double value, const char *comment) {
  if (!isfinite(value)) return;
  cpl_propertylist_append_long_long(list, key, (long long)value);
  cpl_propertylist_set_comment(list, key, comment);
}

static void text(cpl_propertylist *list, const char *key, const char *value, const char *comment) {
  cpl_propertylist_append_string(list, key, value);
  cpl_propertylist_set_comment(list, key, comment);
}

static void append_fit(cpl_propertylist *list, const char *fit, size_t exposure) {
  const double dof = json_number(json_get(fit, "dof"));
  char key[48], flags[MAX_FLAGS];
#define KEY(name) (snprintf(key, sizeof key, "ESO QC EXPO%d " name, (int)exposure + 1), key)
  real(list, KEY("CHI2"), quality_quantile_of(json_get(fit, "chi2"), 0.5) / dof,
       "chi2/dof, median of the samples");
  real(list, KEY("CHI2MEAN"), json_number(json_get(fit, "chi2_mean_reduced")),
       "chi2 of the mean over its expectation");
  real(list, KEY("PPP"), json_number(json_get(fit, "ppp")), "posterior-predictive p-value");
  real(list, KEY("WHITENESS"), quality_quantile_of(json_get(fit, "whiteness"), 0.5),
       "correlation of neighbouring residuals");
  real(list, KEY("WHITEERR"), json_number(json_get(fit, "whiteness_se")), "its standard error");
  integer(list, KEY("NPIX"), dof, "pixels used");
  quality_describe(quality_doubts(fit), flags);
  text(list, KEY("FLAGS"), flags, "reasons to distrust; - for none");
#undef KEY
}

void quality_append(cpl_propertylist *list, const session *session, const char *diagnostics,
                    const double *fluxes) {
  const size_t n = (size_t)session->chosen.n_samples;
  double chi2 = 0.0, dof = 0.0, whiteness = 0.0;
  char flags[MAX_FLAGS];
  size_t k;
  for (k = 0; k < session->n; ++k) {
    const char *fit = quality_fit(diagnostics, k);
    const double white = quality_quantile_of(json_get(fit, "whiteness"), 0.5);
    chi2 += quality_quantile_of(json_get(fit, "chi2"), 0.5);
    dof += json_number(json_get(fit, "dof"));
    if (fabs(white) > fabs(whiteness)) whiteness = white;
  }
  integer(list, "ESO QC NSAMPLES", (double)n, "samples asked for");
  integer(list, "ESO QC NFAILED", (double)quality_failed(diagnostics), "samples that failed (NaN)");
  integer(list, "ESO QC NEXPO", (double)session->n, "exposures");
  real(list, "ESO QC CHI2", chi2 / dof, "chi2/dof of all exposures");
  real(list, "ESO QC WHITENESS", whiteness, "the exposures' largest residual correlation");
  quality_describe(session->doubts | quality_doubts(diagnostics), flags);
  text(list, "ESO QC FLAGS", flags, "reasons to distrust; - for none");
  real(list, "ESO QC FLUX MEDIAN", quality_quantile(fluxes, n, 0.5), "[electron/s] total flux of a sample");
  real(list, "ESO QC FLUX P16", quality_quantile(fluxes, n, 0.16), "[electron/s] its 16th percentile");
  real(list, "ESO QC FLUX P84", quality_quantile(fluxes, n, 0.84), "[electron/s] its 84th percentile");
  real(list, "ESO QC EDGEFLUX", quality_quantile_of(json_get(diagnostics, "edge_flux_fraction"), 0.5),
       "share of the flux in the model's border");
  real(list, "ESO QC FLUXSCALE", json_number(json_get(diagnostics, "flux_scale")),
       "[electron/s] one network unit");
  integer(list, "ESO QC NETEVALS", json_number(json_get(diagnostics, "network_evaluations")),
          "network evaluations");
  real(list, "ESO QC SAMPTIME", json_number(json_get(diagnostics, "sampling_seconds")), "[s] sampling");
  for (k = 0; k < session->n; ++k) append_fit(list, quality_fit(diagnostics, k), k);
}
