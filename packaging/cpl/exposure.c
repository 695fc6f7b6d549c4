#include "exposure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "calibration.h"
#include "failure.h"

/* The extension that goes with a chip; NULL if there is none. HST writes a constant plane as a header without
 * pixels. */
static cpl_error_code partner(const input_hdu **found, const input_file *file, const input_hdu *science,
                              const char *name) {
  /* A plain image may come first and have its ERR without a version. */
  const long version = strcmp(science->name, "SCI") == 0 ? science->version : 1;
  const input_hdu *hdu = input_find(file, name, version);
  *found = NULL;
  if (hdu == NULL || hdu->naxis == 0) return CPL_ERROR_NONE;
  if (hdu->naxis != 2 || hdu->nx != science->nx || hdu->ny != science->ny) {
    return FAIL(CPL_ERROR_INCOMPATIBLE_INPUT, "%s[%s,%ld]: needed %ld x %ld, as the image, got %ld x %ld",
                file->path, name, version, science->nx, science->ny, hdu->nx, hdu->ny);
  }
  *found = hdu;
  return CPL_ERROR_NONE;
}

static cpl_error_code set_header(exposure_chip *chip, const options *chosen) {
  model_grid grid;
  if (header_is_celestial(chip->science->header)) {
    chip->header = cpl_strdup(chip->science->header);
    return CPL_ERROR_NONE;
  }
  memset(&grid, 0, sizeof grid);
  grid.nx = chip->science->nx;
  grid.ny = chip->science->ny;
  grid.pixel_scale_arcsec = chosen->pixel_scale_data_arcsec;
  if (chosen->has_target) grid.centre = chosen->target;
  if (!(grid.pixel_scale_arcsec > 0.0)) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                "%s: CTYPE1, CTYPE2: needed a celestial WCS, or the pixel scale as pixel_scale_data, got neither",
                chip->label);
  }
  chip->header = sky_grid_header(&grid);
  return CPL_ERROR_NONE;
}

static int is_area_corrected(const char *header) {
  char text[72];
  int logical = 0;
  if (header_text(header, "PAMCORR", text)) return strcasecmp(text, "complete") == 0;
  header_logical(header, "PAMCORR", &logical);
  return logical;
}

static cpl_error_code open_chip(exposure_chip *chip, const input_file *file, const input_hdu *science,
                                const options *chosen) {
  const char *primary = file->hdus[0].header;
  chip->label = input_label(file, science);
  chip->science = science;
  TRY(partner(&chip->error, file, science, "ERR"));
  TRY(partner(&chip->quality, file, science, "DQ"));
  TRY(set_header(chip, chosen));
  if (chosen->sky == SKY_VALUE) chip->sky = chosen->sky_level;
  if (chosen->sky == SKY_HEADER && !header_real(chip->header, "MDRIZSKY", &chip->sky)) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND, "%s: MDRIZSKY: needed the sky level, since sky is 'header'",
                chip->label);
  }
  TRY(calibration_unit(&chip->to_electrons_per_second, chosen->unit, science->header, primary, chip->label));
  TRY(sky_read(&chip->wcs, chip->header, chip->label));
  chip->bad_bits = chosen->dq_bad_bits >= 0 ? (uint32_t)chosen->dq_bad_bits
                                            : calibration_bad_bits(chip->header, primary);
  chip->flux_convention = chosen->pixel_area_corrected || is_area_corrected(chip->header)
                              ? PELLUCID_PER_PIXEL
                              : PELLUCID_SURFACE_BRIGHTNESS;
  return calibration_tables(chip, file);
}

cpl_error_code exposure_open(exposure_file *exposure, const char *path, const options *chosen) {
  const input_file *file = &exposure->file;
  int k;
  TRY(input_open(&exposure->file, path));
  exposure->chips = cpl_calloc((size_t)file->n_hdus, sizeof *exposure->chips);
  for (k = 0; k < file->n_hdus; ++k) {
    const input_hdu *hdu = &file->hdus[k];
    if (strcmp(hdu->name, "SCI") != 0 || hdu->naxis != 2) continue;
    TRY(open_chip(&exposure->chips[exposure->n_chips++], file, hdu, chosen));
  }
  if (exposure->n_chips == 0) {
    const input_hdu *plain = input_image(file);
    if (plain == NULL) return cpl_error_set_where(cpl_func);
    TRY(open_chip(&exposure->chips[exposure->n_chips++], file, plain, chosen));
  }
  return CPL_ERROR_NONE;
}

void exposure_close(exposure_file *exposure) {
  size_t k, t;
  for (k = 0; k < exposure->n_chips; ++k) {
    exposure_chip *chip = &exposure->chips[k];
    for (t = 0; t < chip->n_tables; ++t) cpl_free((void *)chip->table_values[t].data);
    cpl_free(chip->header);
    cpl_free(chip->label);
  }
  cpl_free(exposure->chips);
  input_close(&exposure->file);
  memset(exposure, 0, sizeof *exposure);
}

/* How far a position is from the nearest edge of a chip, in pixels; negative if it is not on the chip. */
static double distance_from_edge(const exposure_chip *chip, sky_position sky, double pixel[2]) {
  const double nx = (double)chip->science->nx, ny = (double)chip->science->ny;
  if (!sky_to_pixel(&chip->wcs, sky, pixel)) return -HUGE_VAL;
  if (pixel[0] < -0.5 || pixel[0] >= nx - 0.5 || pixel[1] < -0.5 || pixel[1] >= ny - 0.5) return -HUGE_VAL;
  return fmin(fmin(pixel[0], nx - 1.0 - pixel[0]), fmin(pixel[1], ny - 1.0 - pixel[1]));
}

const exposure_chip *exposure_chip_at(const exposure_file *exposure, sky_position target) {
  const exposure_chip *best = NULL;
  double most = -HUGE_VAL, pixel[2];
  size_t k;
  for (k = 0; k < exposure->n_chips; ++k) {
    const double far = distance_from_edge(&exposure->chips[k], target, pixel);
    if (far == -HUGE_VAL || far < most) continue;
    most = far;
    best = &exposure->chips[k];
  }
  if (best == NULL) {
    FAIL(CPL_ERROR_ACCESS_OUT_OF_RANGE, "%s: the target, ra %.6f, dec %.6f, is on none of its %d chip(s)",
         exposure->file.path, target.ra_deg, target.dec_deg, (int)exposure->n_chips);
  }
  return best;
}

sky_position exposure_centre(const exposure_chip *chip) {
  return sky_of_pixel(&chip->wcs, ((double)chip->science->nx - 1.0) / 2.0,
                      ((double)chip->science->ny - 1.0) / 2.0);
}

static double clamped(double value, double high) {
  return fmax(0.0, fmin(value, high));
}

/* The n x n pixels around a position, cut at the chip's edges. */
static input_region cutout(const exposure_chip *chip, const double pixel[2], int n) {
  const double nx = (double)chip->science->nx, ny = (double)chip->science->ny;
  const double x = round(pixel[0] - (n - 1.0) / 2.0), y = round(pixel[1] - (n - 1.0) / 2.0);
  input_region region;
  region.x0 = (long)clamped(x, nx);
  region.y0 = (long)clamped(y, ny);
  region.nx = (long)clamped(x + n, nx) - region.x0;
  region.ny = (long)clamped(y + n, ny) - region.y0;
  return region;
}

cpl_error_code exposure_cut(exposure_stamp *stamp, const exposure_file *exposure, const model_grid *grid,
                            const options *chosen, double fallback_sigma) {
  const exposure_chip *chip = exposure_chip_at(exposure, grid->centre);
  input_region region;
  double pixel[2];
  if (chip == NULL) return cpl_error_set_where(cpl_func);
  if (chosen->cutout > 0) {
    distance_from_edge(chip, grid->centre, pixel);
    region = cutout(chip, pixel, chosen->cutout);
  } else if (!sky_footprint(&chip->wcs, chip->science->nx, chip->science->ny, grid, &region)) {
    return FAIL(CPL_ERROR_ACCESS_OUT_OF_RANGE, "%s: no pixel sees the model around ra %.6f, dec %.6f",
                chip->label, grid->centre.ra_deg, grid->centre.dec_deg);
  }
  return exposure_read(stamp, exposure, chip, region, chosen, fallback_sigma);
}

/* Noise rms from the ERR extension, unless a constant is asked for or there is none. */
static cpl_error_code read_sigma(exposure_stamp *stamp, const input_file *file, const options *chosen,
                                 double fallback_sigma) {
  const exposure_chip *chip = stamp->chip;
  const size_t n = (size_t)stamp->region.nx * (size_t)stamp->region.ny;
  double constant = chosen->sigma, per_flux, sky;
  size_t k;
  if (constant == 0.0 && chip->error != NULL) {
    stamp->sigma = input_pixels(file, chip->error, stamp->region);
    if (stamp->sigma == NULL) return cpl_error_set_where(cpl_func);
    for (k = 0; k < n; ++k) stamp->sigma[k] *= chip->to_electrons_per_second;
    return CPL_ERROR_NONE;
  }
  if (constant == 0.0) constant = fallback_sigma;
  if (!(constant > 0.0)) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND,
                "%s: noise: needed an ERR extension, sigma, or a covariance as NOISE_CORRELATION, got none",
                chip->label);
  }
  sky = constant * chip->to_electrons_per_second;
  per_flux = chosen->photon_noise_s > 0.0 ? 1.0 / chosen->photon_noise_s : 0.0;
  stamp->sigma = cpl_malloc(n * sizeof *stamp->sigma);
  for (k = 0; k < n; ++k) stamp->sigma[k] = hypot(sky, sqrt(fmax(stamp->pixels[k], 0.0) * per_flux));
  return CPL_ERROR_NONE;
}

static cpl_error_code read_quality(exposure_stamp *stamp, const input_file *file) {
  const size_t n = (size_t)stamp->region.nx * (size_t)stamp->region.ny;
  double *values;
  size_t k;
  if (stamp->chip->quality == NULL) return CPL_ERROR_NONE;
  values = input_pixels(file, stamp->chip->quality, stamp->region);
  if (values == NULL) return cpl_error_set_where(cpl_func);
  stamp->quality = cpl_malloc(n * sizeof *stamp->quality);
  /* HST's are 16-bit integers, of which the highest bit makes a negative number. */
  for (k = 0; k < n; ++k) {
    stamp->quality[k] = fabs(values[k]) < 9e18 ? (uint32_t)(int64_t)values[k] : UINT32_MAX;
  }
  cpl_free(values);
  return CPL_ERROR_NONE;
}

cpl_error_code exposure_read(exposure_stamp *stamp, const exposure_file *exposure, const exposure_chip *chip,
                             input_region region, const options *chosen, double fallback_sigma) {
  const size_t n = (size_t)region.nx * (size_t)region.ny;
  const int whole = region.nx == chip->science->nx && region.ny == chip->science->ny;
  size_t k;
  memset(stamp, 0, sizeof *stamp);
  stamp->chip = chip;
  stamp->region = region;
  stamp->id = whole ? cpl_strdup(chip->label)
                    : cpl_sprintf("%s[%ld:%ld,%ld:%ld]", chip->label, region.x0 + 1, region.x0 + region.nx,
                                  region.y0 + 1, region.y0 + region.ny);
  stamp->pixels = input_pixels(&exposure->file, chip->science, region);
  if (stamp->pixels == NULL) return cpl_error_set_where(cpl_func);
  for (k = 0; k < n; ++k) stamp->pixels[k] = (stamp->pixels[k] - chip->sky) * chip->to_electrons_per_second;
  TRY(read_sigma(stamp, &exposure->file, chosen, fallback_sigma));
  return read_quality(stamp, &exposure->file);
}

void exposure_stamp_free(exposure_stamp *stamp) {
  cpl_free(stamp->id);
  cpl_free(stamp->pixels);
  cpl_free(stamp->sigma);
  cpl_free(stamp->quality);
  memset(stamp, 0, sizeof *stamp);
}

static void name_of(char *name, const char *image, const char *primary, const char *key) {
  char text[72] = "";
  if (!header_text(image, key, text)) header_text(primary, key, text);
  strcpy(name, text + strspn(text, " "));
}

exposure_camera exposure_taken_by(const char *image, const char *primary) {
  static const char *const wheels[] = {"FILTER", "FILTER1", "FILTER2"};
  exposure_camera camera;
  int k;
  memset(&camera, 0, sizeof camera);
  name_of(camera.instrument, image, primary, "INSTRUME");
  name_of(camera.detector, image, primary, "DETECTOR");
  for (k = 0; k < 3; ++k) {
    name_of(camera.filter, image, primary, wheels[k]);
    if (camera.filter[0] != '\0' && strncasecmp(camera.filter, "CLEAR", 5) != 0) return camera;
  }
  camera.filter[0] = '\0';
  return camera;
}
