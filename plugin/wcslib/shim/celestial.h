/* The part of wcslib that Pellucid uses, behind an opaque pointer: struct wcsprm is large and
 * changes between releases, so only C ever sees its layout. */
#ifndef PELLUCID_WCSLIB_CELESTIAL_H
#define PELLUCID_WCSLIB_CELESTIAL_H

#include <stddef.h>

struct celestial;

/* What the caller checks before it trusts a transform. Arrays are in pixel-axis order. */
struct celestial_facts {
    int n_axes;          /* pixel axes of the image */
    int longitude_axis;  /* 0-based world axis, -1: none */
    int latitude_axis;
    int has_prior;       /* SIP or another distortion of pixel coordinates */
    double reference[2]; /* CRPIX, 1-based */
    double linear[4];    /* CDELT x PC or CD, row-major, degrees per pixel */
    double equinox;      /* NaN: not given */
    char frame[72];      /* RADESYS, empty: not given */
    char longitude[5];   /* first four characters of CTYPE, e.g. "RA--" */
};

/* Every function: 0, or a wcslib status with a message. Pixels are 1-based, angles degrees. */
int celestial_parse(const char *cards, int n_cards, struct celestial **out,
                    struct celestial_facts *facts, char *message, size_t message_size);
void celestial_free(struct celestial *self);
int celestial_p2s(struct celestial *self, int n, const double *pixel, double *world, double *image,
                  double *phi, double *theta, int *status, char *message, size_t message_size);
int celestial_s2p(struct celestial *self, int n, const double *world, double *pixel, double *image,
                  double *phi, double *theta, int *status, char *message, size_t message_size);
int celestial_prior(struct celestial *self, int n, const double *pixel, double *corrected,
                    char *message, size_t message_size);
void celestial_enable_messages(void);

#endif
