// sweep.c: every variant of an experiment with a matrix, one after another, and what they say
// together.
// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "vkalign/report.h"

typedef struct sweep {
    va_ctx *ctx;
    va_arena *arena;
    va_experiment_params experiment; // of the variant at hand
    va_run_params run;
    const char *out_dir;
    va_json *root, *variants;
    va_run_summary *summary;
} sweep;

static void add_summary(va_run_summary *sum, const va_run_summary *one) {
    sum->n_units += one->n_units;
    sum->n_done += one->n_done;
    sum->n_reused += one->n_reused;
    sum->n_failed += one->n_failed;
    sum->n_results_failed += one->n_results_failed;
    sum->seconds += one->seconds;
    sum->device_peak_bytes = VA_MAX(sum->device_peak_bytes, one->device_peak_bytes);
    sum->n_expected += one->n_expected;
    sum->n_held += one->n_held;
}

static void add_values(const va_experiment *e, va_json *o) {
    va_json *set = va_json_add_object(o, "set");
    for (int64_t i = 0; i < e->variant.n_set; i++) {
        va_strbuf text = {0};
        va_yaml_write(e->variant.set[i].value, &text);
        while (text.len > 0 && text.data[text.len - 1] == '\n')
            text.data[--text.len] = '\0';
        va_json_add_string(set, e->variant.set[i].path, text.data ? text.data : "");
        va_strbuf_free(&text);
    }
}

// What the report of the sweep needs of a variant's results.
static va_status add_variant(sweep *s, const va_experiment *e, const char *out, va_status ran) {
    va_status st = VA_OK;
    va_json *results = NULL;
    va_json *o = va_json_add_object(s->variants, NULL);
    va_json_add_string(o, "name", e->variant.name);
    add_values(e, o);
    va_json_add_string(o, "status", ran == VA_OK ? "success" : "failed");
    VA_TRY(va_json_load(s->ctx, va_path_join(s->arena, out, "results.json"), 0, &results));
    va_json_add(o, "statistics", va_json_clone(va_json_get(results, "statistics")));
    const va_json *expectations = va_json_get(results, "expectations");
    if (expectations)
        va_json_add(o, "expectations", va_json_clone(expectations));
done:
    va_json_free(&results);
    return st;
}

static va_status run_variant(sweep *s, int64_t *count) {
    va_status st = VA_OK, ran;
    va_experiment *e = NULL;
    va_run_summary summary = {0};
    VA_TRY(va_experiment_load(s->ctx, &s->experiment, &e));
    *count = e->variant.count;
    if (s->experiment.variant == 0) {
        s->out_dir = va_arena_strdup(s->arena, s->run.out_dir ? s->run.out_dir : e->spec.output);
        va_json_add_string(s->root, "name", e->spec.name);
        va_json_add_string(s->root, "question", e->spec.question);
        s->variants = va_json_add_array(s->root, "variants");
    }
    const char *out = va_path_join(s->arena, s->out_dir, e->variant.name);
    va_run_params params = s->run;
    params.out_dir = out;
    if (s->experiment.variant > 0)
        params.start_s = 0; // a later variant begins where its run does
    va_log(s->ctx, VA_LOG_INFO, "variant %lld of %lld: %s", (long long)s->experiment.variant + 1,
           (long long)*count, e->variant.name);
    ran = va_experiment_run(s->ctx, e, &params, &summary);
    add_summary(s->summary, &summary);
    if (ran != VA_OK && ran != VA_ERR_PARTIAL) {
        st = ran;
        goto done;
    }
    VA_TRY(add_variant(s, e, out, ran));
done:
    va_experiment_free(&e);
    return st;
}

static bool is_variant(const sweep *s, const char *name) {
    for (const va_json *v = va_json_first(s->variants); v; v = va_json_next(v))
        if (strcmp(va_json_as_string(va_json_get(v, "name")), name) == 0)
            return true;
    return false;
}

// Folders of variants that an earlier matrix had stay, and are none of this sweep's.
static void tell_of_others(sweep *s) {
    va_strbuf names = {0};
    DIR *d = opendir(s->out_dir);
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (entry->d_name[0] != '.' && !is_variant(s, entry->d_name) &&
            va_path_is_dir(va_path_join(s->arena, s->out_dir, entry->d_name)))
            va_strbuf_printf(&names, "%s%s", names.len > 0 ? ", " : "", entry->d_name);
    if (d)
        closedir(d);
    if (names.len > 0)
        va_log(s->ctx, VA_LOG_INFO, "%s: folders that are not of this sweep: %s", s->out_dir,
               names.data);
    va_strbuf_free(&names);
}

static va_status write_files(sweep *s) {
    va_status st = VA_OK;
    char *text = va_json_print(s->root, true);
    VA_TRY_ALLOC(s->ctx, text, text);
    VA_TRY(va_file_write(s->ctx, va_path_join(s->arena, s->out_dir, "sweep.json"), text,
                         (int64_t)strlen(text)));
    VA_TRY(va_report_sweep_write(s->ctx, s->out_dir));
done:
    free(text);
    return st;
}

va_status va_sweep_run(va_ctx *ctx, const va_experiment_params *experiment,
                       const va_run_params *params, va_run_summary *summary) {
    va_status st = VA_OK;
    int64_t count = 1;
    *summary = (va_run_summary){0};
    sweep s = {.ctx = ctx,
               .arena = va_arena_create(),
               .experiment = *experiment,
               .run = *params,
               .root = va_json_object(),
               .summary = summary};
    VA_TRY_ALLOC(ctx, s.root, s.arena ? s.root : NULL);
    va_json_add_int(s.root, "schema_version", 1);
    for (int64_t i = 0; i < count; i++) {
        s.experiment.variant = i;
        VA_TRY(run_variant(&s, &count));
    }
    VA_TRY(write_files(&s));
    tell_of_others(&s);
    if (summary->n_failed + summary->n_results_failed > 0)
        st = va_fail(ctx, VA_ERR_PARTIAL,
                     "%lld of %lld units and %lld results failed; the others are saved in %s",
                     (long long)summary->n_failed, (long long)summary->n_units,
                     (long long)summary->n_results_failed, s.out_dir);
done:
    va_json_free(&s.root);
    va_arena_destroy(&s.arena);
    return st;
}
