#include "options.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

#define CONTEXT "pellucid." RECIPE
#define NAME(alias) CONTEXT "." alias

static void append(cpl_parameterlist *list, cpl_parameter *parameter, const char *alias) {
  cpl_parameter_set_alias(parameter, CPL_PARAMETER_MODE_CLI, alias);
  cpl_parameter_disable(parameter, CPL_PARAMETER_MODE_ENV);
  cpl_parameterlist_append(list, parameter);
}

#define INTEGER(alias, value, low, high, help)                                                     \
  append(list, cpl_parameter_new_range(NAME(alias), CPL_TYPE_INT, help, CONTEXT, value, low, high), \
         alias)
#define REAL(alias, value, low, high, help)                                                            \
  append(list, cpl_parameter_new_range(NAME(alias), CPL_TYPE_DOUBLE, help, CONTEXT, value, low, high), \
         alias)
#define TEXT(alias, value, help) \
  append(list, cpl_parameter_new_value(NAME(alias), CPL_TYPE_STRING, help, CONTEXT, value), alias)
#define FLAG(alias, help) \
  append(list, cpl_parameter_new_value(NAME(alias), CPL_TYPE_BOOL, help, CONTEXT, CPL_FALSE), alias)
#define CHOICE(alias, help, value, ...) \
  append(list, cpl_parameter_new_enum(NAME(alias), CPL_TYPE_STRING, help, CONTEXT, value, __VA_ARGS__), alias)

cpl_error_code options_declare(cpl_parameterlist *list) {
  INTEGER("n_samples", 32, 1, 65536, "Number of posterior samples");
  INTEGER("seed", 0, 0, INT_MAX, "Seed; the same seed gives the same samples");
  REAL("ra", -1.0, -1.0, 360.0,
       "Right ascension of the model's centre [deg]; -1: the exposures' common centre");
  REAL("dec", 0.0, -90.0, 90.0, "Declination of the model's centre [deg]; taken if ra is given");
  REAL("pixel_scale", 0.0, 0.0, 60.0, "Pixel scale of the model [arcsec]; 0: the prior's");
  INTEGER("size", 0, 0, 4096, "Side of the model [pixel]; 0: the prior's");
  REAL("flux_scale", 0.0, 0.0, 1e12,
       "Surface brightness of one network unit [electron/s per detector pixel]; 0: from the exposures");
  TEXT("prior", "", "Name of a prior the engine knows, if there is no PRIOR frame");
  TEXT("noise", "gaussian",
       "'gaussian', or the name of a noise model the engine knows, if there is no NOISE_MODEL frame");
  FLAG("accept_noise_mismatch",
       "Use the noise model even where it was trained for another instrument, filter, pixel scale or PSF");
  CHOICE("sampler", "Sampling method; default: the engine's, which is calibrated", "default", 4, "default",
         "calibrated", "convolved", "smc");
  INTEGER("steps", 0, 0, 100000, "Noise levels of the guided stage; 0: the sampler's own");
  INTEGER("sweeps", -1, -1, 10000, "Split-Gibbs sweeps of the calibrated sampler; -1: the sampler's own");
  CHOICE("precision", "Arithmetic of the network; default: the engine's, which is f32", "default", 3, "default",
         "f32", "bf16");
  REAL("sigma", 0.0, 0.0, 1e30,
       "Noise rms of every pixel, in the exposures' unit, instead of ERR extensions; 0: those");
  REAL("photon_noise", 0.0, 0.0, 1e12,
       "Exposure time [s] by which the source's photon noise is added to a constant noise rms; 0: not. "
       "ERR extensions have it already");
  CHOICE("unit", "Unit of the exposures", "header", 5, "header", "electrons", "electrons/s", "counts",
         "counts/s");
  FLAG("pixel_area_corrected",
       "Pixels were multiplied by the pixel area map; otherwise PAMCORR says so");
  INTEGER("dq_bad_bits", -1, -1, INT_MAX, "DQ bits that exclude a pixel; -1: by instrument");
  TEXT("sky", "none", "Sky to subtract: 'none', 'header' (MDRIZSKY) or a value in the exposures' unit");
  REAL("pixel_scale_data", 0.0, 0.0, 60.0,
       "Pixel scale [arcsec] of exposures without a WCS, then taken to be north up");
  INTEGER("cutout", 0, 0, 65536, "Use so many pixels squared around the target; 0: those that see the model");
  INTEGER("psf_oversample", 0, 0, 64,
          "PSF samples per detector pixel; 0: OVERSAMP, OVERSMPL or SAMPFACT of its header, else 4");
  TEXT("psf_centre", "",
       "Centre of the PSF, 0-based 'row,column', integers or half-integers; empty: its middle");
  FLAG("psf_pixel_integrated", "The PSF includes the detector pixel; otherwise PIXINT says so");
  TEXT("device", "auto", "'auto', 'cpu' or 'cuda:0'");
  INTEGER("threads", 0, 0, 4096, "CPU threads; 0: one per core");
  TEXT("models", "", "Folders of models, separated by colons, searched first");
  TEXT("engine", "",
       "The engine's library, libpellucid.so.1; empty: what PELLUCID_PLUGIN names, else the built-in path");
  return cpl_error_get_code();
}

static const cpl_parameter *find(const cpl_parameterlist *list, const char *name) {
  return cpl_parameterlist_find_const(list, name);
}

static int integer(const cpl_parameterlist *list, const char *name) {
  return cpl_parameter_get_int(find(list, name));
}

static double real(const cpl_parameterlist *list, const char *name) {
  return cpl_parameter_get_double(find(list, name));
}

static int flag(const cpl_parameterlist *list, const char *name) {
  return cpl_parameter_get_bool(find(list, name)) != 0;
}

static const char *text(const cpl_parameterlist *list, const char *name) {
  const char *value = cpl_parameter_get_string(find(list, name));
  return value != NULL ? value : "";
}

/* NULL for the choice that leaves the choice to another. */
static const char *choice(const cpl_parameterlist *list, const char *name, const char *none) {
  const char *value = text(list, name);
  return strcmp(value, none) == 0 ? NULL : value;
}

/* CPL enforces ranges for EsoRex only when it reads the command line; other hosts set what they like. */
static cpl_error_code check_range(const cpl_parameter *parameter) {
  double value, low, high;
  if (cpl_parameter_get_class(parameter) != CPL_PARAMETER_CLASS_RANGE) return CPL_ERROR_NONE;
  if (cpl_parameter_get_type(parameter) == CPL_TYPE_INT) {
    value = cpl_parameter_get_int(parameter);
    low = cpl_parameter_get_range_min_int(parameter);
    high = cpl_parameter_get_range_max_int(parameter);
  } else {
    value = cpl_parameter_get_double(parameter);
    low = cpl_parameter_get_range_min_double(parameter);
    high = cpl_parameter_get_range_max_double(parameter);
  }
  if (value >= low && value <= high) return CPL_ERROR_NONE;
  return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: needed %g to %g, got %g",
              cpl_parameter_get_alias(parameter, CPL_PARAMETER_MODE_CLI), low, high, value);
}

static cpl_error_code read_target(options *chosen, const cpl_parameterlist *list) {
  chosen->target.ra_deg = real(list, NAME("ra"));
  chosen->target.dec_deg = real(list, NAME("dec"));
  chosen->has_target = chosen->target.ra_deg >= 0.0;
  if (chosen->has_target) return CPL_ERROR_NONE;
  if (chosen->target.ra_deg != -1.0) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "ra: needed 0 to 360, or -1 for the exposures' centre, got %g",
                chosen->target.ra_deg);
  }
  if (chosen->target.dec_deg != 0.0) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "dec %g: needs ra as well", chosen->target.dec_deg);
  }
  return CPL_ERROR_NONE;
}

static cpl_error_code read_sky(options *chosen, const char *sky) {
  char *end;
  if (strcmp(sky, "none") == 0) {
    chosen->sky = SKY_NONE;
    return CPL_ERROR_NONE;
  }
  if (strcmp(sky, "header") == 0) {
    chosen->sky = SKY_HEADER;
    return CPL_ERROR_NONE;
  }
  chosen->sky = SKY_VALUE;
  chosen->sky_level = strtod(sky, &end);
  if (end == sky || *end != '\0' || !isfinite(chosen->sky_level)) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "sky: needed none, header or a number, got '%s'", sky);
  }
  return CPL_ERROR_NONE;
}

static cpl_error_code read_centre(options *chosen, const char *centre) {
  const char *at = centre;
  int axis;
  if (*centre == '\0') return CPL_ERROR_NONE;
  for (axis = 0; axis < 2; ++axis) {
    char *end;
    const double twice = 2.0 * strtod(at, &end);
    if (end == at || *end != (axis == 0 ? ',' : '\0') || !(twice >= 0.0 && twice < 1e6) ||
        twice != floor(twice)) {
      return FAIL(CPL_ERROR_ILLEGAL_INPUT,
                  "psf_centre: needed row,column, 0-based, each an integer or a half-integer, got '%s'",
                  centre);
    }
    chosen->psf_centre_twice[axis] = (long)twice;
    at = end + 1;
  }
  chosen->has_psf_centre = 1;
  return CPL_ERROR_NONE;
}

cpl_error_code options_read(options *chosen, const cpl_parameterlist *list) {
  const cpl_parameter *each;
  for (each = cpl_parameterlist_get_first_const(list); each != NULL;
       each = cpl_parameterlist_get_next_const(list)) {
    TRY(check_range(each));
  }
  memset(chosen, 0, sizeof *chosen);
  chosen->n_samples = integer(list, NAME("n_samples"));
  chosen->seed = integer(list, NAME("seed"));
  TRY(read_target(chosen, list));
  chosen->pixel_scale_arcsec = real(list, NAME("pixel_scale"));
  chosen->size = integer(list, NAME("size"));
  chosen->flux_scale = real(list, NAME("flux_scale"));
  chosen->prior = text(list, NAME("prior"));
  chosen->noise = text(list, NAME("noise"));
  chosen->accept_noise_mismatch = flag(list, NAME("accept_noise_mismatch"));
  chosen->sampler = choice(list, NAME("sampler"), "default");
  chosen->steps = integer(list, NAME("steps"));
  chosen->sweeps = integer(list, NAME("sweeps"));
  chosen->precision = choice(list, NAME("precision"), "default");
  chosen->sigma = real(list, NAME("sigma"));
  chosen->photon_noise_s = real(list, NAME("photon_noise"));
  chosen->unit = choice(list, NAME("unit"), "header");
  chosen->pixel_area_corrected = flag(list, NAME("pixel_area_corrected"));
  chosen->dq_bad_bits = integer(list, NAME("dq_bad_bits"));
  TRY(read_sky(chosen, text(list, NAME("sky"))));
  chosen->pixel_scale_data_arcsec = real(list, NAME("pixel_scale_data"));
  chosen->cutout = integer(list, NAME("cutout"));
  chosen->psf_oversample = integer(list, NAME("psf_oversample"));
  TRY(read_centre(chosen, text(list, NAME("psf_centre"))));
  chosen->psf_pixel_integrated = flag(list, NAME("psf_pixel_integrated"));
  chosen->device = text(list, NAME("device"));
  chosen->threads = integer(list, NAME("threads"));
  chosen->models = text(list, NAME("models"));
  chosen->engine = text(list, NAME("engine"));
  return CPL_ERROR_NONE;
}
