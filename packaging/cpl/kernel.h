/* PSF images and noise correlations. */
#ifndef PELLUCID_CPL_KERNEL_H
#define PELLUCID_CPL_KERNEL_H

#include "options.h"

typedef struct {
  char *path;
  double *pixels; /* [ny, nx], the PSF's centre in the middle, not normalised; or a correlation, 1 there */
  long nx, ny;
  int oversample;       /* of a PSF: samples per detector pixel and axis */
  int pixel_integrated; /* of a PSF: whether it includes the detector pixel */
  double sigma;         /* of a covariance: the noise rms of the images it describes; else 0 */
} kernel;

cpl_error_code kernel_read_psf(kernel *psf, const char *path, const options *chosen);
/* An odd x odd correlation or covariance, zero offset in the middle. */
cpl_error_code kernel_read_correlation(kernel *correlation, const char *path);
void kernel_free(kernel *kernel);

#endif
