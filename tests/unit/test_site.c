// Sites: what is accepted, its canonical text, what is refused and how; the order along the model.
// SPDX-License-Identifier: Apache-2.0
// libs: va_arch
#include "test_support.h"

#include "vkalign/arch.h"

enum { L = 34 };

static int setup(void **state) {
    *state = va_test_ctx();
    return 0;
}

static int teardown(void **state) {
    va_ctx_destroy((va_ctx **)state);
    return 0;
}

static void test_canonical(void **state) {
    static const struct {
        const char *text, *canonical;
        int64_t blocks;
    } cases[] = {
        {"embed", "embed@last", 0},          {"embed@all", "embed@all", 0},
        {"resid:0", "resid:0@last", 0},      {"resid:34@mean", "resid:34@mean", 34},
        {"resid:last", "resid:34@last", 34}, {"attn:6", "attn:6@last", 7},
        {"attn:last@3", "attn:33@3", 34},    {"mlp:33@-2", "mlp:33@-2", 34},
        {"norm:6@last", "norm:6@last", 6},   {"norm:last@concept", "norm:34@concept", 34},
        {"logits", "logits:34@last", 34},    {"logits:5@all", "logits:5@all", 5},
        {"logits@0", "logits:34@0", 34},
    };
    va_ctx *ctx = *state;
    char buf[64];
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_site site, again;
        assert_ok(ctx, va_site_parse(ctx, cases[i].text, L, &site));
        assert_string_equal(va_site_text(&site, buf), cases[i].canonical);
        assert_int_equal(va_site_blocks(&site), cases[i].blocks);
        assert_ok(ctx, va_site_parse(ctx, buf, L, &again));
        assert_memory_equal(&site, &again, sizeof site);
    }
}

static void test_model_unknown(void **state) {
    va_ctx *ctx = *state;
    va_site site;
    char buf[64];
    assert_ok(ctx, va_site_parse(ctx, "norm:last@mean", -1, &site));
    assert_int_equal(site.layer, -1);
    assert_string_equal(va_site_text(&site, buf), "norm:last@mean");
    assert_ok(ctx, va_site_parse(ctx, "logits", -1, &site));
    assert_int_equal(site.layer, -1);
    assert_ok(ctx, va_site_parse(ctx, "resid:9999", -1, &site));
    assert_int_equal(site.layer, 9999);
}

static void test_refused(void **state) {
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "unknown site ''"},
        {"hidden:3", "expected embed, resid:N"},
        {"resid", "expected resid:N or resid:last"},
        {"norm@last", "expected norm:N or norm:last"},
        {"embed:0", "embed takes no layer"},
        {"embed:", "embed takes no layer"},
        {"resid:", "layer ''"},
        {"resid:x", "layer 'x'"},
        {"resid:-1", "layer '-1'"},
        {"resid:1.5", "layer '1.5'"},
        {"resid: 1", "layer ' 1'"},
        {"resid:99999999999999999999", "layer '9999"},
        {"resid:35", "layers 0 to 34"},
        {"norm:35", "layers 0 to 34"},
        {"attn:34", "layers 0 to 33"},
        {"mlp:34", "layers 0 to 33"},
        {"resid:3@", "unknown position '@'"},
        {"resid:3@first", "unknown position '@first'"},
        {"resid:3@1x", "unknown position '@1x'"},
        {"resid:3@-", "unknown position '@-'"},
        {"resid:3@@3", "unknown position"},
        {"RESID:3", "unknown site"},
        {"resi:3", "unknown site"},
    };
    va_ctx *ctx = *state;
    va_site site;
    for (int64_t i = 0; i < VA_COUNT(cases); i++)
        assert_error(ctx, VA_ERR_USAGE, cases[i].message,
                     va_site_parse(ctx, cases[i].text, L, &site));
}

static void test_precedes(void **state) {
    static const struct {
        const char *from, *to;
        bool precedes;
    } cases[] = {
        {"embed@all", "norm:6@last", true}, {"embed", "resid:0", false},
        {"embed", "norm:0", true},          {"resid:2", "resid:3", true},
        {"resid:3", "resid:2", false},      {"resid:2", "attn:2", true},
        {"attn:2", "mlp:2", true},          {"mlp:2", "attn:2", false},
        {"mlp:2", "resid:3", true},         {"mlp:2", "resid:2", false},
        {"mlp:2", "norm:2", false},         {"mlp:2", "logits:3", true},
        {"resid:3", "logits:3", true},      {"norm:3", "logits:3", true},
        {"norm:3", "logits:4", false},      {"norm:3", "resid:9", false},
        {"norm:3", "norm:3", false},        {"logits:3", "logits:3", false},
        {"logits", "norm:34", false},       {"resid:3", "resid:3@all", false},
        {"resid:34", "logits", true},
    };
    va_ctx *ctx = *state;
    for (int64_t i = 0; i < VA_COUNT(cases); i++) {
        va_site from, to;
        assert_ok(ctx, va_site_parse(ctx, cases[i].from, L, &from));
        assert_ok(ctx, va_site_parse(ctx, cases[i].to, L, &to));
        if (va_site_precedes(&from, &to) != cases[i].precedes)
            fail_msg("%s -> %s: expected %d", cases[i].from, cases[i].to, cases[i].precedes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_model_unknown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_precedes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
