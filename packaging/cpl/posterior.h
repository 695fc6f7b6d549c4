/* A finished job's result as CPL images. */
#ifndef PELLUCID_CPL_POSTERIOR_H
#define PELLUCID_CPL_POSTERIOR_H

#include "session.h"

enum { STAT_MEAN, STAT_MEDIAN, STAT_STD, STAT_P16, STAT_P84, N_STATS };
enum { FIT_DATA, FIT_SIGMA, FIT_MODEL, FIT_RESIDUAL, N_FITS };

typedef struct {
  const char *diagnostics; /* JSON of the result's */
  cpl_imagelist *samples;  /* NaN where one failed */
  double *fluxes;          /* total flux of each, e-/s */
  cpl_image *stats[N_STATS];
  cpl_image *(*fits)[N_FITS]; /* for each exposure, in the frame of its stamp */
  cpl_propertylist *grid;     /* WCS of the model grid */
} posterior;

/* Collects all of it; an error if every sample failed. */
cpl_error_code posterior_collect(posterior *posterior, const session *session);
void posterior_free(posterior *posterior, const session *session);

#endif
