/* Where pixels are on the sky, well enough to choose chips and cut stamps: TAN and TAN-SIP without look-up
 * tables. What exposures really see is computed by the engine from the full solution. */
#ifndef PELLUCID_CPL_SKY_H
#define PELLUCID_CPL_SKY_H

#include "input.h"

/* ICRS degrees. */
typedef struct {
  double ra_deg, dec_deg;
} sky_position;

#define SKY_ORDER 9
#define SKY_TERMS ((SKY_ORDER + 1) * (SKY_ORDER + 2) / 2)

typedef struct {
  int p, q;
  double coefficient;
} sip_term;

/* Pixels are 0-based (x, y), integers at pixel centres. */
typedef struct {
  double reference_pixel[2];
  sky_position reference;
  double cd[2][2], cd_inverse[2][2]; /* degrees a pixel */
  int n_terms[2];
  sip_term sip[2][SKY_TERMS];
} tan_sip;

/* The grid of the samples: TAN, north up, east left, square pixels, its centre at the 0-based pixel
 * ((nx - 1) / 2, (ny - 1) / 2). */
typedef struct {
  long nx, ny;
  sky_position centre;
  double pixel_scale_arcsec;
} model_grid;

/* The solution of a header; `at` names it in errors. */
cpl_error_code sky_read(tan_sip *wcs, const char *header, const char *at);
tan_sip sky_of_grid(const model_grid *grid);
/* Header cards of a grid, to be freed with cpl_free. */
char *sky_grid_header(const model_grid *grid);
sky_position sky_of_pixel(const tan_sip *wcs, double x, double y);
/* 0 if the position is more than 90 degrees away. */
int sky_to_pixel(const tan_sip *wcs, sky_position sky, double pixel[2]);
/* Square root of a pixel's area at the reference pixel. */
double sky_pixel_scale_arcsec(const tan_sip *wcs);
/* The mean direction; 0 if there is none. */
int sky_mean(const sky_position *positions, size_t n, sky_position *mean);
/* The pixels of a chip of nx x ny that see a grid: its outline's bounding box and one pixel more, cut at
 * the chip's edges; 0 if there are none. */
int sky_footprint(const tan_sip *wcs, long nx, long ny, const model_grid *grid, input_region *region);

#endif
