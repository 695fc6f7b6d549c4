#include "calibration.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "array.h"
#include "failure.h"

#define N_OF(list) (sizeof(list) / sizeof *(list))

static int real_of(const char *image, const char *primary, const char *key, double *value) {
  return header_real(image, key, value) || header_real(primary, key, value);
}

/* The mean of the gains as measured, else the gain as commanded; e-/count, 0 if there is none. */
static double gain_of(const char *image, const char *primary) {
  static const char *const measured[] = {"ATODGNA", "ATODGNB", "ATODGNC", "ATODGND"};
  static const char *const commanded[] = {"ATODGAIN", "CCDGAIN", "GAIN"};
  double gain, sum = 0.0;
  size_t n = 0, k;
  for (k = 0; k < N_OF(measured); ++k) {
    if (!real_of(image, primary, measured[k], &gain)) continue;
    sum += gain;
    ++n;
  }
  if (n > 0) return sum / (double)n;
  for (k = 0; k < N_OF(commanded); ++k) {
    if (real_of(image, primary, commanded[k], &gain)) return gain;
  }
  return 0.0;
}

static int is_one_of(const char *unit, const char *const *names, size_t n) {
  size_t k;
  for (k = 0; k < n; ++k) {
    if (strcasecmp(unit, names[k]) == 0) return 1;
  }
  return 0;
}

cpl_error_code calibration_unit(double *factor, const char *unit, const char *image, const char *primary,
                                const char *at) {
  static const char *const rate[] = {"ELECTRONS/S", "ELECTRON/S", "ELECTRONS/SEC", "E-/S", "E-/SEC", "E/S"};
  static const char *const charge[] = {"ELECTRONS", "ELECTRON", "E-"};
  static const char *const counts[] = {"COUNTS", "COUNT", "DN", "ADU"};
  static const char *const count_rate[] = {"COUNTS/S", "COUNT/S", "CPS", "DN/S", "ADU/S"};
  char written[72] = "", plain[72] = "";
  int per_time, per_gain;
  size_t k, n = 0;
  *factor = 1.0;
  if (unit != NULL) {
    snprintf(written, sizeof written, "%s", unit);
  } else if (!header_text(image, "BUNIT", written)) {
    header_text(primary, "BUNIT", written);
  }
  for (k = 0; written[k] != '\0'; ++k) {
    if (!isspace((unsigned char)written[k])) plain[n++] = written[k];
  }
  if (plain[0] == '\0' || strcasecmp(plain, "UNITLESS") == 0) {
    cpl_msg_warning(cpl_func, "%s: no BUNIT; pixels are taken to be in e-/s", at);
    return CPL_ERROR_NONE;
  }
  if (is_one_of(plain, rate, N_OF(rate))) return CPL_ERROR_NONE;
  per_time = is_one_of(plain, charge, N_OF(charge));
  per_gain = is_one_of(plain, count_rate, N_OF(count_rate));
  if (is_one_of(plain, counts, N_OF(counts))) per_time = per_gain = 1;
  if (!per_time && !per_gain) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT,
                "%s: BUNIT: needed ELECTRONS[/S] or COUNTS[/S] (or DN, ADU, CPS), got '%s'; say which with "
                "unit",
                at, written);
  }
  if (per_gain) {
    *factor = gain_of(image, primary);
    if (!(*factor > 0.0) || !isfinite(*factor)) {
      return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                  "%s: ATODGNA, ATODGAIN, CCDGAIN or GAIN: needed a positive gain in e-/count, since the unit "
                  "is %s",
                  at, written);
    }
  }
  if (per_time) {
    double time = 0.0;
    if (!real_of(image, primary, "EXPTIME", &time) || !(time > 0.0) || !isfinite(time)) {
      return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                  "%s: EXPTIME: needed a positive exposure time in seconds, since the unit is %s", at, written);
    }
    *factor = per_gain ? *factor / time : 1.0 / time;
  }
  return CPL_ERROR_NONE;
}

uint32_t calibration_bad_bits(const char *image, const char *primary) {
  /* Warm pixels are dark-subtracted; blobs are flat-fielded, a signal in the zero read is corrected, and
   * cosmic rays are removed by the ramp fit. All other bits are bad. */
  const uint32_t warm = 64, ramp = 512 | 2048 | 8192;
  const exposure_camera camera = exposure_taken_by(image, primary);
  if (strcmp(camera.instrument, "WFC3") == 0) {
    return strcmp(camera.detector, "IR") == 0 ? ~(warm | ramp) : ~warm;
  }
  return strcmp(camera.instrument, "ACS") == 0 ? ~warm : UINT32_MAX;
}

static cpl_error_code read_table(exposure_chip *chip, const input_file *file, int32_t kind, int32_t axis,
                                 const char *extension, long version) {
  const input_hdu *hdu = input_find(file, extension, version);
  pellucid_lookup_table *table = &chip->tables[chip->n_tables];
  double *values;
  int k;
  if (hdu == NULL) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                "%s: needed extension %s, EXTVER %ld, the distortion table that the header announces",
                chip->label, extension, version);
  }
  if (hdu->naxis != 1 && hdu->naxis != 2) {
    return FAIL(CPL_ERROR_BAD_FILE_FORMAT, "%s[%s,%ld]: needed a table of one or two axes, got %d", file->path,
                extension, version, hdu->naxis);
  }
  values = input_pixels(file, hdu, input_whole(hdu));
  if (values == NULL) return cpl_error_set_where(cpl_func);
  memset(table, 0, sizeof *table);
  table->struct_size = sizeof *table;
  table->kind = kind;
  table->axis = axis;
  for (k = 0; k < 2; ++k) {
    const char *const keys[3][2] = {{"CRPIX1", "CRPIX2"}, {"CRVAL1", "CRVAL2"}, {"CDELT1", "CDELT2"}};
    table->cdelt[k] = 1.0;
    header_real(hdu->header, keys[0][k], &table->crpix[k]);
    header_real(hdu->header, keys[1][k], &table->crval[k]);
    header_real(hdu->header, keys[2][k], &table->cdelt[k]);
  }
  chip->table_values[chip->n_tables] = array_lend(values, PELLUCID_F64, sizeof *values, hdu->ny, hdu->nx);
  ++chip->n_tables;
  return CPL_ERROR_NONE;
}

/* Words with which a header announces tables, %d being the axis. */
static const struct {
  int32_t kind;
  const char *announced, *version, *extension;
} forms[2] = {{PELLUCID_D2IM, "D2IMDIS%d", "D2IM%d.EXTVER", "D2IMARR"},
              {PELLUCID_NPOL, "CPDIS%d", "DP%d.EXTVER", "WCSDVARR"}};

cpl_error_code calibration_tables(exposure_chip *chip, const input_file *file) {
  char key[24], text[72];
  long axis, version;
  int k;
  for (axis = 1; axis <= 2; ++axis) {
    for (k = 0; k < 2; ++k) {
      snprintf(key, sizeof key, forms[k].announced, (int)axis);
      if (!header_text(chip->header, key, text)) continue;
      if (strcasecmp(text, "lookup") != 0) {
        return FAIL(CPL_ERROR_UNSUPPORTED_MODE,
                    "%s: %s: needed 'Lookup', the only distortion function HST uses, got '%s'", chip->label, key,
                    text);
      }
      snprintf(key, sizeof key, forms[k].version, (int)axis);
      if (!header_integer(chip->header, key, &version)) version = axis;
      TRY(read_table(chip, file, forms[k].kind, (int32_t)axis, forms[k].extension, version));
    }
  }
  /* The old form has one table; a row along x, it shifts the axis that AXISCORR names. */
  if (header_text(chip->header, "D2IMEXT", text) && !header_text(chip->header, "D2IMDIS1", text) &&
      header_integer(chip->header, "AXISCORR", &axis) && (axis == 1 || axis == 2)) {
    TRY(read_table(chip, file, PELLUCID_D2IM, (int32_t)axis, "D2IMARR", 1));
  }
  return CPL_ERROR_NONE;
}
