/* How products were made: versions, hashes of everything that went in, options, device. */
#ifndef PELLUCID_CPL_PROVENANCE_H
#define PELLUCID_CPL_PROVENANCE_H

#include "session.h"
#include "sha256.h"

/* Of the files as they are on disk. */
typedef struct {
  sha256_text *sources, *psfs; /* one for each exposure */
  sha256_text correlation;     /* empty without one */
} provenance;

cpl_error_code provenance_collect(provenance *provenance, const session *session);
void provenance_free(provenance *provenance);
/* Appends the cards that `pellucid sample` writes. */
void provenance_append(const provenance *provenance, cpl_propertylist *list, const session *session,
                       const char *diagnostics);
/* The job's options and what else was chosen, JSON, to be freed with cpl_free. */
char *provenance_config(const session *session);

/* Completes a product on disk: the cards that CPL would cut short in its primary header, DATASUM and CHECKSUM in
 * every HDU. */
cpl_error_code provenance_seal(const char *path, const session *session, const char *diagnostics);

#endif
