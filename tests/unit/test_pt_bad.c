// test_pt_bad.c: PyTorch checkpoints that torch would not write: every rule of the pickle broken
// once.
// libs: va_io
// SPDX-License-Identifier: Apache-2.0
#include "test_support.h"

#include "vkalign/pt.h"

static va_ctx *ctx;
static char dir[VA_TEST_PATH], path[VA_TEST_PATH];

static int set_up(void **state) {
    (void)state;
    ctx = va_test_ctx();
    va_test_temp_dir(dir);
    va_test_join(path, dir, "x.pt");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    va_test_temp_remove(dir);
    va_ctx_destroy(&ctx);
    return 0;
}

// -- archives by hand --------------------------------------------------------------------------

typedef struct member {
    const char *name;
    const void *data;
    int64_t size;
} member;

static void put(va_strbuf *b, uint64_t value, int n) {
    va_strbuf_append(b, (const char *)&value, n);
}

static void put_sizes(va_strbuf *b, const member *m) {
    put(b, 0, 4); // checksum: none
    put(b, (uint64_t)m->size, 4);
    put(b, (uint64_t)m->size, 4);
    put(b, strlen(m->name), 2);
    put(b, 0, 2);
}

static void put_archive(va_strbuf *b, const member *members, int n) {
    va_strbuf directory = {0};
    for (int i = 0; i < n; i++) {
        put(&directory, 0x02014B50, 4);
        put(&directory, 0, 8); // versions, flags, method
        put(&directory, 0, 4); // time
        put_sizes(&directory, &members[i]);
        put(&directory, 0, 6);
        put(&directory, 0, 4);
        put(&directory, (uint64_t)b->len, 4);
        va_strbuf_puts(&directory, members[i].name);
        put(b, 0x04034B50, 4);
        put(b, 0, 6);
        put(b, 0, 4);
        put_sizes(b, &members[i]);
        va_strbuf_puts(b, members[i].name);
        va_strbuf_append(b, members[i].data, members[i].size);
    }
    const uint64_t at = (uint64_t)b->len;
    va_strbuf_append(b, directory.data, directory.len);
    put(b, 0x06054B50, 4);
    put(b, 0, 4);
    put(b, (uint64_t)n, 2);
    put(b, (uint64_t)n, 2);
    put(b, (uint64_t)directory.len, 4);
    put(b, at, 4);
    put(b, 0, 2);
    va_strbuf_free(&directory);
}

// va_file_write syncs, and so do file systems when what is cut to nothing is written again.
static void write_file(const void *data, int64_t size) {
    remove(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, (size_t)size, f), size);
    assert_int_equal(fclose(f), 0);
}

static va_status open_bytes(const void *data, int64_t size) {
    va_pt *pt = NULL;
    write_file(data, size);
    const va_status st = va_pt_open(ctx, path, &pt);
    assert_true((st == VA_OK) == (pt != NULL));
    va_pt_close(&pt);
    return st;
}

// A checkpoint of this pickle and two storages, 0 of 16 bytes and 1 of none.
static va_status open_pickle(const void *pickle, int64_t size) {
    const member members[] = {
        {"x/data.pkl", pickle, size}, {"x/data/0", "0123456789abcdef", 16}, {"x/data/1", "", 0}};
    va_strbuf b = {0};
    put_archive(&b, members, VA_COUNT(members));
    assert_false(b.failed);
    const va_status st = open_bytes(b.data, b.len);
    va_strbuf_free(&b);
    return st;
}

// -- pickles -----------------------------------------------------------------------------------

#define STORAGE(type, name, n)                                                                     \
    "(X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0" name "X\3\0\0\0cpu" n "tQ"
#define TENSOR(storage, offset, shape, strides)                                                    \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset shape strides "\x89"                     \
    "ccollections\n"                                                                               \
    "OrderedDict\n)RtR"
#define F32_4 STORAGE("FloatStorage", "0", "K\4")
#define ONE "K\1"
#define P(text) "\x80\2" text, sizeof("\x80\2" text) - 1

static const struct {
    const char *pickle;
    int64_t size;
    va_status code;
    const char *text;
} pickles[] = {
    // The first ones are read: what the others break is right in them.
    {P(TENSOR(F32_4, "K\0", "K\2K\2\x86", "K\2K\1\x86") "."), VA_OK, NULL},
    {P(TENSOR(F32_4, "K\3", "K\1\x85", "K\1\x85") "."), VA_OK, NULL},
    {P(TENSOR(F32_4, "K\4", "K\0\x85", "K\1\x85") "."), VA_OK, NULL},
    {P(TENSOR(STORAGE("FloatStorage", "1", "K\0"), "K\0", "K\0\x85", "K\1\x85") "."), VA_OK, NULL},
    {P("}(X\1\0\0\0aK\1K\1K\2u."), VA_OK, NULL},
    // bytes and stack
    {"", 0, VA_ERR_FORMAT, "expected 2 bytes more, got 0"},
    {"(lp0\n.", 6, VA_ERR_UNSUPPORTED, "protocol 2 to 5"},
    {"\x80\6N.", 4, VA_ERR_UNSUPPORTED, "protocol 2 to 5"},
    {P(""), VA_ERR_FORMAT, "byte 2: expected 1 bytes more, got 0"},
    {P("N"), VA_ERR_FORMAT, "byte 3: expected 1 bytes more"},
    {P("."), VA_ERR_FORMAT, "expected one value at the end, got 0"},
    {P("NN."), VA_ERR_FORMAT, "expected one value at the end, got 2"},
    {P("N.N"), VA_ERR_FORMAT, "1 bytes behind it"},
    {P("N(."), VA_ERR_FORMAT, "expected one value at the end"},
    {P("t."), VA_ERR_FORMAT, "expected a mark"},
    {P("\x85."), VA_ERR_FORMAT, "expected 1 values on the stack, got 0"},
    {P("NN(N\x86."), VA_ERR_FORMAT, "expected 2 values on the stack, got 1"}, // not below the mark
    {P("](e."), VA_OK, NULL},
    {P("(e."), VA_ERR_FORMAT, "expected 1 values on the stack, got 0"},
    {P("}NNa."), VA_ERR_FORMAT, "expected a list to add to, got None"},
    {P("](NNu."), VA_ERR_FORMAT, "expected a dict to add to, got list"},
    {P("}(NNNu."), VA_ERR_FORMAT, "a key without a value"},
    {P("h\0."), VA_ERR_FORMAT, "nothing in memo 0"},
    {P("q\0N."), VA_ERR_FORMAT, "expected 1 values on the stack, got 0"},
    {P("Nr\xFF\xFF\xFF\x7F."), VA_ERR_UNSUPPORTED, "memo 2147483647"},
    {P("Nr\xFF\xFF\xFF\xFF."), VA_ERR_UNSUPPORTED, "memo 4294967295"},
    {P("X\xFF\xFF\xFF\xFF."), VA_ERR_FORMAT, "expected 4294967295 bytes more, got 1"},
    {P("\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF."), VA_ERR_FORMAT, "bytes more, got 1"},
    {P("\x95\xFF\0\0\0\0\0\0\0N."), VA_ERR_FORMAT, "a frame of 255 bytes, got 2"},
    {P("X\2\0\0\0\xC3("), VA_ERR_FORMAT, "expected UTF-8"},
    {P("\x8A\x9\1\2\3\4\5\6\7\x8\x9."), VA_ERR_UNSUPPORTED, "an integer of 9 bytes"},
    // values
    {P("}NNs."), VA_ERR_UNSUPPORTED, "expected a string or an integer as key, got None"},
    {P("})Ns."), VA_ERR_UNSUPPORTED, "as key, got list"},
    {P("}X\3\0\0\0a\0bNs."), VA_ERR_UNSUPPORTED, "a key with a NUL"},
    {P("}(K\1NK\2NK\1Nu."), VA_ERR_FORMAT, "key 1 stands twice"},
    {P("}(X\1\0\0\0aNX\1\0\0\0aNu."), VA_ERR_FORMAT, "key 'a' stands twice"},
    {P("]q\0h\0a."), VA_ERR_FORMAT, "a list contains itself"},
    {P("}q\0K\1h\0s."), VA_ERR_FORMAT, "a dict contains itself"},
    {P("]q\0h\0\x85\x85"
       "a."),
     VA_ERR_FORMAT, "a list contains itself"},
    {P("C\1a."), VA_ERR_UNSUPPORTED, "bytes among the values"},
    {P("ctorch\nFloatStorage\n."), VA_ERR_UNSUPPORTED, "a function among the values"},
    {P("]" F32_4 "a."), VA_ERR_UNSUPPORTED, "a storage among the values"},
    // names
    {P("cos\nsystem\n."), VA_ERR_UNSUPPORTED, "global os.system is not allowed"},
    {P("X\2\0\0\0osX\6\0\0\0system\x93."), VA_ERR_UNSUPPORTED, "global os.system is not allowed"},
    {P("cbuiltins\neval\n."), VA_ERR_UNSUPPORTED, "global builtins.eval is not allowed"},
    {P("ctorch._utils\n_rebuild_tensor\n."), VA_ERR_UNSUPPORTED, "is not allowed"},
    {P("ctorch\n_utils._rebuild_tensor_v2\n."), VA_ERR_UNSUPPORTED, "is not allowed"},
    {P("cos\nsyst"), VA_ERR_FORMAT, "expected a line of text"},
    {P("NN\x93."), VA_ERR_FORMAT, "the names of a module and a global"},
    {P("(ios\nsystem\n."), VA_ERR_UNSUPPORTED, "operation 0x69 is not allowed"}, // INST
    {P("N)\x81."), VA_ERR_UNSUPPORTED, "operation 0x81 is not allowed"},         // NEWOBJ
    {P("\x82\1."), VA_ERR_UNSUPPORTED, "operation 0x82 is not allowed"},         // EXT1
    {P("P1\n."), VA_ERR_UNSUPPORTED, "operation 0x50 is not allowed"},           // PERSID
    {P("N)R."), VA_ERR_FORMAT, "a call of None"},
    {P("ccollections\nOrderedDict\nNR."), VA_ERR_FORMAT, "a tuple of arguments, got None"},
    {P("ccollections\nOrderedDict\n]\x85R."), VA_ERR_UNSUPPORTED, "an OrderedDict of arguments"},
    {P("ctorch\nSize\n)R."), VA_ERR_FORMAT, "wrong arguments of torch.Size"},
    {P("ctorch\nFloatStorage\n)R."), VA_ERR_FORMAT, "wrong arguments of torch.FloatStorage"},
    {P("ctorch._utils\n_rebuild_parameter\n]\x85R."), VA_ERR_FORMAT, "wrong arguments of"},
    {P("ctorch\ndevice\n)R."), VA_ERR_FORMAT, "the name of a device"},
    {P("}}b."), VA_ERR_UNSUPPORTED, "a dict with state"},
    {P("c_codecs\nencode\nX\2\0\0\0\xC4\x80X\6\0\0\0latin1\x86R."), VA_ERR_FORMAT, "latin1"},
    {P("cnumpy\ndtype\nX\2\0\0\0f8\x85R(K\3X\1\0\0\0>tb."), VA_ERR_UNSUPPORTED, "little-endian"},
    {P("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0f8\x85RC\4abcd\x86R."),
     VA_ERR_FORMAT, "a numpy f8 of 4 bytes"},
    {P("cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\2\0\0\0O8\x85RC\4abcd\x86R."),
     VA_ERR_UNSUPPORTED, "a numpy scalar of dtype O8"},
    // storages and tensors
    {P("NQ."), VA_ERR_FORMAT, "as a storage"},
    {P("NNNNN(tQ."), VA_ERR_FORMAT, "as a storage"},
    {P("]" STORAGE("Size", "0", "K\4") "a."), VA_ERR_FORMAT, "as a storage"},
    {P("]" STORAGE("FloatStorage", "2", "K\4") "a."), VA_ERR_FORMAT, "no member data/2"},
    {P("]" STORAGE("FloatStorage", "0", "K\3") "a."), VA_ERR_FORMAT,
     "data/0: expected 3 elements of F32, got 16 bytes"},
    {P("]" STORAGE("FloatStorage", "0", "J\xFF\xFF\xFF\xFF") "a."), VA_ERR_FORMAT, "-1 elements"},
    {P("]" STORAGE("DoubleStorage", "0", "\x8A\x8\2\0\0\0\0\0\0\x20") "a."), VA_ERR_FORMAT,
     "elements of F64, got 16 bytes"}, // 2^61 + 2 of 8 bytes: 16 in 64 bits
    {P(TENSOR(F32_4, "K\1", "K\2K\2\x86", "K\2K\1\x86") "."), VA_ERR_FORMAT, "beyond its storage"},
    {P(TENSOR(F32_4, "K\0", "K\5\x85", "K\1\x85") "."), VA_ERR_FORMAT, "beyond its storage"},
    {P(TENSOR(F32_4, "K\5", "K\0\x85", "K\1\x85") "."), VA_ERR_FORMAT, "beyond its storage"},
    {P(TENSOR(F32_4, "J\xFF\xFF\xFF\xFF", ONE "\x85", ONE "\x85") "."), VA_ERR_FORMAT, "offset"},
    {P(TENSOR(F32_4, "K\3", "K\2\x85", "J\xFF\xFF\xFF\xFF\x85") "."), VA_ERR_FORMAT, "strides"},
    {P(TENSOR(F32_4, "K\0", "J\xFF\xFF\xFF\xFF\x85", ONE "\x85") "."), VA_ERR_FORMAT, "shape"},
    {P(TENSOR(F32_4, "K\0", "K\3\x85", "\x8A\x8\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F\x85") "."),
     VA_ERR_FORMAT, "beyond its storage"}, // 2 (2^63 - 1): -2 in 64 bits
    {P(TENSOR(F32_4, "K\0", "\x8A\x5\0\0\0\0\1\x8A\x5\0\0\0\0\1\x86", "K\0K\0\x86") "."),
     VA_ERR_FORMAT, "a tensor's shape overflows"},
    {P(TENSOR(F32_4, "K\0", "K\2K\2\x86", "K\2\x85") "."), VA_ERR_FORMAT,
     "a tensor of 2 dimensions with 1 strides"},
    {P(TENSOR(F32_4, "N", ONE "\x85", ONE "\x85") "."), VA_ERR_FORMAT, "offset"},
    {P(TENSOR("N", "K\0", ONE "\x85", ONE "\x85") "."), VA_ERR_FORMAT, "a tensor's storage"},
    {P(TENSOR(F32_4, "K\0", "N", ONE "\x85") "."), VA_ERR_FORMAT, "expected a tuple, got None"},
    {P("ctorch._utils\n_rebuild_tensor_v2\n(" F32_4 "K\0)))N}tR."), VA_ERR_UNSUPPORTED, "metadata"},
};

static void hostile_pickles(void **state) {
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(pickles); i++) {
        va_error_clear(ctx);
        const va_status st = open_pickle(pickles[i].pickle, pickles[i].size);
        const bool said = !pickles[i].text || strstr(va_error_message(ctx), pickles[i].text);
        if (st != pickles[i].code || !said)
            fail_msg("pickle %lld: status %d: %s", (long long)i, st, va_error_message(ctx));
    }
}

// n times open, NONE, n times close.
static va_status open_nested(int n, const char *open, const char *close) {
    va_strbuf b = {0};
    va_strbuf_puts(&b, "\x80\2");
    for (int i = 0; i < n; i++)
        va_strbuf_puts(&b, open);
    va_strbuf_puts(&b, "N");
    for (int i = 0; i < n; i++)
        va_strbuf_puts(&b, close);
    va_strbuf_puts(&b, ".");
    const va_status st = open_pickle(b.data, b.len);
    va_strbuf_free(&b);
    return st;
}

static void limits(void **state) {
    (void)state;
    assert_ok(ctx, open_nested(63, "]", "a"));
    assert_error(ctx, VA_ERR_FORMAT, "nested deeper than 64", open_nested(64, "]", "a"));
    assert_error(ctx, VA_ERR_FORMAT, "nested deeper than 64", open_nested(100000, "]", "a"));
    assert_error(ctx, VA_ERR_UNSUPPORTED, "nested deeper than 256", open_nested(300, "(", "t"));
    assert_error(ctx, VA_ERR_UNSUPPORTED, "values on the stack", open_nested(1 << 20, "N", "a"));
    assert_error(ctx, VA_ERR_UNSUPPORTED, "more than 2097152 values",
                 open_nested(1 << 21, "", "\x85"));
}

// A string may be used often, so calls copy no more than a little of it.
static void long_arguments(void **state) {
    static const char *const calls[] = {"c_codecs\nencode\n", "cnumpy\ndtype\n"};
    (void)state;
    for (int64_t i = 0; i < VA_COUNT(calls); i++) {
        char text[100];
        va_strbuf b = {0};
        memset(text, 'x', sizeof text);
        va_strbuf_puts(&b, "\x80\2");
        va_strbuf_puts(&b, calls[i]);
        va_strbuf_append(&b, "X\x64\0\0\0", 5);
        va_strbuf_append(&b, text, sizeof text);
        va_strbuf_append(&b, "X\6\0\0\0latin1\x86R.", 14);
        assert_int_equal(open_pickle(b.data, b.len), i == 0 ? VA_ERR_UNSUPPORTED : VA_ERR_FORMAT);
        assert_non_null(strstr(va_error_message(ctx), i == 0 ? "from 100 characters" : "the name"));
        va_strbuf_free(&b);
    }
}

// Lists of the list before, twice: 2^60 paths through 60 values.
static void many_paths(void **state) {
    (void)state;
    va_strbuf b = {0};
    va_strbuf_puts(&b, "\x80\2N");
    for (int i = 0; i < 60; i++)
        va_strbuf_append(&b, "q\0h\0\x86", 5);
    va_strbuf_puts(&b, ".");
    assert_ok(ctx, open_pickle(b.data, b.len));
    va_strbuf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_pickles),
        cmocka_unit_test(limits),
        cmocka_unit_test(many_paths),
        cmocka_unit_test(long_arguments),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
