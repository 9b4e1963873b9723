// math.glsl: exp, sigmoid, tanh and the normal distribution function to a few units of f32's last
// place on every driver. GLSL's own exp may be off by (3 + 2|x|) units and its tanh may overflow
// to NaN or cancel near 0. NaN stays NaN: comparisons let it through, no min or max.
// Coefficients: weighted minimax fits in double, made for this file; the error of each is stated.
// SPDX-License-Identifier: Apache-2.0
#ifndef MATH_GLSL
#define MATH_GLSL

#define MATH_INF uintBitsToFloat(0x7f800000u)

float math_pow2(int n) // -126 <= n <= 127
{
    return uintBitsToFloat(uint(n + 127) << 23);
}

// e^x = 2^n e^r, |r| <= ln 2 / 2; e^r = 1 + r + r^2 P(r) to 8e-9.
float math_exp(float x)
{
    if (x > 89.0)
        return MATH_INF;
    if (x < -104.0)
        return 0.0;
    float n = floor(x * 1.44269504 + 0.5);
    precise float r = fma(n, -0.693359375, x); // ln 2 in two parts, the first exact times n
    r = fma(n, 2.12194440e-4, r);
    float p = 1.394111753e-03;
    p = fma(p, r, 8.363179812e-03);
    p = fma(p, r, 4.166637521e-02);
    p = fma(p, r, 1.666657698e-01);
    p = fma(p, r, 5.000000027e-01);
    p = fma(p * r, r, r) + 1.0;
    int half_n = int(n) / 2;
    return p * math_pow2(half_n) * math_pow2(int(n) - half_n);
}

// 1 / (1 + e^-x)
float math_sigmoid(float x)
{
    float e = math_exp(-abs(x));
    return (x < 0.0 ? e : 1.0) / (1.0 + e);
}

// Near 0: x + x^3 P(x^2) to 2e-8 of x for |x| < .625.
float math_tanh(float x)
{
    float a = abs(x);
    if (a < 0.625) {
        float s = x * x;
        float p = -6.112778589e-03;
        p = fma(p, s, 2.100980034e-02);
        p = fma(p, s, -5.385401129e-02);
        p = fma(p, s, 1.333279417e-01);
        p = fma(p, s, -3.333332925e-01);
        return fma(p * s, x, x);
    }
    float t = 1.0 - 2.0 / (math_exp(2.0 * a) + 1.0);
    return x < 0.0 ? -t : t;
}

// 1 - tanh(x)^2, without the cancellation for large |x|
float math_sech2(float x)
{
    float e = math_exp(-2.0 * abs(x));
    return 4.0 * e / ((1.0 + e) * (1.0 + e));
}

// Phi(x) = erfc(-x / sqrt 2) / 2. With z = |x| / sqrt 2:
// z < 1: erf(z) = z P(z^2) to 2e-9; else erfc(z) = e^(-z^2) t Q(t), t = 1 / (1 + z/2), to 2e-8
// of erfc up to z = 10.5, where f32 ends.
float math_phi(float x)
{
    float z = abs(x) * 0.707106781;
    if (z < 1.0) {
        float s = z * z;
        float p = 7.889119520e-05;
        p = fma(p, s, -8.020841277e-04);
        p = fma(p, s, 5.189535339e-03);
        p = fma(p, s, -2.685444459e-02);
        p = fma(p, s, 1.128360018e-01);
        p = fma(p, s, -3.761262714e-01);
        p = fma(p, s, 1.128379166e+00);
        return fma(0.353553391 * p, x, 0.5); // 1 / (2 sqrt 2)
    }
    float t = 1.0 / fma(z, 0.5, 1.0);
    float q = 9.376483874e-02;
    q = fma(q, t, -2.270655929e-01);
    q = fma(q, t, 8.344929420e-02);
    q = fma(q, t, 6.034096606e-02);
    q = fma(q, t, 1.790406683e-01);
    q = fma(q, t, 2.469039595e-01);
    q = fma(q, t, 2.820470214e-01);
    q = fma(q, t, 2.820980244e-01);
    float tail = 0.5 * math_exp(-0.5 * x * x) * t * q;
    return x < 0.0 ? tail : 1.0 - tail;
}

// Density of the normal distribution.
float math_phi_density(float x)
{
    return 0.398942280 * math_exp(-0.5 * x * x);
}

#endif
