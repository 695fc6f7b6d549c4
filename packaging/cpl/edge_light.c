/* Light just beyond a model grid, which a posterior on that grid cannot hold. */
#include <math.h>
#include <string.h>

#include "failure.h"
#include "session.h"

/* How far beyond the grid is looked, in its sides. */
static const double REACH = 0.125;
/* Less than this share is what the PSF's wings of a galaxy within the grid may bring there. */
static const double LEAST_SHARE = 0.03;
/* Standard deviations that make light significant. Correlated noise is taken for white. */
static const double SIGNIFICANCE = 5.0;

typedef struct {
  double within, beyond, variance;
} light;

static void add(light *sum, const exposure_stamp *stamp, const model_grid *grid, double reach) {
  const tan_sip model = sky_of_grid(grid);
  const double nx = (double)grid->nx, ny = (double)grid->ny;
  long x, y;
  for (y = 0; y < stamp->region.ny; ++y) {
    for (x = 0; x < stamp->region.nx; ++x) {
      const long k = y * stamp->region.nx + x;
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
      if (off <= 0.0) {
        sum->within += stamp->pixels[k];
      } else if (off <= reach) {
        sum->beyond += stamp->pixels[k];
        sum->variance += stamp->sigma[k] * stamp->sigma[k];
      }
    }
  }
}

cpl_error_code session_edge_light(const session *session, double *share) {
  const double reach = REACH * fmax((double)session->grid.nx, (double)session->grid.ny);
  model_grid around = session->grid;
  light sum = {0.0, 0.0, 0.0};
  size_t k;
  around.nx += 2 * (long)ceil(reach);
  around.ny += 2 * (long)ceil(reach);
  for (k = 0; k < session->n; ++k) {
    const exposure_chip *chip = exposure_chip_at(&session->files[k], session->grid.centre);
    exposure_stamp stamp;
    input_region region;
    cpl_error_code code;
    if (chip == NULL) return cpl_error_set_where(cpl_func);
    if (!sky_footprint(&chip->wcs, chip->science->nx, chip->science->ny, &around, &region)) continue;
    code = exposure_read(&stamp, &session->files[k], chip, region, &session->chosen,
                         session->correlation.sigma);
    if (code == CPL_ERROR_NONE) add(&sum, &stamp, &session->grid, reach);
    exposure_stamp_free(&stamp);
    TRY(code);
  }
  *share = sum.beyond / sum.within;
  if (!(sum.beyond > SIGNIFICANCE * sqrt(sum.variance)) || !(*share > LEAST_SHARE)) *share = 0.0;
  return CPL_ERROR_NONE;
}
