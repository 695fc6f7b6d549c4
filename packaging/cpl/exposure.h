/* An exposure's file: its chips, their units, quality bits, distortion, and where they look. */
#ifndef PELLUCID_CPL_EXPOSURE_H
#define PELLUCID_CPL_EXPOSURE_H

#include <pellucid/pellucid.h>

#include "options.h"

#define MAX_TABLES 4

/* One image of the file, with what belongs to it. */
typedef struct {
  char *label; /* file.fits[SCI,1] */
  const input_hdu *science, *error, *quality; /* the last two may be NULL */
  char *header; /* made up from the pixel scale if the file has no WCS */
  tan_sip wcs;
  double to_electrons_per_second;
  uint32_t bad_bits;
  int32_t flux_convention;
  double sky; /* in the file's unit */
  size_t n_tables;
  pellucid_lookup_table tables[MAX_TABLES];
  pellucid_array table_values[MAX_TABLES];
} exposure_chip;

typedef struct {
  input_file file;
  exposure_chip *chips;
  size_t n_chips;
} exposure_file;

/* A rectangle of a chip, in e-/s, [y, x]. */
typedef struct {
  char *id; /* file, extension and section */
  input_region region;
  double *pixels, *sigma;
  uint32_t *quality; /* NULL: every pixel is good */
  const exposure_chip *chip;
} exposure_stamp;

/* Camera and filter; empty where the headers say nothing. */
typedef struct {
  char instrument[72], detector[72], filter[72];
} exposure_camera;

cpl_error_code exposure_open(exposure_file *exposure, const char *path, const options *chosen);
void exposure_close(exposure_file *exposure);
/* The chip that holds the target, where it is best centred if several do; NULL with an error set. */
const exposure_chip *exposure_chip_at(const exposure_file *exposure, sky_position target);
sky_position exposure_centre(const exposure_chip *chip);
/* The stamp that sees the model, or a cutout around its centre. `fallback_sigma` is the noise rms where there
 * is neither an option nor an ERR extension; 0 for none. */
cpl_error_code exposure_cut(exposure_stamp *stamp, const exposure_file *exposure, const model_grid *grid,
                            const options *chosen, double fallback_sigma);
/* As above, of a given rectangle. */
cpl_error_code exposure_read(exposure_stamp *stamp, const exposure_file *exposure, const exposure_chip *chip,
                             input_region region, const options *chosen, double fallback_sigma);
void exposure_stamp_free(exposure_stamp *stamp);
/* The names in an image's header, else in the primary one. */
exposure_camera exposure_taken_by(const char *image, const char *primary);

#endif
