/* The tables of the product DIAGNOSTICS. */
#ifndef PELLUCID_CPL_TABLES_H
#define PELLUCID_CPL_TABLES_H

#include "provenance.h"

/* One row a sample and exposure. */
cpl_table *tables_diagnostics(const session *session, const char *diagnostics);
/* One row an exposure: fit, flags, files and hashes. */
cpl_table *tables_exposures(const session *session, const provenance *provenance, const char *diagnostics);
/* Keys and values of how it was made, too long for a header. */
cpl_table *tables_provenance(const session *session, const char *diagnostics);

#endif
