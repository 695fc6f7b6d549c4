/* How functions of this recipe fail: they set a CPL error, whose message says what, where and what was
 * needed, and return its code. */
#ifndef PELLUCID_CPL_FAILURE_H
#define PELLUCID_CPL_FAILURE_H

#include <cpl.h>

/* Sets an error and returns its code. */
#define FAIL(code, ...) cpl_error_set_message(cpl_func, code, __VA_ARGS__)

/* Returns from the function if the call failed. */
#define TRY(call) \
  do {            \
    if ((call) != CPL_ERROR_NONE) return cpl_error_set_where(cpl_func); \
  } while (0)

#endif
