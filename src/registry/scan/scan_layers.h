/* SPDX-License-Identifier: MIT */
/* scan_layers.h - an image's layers, one over the other, down to the packages that are left.
 * A layer is a tar, plain or compressed with gzip or zstd; what it whites out, replaces or hides
 * behind an opaque directory of those below counts no more. Nothing is written to disk.
 * Everything has a limit (scan_layers.c names them): what a layer unpacks to, entries, files that
 * are read, archives in archives. One thread at a time. */
#pragma once
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

struct scan_layers;

struct scan_layers *scan_layers_new(void);
void scan_layers_free(struct scan_layers *l);
static inline void
scan_layers_free_(struct scan_layers **l)
{
    scan_layers_free(*l);
}
/* Asked before each entry and within long ones, every BLOCK_SIZE bytes of the layer as it is
 * stored; true gives the scan up with ERR_TIMEOUT. */
void scan_layers_set_cancelled(struct scan_layers *l, bool (*is_cancelled)(void *arg), void *arg);
/* The next layer upwards, from a file. */
bool scan_layers_add(struct scan_layers *l, const char *path, struct err *err) MUST_CHECK;

struct scan_found {
    struct json *packages; /* as scan_files.h has them, each once, with "ecosystem" filled in */
    struct json *notes;    /* texts: what was found and could not be looked at */
    bool has_unknown_os;   /* packages of a distribution that OSV does not know were left out */
    char os[160];          /* "Debian GNU/Linux 12 (bookworm)", or "" */
};
/* What is there after the last layer. */
void scan_layers_found(struct scan_layers *l, struct scan_found *out);
void scan_found_done(struct scan_found *f);
