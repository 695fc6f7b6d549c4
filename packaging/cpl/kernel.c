#include "kernel.h"

#include <math.h>
#include <string.h>

#include "failure.h"

static cpl_error_code read_image(kernel *image, const input_file *file, const input_hdu **hdu) {
  *hdu = input_image(file);
  if (*hdu == NULL) return cpl_error_set_where(cpl_func);
  image->nx = (*hdu)->nx;
  image->ny = (*hdu)->ny;
  image->pixels = input_pixels(file, *hdu, input_whole(*hdu));
  return image->pixels != NULL ? CPL_ERROR_NONE : cpl_error_set_where(cpl_func);
}

/* Adds zeros at one end of each axis, so that the centre becomes the middle: of n samples with the centre c,
 * n - 1 - 2c before the first or 2c - (n - 1) after the last. Nothing is resampled. */
static cpl_error_code move_to_middle(kernel *psf, const long twice[2]) {
  const long n[2] = {psf->ny, psf->nx};
  long before[2], side[2], y;
  double *padded;
  int axis;
  for (axis = 0; axis < 2; ++axis) {
    const long off = twice[axis] - (n[axis] - 1);
    if (twice[axis] > 2 * (n[axis] - 1)) {
      return FAIL(CPL_ERROR_ACCESS_OUT_OF_RANGE, "%s: centre of the PSF: needed a place within %ld x %ld",
                  psf->path, psf->nx, psf->ny);
    }
    before[axis] = off < 0 ? -off : 0;
    side[axis] = n[axis] + (off < 0 ? -off : off);
  }
  padded = cpl_calloc((size_t)side[0] * (size_t)side[1], sizeof *padded);
  for (y = 0; y < psf->ny; ++y) {
    memcpy(padded + (before[0] + y) * side[1] + before[1], psf->pixels + y * psf->nx,
           (size_t)psf->nx * sizeof *padded);
  }
  cpl_free(psf->pixels);
  psf->pixels = padded;
  psf->ny = side[0];
  psf->nx = side[1];
  return CPL_ERROR_NONE;
}

static cpl_error_code read_psf(kernel *psf, const input_file *file, const options *chosen) {
  const input_hdu *hdu;
  long stated = 0, k;
  TRY(read_image(psf, file, &hdu));
  for (k = 0; k < psf->nx * psf->ny; ++k) {
    if (!isfinite(psf->pixels[k])) {
      return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: PSF at pixel (x, y) = (%ld, %ld): needed a finite value",
                  psf->path, k % psf->nx, k / psf->nx);
    }
  }
  psf->oversample = chosen->psf_oversample;
  if (psf->oversample == 0 &&
      (header_integer(hdu->header, "OVERSAMP", &stated) || header_integer(hdu->header, "OVERSMPL", &stated) ||
       header_integer(hdu->header, "SAMPFACT", &stated))) {
    if (stated < 1 || stated > 1024) {
      return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: PSF oversampling: needed at least 1, got %ld", psf->path,
                  stated);
    }
    psf->oversample = (int)stated;
  }
  if (psf->oversample == 0) {
    cpl_msg_warning(cpl_func, "%s: oversampling not stated; taken as 4 (psf_oversample)", psf->path);
    psf->oversample = 4;
  }
  header_logical(hdu->header, "PIXINT", &psf->pixel_integrated);
  if (chosen->psf_pixel_integrated) psf->pixel_integrated = 1;
  return chosen->has_psf_centre ? move_to_middle(psf, chosen->psf_centre_twice) : CPL_ERROR_NONE;
}

cpl_error_code kernel_read_psf(kernel *psf, const char *path, const options *chosen) {
  input_file file;
  cpl_error_code code;
  memset(psf, 0, sizeof *psf);
  psf->path = cpl_strdup(path);
  code = input_open(&file, path);
  if (code == CPL_ERROR_NONE) code = read_psf(psf, &file, chosen);
  input_close(&file);
  return code;
}

static cpl_error_code normalise(kernel *image) {
  const double centre = image->pixels[image->nx * (image->ny / 2) + image->nx / 2];
  double largest = 0.0;
  int finite = 1;
  long k;
  if (image->nx % 2 == 0 || image->ny % 2 == 0) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT,
                "%s: noise correlation: needed an odd number of rows and columns, got %ld x %ld", image->path,
                image->nx, image->ny);
  }
  for (k = 0; k < image->nx * image->ny; ++k) {
    finite &= isfinite(image->pixels[k]) != 0;
    largest = fmax(largest, fabs(image->pixels[k]));
  }
  if (!finite || !(centre > 0.0) || centre < largest) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT,
                "%s: noise correlation at zero offset: needed positive and no smaller than any other value, "
                "got %g, largest %g",
                image->path, centre, largest);
  }
  for (k = 0; k < image->nx * image->ny; ++k) image->pixels[k] /= centre;
  image->sigma = fabs(centre - 1.0) > 1e-6 ? sqrt(centre) : 0.0;
  return CPL_ERROR_NONE;
}

cpl_error_code kernel_read_correlation(kernel *correlation, const char *path) {
  input_file file;
  const input_hdu *hdu;
  cpl_error_code code;
  memset(correlation, 0, sizeof *correlation);
  correlation->path = cpl_strdup(path);
  code = input_open(&file, path);
  if (code == CPL_ERROR_NONE) code = read_image(correlation, &file, &hdu);
  if (code == CPL_ERROR_NONE) code = normalise(correlation);
  input_close(&file);
  return code;
}

void kernel_free(kernel *kernel) {
  cpl_free(kernel->path);
  cpl_free(kernel->pixels);
  memset(kernel, 0, sizeof *kernel);
}
