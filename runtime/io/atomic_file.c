// atomic_file.c: files that appear whole or not at all; folders and paths.
//
// The data goes to a hidden file in the target's folder, which is synced and then renamed over
// the target; syncing the folder afterwards makes the new name last.
// SPDX-License-Identifier: Apache-2.0
#include "io_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct va_atomic_file {
    va_ctx *ctx;
    int fd;
    int error;    // errno of the first write that failed, 0 for none
    char *path;   // as the caller named it, for messages
    char *target; // with symbolic links resolved
    char *folder; // of target
    char *temp;   // beside target; empty while no file was made
};

static va_status fail_errno(va_ctx *ctx, const char *path, const char *what, int error) {
    return va_fail(ctx, VA_ERR_FILE, "%s: cannot be %s: %s", path, what, strerror(error));
}

// Path that will be replaced: links are followed, so that a link stays a link. Devices, pipes and
// folders are refused: renaming over them would destroy them.
static va_status resolve_target(va_ctx *ctx, const char *path, char **target) {
    struct stat s;
    if (stat(path, &s) != 0) {
        *target = strdup(path);
    } else if (!S_ISREG(s.st_mode)) {
        return va_fail(ctx, VA_ERR_FILE, "%s: expected a regular file or nothing, got %s", path,
                       S_ISDIR(s.st_mode) ? "a folder" : "something else");
    } else {
        *target = realpath(path, NULL);
        if (!*target && errno != ENOMEM)
            return fail_errno(ctx, path, "written", errno);
    }
    return *target ? VA_OK : va_fail(ctx, VA_ERR_MEMORY, "%s: out of host memory", path);
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

// A new file beside the target. Mode 0666 lets the umask decide, as for any new file.
static va_status create_temp(va_atomic_file *f) {
    static atomic_int serial;
    for (int attempt = 0; attempt < 1000; attempt++) {
        free(f->temp);
        if (asprintf(&f->temp, "%s/.va-%ld-%d.tmp", f->folder, (long)getpid(),
                     atomic_fetch_add(&serial, 1)) < 0) {
            f->temp = NULL;
            return va_fail(f->ctx, VA_ERR_MEMORY, "%s: out of host memory", f->path);
        }
        f->fd = open(f->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return VA_OK;
        if (errno != EEXIST) // somebody's leftover: take the next name
            break;
    }
    return fail_errno(f->ctx, f->path, "written", errno);
}

static void release(va_atomic_file **file) {
    va_atomic_file *f = *file;
    if (f->fd >= 0) {
        close(f->fd);
        unlink(f->temp);
    }
    free(f->path);
    free(f->target);
    free(f->folder);
    free(f->temp);
    free(f);
    *file = NULL;
}

va_status va_atomic_open(va_ctx *ctx, const char *path, va_atomic_file **file) {
    va_status st = VA_OK;
    *file = NULL;
    va_atomic_file *f = NULL;
    size_t length = strlen(path);
    if (length == 0 || path[length - 1] == '/')
        return va_fail(ctx, VA_ERR_FILE, "'%s': expected the name of a file", path);
    VA_TRY_ALLOC(ctx, f, calloc(1, sizeof *f));
    f->ctx = ctx;
    f->fd = -1;
    VA_TRY_ALLOC(ctx, f->path, strdup(path));
    VA_TRY(resolve_target(ctx, path, &f->target));
    VA_TRY_ALLOC(ctx, f->folder, folder_of(f->target));
    VA_TRY(create_temp(f));
    *file = f;
done:
    if (st != VA_OK && f)
        release(&f);
    return st;
}

// at: byte of the file, -1: where the last such write ended.
static va_status write_all(va_atomic_file *file, int64_t at, const void *data, int64_t size_bytes) {
    enum { MAX_CHUNK = 1 << 30 }; // one write() takes at most about 2 GiB
    const unsigned char *p = data;
    while (size_bytes > 0 && file->error == 0) {
        const size_t chunk = (size_t)VA_MIN(size_bytes, MAX_CHUNK);
        const ssize_t n =
            at < 0 ? write(file->fd, p, chunk) : pwrite(file->fd, p, chunk, (off_t)at);
        if (n > 0) {
            p += n;
            at += at < 0 ? 0 : n;
            size_bytes -= n;
        } else if (n == 0 || errno != EINTR) {
            file->error = n == 0 ? EIO : errno;
        }
    }
    return file->error ? fail_errno(file->ctx, file->path, "written", file->error) : VA_OK;
}

va_status va_atomic_write(va_atomic_file *file, const void *data, int64_t size_bytes) {
    return write_all(file, -1, data, size_bytes);
}

va_status va_atomic_write_at(va_atomic_file *file, int64_t at, const void *data,
                             int64_t size_bytes) {
    return write_all(file, at, data, size_bytes);
}

static void sync_folder(const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    // Some file systems cannot sync a folder; the file itself is safe by now.
    (void)!fsync(fd);
    close(fd);
}

va_status va_atomic_commit(va_atomic_file **file) {
    va_atomic_file *f = *file;
    va_status st = VA_OK;
    if (f->error == 0 && fsync(f->fd) != 0 && errno != EINVAL)
        f->error = errno;
    if (f->error == 0) {
        int closed = close(f->fd);
        f->error = closed == 0 || errno == EINTR ? 0 : errno;
        f->fd = -1;
        if (f->error == 0 && rename(f->temp, f->target) != 0)
            f->error = errno;
        if (f->error != 0)
            unlink(f->temp);
    }
    if (f->error == 0)
        sync_folder(f->folder);
    else
        st = fail_errno(f->ctx, f->path, "written", f->error);
    release(file);
    return st;
}

void va_atomic_abort(va_atomic_file **file) {
    if (file && *file)
        release(file);
}

va_status va_file_write(va_ctx *ctx, const char *path, const void *data, int64_t size_bytes) {
    va_status st = VA_OK;
    va_atomic_file *f = NULL;
    VA_TRY(va_atomic_open(ctx, path, &f));
    VA_TRY(va_atomic_write(f, data, size_bytes));
    VA_TRY(va_atomic_commit(&f));
done:
    va_atomic_abort(&f);
    return st;
}

bool va_path_exists(const char *path) {
    struct stat s;
    return stat(path, &s) == 0;
}

bool va_path_is_dir(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

va_status va_make_dirs(va_ctx *ctx, const char *path) {
    va_status st = VA_OK;
    char *part = NULL;
    VA_TRY_ALLOC(ctx, part, strdup(path));
    for (char *p = part; *part; p++) {
        bool last = *p == '\0';
        if (!last && (*p != '/' || p == part))
            continue;
        *p = '\0';
        // Other processes make the same folders at the same time, so "exists" is no failure.
        if (mkdir(part, 0777) != 0 && !va_path_is_dir(part))
            VA_TRY(va_fail(ctx, VA_ERR_FILE, "%s: cannot be made a folder: %s", part,
                           strerror(errno)));
        if (last)
            break;
        *p = '/';
    }
done:
    free(part);
    return st;
}

char *va_path_join(va_arena *arena, const char *dir, const char *name) {
    size_t n = strlen(dir);
    return va_arena_printf(arena, "%s%s%s", dir, n == 0 || dir[n - 1] == '/' ? "" : "/", name);
}
