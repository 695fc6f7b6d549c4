/* Just enough JSON to read what the engine says and to tell it what to do. Values are pointers into
 * the text they are part of; NULL, for a value that is not there, is taken by every function. */
#ifndef PELLUCID_CPL_JSON_H
#define PELLUCID_CPL_JSON_H

#include <stddef.h>

/* The value of a key; NULL if there is none or this is no object. */
const char *json_get(const char *object, const char *key);
/* Items of an array; 0 and NULL if this is none. */
size_t json_length(const char *array);
const char *json_item(const char *array, size_t index);
/* A number; NaN for anything else, as JSON writes NaN as null. */
double json_number(const char *value);
int json_is_true(const char *value);
/* A string, to be freed with cpl_free; NULL for anything else. */
char *json_text(const char *value);
/* A value as it stands, to be freed with cpl_free; "null" for none. */
char *json_value_copy(const char *value);
/* Text as a JSON string with its quotes, to be freed with cpl_free. */
char *json_quote(const char *text);

#endif
