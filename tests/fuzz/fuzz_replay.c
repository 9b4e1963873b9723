// fuzz_replay.c: runs a fuzz target over the files given, or those of the folders given, without
// libFuzzer: the committed corpora as ordinary tests.
// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int replay_file(const char *path) {
    long size;
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0 || fseek(f, 0, SEEK_SET) != 0) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    // No byte more than the input has, so that reading past it is seen.
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    FUZZ_REQUIRE(data);
    FUZZ_REQUIRE(fread(data, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    fprintf(stderr, "%s\n", path); // the last one shown is the one that failed
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 1;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static int replay(const char *path) {
    struct dirent **entry;
    int n = scandir(path, &entry, is_visible, alphasort), count = 0;
    if (n < 0)
        return replay_file(path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry[i]->d_name);
        count += replay_file(file);
        free(entry[i]);
    }
    free(entry);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%d inputs\n", count);
    return count > 0 ? 0 : 1;
}
