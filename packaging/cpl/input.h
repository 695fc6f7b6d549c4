/* FITS files as the engine wants them: header cards as they stand, and pixels as double. Read with
 * cfitsio, since CPL gives no header text, in which the engine looks for the WCS. */
#ifndef PELLUCID_CPL_INPUT_H
#define PELLUCID_CPL_INPUT_H

#include <cpl.h>
#include <fitsio.h>

typedef struct {
  int number;   /* from 1, as cfitsio counts */
  int naxis;    /* 0: no pixels, or a table */
  long nx, ny;  /* NAXIS1 and NAXIS2; ny is 1 for one axis */
  long version; /* EXTVER, 1 if it has none */
  char name[72]; /* EXTNAME, upper case */
  char *header; /* 80 characters a card */
} input_hdu;

typedef struct {
  char *path;
  fitsfile *file;
  input_hdu *hdus;
  int n_hdus;
} input_file;

/* A rectangle of pixels, 0-based. */
typedef struct {
  long x0, y0, nx, ny;
} input_region;

cpl_error_code input_open(input_file *file, const char *path);
/* Also ends a file that was never opened, if it is all zero. */
void input_close(input_file *file);
/* The HDU with these EXTNAME and EXTVER; NULL if there is none. */
const input_hdu *input_find(const input_file *file, const char *name, long version);
/* The first HDU that holds a 2-D image; an error if there is none. */
const input_hdu *input_image(const input_file *file);
/* Pixels with BSCALE and BZERO applied, to be freed with cpl_free; NULL with an error set. */
double *input_pixels(const input_file *file, const input_hdu *hdu, input_region region);
/* All pixels of an HDU. */
input_region input_whole(const input_hdu *hdu);
/* `file.fits[SCI,1]`, to be freed with cpl_free. */
char *input_label(const input_file *file, const input_hdu *hdu);

/* The value of a header keyword, of its last card if it is repeated; 0 if there is none of that kind. A
 * key like DP1.EXTVER is looked up in record-valued cards: DP1 = 'EXTVER: 2'. Text takes 72 bytes. */
int header_text(const char *header, const char *key, char *text);
int header_real(const char *header, const char *key, double *value);
int header_integer(const char *header, const char *key, long *value);
int header_logical(const char *header, const char *key, int *value);
/* Whether two CTYPEs place pixels on the sky. */
int header_is_celestial(const char *header);
/* The header of the sub-image whose first pixel is (x0, y0), 0-based: CRPIX moved. */
char *header_shifted(const char *header, long x0, long y0);
/* Appends a card's keyword, value and comment, replacing an earlier one of that name. */
void header_append_card(cpl_propertylist *list, const char *card);
/* Appends the WCS, SIP included; nothing if it needs look-up tables, which do not travel. */
void header_append_wcs(cpl_propertylist *list, const char *header);

#endif
