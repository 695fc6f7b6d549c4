/* What the engine's diagnostics say, a JSON text, and the QC parameters made of it. */
#ifndef PELLUCID_CPL_QUALITY_H
#define PELLUCID_CPL_QUALITY_H

#include "session.h"

/* Bytes that all flags together take. */
#define MAX_FLAGS 128

/* The fit to an exposure. */
const char *quality_fit(const char *diagnostics, size_t exposure);
/* Flags of the diagnostics or of one fit as DOUBT_* bits. */
unsigned quality_doubts(const char *object);
/* `chi2,whiteness`, `-` for none; takes MAX_FLAGS bytes. */
void quality_describe(unsigned doubts, char *text);
/* Quantile q (0 to 1) of the finite values, linear between order statistics; NaN if there are none. */
double quality_quantile(const double *values, size_t n, double q);
/* As above, of the numbers of a JSON array. */
double quality_quantile_of(const char *array, double q);
/* Samples that failed. */
size_t quality_failed(const char *diagnostics);
/* Appends the QC parameters. `fluxes` holds one total flux for each sample, NaN where it failed. */
void quality_append(cpl_propertylist *list, const session *session, const char *diagnostics,
                    const double *fluxes);

#endif
