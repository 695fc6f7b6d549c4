/* From frames and parameters to a finished job. */
#ifndef PELLUCID_CPL_SESSION_H
#define PELLUCID_CPL_SESSION_H

#include "engine.h"
#include "exposure.h"
#include "frames.h"
#include "kernel.h"

/* Reasons to distrust a posterior; `quality_describe` names them. */
enum {
  DOUBT_CHI2 = 1,
  DOUBT_WHITENESS = 2,
  DOUBT_EDGE_FLUX = 4,
  DOUBT_PRIOR_SCALE = 8,
  DOUBT_NOISE_MISMATCH = 16,
  DOUBT_NOISE_UNCHECKED = 32,
  DOUBT_EXPOSURE_TIME = 64
};

typedef struct {
  options chosen;
  recipe_frames frames;
  engine engine;
  char *prior;       /* a name, or a file's absolute path */
  char *noise;       /* likewise */
  char *job_options; /* JSON */
  kernel correlation; /* no pixels: pixels are independent */
  kernel *psfs;
  size_t n; /* exposures: of each of the following */
  exposure_file *files;
  exposure_stamp *stamps;
  pellucid_exposure **exposures;
  model_grid grid;
  unsigned doubts; /* of the grid, whatever the samples */
  pellucid_job *job;
  pellucid_result *result;
} session;

/* Reads, samples and leaves the result in the session, which may be all zero before. */
cpl_error_code session_run(session *session, cpl_frameset *frames, const cpl_parameterlist *parameters);
void session_free(session *session);
/* The PSF of an exposure. */
const kernel *session_psf(const session *session, size_t exposure);

/* Share of the light within the model that the exposures have just beyond its edge, if it is above 3 % and five
 * standard deviations; else 0. Then the grid cuts the galaxy off, or there is a neighbour, or the sky is still in
 * the exposures. With a noise model cosmic rays and hot pixels do not count. */
cpl_error_code session_edge_light(const session *session, double *share);

#endif
