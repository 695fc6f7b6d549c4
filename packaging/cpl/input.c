#include "input.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "failure.h"

static cpl_error_code broken(const char *where, int status) {
  char reason[FLEN_STATUS] = "";
  fits_get_errstatus(status, reason);
  return FAIL(CPL_ERROR_BAD_FILE_FORMAT, "%s: %s (cfitsio status %d)", where, reason, status);
}

static cpl_error_code describe(input_file *file, int number) {
  input_hdu *hdu = &file->hdus[number - 1];
  long axes[9] = {0};
  int type = 0, cards = 0, status = 0, k;
  hdu->number = number;
  fits_movabs_hdu(file->file, number, &type, &status);
  /* A tile-compressed image has the header of the image, not that of the table that holds it. */
  fits_convert_hdr2str(file->file, 0, NULL, 0, &hdu->header, &cards, &status);
  if (type == IMAGE_HDU) {
    fits_get_img_dim(file->file, &hdu->naxis, &status);
    fits_get_img_size(file->file, 9, axes, &status);
  }
  if (status != 0) return broken(file->path, status);
  hdu->nx = axes[0];
  hdu->ny = hdu->naxis == 1 ? 1 : axes[1];
  header_text(hdu->header, "EXTNAME", hdu->name);
  for (k = 0; hdu->name[k] != '\0'; ++k) hdu->name[k] = (char)toupper((unsigned char)hdu->name[k]);
  if (!header_integer(hdu->header, "EXTVER", &hdu->version)) hdu->version = 1;
  return CPL_ERROR_NONE;
}

cpl_error_code input_open(input_file *file, const char *path) {
  int status = 0, n = 0, k;
  memset(file, 0, sizeof *file);
  file->path = cpl_strdup(path);
  /* Takes the name as it stands, without brackets or `!` read into it. */
  fits_open_diskfile(&file->file, path, READONLY, &status);
  fits_get_num_hdus(file->file, &n, &status);
  if (status != 0) {
    broken(path, status);
    return cpl_error_get_code();
  }
  file->hdus = cpl_calloc((size_t)n, sizeof *file->hdus);
  for (k = 1; k <= n; ++k) {
    ++file->n_hdus;
    TRY(describe(file, k));
  }
  return CPL_ERROR_NONE;
}

void input_close(input_file *file) {
  int status = 0, k;
  for (k = 0; k < file->n_hdus; ++k) fits_free_memory(file->hdus[k].header, &status);
  status = 0;
  if (file->file != NULL) fits_close_file(file->file, &status);
  cpl_free(file->hdus);
  cpl_free(file->path);
  memset(file, 0, sizeof *file);
}

const input_hdu *input_find(const input_file *file, const char *name, long version) {
  int k;
  for (k = 0; k < file->n_hdus; ++k) {
    const input_hdu *hdu = &file->hdus[k];
    if (strcasecmp(hdu->name, name) == 0 && hdu->version == version) return hdu;
  }
  return NULL;
}

const input_hdu *input_image(const input_file *file) {
  int k;
  for (k = 0; k < file->n_hdus; ++k) {
    if (file->hdus[k].naxis == 2) return &file->hdus[k];
  }
  FAIL(CPL_ERROR_DATA_NOT_FOUND, "%s: needed a 2-D image, found none in %d HDUs", file->path,
       file->n_hdus);
  return NULL;
}

input_region input_whole(const input_hdu *hdu) {
  input_region region = {0, 0, 0, 0};
  region.nx = hdu->nx;
  region.ny = hdu->ny;
  return region;
}

double *input_pixels(const input_file *file, const input_hdu *hdu, input_region region) {
  long first[2], last[2], step[2] = {1, 1};
  int status = 0;
  double *pixels;
  first[0] = region.x0 + 1;
  first[1] = region.y0 + 1;
  last[0] = region.x0 + region.nx;
  last[1] = region.y0 + region.ny;
  if (region.nx < 1 || region.ny < 1 || region.x0 < 0 || region.y0 < 0 || last[0] > hdu->nx ||
      last[1] > hdu->ny) {
    FAIL(CPL_ERROR_ACCESS_OUT_OF_RANGE, "%s[%d]: needed a rectangle of pixels within %ld x %ld", file->path,
         hdu->number - 1, hdu->nx, hdu->ny);
    return NULL;
  }
  pixels = cpl_malloc((size_t)region.nx * (size_t)region.ny * sizeof *pixels);
  fits_movabs_hdu(file->file, hdu->number, NULL, &status);
  fits_read_subset(file->file, TDOUBLE, first, last, step, NULL, pixels, NULL, &status);
  if (status != 0) {
    char *label = input_label(file, hdu);
    broken(label, status);
    cpl_free(label);
    cpl_free(pixels);
    return NULL;
  }
  return pixels;
}

char *input_label(const input_file *file, const input_hdu *hdu) {
  return hdu->name[0] == '\0'
             ? cpl_sprintf("%s[%d]", file->path, hdu->number - 1)
             : cpl_sprintf("%s[%s,%ld]", file->path, hdu->name, hdu->version);
}
