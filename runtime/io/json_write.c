// json_write.c: building a JSON tree and printing it.
//
// cJSON prints a number that is equal within rounding; here it reads back bit for bit: the
// shortest of 15, 16 and 17 significant digits that does.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

va_json *va_json_object(void) {
    return cJSON_CreateObject();
}

va_json *va_json_array(void) {
    return cJSON_CreateArray();
}

bool va_json_add(va_json *obj, const char *key, va_json *child) {
    bool ok =
        child && (key ? cJSON_AddItemToObject(obj, key, child) : cJSON_AddItemToArray(obj, child));
    if (!ok)
        cJSON_Delete(child);
    return ok;
}

va_json *va_json_add_object(va_json *obj, const char *key) {
    va_json *child = cJSON_CreateObject();
    return va_json_add(obj, key, child) ? child : NULL;
}

va_json *va_json_add_array(va_json *obj, const char *key) {
    va_json *child = cJSON_CreateArray();
    return va_json_add(obj, key, child) ? child : NULL;
}

bool va_json_add_string(va_json *obj, const char *key, const char *s) {
    return va_json_add(obj, key, cJSON_CreateString(s));
}

bool va_json_add_double(va_json *obj, const char *key, double v) {
    return va_json_add(obj, key, cJSON_CreateNumber(v));
}

bool va_json_add_int(va_json *obj, const char *key, int64_t v) {
    const int64_t max_exact = (int64_t)1 << 53;
    if (v >= -max_exact && v <= max_exact)
        return va_json_add_double(obj, key, (double)v);
    char digits[32]; // a double would round it
    snprintf(digits, sizeof digits, "%" PRId64, v);
    return va_json_add(obj, key, cJSON_CreateRaw(digits));
}

bool va_json_add_bool(va_json *obj, const char *key, bool v) {
    return va_json_add(obj, key, cJSON_CreateBool(v));
}

bool va_json_add_null(va_json *obj, const char *key) {
    return va_json_add(obj, key, cJSON_CreateNull());
}

va_json *va_json_clone(const va_json *v) {
    return cJSON_Duplicate(v, true);
}

static void print_number(va_strbuf *out, double d) {
    char text[40];
    if (!isfinite(d)) {
        va_strbuf_puts(out, "null");
        return;
    }
    if (fabs(d) <= 0x1p53 && d == trunc(d)) {
        snprintf(text, sizeof text, "%.0f", d);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, d);
            if (strtod(text, NULL) == d)
                break;
        }
        char *comma = strchr(text, ','); // some locales' decimal point
        if (comma)
            *comma = '.';
    }
    va_strbuf_puts(out, text);
}

static void print_string(va_strbuf *out, const char *s) {
    int64_t n = (int64_t)strlen(s), i = 0;
    va_strbuf_puts(out, "\"");
    while (i < n) {
        static const char plain[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
        int length = va_io_utf8_length(s + i, n - i);
        const char *special = strchr(plain, s[i]);
        if (special)
            va_strbuf_printf(out, "\\%c", letter[special - plain]);
        else if (length == 0)
            va_strbuf_puts(out, "\\ufffd"); // no valid UTF-8: the replacement character
        else if (length == 1 && (unsigned char)s[i] < 0x20)
            va_strbuf_printf(out, "\\u%04x", (unsigned)s[i]);
        else
            va_strbuf_append(out, s + i, length);
        i += VA_MAX(length, 1);
    }
    va_strbuf_puts(out, "\"");
}

static void print_break(va_strbuf *out, bool indent, int depth) {
    if (indent)
        va_strbuf_printf(out, "\n%*s", 2 * depth, "");
}

static bool is_scalar_array(const cJSON *v) {
    for (const cJSON *c = v->child; c; c = c->next)
        if (c->child || cJSON_IsString(c))
            return false;
    return cJSON_IsArray(v);
}

static void print_value(va_strbuf *out, const cJSON *v, bool indent, int depth) {
    bool object = cJSON_IsObject(v);
    if (cJSON_IsNumber(v)) {
        print_number(out, v->valuedouble);
    } else if (cJSON_IsString(v)) {
        print_string(out, v->valuestring);
    } else if (cJSON_IsRaw(v)) {
        va_strbuf_puts(out, v->valuestring);
    } else if (cJSON_IsBool(v)) {
        va_strbuf_puts(out, cJSON_IsTrue(v) ? "true" : "false");
    } else if (object || cJSON_IsArray(v)) {
        bool lines = indent && v->child && !is_scalar_array(v); // numbers share one line
        va_strbuf_puts(out, object ? "{" : "[");
        for (const cJSON *c = v->child; c; c = c->next) {
            print_break(out, lines, depth + 1);
            if (object) {
                print_string(out, c->string);
                va_strbuf_puts(out, indent ? ": " : ":");
            }
            print_value(out, c, indent, depth + 1);
            if (c->next)
                va_strbuf_puts(out, indent && !lines ? ", " : ",");
        }
        print_break(out, lines, depth);
        va_strbuf_puts(out, object ? "}" : "]");
    } else {
        va_strbuf_puts(out, "null");
    }
}

char *va_json_print(const va_json *v, bool indent) {
    va_strbuf out = {0};
    print_value(&out, v, indent, 0);
    if (indent)
        va_strbuf_puts(&out, "\n");
    if (out.failed)
        va_strbuf_free(&out);
    return out.data;
}
