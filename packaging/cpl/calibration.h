/* What an exposure's headers say of its pixels: unit, quality bits, distortion tables. */
#ifndef PELLUCID_CPL_CALIBRATION_H
#define PELLUCID_CPL_CALIBRATION_H

#include "exposure.h"

/* What a pixel is multiplied by to be in e-/s. `unit`, if not NULL, replaces BUNIT. */
cpl_error_code calibration_unit(double *factor, const char *unit, const char *image, const char *primary,
                                const char *at);
/* The DQ bits that exclude a pixel, by instrument. */
uint32_t calibration_bad_bits(const char *image, const char *primary);
/* Reads the look-up tables that a chip's header refers to. */
cpl_error_code calibration_tables(exposure_chip *chip, const input_file *file);

#endif
