// test_run_items.c: a concept's items divided into training and test, and the problems they make:
// as they are, with permuted labels, drawn with replacement.
// libs: va_experiment
// SPDX-License-Identifier: Apache-2.0
#include "experiment_case.h"

#include "fit.h"

// Template 1 and the definition; items are of one letter, so that a text tells its item.
static const char valid[] =
    "version: 1\n"
    "name: test\n"
    "model: {path: MODEL, layers: [2]}\n"
    "concepts:\n"
    "  - {name: Dog, definition: it barks, positives: [a, b, c, d, e, f, g, h, i, j],\n"
    "     hard_negatives: [k, l, m, n, o, p], random_negatives: [q, r, s, t]}\n"
    "  - {name: Cat, positives: [A, B, C, D], hard_negatives: [E, F, G, H, I, J, K]}\n"
    "prompts: [\"The {concept} is\"]\n"
    "templates: [\"{item} is\", \"What is {item}?\", \"To {item}\"]\n"
    "directions:\n"
    "  near: {kind: difference, site: \"norm:2@last\"}\n"
    "metrics:\n"
    "  - {name: x, of: [near, near]}\n"
    "seed: 3\n";

enum { DOG, CAT, N_TEMPLATES = 3 };

typedef struct items_case {
    fixture *f;
    va_experiment *e;
    va_run run;
    va_arena *arena;
} items_case;

static void begin(items_case *c, void **state, const char *text) {
    *c = (items_case){.f = *state, .arena = va_arena_create()};
    accept_text(c->f, text, &c->e);
    c->run = (va_run){.ctx = c->f->ctx, .e = c->e};
}

static void end(items_case *c) {
    va_arena_destroy(&c->arena);
    va_experiment_free(&c->e);
}

static va_items split(items_case *c, int64_t concept_index, int64_t seed, double share) {
    va_items items;
    assert_ok(c->f->ctx, va_run_split(&c->run, c->arena, concept_index, seed, share, &items));
    return items;
}

// By class: items, and those of them that are held out.
static void count(const va_items *items, int64_t n[2], int64_t held[2]) {
    n[0] = n[1] = held[0] = held[1] = 0;
    for (int64_t i = 0; i < items->data->n_items; i++) {
        n[items->label[i] > 0]++;
        held[items->label[i] > 0] += items->held[i];
    }
}

static void holds_out_a_share_of_each_class(void **state) {
    static const struct {
        int64_t concept_index;
        double share;
        int64_t negative, positive; // held out of 10 and 11, and of 7 and 4
    } rows[] = {
        {DOG, 0.2, 2, 2}, {DOG, 0.05, 1, 1}, {DOG, 0.9, 9, 10}, {DOG, 0.5, 5, 6},
        {CAT, 0.2, 1, 1}, {CAT, 0.05, 1, 1}, {CAT, 0.9, 6, 3}, // one of each is left to learn from
    };
    items_case c;
    begin(&c, state, valid);
    for (int64_t i = 0; i < VA_COUNT(rows); i++) {
        int64_t n[2], held[2];
        const va_items items = split(&c, rows[i].concept_index, 0, rows[i].share);
        count(&items, n, held);
        assert_int_equal(n[0], rows[i].concept_index == DOG ? 10 : 7);
        assert_int_equal(n[1], rows[i].concept_index == DOG ? 11 : 4); // with the definition
        assert_int_equal(held[0], rows[i].negative);
        assert_int_equal(held[1], rows[i].positive);
        assert_int_equal(items.n_train, n[0] + n[1] - held[0] - held[1]);
        bool seen[32] = {false};
        for (int64_t k = 0; k < items.n_train; k++) {
            assert_false(items.held[items.train[k]] || seen[items.train[k]]);
            seen[items.train[k]] = true;
        }
    }
    end(&c);
}

static bool same_split(const va_items *a, const va_items *b) {
    return a->n_train == b->n_train &&
           memcmp(a->held, b->held, (size_t)a->data->n_items * sizeof *a->held) == 0 &&
           memcmp(a->train, b->train, (size_t)a->n_train * sizeof *a->train) == 0;
}

static void depends_on_seeds_alone(void **state) {
    items_case c, other;
    begin(&c, state, valid);
    char *text = replace(valid, "seed: 3", "seed: 4");
    begin(&other, state, text);
    const va_items first = split(&c, DOG, 0, 0.4), again = split(&c, DOG, 0, 0.4);
    const va_items next = split(&c, DOG, 1, 0.4), as_next = split(&other, DOG, 0, 0.4);
    assert_true(same_split(&first, &again));
    assert_false(same_split(&first, &next));
    assert_true(same_split(&next, &as_next)); // seeds are one apart
    end(&c);
    end(&other);
    free(text);
}

// Items are whole: every text is of training or of test, as its item is.
static void held_out_texts_are_the_others(void **state) {
    items_case c;
    begin(&c, state, valid);
    const va_items items = split(&c, DOG, 0, 0.3);
    va_fit_problem p;
    int64_t *row, n;
    bool *positive, tested[128] = {false};
    assert_ok(c.f->ctx, va_run_problem(&c.run, c.arena, &items, &p));
    assert_ok(c.f->ctx, va_run_held_out(&c.run, c.arena, &items, &row, &positive, &n));
    assert_int_equal(n + p.n, items.data->n);
    assert_int_equal(items.data->n, 20 * N_TEMPLATES + 1);
    for (int64_t i = 0; i < n; i++)
        tested[row[i]] = true;
    for (int64_t r = 0; r < items.data->n; r++)
        assert_int_equal(tested[items.data->text[r]], items.held[items.data->item[r]]);
    for (int64_t i = 0; i < p.n; i++)
        assert_false(tested[p.rows[i]]);
    for (int64_t i = 0; i < n; i++) { // "it barks" and a to j are positive
        const char *about = c.e->plan.text_concept[row[i]];
        assert_int_equal(positive[i], strcmp(about, "Dog") == 0 || *about <= 'j');
    }
    end(&c);
}

// -- problems ------------------------------------------------------------------------------------

static int64_t row_of_text(const va_items *items, int64_t text) {
    for (int64_t r = 0; r < items->data->n; r++)
        if (items->data->text[r] == text)
            return r;
    fail_msg("a text of no item");
    return -1;
}

// All texts of an item have one label, label_of [n_items] (-1: not there); drawn [n_items]: how
// often the item stands there.
static void gather_items(const va_items *items, const va_fit_problem *p, int *label_of,
                         int64_t *drawn) {
    for (int64_t i = 0; i < items->data->n_items; i++) {
        label_of[i] = -1;
        drawn[i] = 0;
    }
    for (int64_t k = 0; k < p->n; k++) {
        const int64_t r = row_of_text(items, p->rows[k]), i = items->data->item[r];
        assert_true(p->labels[k] == 0 || p->labels[k] == 1);
        assert_true(label_of[i] < 0 || label_of[i] == (int)p->labels[k]);
        label_of[i] = (int)p->labels[k];
        drawn[i] += items->data->form[r] <= 0; // once for each copy: the first template, definition
    }
}

// The i-th positive and the i-th negative have one template, for as many as the smaller class of
// each template has.
static void assert_paired(const va_items *items, const va_fit_problem *p) {
    int64_t form[2][128], n[2] = {0, 0}, each[2][N_TEMPLATES] = {{0}}, pairs = 0;
    for (int64_t k = 0; k < p->n; k++) {
        const int label = p->labels[k] > 0;
        form[label][n[label]] = items->data->form[row_of_text(items, p->rows[k])];
        if (form[label][n[label]] >= 0)
            each[label][form[label][n[label]]]++;
        n[label]++;
    }
    for (int64_t t = 0; t < N_TEMPLATES; t++)
        pairs += VA_MIN(each[0][t], each[1][t]);
    assert_true(pairs >= 3 * N_TEMPLATES);
    for (int64_t i = 0; i < pairs; i++)
        assert_int_equal(form[0][i], form[1][i]);
}

static void problems_are_the_training_items(void **state) {
    items_case c;
    begin(&c, state, valid);
    for (int64_t seed = 0; seed < 20; seed++) {
        const va_items items = split(&c, DOG, seed, 0.3);
        va_fit_problem p;
        int label_of[32];
        int64_t drawn[32];
        assert_ok(c.f->ctx, va_run_problem(&c.run, c.arena, &items, &p));
        gather_items(&items, &p, label_of, drawn);
        for (int64_t i = 0; i < items.data->n_items; i++) {
            assert_int_equal(drawn[i], !items.held[i]);
            assert_int_equal(label_of[i], items.held[i] ? -1 : (int)items.label[i]);
        }
        assert_paired(&items, &p);
    }
    end(&c);
}

static void permuted_labels_are_of_whole_items(void **state) {
    items_case c;
    begin(&c, state, valid);
    const va_items items = split(&c, DOG, 0, 0.3);
    va_fit_problem first = {0};
    int64_t moved = 0;
    for (int64_t draw = 0; draw < 30; draw++) {
        va_fit_problem p;
        int label_of[32];
        int64_t drawn[32], n[2] = {0, 0}, expected[2] = {0, 0};
        assert_ok(c.f->ctx, va_run_permuted(&c.run, c.arena, &items, draw, &p));
        gather_items(&items, &p, label_of, drawn);
        for (int64_t i = 0; i < items.data->n_items; i++) {
            assert_int_equal(drawn[i], !items.held[i]);
            if (items.held[i])
                continue;
            n[label_of[i]]++;
            expected[items.label[i] > 0]++;
            moved += label_of[i] != (int)items.label[i];
        }
        assert_int_equal(n[0], expected[0]);
        assert_int_equal(n[1], expected[1]);
        assert_paired(&items, &p);
        if (draw == 0)
            first = p;
        else
            assert_true(p.seed != first.seed);
    }
    // 7 negatives and 8 positives: 56/15 of each class change, in all 7.47 of a draw
    assert_in_range(moved, 30 * 6, 30 * 9);
    end(&c);
}

static void resampled_items_are_of_their_class(void **state) {
    items_case c;
    begin(&c, state, valid);
    const va_items items = split(&c, DOG, 0, 0.3);
    int64_t repeated = 0, absent = 0;
    for (int64_t draw = 0; draw < 30; draw++) {
        va_fit_problem p;
        int label_of[32];
        int64_t drawn[32], n[2] = {0, 0};
        assert_ok(c.f->ctx, va_run_resampled(&c.run, c.arena, &items, draw, &p));
        gather_items(&items, &p, label_of, drawn);
        for (int64_t i = 0; i < items.data->n_items; i++) {
            assert_true(drawn[i] == 0 || !items.held[i]);
            assert_true(drawn[i] == 0 || label_of[i] == (int)items.label[i]);
            n[items.label[i] > 0] += drawn[i];
            repeated += drawn[i] > 1;
            absent += !items.held[i] && drawn[i] == 0;
        }
        assert_int_equal(n[0], 7);
        assert_int_equal(n[1], 8);
        assert_paired(&items, &p);
    }
    // of 7 and 8 items (6/7)^7 7 + (7/8)^8 8 = 5.1 are absent from a draw
    assert_in_range(absent, 30 * 4, 30 * 6);
    assert_true(repeated > 0);
    end(&c);
}

// The numbers are of the concept and the seed, not of the others beside it.
static void draws_do_not_depend_on_other_concepts(void **state) {
    items_case c, alone;
    begin(&c, state, valid);
    char *first = replace(valid, "name: Dog", "name: Eel"); // Dog's place is another's
    begin(&alone, state, first);
    const va_items a = split(&c, CAT, 0, 0.3), b = split(&alone, CAT, 0, 0.3);
    va_fit_problem p, q;
    assert_true(same_split(&a, &b));
    assert_ok(c.f->ctx, va_run_permuted(&c.run, c.arena, &a, 5, &p));
    assert_ok(c.f->ctx, va_run_permuted(&alone.run, alone.arena, &b, 5, &q));
    assert_memory_equal(p.labels, q.labels, (size_t)p.n * sizeof *p.labels);
    assert_int_equal(p.seed, q.seed);
    const va_items dog = split(&c, DOG, 0, 0.3), eel = split(&alone, DOG, 0, 0.3);
    assert_false(same_split(&dog, &eel));
    end(&c);
    end(&alone);
    free(first);
}

// The definition stands in no template, so that it is not exchangeable with the items.
static void definition_keeps_its_label(void **state) {
    items_case c;
    begin(&c, state, valid);
    const va_items items = split(&c, DOG, 1, 0.1);
    if (items.held[0])
        fail_msg("choose another seed: the definition is held out");
    for (int64_t draw = 0; draw < 40; draw++) {
        va_fit_problem p;
        int label_of[32];
        int64_t drawn[32];
        assert_ok(c.f->ctx, va_run_permuted(&c.run, c.arena, &items, draw, &p));
        gather_items(&items, &p, label_of, drawn);
        assert_int_equal(label_of[0], 1);
    }
    end(&c);
}

// A list in the place of an item is one item: its texts are never on both sides, nor of two labels.
static void texts_of_an_item_stay_together(void **state) {
    items_case c;
    char *text = replace(valid, "[a, b, c, d, e, f, g, h, i, j]", "[[a, b], [c, d, e], f, g, h]");
    begin(&c, state, text);
    const va_dataset *data = &c.e->plan.datasets[DOG];
    assert_int_equal(data->n_items, 1 + 5 + 10);
    assert_int_equal(data->n, 1 + N_TEMPLATES * (8 + 10));
    for (int64_t r = 1; r <= 2 * N_TEMPLATES; r++)
        assert_int_equal(data->item[r], 1);
    for (int64_t r = 1; r <= 3 * N_TEMPLATES; r++)
        assert_int_equal(data->item[2 * N_TEMPLATES + r], 2);
    const va_items items = split(&c, DOG, 0, 0.3);
    va_fit_problem p;
    int label_of[32]; // gather_items refuses two labels of one item
    int64_t drawn[32];
    assert_ok(c.f->ctx, va_run_permuted(&c.run, c.arena, &items, 0, &p));
    gather_items(&items, &p, label_of, drawn);
    end(&c);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(holds_out_a_share_of_each_class),       TEST(depends_on_seeds_alone),
        TEST(held_out_texts_are_the_others),         TEST(problems_are_the_training_items),
        TEST(permuted_labels_are_of_whole_items),    TEST(resampled_items_are_of_their_class),
        TEST(draws_do_not_depend_on_other_concepts), TEST(definition_keeps_its_label),
        TEST(texts_of_an_item_stay_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
