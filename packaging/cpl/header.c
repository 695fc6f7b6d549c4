/* Header cards: their values, their WCS. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "input.h"

#define CARD 80

enum kind { NOTHING, TEXT, LOGICAL, INTEGER, REAL };

typedef struct {
  enum kind kind;
  char text[72];
  double number;
  const char *tail; /* where the comment may be */
} card_value;

static size_t n_cards(const char *header) {
  return strlen(header) / CARD;
}

static int has_key(const char *card, const char *key, size_t length) {
  return length <= 8 && strncmp(card, key, length) == 0 &&
         strspn(card + length, " ") >= 8 - length && card[8] == '=' && card[9] == ' ';
}

static card_value read_number(const char *body, const char *end) {
  card_value value = {NOTHING, "", 0.0, NULL};
  const char *slash = memchr(body, '/', (size_t)(end - body));
  size_t length = (size_t)((slash != NULL ? slash : end) - body), k;
  char *rest;
  value.tail = body + length;
  while (length > 0 && body[length - 1] == ' ') --length;
  if (length == 0 || length >= sizeof value.text) return value;
  memcpy(value.text, body, length);
  value.text[length] = '\0';
  if (length == 1 && (*body == 'T' || *body == 'F')) {
    value.kind = LOGICAL;
    value.number = *body == 'T';
    return value;
  }
  value.kind = INTEGER;
  for (k = 0; k < length; ++k) {
    /* FITS allows Fortran's D exponents. */
    if (value.text[k] == 'D' || value.text[k] == 'd') value.text[k] = 'E';
    if (!isdigit((unsigned char)value.text[k]) && !(k == 0 && strchr("+-", *body))) {
      value.kind = REAL;
    }
  }
  value.number = strtod(value.text, &rest);
  if (rest == value.text || *rest != '\0') value.kind = NOTHING;
  return value;
}

static card_value read_value(const char *card) {
  const char *p = card + 10, *end = card + CARD;
  card_value value = {TEXT, "", 0.0, NULL};
  size_t n = 0;
  while (p < end && *p == ' ') ++p;
  if (p == end || *p != '\'') return read_number(p, end);
  for (++p; p < end; ++p) {
    if (*p == '\'' && (p + 1 == end || p[1] != '\'')) break;
    if (*p == '\'') ++p;
    if (n + 1 < sizeof value.text) value.text[n++] = *p;
  }
  while (n > 0 && value.text[n - 1] == ' ') --n;
  value.text[n] = '\0';
  value.tail = p < end ? p + 1 : end;
  return value;
}

static card_value find(const char *header, const char *key) {
  card_value none = {NOTHING, "", 0.0, NULL};
  const size_t length = strlen(key);
  size_t k;
  for (k = n_cards(header); k-- > 0;) {
    if (has_key(header + CARD * k, key, length)) return read_value(header + CARD * k);
  }
  return none;
}

/* DP1.EXTVER in DP1 = 'EXTVER: 2'. */
static int record_valued(const char *header, const char *key, double *number) {
  const char *dot = strchr(key, '.');
  size_t k;
  if (dot == NULL) return 0;
  for (k = 0; k < n_cards(header); ++k) {
    const char *card = header + CARD * k, *colon;
    card_value value;
    size_t field = strlen(dot + 1);
    if (!has_key(card, key, (size_t)(dot - key))) continue;
    value = read_value(card);
    colon = strchr(value.text, ':');
    if (value.kind != TEXT || colon == NULL || (size_t)(colon - value.text) != field) continue;
    if (strncmp(value.text, dot + 1, field) == 0) {
      char *end;
      *number = strtod(colon + 1, &end);
      return end != colon + 1;
    }
  }
  return 0;
}

int header_text(const char *header, const char *key, char *text) {
  const card_value value = find(header, key);
  if (value.kind != TEXT) return 0;
  strcpy(text, value.text);
  return 1;
}

int header_real(const char *header, const char *key, double *number) {
  const card_value value = find(header, key);
  if (value.kind == NOTHING) return record_valued(header, key, number);
  if (value.kind != INTEGER && value.kind != REAL) return 0;
  *number = value.number;
  return 1;
}

int header_integer(const char *header, const char *key, long *integer) {
  double number;
  if (!header_real(header, key, &number) || number != floor(number) || fabs(number) > 1e15) return 0;
  *integer = (long)number;
  return 1;
}

int header_logical(const char *header, const char *key, int *logical) {
  const card_value value = find(header, key);
  if (value.kind != LOGICAL) return 0;
  *logical = value.number != 0.0;
  return 1;
}

static int is_celestial(const char *ctype) {
  return strncasecmp(ctype, "RA--", 4) == 0 || strncasecmp(ctype, "DEC-", 4) == 0 ||
         (strlen(ctype) >= 4 &&
          (strncasecmp(ctype + 1, "LON", 3) == 0 || strncasecmp(ctype + 1, "LAT", 3) == 0));
}

int header_is_celestial(const char *header) {
  char x[72], y[72];
  return header_text(header, "CTYPE1", x) && header_text(header, "CTYPE2", y) && is_celestial(x) &&
         is_celestial(y);
}

char *header_shifted(const char *header, long x0, long y0) {
  const size_t n = n_cards(header);
  char *moved = cpl_malloc(CARD * (n + 2) + 1), *out = moved;
  const double shift[2] = {(double)x0, (double)y0};
  size_t k;
  int axis;
  for (axis = 0; axis < 2; ++axis) {
    const char *key = axis == 0 ? "CRPIX1" : "CRPIX2";
    double crpix = 0.0;
    char card[CARD + 1];
    header_real(header, key, &crpix);
    snprintf(card, sizeof card, "%-8s= %24.16E", key, crpix - shift[axis]);
    out += sprintf(out, "%-80s", card);
  }
  for (k = 0; k < n; ++k) {
    const char *card = header + CARD * k;
    if (has_key(card, "CRPIX1", 6) || has_key(card, "CRPIX2", 6)) continue;
    if (strncmp(card, "END     ", 8) == 0) continue;
    memcpy(out, card, CARD);
    out += CARD;
  }
  *out = '\0';
  return moved;
}

void header_append_card(cpl_propertylist *list, const char *card) {
  card_value value = read_value(card);
  char key[9] = "", comment[CARD + 1] = "";
  const char *slash;
  size_t n;
  memcpy(key, card, 8);
  key[strcspn(key, " ")] = '\0';
  cpl_propertylist_erase(list, key);
  switch (value.kind) {
    case TEXT: cpl_propertylist_append_string(list, key, value.text); break;
    case LOGICAL: cpl_propertylist_append_bool(list, key, value.number != 0.0); break;
    case INTEGER: cpl_propertylist_append_long_long(list, key, (long long)value.number); break;
    case REAL: cpl_propertylist_append_double(list, key, value.number); break;
    case NOTHING: return;
  }
  slash = memchr(value.tail, '/', (size_t)(card + CARD - value.tail));
  if (slash == NULL) return;
  for (++slash; slash < card + CARD && *slash == ' ';) ++slash;
  n = (size_t)(card + CARD - slash);
  memcpy(comment, slash, n);
  while (n > 0 && comment[n - 1] == ' ') comment[--n] = '\0';
  cpl_propertylist_set_comment(list, key, comment);
}

/* WCSAXES, CTYPE1, CD1_2, A_0_2 and the like. */
static int is_wcs(const char *card) {
  static const char *const names[] = {"WCSAXES", "CTYPE", "CRVAL",   "CRPIX",   "CD",      "CDELT",
                                      "PC",      "CUNIT", "RADESYS", "EQUINOX", "LONPOLE", "LATPOLE"};
  size_t length = strcspn(card, " ="), k;
  if (length > 8 || card[8] != '=') return 0;
  if ((card[0] == 'A' || card[0] == 'B') && card[1] == '_') return 1;
  while (length > 0 && (isdigit((unsigned char)card[length - 1]) || card[length - 1] == '_')) --length;
  for (k = 0; k < sizeof names / sizeof *names; ++k) {
    if (strlen(names[k]) == length && strncmp(card, names[k], length) == 0) return 1;
  }
  return 0;
}

void header_append_wcs(cpl_propertylist *list, const char *header) {
  static const char *const tables[] = {"CPDIS1", "CPDIS2", "D2IMDIS1", "D2IMDIS2"};
  size_t k;
  for (k = 0; k < 4; ++k) {
    if (find(header, tables[k]).kind != NOTHING) return;
  }
  if (!header_is_celestial(header)) return;
  /* The standard wants WCSAXES before all others. */
  for (k = 0; k < n_cards(header); ++k) {
    if (has_key(header + CARD * k, "WCSAXES", 7)) header_append_card(list, header + CARD * k);
  }
  for (k = 0; k < n_cards(header); ++k) {
    const char *card = header + CARD * k;
    if (is_wcs(card) && !has_key(card, "WCSAXES", 7)) header_append_card(list, card);
  }
}
