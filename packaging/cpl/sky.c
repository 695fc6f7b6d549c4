#include "sky.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"

/* In the order of operations of host-sdk's sky.rs, so that both hosts choose the same centre to the last
 * bit, and with it the same samples. */
static const double DEGREE = CPL_MATH_PI / 180.0;

/* By repeated squaring, as Rust's powi. */
static double power(double x, int n) {
  double result = 1.0;
  for (;;) {
    if (n & 1) result *= x;
    n /= 2;
    if (n == 0) return result;
    x *= x;
  }
}

static void apply(const double m[2][2], const double in[2], double out[2]) {
  const double x = in[0], y = in[1];
  out[0] = m[0][0] * x + m[0][1] * y;
  out[1] = m[1][0] * x + m[1][1] * y;
}

static void distort(const tan_sip *wcs, const double u[2], double f[2]) {
  int axis, k;
  for (axis = 0; axis < 2; ++axis) {
    double sum = 0.0;
    for (k = 0; k < wcs->n_terms[axis]; ++k) {
      const sip_term *t = &wcs->sip[axis][k];
      sum += t->coefficient * power(u[0], t->p) * power(u[1], t->q);
    }
    f[axis] = u[axis] + sum;
  }
}

/* Gnomonic projection, radians on the tangent plane (Calabretta & Greisen 2002, section 5.1.3). */
static int project(sky_position centre, sky_position sky, double plane[2]) {
  const double d = sky.dec_deg * DEGREE, d0 = centre.dec_deg * DEGREE;
  const double a = (sky.ra_deg - centre.ra_deg) * DEGREE;
  const double towards = sin(d) * sin(d0) + cos(d) * cos(d0) * cos(a);
  if (!(towards > 0.0)) return 0;
  plane[0] = cos(d) * sin(a) / towards;
  plane[1] = (sin(d) * cos(d0) - cos(d) * sin(d0) * cos(a)) / towards;
  return 1;
}

static double wrapped(double degrees) {
  const double rest = fmod(degrees, 360.0);
  return rest < 0.0 ? rest + 360.0 : rest;
}

static sky_position deproject(sky_position centre, double xi, double eta) {
  const double d0 = centre.dec_deg * DEGREE, along = cos(d0) - eta * sin(d0);
  sky_position sky;
  sky.ra_deg = wrapped(centre.ra_deg + atan2(xi, along) / DEGREE);
  sky.dec_deg = atan2(sin(d0) + eta * cos(d0), hypot(xi, along)) / DEGREE;
  return sky;
}

/* Reads four keywords such as CD1_1; 1 if any is there, the others are left as they are. */
static int read_matrix(const char *header, const char *name, double m[2][2]) {
  int any = 0, i, j;
  for (i = 0; i < 2; ++i) {
    for (j = 0; j < 2; ++j) {
      char key[16];
      snprintf(key, sizeof key, "%s%d_%d", name, i + 1, j + 1);
      any |= header_real(header, key, &m[i][j]);
    }
  }
  return any;
}

/* CD, or PC with CDELT, or CDELT with CROTA2; degrees a pixel. */
static void cd_matrix(const char *header, double cd[2][2]) {
  double step[2] = {1.0, 1.0}, turn = 0.0, pc[2][2] = {{1.0, 0.0}, {0.0, 1.0}};
  int i, j;
  memset(cd, 0, 4 * sizeof(double));
  if (read_matrix(header, "CD", cd)) return;
  header_real(header, "CDELT1", &step[0]);
  header_real(header, "CDELT2", &step[1]);
  if (!read_matrix(header, "PC", pc)) {
    header_real(header, "CROTA2", &turn);
    pc[0][0] = pc[1][1] = cos(turn * DEGREE);
    pc[0][1] = -sin(turn * DEGREE) * (step[1] / step[0]);
    pc[1][0] = sin(turn * DEGREE) * (step[0] / step[1]);
  }
  for (i = 0; i < 2; ++i) {
    for (j = 0; j < 2; ++j) cd[i][j] = step[i] * pc[i][j];
  }
}

static int invert(tan_sip *wcs) {
  const double(*cd)[2] = (const double(*)[2])wcs->cd;
  const double d = cd[0][0] * cd[1][1] - cd[0][1] * cd[1][0];
  const double size = fmax(fmax(fabs(cd[0][0]), fabs(cd[0][1])), fmax(fabs(cd[1][0]), fabs(cd[1][1])));
  if (!isfinite(d) || fabs(d) <= 1e-12 * size * size) return 0;
  wcs->cd_inverse[0][0] = cd[1][1] / d;
  wcs->cd_inverse[0][1] = -cd[0][1] / d;
  wcs->cd_inverse[1][0] = -cd[1][0] / d;
  wcs->cd_inverse[1][1] = cd[0][0] / d;
  return 1;
}

static cpl_error_code read_polynomial(tan_sip *wcs, int axis, const char *header, const char *at) {
  char key[24];
  long order = 0;
  int p, q;
  snprintf(key, sizeof key, "%c_ORDER", "AB"[axis]);
  header_integer(header, key, &order);
  if (order < 0 || order > SKY_ORDER) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: %s: needed 0 to %d, got %ld", at, key, SKY_ORDER, order);
  }
  for (p = 0; p <= order; ++p) {
    for (q = 0; q <= order - p; ++q) {
      sip_term *term = &wcs->sip[axis][wcs->n_terms[axis]];
      snprintf(key, sizeof key, "%c_%d_%d", "AB"[axis], p, q);
      if (!header_real(header, key, &term->coefficient)) continue;
      term->p = p;
      term->q = q;
      ++wcs->n_terms[axis];
    }
  }
  return CPL_ERROR_NONE;
}

cpl_error_code sky_read(tan_sip *wcs, const char *header, const char *at) {
  static const char *const keys[4] = {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2"};
  char x[72] = "none", y[72] = "none";
  double values[4];
  int sip, k;
  memset(wcs, 0, sizeof *wcs);
  header_text(header, "CTYPE1", x);
  header_text(header, "CTYPE2", y);
  sip = strcmp(x, "RA---TAN-SIP") == 0 && strcmp(y, "DEC--TAN-SIP") == 0;
  if (!sip && (strcmp(x, "RA---TAN") != 0 || strcmp(y, "DEC--TAN") != 0)) {
    return FAIL(CPL_ERROR_UNSUPPORTED_MODE,
                "%s: CTYPE1, CTYPE2: needed RA---TAN[-SIP], DEC--TAN[-SIP], got %.20s, %.20s", at, x, y);
  }
  for (k = 0; k < 4; ++k) {
    if (!header_real(header, keys[k], &values[k])) {
      return FAIL(CPL_ERROR_DATA_NOT_FOUND, "%s: %s: needed a number, got nothing", at, keys[k]);
    }
  }
  /* FITS counts pixels from 1. */
  wcs->reference_pixel[0] = values[0] - 1.0;
  wcs->reference_pixel[1] = values[1] - 1.0;
  wcs->reference.ra_deg = values[2];
  wcs->reference.dec_deg = values[3];
  cd_matrix(header, wcs->cd);
  if (!invert(wcs)) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: needed an invertible WCS matrix, got a singular one", at);
  }
  if (sip) {
    TRY(read_polynomial(wcs, 0, header, at));
    TRY(read_polynomial(wcs, 1, header, at));
  }
  return CPL_ERROR_NONE;
}

tan_sip sky_of_grid(const model_grid *grid) {
  const double degrees = grid->pixel_scale_arcsec / 3600.0;
  tan_sip wcs;
  memset(&wcs, 0, sizeof wcs);
  wcs.reference_pixel[0] = ((double)grid->nx + 1.0) / 2.0 - 1.0;
  wcs.reference_pixel[1] = ((double)grid->ny + 1.0) / 2.0 - 1.0;
  wcs.reference = grid->centre;
  wcs.cd[0][0] = -degrees;
  wcs.cd[1][1] = degrees;
  invert(&wcs);
  return wcs;
}

char *sky_grid_header(const model_grid *grid) {
  const double degrees = grid->pixel_scale_arcsec / 3600.0;
  const char *const keys[8] = {"CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD1_2", "CD2_1", "CD2_2"};
  const double values[8] = {((double)grid->nx + 1.0) / 2.0,
                            ((double)grid->ny + 1.0) / 2.0,
                            grid->centre.ra_deg,
                            grid->centre.dec_deg,
                            -degrees,
                            0.0,
                            0.0,
                            degrees};
  char *header = cpl_malloc(80 * 13 + 1), *out = header, card[81];
  int k;
  out += sprintf(out, "%-80s%-80s%-80s%-80s%-80s", "CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'",
                 "CUNIT1  = 'deg     '", "CUNIT2  = 'deg     '", "RADESYS = 'ICRS    '");
  for (k = 0; k < 8; ++k) {
    snprintf(card, sizeof card, "%-8s= %24.16E", keys[k], values[k]);
    out += sprintf(out, "%-80s", card);
  }
  return header;
}

sky_position sky_of_pixel(const tan_sip *wcs, double x, double y) {
  double u[2], f[2], plane[2];
  u[0] = x - wcs->reference_pixel[0];
  u[1] = y - wcs->reference_pixel[1];
  distort(wcs, u, f);
  apply(wcs->cd, f, plane);
  return deproject(wcs->reference, plane[0] * DEGREE, plane[1] * DEGREE);
}

int sky_to_pixel(const tan_sip *wcs, sky_position sky, double pixel[2]) {
  double plane[2], undistorted[2], u[2], f[2];
  int k;
  if (!project(wcs->reference, sky, plane)) return 0;
  plane[0] /= DEGREE;
  plane[1] /= DEGREE;
  apply(wcs->cd_inverse, plane, undistorted);
  /* HST's distortion is a few per cent, so that fixed-point steps shrink the error ~20-fold. */
  memcpy(u, undistorted, sizeof u);
  for (k = 0; k < 12; ++k) {
    distort(wcs, u, f);
    u[0] = u[0] + undistorted[0] - f[0];
    u[1] = u[1] + undistorted[1] - f[1];
  }
  pixel[0] = u[0] + wcs->reference_pixel[0];
  pixel[1] = u[1] + wcs->reference_pixel[1];
  return isfinite(pixel[0]) && isfinite(pixel[1]);
}

double sky_pixel_scale_arcsec(const tan_sip *wcs) {
  return 3600.0 * sqrt(fabs(wcs->cd[0][0] * wcs->cd[1][1] - wcs->cd[0][1] * wcs->cd[1][0]));
}

int sky_mean(const sky_position *positions, size_t n, sky_position *mean) {
  double sum[3] = {0.0, 0.0, 0.0}, norm;
  size_t k;
  for (k = 0; k < n; ++k) {
    const double a = positions[k].ra_deg * DEGREE, d = positions[k].dec_deg * DEGREE;
    sum[0] += cos(d) * cos(a);
    sum[1] += cos(d) * sin(a);
    sum[2] += sin(d);
  }
  norm = sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
  if (!(norm > 0.0)) return 0;
  mean->ra_deg = wrapped(atan2(sum[1], sum[0]) / DEGREE);
  mean->dec_deg = asin(sum[2] / norm) / DEGREE;
  return 1;
}

/* First pixel and number of pixels of a range on an axis of n; 0 if they do not meet. */
static int overlap(double low, double high, long n, long *first, long *count) {
  const double start = fmax(round(low) - 1.0, 0.0);
  const double end = fmin(round(high) + 1.0, (double)n - 1.0);
  if (!(start <= end)) return 0;
  *first = (long)start;
  *count = (long)(end - start) + 1;
  return 1;
}

int sky_footprint(const tan_sip *wcs, long nx, long ny, const model_grid *grid, input_region *region) {
  const tan_sip model = sky_of_grid(grid);
  const double w = (double)grid->nx, h = (double)grid->ny;
  double low[2] = {DBL_MAX, DBL_MAX}, high[2] = {-DBL_MAX, -DBL_MAX};
  int step, side, axis;
  for (step = 0; step <= 8; ++step) {
    const double t = step / 8.0;
    const double edge[4][2] = {{t * w, 0.0}, {t * w, h}, {0.0, t * h}, {w, t * h}};
    for (side = 0; side < 4; ++side) {
      const sky_position sky = sky_of_pixel(&model, edge[side][0] - 0.5, edge[side][1] - 0.5);
      double pixel[2];
      if (!sky_to_pixel(wcs, sky, pixel)) return 0;
      for (axis = 0; axis < 2; ++axis) {
        low[axis] = fmin(low[axis], pixel[axis]);
        high[axis] = fmax(high[axis], pixel[axis]);
      }
    }
  }
  return overlap(low[0], high[0], nx, &region->x0, &region->nx) &&
         overlap(low[1], high[1], ny, &region->y0, &region->ny);
}
