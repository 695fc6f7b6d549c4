/* pellucid_sample: a recipe of EsoRex and other CPL hosts that hands calibrated exposures of one galaxy to
 * Pellucid and writes its posterior samples. Nothing of the engine is touched before the recipe is executed. */
#define _POSIX_C_SOURCE 200809L
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "failure.h"
#include "product.h"

/* Found by name in a library that hides all else. */
__attribute__((visibility("default"))) int cpl_plugin_get_info(cpl_pluginlist *list);

static const char synopsis[] = "Posterior samples of a galaxy before telescope and noise";

static const char description[] =
    "Bayesian deconvolution of calibrated exposures of one galaxy: independent samples of what it may look\n"
    "like before telescope and noise, with Pellucid's engine, libpellucid.so.1.\n"
    "\n"
    "Frames:\n"
    "  " TAG_EXPOSURE "  one or more: SCI, ERR and DQ extensions in the style of HST, or plain images;\n"
    "                       TAN or TAN-SIP, HST's NPOL and D2IM tables included\n"
    "  " TAG_PSF "                  one for all exposures, or one for each in the same order\n"
    "  " TAG_PRIOR "                prior, .safetensors (or name one with the parameter prior)\n"
    "  " TAG_NOISE_MODEL "          noise model, .safetensors (optional; otherwise Gaussian)\n"
    "  " TAG_NOISE_CORRELATION "    correlation or covariance of the noise by pixel offset (optional)\n"
    "\n"
    "Products (PRO.CATG):\n"
    "  POSTERIOR_SAMPLES    cube of samples [electron/s per detector pixel], NaN where one failed\n"
    "  POSTERIOR_MEAN, POSTERIOR_MEDIAN, POSTERIOR_STD, POSTERIOR_P16, POSTERIOR_P84\n"
    "  EXPOSURE_FIT         for each exposure: DATA, SIGMA, MODEL, RESIDUAL of the mean\n"
    "  DIAGNOSTICS          tables DIAGNOSTICS, EXPOSURES, PROVENANCE\n"
    "All images on the model grid carry its WCS: TAN, north up, east left.\n"
    "\n"
    "QC parameters: NSAMPLES, NFAILED, NEXPO, CHI2, WHITENESS, FLAGS, FLUX MEDIAN, FLUX P16, FLUX P84,\n"
    "EDGEFLUX, FLUXSCALE, NETEVALS, SAMPTIME, and for each exposure EXPOi CHI2, CHI2MEAN, PPP, WHITENESS,\n"
    "WHITEERR, NPIX, FLAGS. FLAGS other than '-' are reasons to distrust the samples: chi2, whiteness,\n"
    "edge-flux, prior-scale, noise-mismatch, noise-unchecked, exposure-time.\n"
    "\n"
    "The engine is the library that the parameter engine names, else the environment variable\n"
    "PELLUCID_PLUGIN, else the one built in. Keep it out of EsoRex's recipe folders.\n";

static const char licence[] =
    "Pellucid is free software: use it under the terms of either the MIT licence or the Apache\n"
    "License, Version 2.0, at your choice. It comes without warranty of any kind.\n";

static int run(cpl_frameset *frames, const cpl_parameterlist *parameters) {
  /* Numbers are written with a point, whatever the host's language. */
  locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0), before = uselocale(plain);
  session session;
  cpl_error_code code;
  memset(&session, 0, sizeof session);
  code = session_run(&session, frames, parameters);
  if (code == CPL_ERROR_NONE) code = product_save(&session, frames, parameters);
  session_free(&session);
  uselocale(before);
  freelocale(plain);
  return (int)code;
}

static int create(cpl_plugin *plugin) {
  const cpl_errorstate before = cpl_errorstate_get();
  cpl_recipe *recipe = (cpl_recipe *)plugin;
  if (cpl_recipedefine_create(plugin) != CPL_ERROR_NONE) return (int)cpl_error_set_where(cpl_func);
  return (int)cpl_recipedefine_create_is_ok(before, options_declare(recipe->parameters));
}

static int exec(cpl_plugin *plugin) {
  return (int)cpl_recipedefine_exec(plugin, run);
}

static int destroy(cpl_plugin *plugin) {
  return (int)cpl_recipedefine_destroy(plugin);
}

/* 0.1.0 is 100. */
static unsigned long version(void) {
  unsigned long major = 0, minor = 0, patch = 0;
  sscanf(PELLUCID_VERSION, "%lu.%lu.%lu", &major, &minor, &patch);
  return 10000 * major + 100 * minor + patch;
}

int cpl_plugin_get_info(cpl_pluginlist *list) {
  return cpl_recipedefine_init(list, CPL_VERSION_CODE, version(), RECIPE, synopsis, description,
                               "Pellucid developers", "Pellucid's issue tracker", licence, create, exec,
                               destroy) != CPL_ERROR_NONE;
}
