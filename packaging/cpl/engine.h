/* The engine, loaded in the recipe's exec and nowhere else: listing recipes does not touch it. */
#ifndef PELLUCID_CPL_ENGINE_H
#define PELLUCID_CPL_ENGINE_H

#include <cpl.h>
#include <pellucid/pellucid.h>

#include "options.h"

typedef struct {
  const pellucid_api *api;
  const pellucid_predict_ext *predict;
  pellucid_engine *handle;
} engine;

/* What the engine says of a prior. */
typedef struct {
  long nx, ny;               /* 0: it does not say */
  double pixel_scale_arcsec; /* NaN: it does not say */
} engine_prior;

/* Loads the library that the parameter `engine`, else the environment, else the build names. It stays
 * loaded until the process ends: its threads do not survive an unload. */
cpl_error_code engine_load(engine *engine, const options *chosen);
/* Starts it, its messages going to cpl_msg. Models are looked for in `folder` as well, if it is not NULL. */
cpl_error_code engine_start(engine *engine, const options *chosen, const char *folder);
void engine_stop(engine *engine);
/* Sets a CPL error with the engine's message if the call failed, and frees `*error`: its address, since C may
 * evaluate it before the call that sets it. */
cpl_error_code engine_check(const engine *engine, pellucid_status status, pellucid_error **error,
                            const char *call);
/* Looks a prior up, by name or by the path of its file; an unknown name is an error. */
cpl_error_code engine_find_prior(const engine *engine, const char *prior, engine_prior *found);
/* Waits for a job, delivering the engine's messages and saying how far it is. */
cpl_error_code engine_wait(const engine *engine, pellucid_job *job, int n_samples);

#endif
