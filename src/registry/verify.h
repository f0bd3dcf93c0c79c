/* SPDX-License-Identifier: MIT */
/* verify.h - is what the registry keeps whole?  Reads every byte of every blob from the disk, every
 * link, record, manifest and tag of every repository, and names what is broken and what to do.
 * Takes no lock and changes nothing (but with `repair`): a server may run meanwhile.  What looks
 * broken is looked at twice, for it may just have been deleted.
 * What does no harm is no problem: a link whose blob is gone, a blob that nobody needs; garbage
 * collection removes both. */
#pragma once
#include "base/err.h"

struct registry_problem {
    const char *kind;   /* "BlobDamaged", "BlobMissing", "RecordDamaged", "ManifestMissing", ... */
    const char *what;   /* a sentence that names the file, digest, repository */
    const char *remedy; /* a sentence */
};

struct registry_verify {
    int64_t blobs, bytes, repositories, images, tags, links; /* what was looked at */
    int64_t problems, repaired;
};

struct registry_verify_options {
    /* A damaged blob is moved to blobs/damaged/: then the registry says that it is not there, and
     * the next push brings it again. */
    bool repair;
    void (*problem)(void *arg, const struct registry_problem *problem);
    /* After each blob and each 64 MiB; `all_bytes` is what lay there at the start. May be NULL. */
    void (*progress)(void *arg, int64_t bytes, int64_t all_bytes);
    void *arg;
};

/* Fails where the data directory cannot be read; problems are no failure. */
bool registry_verify(const char *data_dir, const struct registry_verify_options *options,
                     struct registry_verify *out, struct err *err) MUST_CHECK;
