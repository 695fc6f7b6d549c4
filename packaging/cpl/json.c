#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cpl.h>

static const char *blanks(const char *p) {
  return p + strspn(p, " \t\r\n");
}

/* The end of a string whose opening quote is at p. */
static const char *string_end(const char *p) {
  for (++p; *p != '\0' && *p != '"'; ++p) {
    if (*p == '\\' && p[1] != '\0') ++p;
  }
  return *p == '"' ? p + 1 : p;
}

static const char *value_end(const char *p) {
  int depth = 0;
  do {
    p = blanks(p);
    if (*p == '"') {
      p = string_end(p);
    } else if (*p == '{' || *p == '[') {
      ++depth;
      ++p;
    } else if (*p == '}' || *p == ']') {
      --depth;
      ++p;
    } else {
      size_t scalar = strcspn(p, ",:{}[]\" \t\r\n");
      p += scalar > 0 ? scalar : *p != '\0';
    }
  } while (depth > 0 && *p != '\0');
  return p;
}

/* The first value in brackets of this kind; NULL if there is none. */
static const char *enter(const char *value, char bracket) {
  if (value == NULL) return NULL;
  value = blanks(value);
  if (*value != bracket) return NULL;
  value = blanks(value + 1);
  return *value == '\0' || *value == '}' || *value == ']' ? NULL : value;
}

/* The value after this one; NULL after the last. */
static const char *next(const char *value) {
  value = blanks(value_end(value));
  return *value == ',' ? blanks(value + 1) : NULL;
}

const char *json_get(const char *object, const char *key) {
  const size_t length = strlen(key);
  const char *p = enter(object, '{');
  while (p != NULL && *p == '"') {
    const char *end = string_end(p), *value = blanks(end);
    if (*value != ':') return NULL;
    value = blanks(value + 1);
    if ((size_t)(end - p) == length + 2 && strncmp(p + 1, key, length) == 0) return value;
    p = next(value);
  }
  return NULL;
}

size_t json_length(const char *array) {
  size_t n = 0;
  const char *p;
  for (p = enter(array, '['); p != NULL; p = next(p)) ++n;
  return n;
}

const char *json_item(const char *array, size_t index) {
  const char *p = enter(array, '[');
  while (p != NULL && index-- > 0) p = next(p);
  return p;
}

double json_number(const char *value) {
  char *end;
  double number;
  if (value == NULL) return NAN;
  value = blanks(value);
  /* strtod also takes "nan" and "inf", which are no JSON. */
  if (strchr("-0123456789", *value) == NULL) return NAN;
  number = strtod(value, &end);
  return end == value ? NAN : number;
}

int json_is_true(const char *value) {
  return value != NULL && strncmp(blanks(value), "true", 4) == 0;
}

char *json_text(const char *value) {
  static const char codes[] = "bfnrt", characters[] = "\b\f\n\r\t";
  const char *end;
  char *text, *out;
  if (value == NULL || *(value = blanks(value)) != '"') return NULL;
  end = string_end(value);
  text = out = cpl_malloc((size_t)(end - value) + 1);
  for (++value; value < end - 1; ++value) {
    const char *code;
    if (*value != '\\') {
      *out++ = *value;
    } else if (*++value == 'u' && end - value > 5) {
      char digits[5] = {0};
      long point = strtol(memcpy(digits, value + 1, 4), NULL, 16);
      *out++ = point > 0 && point < 128 ? (char)point : '?';
      value += 4;
    } else {
      code = strchr(codes, *value);
      *out++ = code != NULL ? characters[code - codes] : *value;
    }
  }
  *out = '\0';
  return text;
}

char *json_value_copy(const char *value) {
  const char *from = value != NULL ? value : "null";
  const size_t length = (size_t)(value_end(from) - from);
  char *copy = cpl_malloc(length + 1);
  memcpy(copy, from, length);
  copy[length] = '\0';
  return copy;
}

char *json_quote(const char *text) {
  char *quoted = cpl_malloc(6 * strlen(text) + 3), *out = quoted;
  *out++ = '"';
  for (; *text != '\0'; ++text) {
    const unsigned char c = (unsigned char)*text;
    if (c < ' ') {
      static const char hex[] = "0123456789abcdef";
      memcpy(out, "\\u00", 4);
      out[4] = hex[c >> 4];
      out[5] = hex[c & 15];
      out += 6;
    } else {
      if (c == '"' || c == '\\') *out++ = '\\';
      *out++ = *text;
    }
  }
  *out++ = '"';
  *out = '\0';
  return quoted;
}
