#include "celestial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wcslib/dis.h>
#include <wcslib/lin.h>
#include <wcslib/wcs.h>
#include <wcslib/wcserr.h>
#include <wcslib/wcshdr.h>
#include <wcslib/wcsmath.h>

struct celestial {
    struct wcsprm *all; /* every alternate description; the first is the primary one */
    int n_all;
};

static int fail(int status, const struct wcserr *err, const char *otherwise, char *message,
                size_t size)
{
    snprintf(message, size, "%s", err && err->msg ? err->msg : otherwise);
    return status;
}

void celestial_enable_messages(void)
{
    wcserr_enable(1);
}

static void describe(const struct wcsprm *wcs, struct celestial_facts *facts)
{
    int i, j;
    memset(facts, 0, sizeof *facts);
    facts->n_axes = wcs->naxis;
    facts->longitude_axis = wcs->lng;
    facts->latitude_axis = wcs->lat;
    facts->has_prior = wcs->lin.dispre != NULL;
    facts->equinox = wcs->equinox == UNDEFINED ? NAN : wcs->equinox;
    snprintf(facts->frame, sizeof facts->frame, "%s", wcs->radesys);
    for (i = 0; i < 2 && i < wcs->naxis; i++) {
        facts->reference[i] = wcs->crpix[i];
        for (j = 0; j < 2 && j < wcs->naxis; j++) {
            facts->linear[2 * i + j] =
                wcs->lin.cdelt && wcs->lin.pc
                    ? wcs->lin.cdelt[i] * wcs->lin.pc[i * wcs->naxis + j]
                    : 0.0;
        }
    }
    if (wcs->lng >= 0) {
        snprintf(facts->longitude, sizeof facts->longitude, "%.4s", wcs->ctype[wcs->lng]);
    }
}

int celestial_parse(const char *cards, int n_cards, struct celestial **out,
                    struct celestial_facts *facts, char *message, size_t message_size)
{
    struct celestial *self = calloc(1, sizeof *self);
    char *copy = malloc((size_t)n_cards * 80 + 1); /* wcspih takes a mutable header */
    int n_rejected, status;

    memset(facts, 0, sizeof *facts);
    if (!self || !copy) {
        free(self);
        free(copy);
        return fail(2, NULL, "out of memory", message, message_size);
    }
    memcpy(copy, cards, (size_t)n_cards * 80);
    copy[(size_t)n_cards * 80] = '\0';
    status = wcspih(copy, n_cards, WCSHDR_all, 0, &n_rejected, &self->n_all, &self->all);
    free(copy);
    if (status || self->n_all < 1) {
        celestial_free(self);
        return fail(status ? status : 1, NULL, "no world coordinate system in the header", message,
                    message_size);
    }
    status = wcsset(self->all);
    describe(self->all, facts);
    if (status) {
        fail(status, self->all->err, wcs_errmsg[status], message, message_size);
        celestial_free(self);
        return status;
    }
    *out = self;
    return 0;
}

void celestial_free(struct celestial *self)
{
    if (self) {
        wcsvfree(&self->n_all, &self->all);
        free(self);
    }
}

int celestial_p2s(struct celestial *self, int n, const double *pixel, double *world, double *image,
                  double *phi, double *theta, int *status, char *message, size_t message_size)
{
    int code = wcsp2s(self->all, n, 2, pixel, image, phi, theta, world, status);
    return code ? fail(code, self->all->err, wcs_errmsg[code], message, message_size) : 0;
}

int celestial_s2p(struct celestial *self, int n, const double *world, double *pixel, double *image,
                  double *phi, double *theta, int *status, char *message, size_t message_size)
{
    int code = wcss2p(self->all, n, 2, world, phi, theta, image, pixel, status);
    return code ? fail(code, self->all->err, wcs_errmsg[code], message, message_size) : 0;
}

int celestial_prior(struct celestial *self, int n, const double *pixel, double *corrected,
                    char *message, size_t message_size)
{
    struct disprm *prior = self->all->lin.dispre;
    int i;

    if (!prior) {
        memcpy(corrected, pixel, (size_t)n * 2 * sizeof *pixel);
        return 0;
    }
    for (i = 0; i < n; i++) {
        int code = disp2x(prior, pixel + 2 * i, corrected + 2 * i);
        if (code) {
            return fail(code, prior->err, dis_errmsg[code], message, message_size);
        }
    }
    return 0;
}
