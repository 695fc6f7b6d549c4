/* The recipe's frames by their tags. */
#ifndef PELLUCID_CPL_FRAMES_H
#define PELLUCID_CPL_FRAMES_H

#include <cpl.h>

#define TAG_EXPOSURE "CALIBRATED_EXPOSURE"
#define TAG_PSF "PSF"
#define TAG_PRIOR "PRIOR"
#define TAG_NOISE_MODEL "NOISE_MODEL"
#define TAG_NOISE_CORRELATION "NOISE_CORRELATION"

/* File names belong to the frame set; the lists are freed with frames_free. */
typedef struct {
  const char **exposures, **psfs;
  size_t n_exposures, n_psfs;            /* as many PSFs as exposures, or one */
  const char *prior, *noise_model, *noise_correlation; /* NULL if there is none */
  cpl_frameset *used; /* those a product's header can be told of: the FITS files */
} recipe_frames;

/* Sorts the frames and sets their groups. */
cpl_error_code frames_sort(recipe_frames *sorted, cpl_frameset *set);
void frames_free(recipe_frames *sorted);

#endif
