/* Images lent to the engine for a call, and places for those it gives. */
#ifndef PELLUCID_CPL_ARRAY_H
#define PELLUCID_CPL_ARRAY_H

#include <string.h>

#include <pellucid/pellucid.h>

/* A place for an array of the engine's; or, with zeros for all else, a description of nothing. */
static inline pellucid_array array_empty(void) {
  pellucid_array array;
  memset(&array, 0, sizeof array);
  array.struct_size = sizeof array;
  return array;
}

/* An image [ny, nx] of elements of `size` bytes, which the engine copies. */
static inline pellucid_array array_lend(const void *pixels, int32_t dtype, int64_t size, long ny, long nx) {
  pellucid_array array = array_empty();
  array.flags = PELLUCID_ARRAY_READ_ONLY;
  array.data = pixels;
  array.dtype = dtype;
  array.ndim = 2;
  array.shape[0] = ny;
  array.shape[1] = nx;
  array.stride[0] = nx * size;
  array.stride[1] = size;
  return array;
}

static inline void array_release(pellucid_array *array) {
  if (array->release != NULL) array->release(array);
  *array = array_empty();
}

#endif
