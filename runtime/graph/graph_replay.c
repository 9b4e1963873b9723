// graph_replay.c: passes of a graph recorded once and replayed.
//
// A recording is good for the buffers it was made with: the weights bound, the caller's blocks at
// the ends of a sweep, and the pool, whose buffers are only ever replaced by destroying them, which
// the recording notices. Where one of them is not what it was, the pass is recorded in the ordinary
// way: callers that come with other blocks each time lose nothing, and those that keep their blocks
// are replayed.
// SPDX-License-Identifier: Apache-2.0
#include "graph_priv.h"

#include <string.h>

// Of all graphs on a device: a thousand dispatches take about a megabyte.
enum { MOST_RECORDINGS = 64 };

static bool same_slice(va_slice a, va_slice b) {
    return a.buffer == b.buffer && a.offset_bytes == b.offset_bytes && a.size_bytes == b.size_bytes;
}

// Whether the last run was in this memory. A buffer at the place of one that was destroyed looks
// the same; a recording knows better, and without one nothing wrong can come of it.
static bool in_same_memory(const va_graph *g, const replay *r, const va_slice *ends) {
    bool same = r->memory == g->memory && (!r->recording || va_recording_is_valid(r->recording));
    for (int64_t i = 0; i < r->n_ends && same; i++)
        same = same_slice(r->ends[i], ends[i]);
    return same;
}

static va_status record_anew(va_graph *g, replay *r, va_graph_record_fn record, void *user) {
    va_status st = VA_OK;
    VA_TRY(va_gpu_record_begin(g->gpu));
    st = record(user);
    if (st != VA_OK) {
        va_gpu_record_end(g->gpu, NULL);
        return st;
    }
    VA_TRY(va_gpu_record_end(g->gpu, &r->recording));
done:
    return st;
}

va_status va_graph_run_or_replay(va_graph *g, replay *r, const va_slice *ends,
                                 va_graph_record_fn record, void *user) {
    va_status st = VA_OK;
    if (!va_gpu_can_replay(g->gpu))
        return record(user);
    if (!in_same_memory(g, r, ends)) {
        va_recording_destroy(&r->recording);
        r->memory = 0;
        VA_TRY(record(user));
        r->memory = g->memory;
        if (r->n_ends > 0)
            memcpy(r->ends, ends, (size_t)r->n_ends * sizeof *ends);
        goto done;
    }
    if (!r->recording && va_gpu_recording_count(g->gpu) >= MOST_RECORDINGS)
        return record(user);
    if (!r->recording)
        VA_TRY(record_anew(g, r, record, user));
    VA_TRY(va_gpu_replay(g->gpu, r->recording));
done:
    return st;
}
