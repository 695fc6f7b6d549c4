#include "frames.h"

#include <string.h>

#include "failure.h"

/* At most one frame of a tag. */
static cpl_error_code take_one(const char **slot, const char *name, const char *tag) {
  if (*slot != NULL) {
    return FAIL(CPL_ERROR_ILLEGAL_INPUT, "%s: needed at most one such frame, got %s and %s", tag, *slot, name);
  }
  *slot = name;
  return CPL_ERROR_NONE;
}

static cpl_error_code sort_frame(recipe_frames *sorted, cpl_frame *frame) {
  const char *tag = cpl_frame_get_tag(frame), *name = cpl_frame_get_filename(frame);
  const int is_model = strcmp(tag, TAG_PRIOR) == 0 || strcmp(tag, TAG_NOISE_MODEL) == 0;
  cpl_frame_set_group(frame, CPL_FRAME_GROUP_CALIB);
  if (strcmp(tag, TAG_EXPOSURE) == 0) {
    cpl_frame_set_group(frame, CPL_FRAME_GROUP_RAW);
    sorted->exposures[sorted->n_exposures++] = name;
  } else if (strcmp(tag, TAG_PSF) == 0) {
    sorted->psfs[sorted->n_psfs++] = name;
  } else if (strcmp(tag, TAG_PRIOR) == 0) {
    TRY(take_one(&sorted->prior, name, tag));
  } else if (strcmp(tag, TAG_NOISE_MODEL) == 0) {
    TRY(take_one(&sorted->noise_model, name, tag));
  } else if (strcmp(tag, TAG_NOISE_CORRELATION) == 0) {
    TRY(take_one(&sorted->noise_correlation, name, tag));
  } else {
    cpl_msg_warning(cpl_func, "%s: tag %s is not one of this recipe's; ignored", name, tag);
    cpl_frame_set_group(frame, CPL_FRAME_GROUP_NONE);
    return CPL_ERROR_NONE;
  }
  return is_model ? CPL_ERROR_NONE : cpl_frameset_insert(sorted->used, cpl_frame_duplicate(frame));
}

cpl_error_code frames_sort(recipe_frames *sorted, cpl_frameset *set) {
  const cpl_size n = cpl_frameset_get_size(set);
  cpl_size k;
  memset(sorted, 0, sizeof *sorted);
  sorted->exposures = cpl_calloc((size_t)n + 1, sizeof *sorted->exposures);
  sorted->psfs = cpl_calloc((size_t)n + 1, sizeof *sorted->psfs);
  sorted->used = cpl_frameset_new();
  for (k = 0; k < n; ++k) TRY(sort_frame(sorted, cpl_frameset_get_position(set, k)));
  if (sorted->n_exposures == 0) {
    return FAIL(CPL_ERROR_DATA_NOT_FOUND, "needed at least one frame tagged %s, got none", TAG_EXPOSURE);
  }
  if (sorted->n_psfs != 1 && sorted->n_psfs != sorted->n_exposures) {
    return FAIL(sorted->n_psfs == 0 ? CPL_ERROR_DATA_NOT_FOUND : CPL_ERROR_INCOMPATIBLE_INPUT,
                "needed one frame tagged %s, or one for each of the %d of %s, got %d", TAG_PSF,
                (int)sorted->n_exposures, TAG_EXPOSURE, (int)sorted->n_psfs);
  }
  return CPL_ERROR_NONE;
}

void frames_free(recipe_frames *sorted) {
  cpl_free(sorted->exposures);
  cpl_free(sorted->psfs);
  cpl_frameset_delete(sorted->used);
  memset(sorted, 0, sizeof *sorted);
}
