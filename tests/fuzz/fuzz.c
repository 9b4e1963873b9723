// fuzz.c: contexts, files and checks for the fuzz targets.
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

va_ctx *fuzz_ctx(void) {
    static va_ctx *ctx;
    if (!ctx)
        ctx = va_ctx_create(NULL);
    FUZZ_REQUIRE(ctx);
    va_error_clear(ctx);
    return ctx;
}

void fuzz_refused(va_ctx *ctx, va_status st, const va_status *codes, int64_t n) {
    bool listed = false;
    for (int64_t i = 0; i < n; i++)
        listed |= codes[i] == st;
    const char *message = va_error_message(ctx);
    if (!listed || getenv("VA_TEST_VERBOSE"))
        fprintf(stderr, "status %d: %s\n", (int)st, message);
    FUZZ_REQUIRE(listed);
    FUZZ_REQUIRE(va_error_status(ctx) == st);
    FUZZ_REQUIRE(*message && strlen(message) <= 4096);
    for (const char *p = message; *p; p++)
        FUZZ_REQUIRE((unsigned char)*p >= 0x20 && *p != 0x7F);
}

static void write_all(int fd, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)data + done, size - done, (off_t)done);
        FUZZ_REQUIRE(n > 0);
        done += (size_t)n;
    }
}

const char *fuzz_file(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        FUZZ_REQUIRE(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    FUZZ_REQUIRE(ftruncate(fd, 0) == 0);
    write_all(fd, data, size);
    return path;
}

static char dir[256];

static void remove_dir(void) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "%s: cannot be removed\n", dir);
}

const char *fuzz_dir(void) {
    if (!*dir) {
        const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(dir, sizeof dir, "%s/vkalign-fuzz-XXXXXX", root);
        FUZZ_REQUIRE(mkdtemp(dir));
        atexit(remove_dir);
    }
    return dir;
}

void fuzz_write(const char *name, const void *data, size_t size) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fuzz_dir(), name);
    FILE *f = fopen(path, "wb");
    FUZZ_REQUIRE(f);
    FUZZ_REQUIRE(fwrite(data, 1, size, f) == size);
    FUZZ_REQUIRE(fclose(f) == 0);
}

void fuzz_touch(const void *data, int64_t size) {
    const volatile unsigned char *p = data;
    for (int64_t i = 0; i < size; i++)
        (void)p[i];
}
