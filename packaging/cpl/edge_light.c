/* Light just beyond a model grid, which a posterior on that grid cannot hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"
#include "session.h"

/* How far beyond the grid is looked, in its sides. */
static const double REACH = 0.125;
/* Less than this share is what the PSF's wings of a galaxy within the grid may bring there. */
static const double LEAST_SHARE = 0.03;
/* Standard deviations that make light significant. Correlated noise is taken for white. */
static const double SIGNIFICANCE = 5.0;

/* Side of a cell, in pixels of the grid, unless the ring beyond it is broader; more than the cells along a side;
 * variance of a median over that of a mean. See EdgeLight::share_under_rays of host-sdk. */
static const double CELL = 8.0;
static const long long CELLS = 1L << 20;
static const double MEDIAN_VARIANCE = 1.57079632679489661923;

/* A good pixel; its cell is even within the grid, odd beyond it. */
typedef struct {
  long long cell;
  double value, variance;
} cell_pixel;

typedef struct {
  double within, beyond, variance;
  cell_pixel *pixels;
  size_t n, room;
} light;

static void keep(light *sum, cell_pixel pixel) {
  if (sum->n == sum->room) {
    sum->room = 2 * sum->room + 4096;
    sum->pixels = cpl_realloc(sum->pixels, sum->room * sizeof *sum->pixels);
  }
  sum->pixels[sum->n++] = pixel;
}

static int by_cell_and_value(const void *a, const void *b) {
  const cell_pixel *x = a, *y = b;
  if (x->cell != y->cell) return x->cell > y->cell ? 1 : -1;
  if (x->value != y->value) return x->value > y->value ? 1 : -1;
  return (x->variance > y->variance) - (x->variance < y->variance);
}

/* Medians of cells in place of sums: for rays and hot pixels that only a noise model knows of. */
static void take_medians(light *sum) {
  size_t first, end, k;
  sum->within = sum->beyond = sum->variance = 0.0;
  if (sum->n > 0) qsort(sum->pixels, sum->n, sizeof *sum->pixels, by_cell_and_value);
  for (first = 0; first < sum->n; first = end) {
    const cell_pixel *cell = sum->pixels + first;
    double total;
    size_t n;
    for (end = first; end < sum->n && sum->pixels[end].cell == cell->cell; ++end) continue;
    n = end - first;
    total = (double)n * (0.5 * (cell[(n - 1) / 2].value + cell[n / 2].value));
    if (cell->cell % 2 == 0) {
      sum->within += total;
      continue;
    }
    sum->beyond += total;
    for (k = 0; k < n; ++k) sum->variance += MEDIAN_VARIANCE * cell[k].variance;
  }
}

static void add(light *sum, const exposure_stamp *stamp, const model_grid *grid, double reach) {
  const tan_sip model = sky_of_grid(grid);
  const double nx = (double)grid->nx, ny = (double)grid->ny;
  long x, y;
  for (y = 0; y < stamp->region.ny; ++y) {
    for (x = 0; x < stamp->region.nx; ++x) {
      const long k = y * stamp->region.nx + x;
      const double side = fmax(CELL, reach);
      cell_pixel pixel;
      double at[2], off;
      if (stamp->quality != NULL && (stamp->quality[k] & stamp->chip->bad_bits) != 0) continue;
      if (!isfinite(stamp->pixels[k]) || !isfinite(stamp->sigma[k])) continue;
      if (!sky_to_pixel(&model,
                        sky_of_pixel(&stamp->chip->wcs, (double)(stamp->region.x0 + x),
                                     (double)(stamp->region.y0 + y)),
                        at)) {
        continue;
      }
      /* How far outside, in pixels of the grid; negative inside. */
      off = fmax(fabs(at[0] - (nx - 1.0) / 2.0) - nx / 2.0, fabs(at[1] - (ny - 1.0) / 2.0) - ny / 2.0);
      if (off > reach) continue;
      pixel.value = stamp->pixels[k];
      pixel.variance = stamp->sigma[k] * stamp->sigma[k];
      if (off <= 0.0) {
        sum->within += pixel.value;
      } else {
        sum->beyond += pixel.value;
        sum->variance += pixel.variance;
      }
      /* From the corner of the ring. */
      pixel.cell = 2 * ((long long)floor(fmax((at[1] + 0.5 + reach) / side, 0.0)) * CELLS +
                        (long long)floor(fmax((at[0] + 0.5 + reach) / side, 0.0))) +
                   (off > 0.0);
      keep(sum, pixel);
    }
  }
}

cpl_error_code session_edge_light(const session *session, double *share) {
  const double reach = REACH * fmax((double)session->grid.nx, (double)session->grid.ny);
  model_grid around = session->grid;
  light sum = {0.0, 0.0, 0.0, NULL, 0, 0};
  cpl_error_code code = CPL_ERROR_NONE;
  size_t k;
  around.nx += 2 * (long)ceil(reach);
  around.ny += 2 * (long)ceil(reach);
  for (k = 0; k < session->n && code == CPL_ERROR_NONE; ++k) {
    const exposure_chip *chip = exposure_chip_at(&session->files[k], session->grid.centre);
    exposure_stamp stamp;
    input_region region;
    if (chip == NULL) {
      code = cpl_error_set_where(cpl_func);
      break;
    }
    if (!sky_footprint(&chip->wcs, chip->science->nx, chip->science->ny, &around, &region)) continue;
    code = exposure_read(&stamp, &session->files[k], chip, region, &session->chosen,
                         session->correlation.sigma);
    if (code == CPL_ERROR_NONE) add(&sum, &stamp, &session->grid, reach);
    exposure_stamp_free(&stamp);
  }
  if (strcmp(session->noise, "gaussian") != 0) take_medians(&sum);
  cpl_free(sum.pixels);
  TRY(code);
  *share = sum.beyond / sum.within;
  if (!(sum.beyond > SIGNIFICANCE * sqrt(sum.variance)) || !(*share > LEAST_SHARE)) *share = 0.0;
  return CPL_ERROR_NONE;
}
