/* The recipe's products. */
#ifndef PELLUCID_CPL_PRODUCT_H
#define PELLUCID_CPL_PRODUCT_H

#include "session.h"

/* Writes all products of a finished session and adds their frames to the set; after a failure none is left. */
cpl_error_code product_save(const session *session, cpl_frameset *frames, const cpl_parameterlist *parameters);

#endif
