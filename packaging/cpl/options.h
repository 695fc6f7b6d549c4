/* The recipe's parameters, checked. */
#ifndef PELLUCID_CPL_OPTIONS_H
#define PELLUCID_CPL_OPTIONS_H

#include <cpl.h>

#include "sky.h"

#define RECIPE "pellucid_sample"
#define PELLUCID_VERSION "0.1.0"

typedef enum { SKY_NONE, SKY_HEADER, SKY_VALUE } sky_kind;

/* Text belongs to the parameter list. */
typedef struct {
  int n_samples, seed;
  int has_target;
  sky_position target;
  double pixel_scale_arcsec; /* 0: the prior's */
  int size;                  /* 0: the prior's */
  double flux_scale;         /* 0: from the exposures */
  const char *prior, *noise; /* names, unless frames say otherwise; "" for none */
  int accept_noise_mismatch;
  const char *sampler, *precision; /* NULL: the engine's own */
  int steps;  /* 0: the sampler's own */
  int sweeps; /* -1: the sampler's own */
  double sigma;             /* 0: from ERR */
  double photon_noise_s;    /* 0: none added */
  const char *unit;         /* NULL: BUNIT */
  int pixel_area_corrected; /* 0: the header's PAMCORR */
  long dq_bad_bits;         /* -1: by instrument */
  sky_kind sky;
  double sky_level;
  double pixel_scale_data_arcsec; /* 0: the header has a WCS */
  int cutout;                     /* 0: what sees the model */
  int psf_oversample;             /* 0: the PSF's header */
  int has_psf_centre;
  long psf_centre_twice[2]; /* row, column; twice, since they may be half-integers */
  int psf_pixel_integrated;
  const char *device, *engine, *models;
  int threads; /* 0: one per core */
} options;

/* Fills in the recipe's parameters and their defaults. */
cpl_error_code options_declare(cpl_parameterlist *list);
cpl_error_code options_read(options *chosen, const cpl_parameterlist *list);

#endif
