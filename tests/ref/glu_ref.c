// glu_ref.c: act(gate) * up, by plain loops. Detached: act at the frozen gate.
// SPDX-License-Identifier: Apache-2.0
#include "op_ref.h"

#include <math.h>

double ref_act(va_act kind, double g) {
    switch (kind) {
    case VA_ACT_GELU_TANH:
        return 0.5 * g * (1 + tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    case VA_ACT_GELU:
        return 0.5 * g * erfc(-g / sqrt(2));
    case VA_ACT_SILU:
        return g / (1 + exp(-g));
    case VA_ACT_RELU:
        return g <= 0 ? 0 : g; // NaN stays
    case VA_ACT_PHI_TANH:
        return 0.5 * (1 + tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g)));
    case VA_ACT_PHI:
        return 0.5 * erfc(-g / sqrt(2));
    case VA_ACT_SIGMOID:
        return 1 / (1 + exp(-g));
    case VA_ACT_STEP:
        return g <= 0 ? 0 : g > 0 ? 1 : g;
    }
    return NAN;
}

double ref_act_slope(va_act kind, double g) {
    switch (kind) {
    case VA_ACT_GELU_TANH: {
        double t = tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g));
        return 0.5 * (1 + t) + 0.5 * g * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * g * g);
    }
    case VA_ACT_GELU:
        return 0.5 * erfc(-g / sqrt(2)) + g * exp(-0.5 * g * g) / sqrt(2 * M_PI);
    case VA_ACT_SILU: {
        double s = 1 / (1 + exp(-g));
        return s * (1 + g * (1 - s));
    }
    case VA_ACT_RELU:
        return g > 0;
    case VA_ACT_PHI_TANH: {
        double t = tanh(sqrt(2 / M_PI) * (g + 0.044715 * g * g * g));
        return 0.5 * (1 - t * t) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * g * g);
    }
    case VA_ACT_PHI:
        return exp(-0.5 * g * g) / sqrt(2 * M_PI);
    case VA_ACT_SIGMOID: {
        double s = 1 / (1 + exp(-g));
        return s * (1 - s);
    }
    case VA_ACT_STEP:
        return 0;
    }
    return NAN;
}

static void forward(const op_ref_call *r) {
    const double *gate = r->mode == VA_DETACHED ? r->at[0] : r->xv[0];
    for (int64_t i = 0; i < ref_elems(&r->y); i++)
        r->out[i] = ref_act(r->attr->act, gate[i]) * r->xv[1][i];
}

static void jvp(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++) {
        double g = r->xv[0][i], u = r->xv[1][i];
        r->out[i] = r->dx[1] ? ref_act(r->attr->act, g) * r->dx[1][i] : 0;
        if (r->dx[0] && r->mode == VA_EXACT)
            r->out[i] += ref_act_slope(r->attr->act, g) * u * r->dx[0][i];
    }
}

static void vjp(const op_ref_call *r) {
    for (int64_t i = 0; i < ref_elems(&r->y); i++) {
        double g = r->xv[0][i], u = r->xv[1][i];
        if (r->gx[0] && r->mode == VA_EXACT)
            r->gx[0][i] += ref_act_slope(r->attr->act, g) * u * r->dy[i];
        if (r->gx[1])
            r->gx[1][i] += ref_act(r->attr->act, g) * r->dy[i];
    }
}

const op_ref op_ref_glu = {forward, jvp, vjp};
