#include "provenance.h"

#include <fitsio.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "json.h"

/* Characters of a text that fit on one card; CPL drops the rest. */
#define CARD_TEXT 68

cpl_error_code provenance_collect(provenance *provenance, const session *session) {
  size_t k;
  provenance->sources = cpl_calloc(session->n, sizeof *provenance->sources);
  provenance->psfs = cpl_calloc(session->n, sizeof *provenance->psfs);
  for (k = 0; k < session->n; ++k) {
    TRY(sha256_file(session->files[k].file.path, provenance->sources[k]));
    if (k > 0 && session_psf(session, k) == session_psf(session, 0)) {
      memcpy(provenance->psfs[k], provenance->psfs[0], sizeof *provenance->psfs);
    } else {
      TRY(sha256_file(session_psf(session, k)->path, provenance->psfs[k]));
    }
  }
  if (session->correlation.path == NULL) return CPL_ERROR_NONE;
  return sha256_file(session->correlation.path, provenance->correlation);
}

void provenance_free(provenance *provenance) {
  cpl_free(provenance->sources);
  cpl_free(provenance->psfs);
  memset(provenance, 0, sizeof *provenance);
}

char *provenance_config(const session *session) {
  const char *options = session->job_options;
  const int length = (int)strlen(options) - 1;
  char *device = json_quote(session->chosen.device);
  char *config = cpl_sprintf("%.*s%s\"samples\":%d,\"device\":%s}", length, options, length > 1 ? "," : "",
                             session->chosen.n_samples, device);
  cpl_free(device);
  return config;
}

static void text(cpl_propertylist *list, const char *key, const char *value, const char *comment) {
  cpl_propertylist_update_string(list, key, value);
  cpl_propertylist_set_comment(list, key, comment);
}

/* A text of the engine's record, if it has it. */
static void recorded(cpl_propertylist *list, const char *key, const char *value, const char *comment) {
  char *found = json_text(value);
  if (found != NULL) text(list, key, found, comment);
  cpl_free(found);
}

void provenance_append(const provenance *provenance, cpl_propertylist *list, const session *session,
                       const char *diagnostics) {
  const char *record = json_get(diagnostics, "provenance");
  char key[24], seed[16];
  size_t k;
  text(list, "CREATOR", RECIPE " " PELLUCID_VERSION, "host program");
  text(list, "PLUGIN", session->engine.api->version_string(), "engine");
  text(list, "PRIOR", session->prior, "prior");
  recorded(list, "PRIORSHA", json_get(json_get(record, "prior"), "sha256"), "SHA-256");
  text(list, "NOISE", session->noise, "noise model");
  recorded(list, "NOISESHA", json_get(json_get(record, "likelihood"), "sha256"), "SHA-256");
  if (provenance->correlation[0] != '\0') {
    text(list, "NOISECF", session->correlation.path, "noise correlation");
    text(list, "NOISECFS", provenance->correlation, "SHA-256");
  }
  snprintf(seed, sizeof seed, "%d", session->chosen.seed);
  text(list, "SEED", seed, "seed of the samples");
  text(list, "DEVICE", session->chosen.device, "where the sampler ran");
  recorded(list, "DEVICE", json_get(record, "device"), "where the sampler ran");
  /* Keywords have eight letters; all hashes are in the table EXPOSURES. */
  for (k = 0; k < session->n && k < 99; ++k) {
    snprintf(key, sizeof key, "SRCSHA%d", (int)k + 1);
    text(list, key, provenance->sources[k], "SHA-256 of the exposure's file");
    snprintf(key, sizeof key, "PSFSHA%d", (int)k + 1);
    text(list, key, provenance->psfs[k], "SHA-256 of its PSF's file");
  }
}

/* A text of any length, continued over as many cards as it takes. */
static void long_text(fitsfile *file, const char *key, const char *value, const char *comment, int *status) {
  char *plain = cpl_strdup(value), *c;
  /* FITS has printable ASCII only. */
  for (c = plain; *c != '\0'; ++c) {
    if (*c < ' ' || *c > '~') *c = '?';
  }
  fits_update_key_longstr(file, key, plain, comment, status);
  cpl_free(plain);
}

static void long_cards(fitsfile *file, const session *session, const char *diagnostics, int *status) {
  char *config = provenance_config(session), *record = json_value_copy(json_get(diagnostics, "provenance"));
  const char *names[3][3] = {{"PRIOR", session->prior, "prior"},
                             {"NOISE", session->noise, "noise model"},
                             {"NOISECF", session->correlation.path, "noise correlation"}};
  int k;
  fits_write_key_longwarn(file, status);
  for (k = 0; k < 3; ++k) {
    if (names[k][1] != NULL && strlen(names[k][1]) > CARD_TEXT) {
      long_text(file, names[k][0], names[k][1], names[k][2], status);
    }
  }
  long_text(file, "CONFIG", config, "options, JSON", status);
  if (strcmp(record, "null") != 0) long_text(file, "RECORD", record, "the engine's own record, JSON", status);
  cpl_free(record);
  cpl_free(config);
}

cpl_error_code provenance_seal(const char *path, const session *session, const char *diagnostics) {
  char reason[FLEN_STATUS] = "";
  fitsfile *file = NULL;
  int status = 0, closed = 0, n = 0, k;
  fits_open_file(&file, path, READWRITE, &status);
  fits_get_num_hdus(file, &n, &status);
  if (status == 0) long_cards(file, session, diagnostics, &status);
  for (k = 1; k <= n && status == 0; ++k) {
    fits_movabs_hdu(file, k, NULL, &status);
    fits_write_chksum(file, &status);
  }
  if (file != NULL) fits_close_file(file, &closed);
  if (status == 0) status = closed;
  if (status == 0) return CPL_ERROR_NONE;
  fits_get_errstatus(status, reason);
  return FAIL(CPL_ERROR_FILE_IO, "%s: %s (cfitsio status %d)", path, reason, status);
}
