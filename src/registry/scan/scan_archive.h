/* SPDX-License-Identifier: MIT */
/* scan_archive.h - bytes of entries of archives, and archives inside archives (jars). */
#pragma once
#include "base/err.h"
#include "registry/scan/scan_files.h"

struct archive;

/* What all the archives inside of one image's files may cost together. */
struct scan_budget {
    int64_t bytes;
    int entries;
    bool (*is_cancelled)(void *arg); /* NULL: never */
    void *arg;
};
struct scan_budget scan_budget_new(void);
bool scan_is_cancelled(const struct scan_budget *budget);

/* The whole entry; ERR_LIMIT_EXCEEDED if it has more than `limit` bytes. */
bool scan_entry_read(struct archive *a, size_t limit, struct strbuf *out,
                     struct err *err) MUST_CHECK;
/* Reads an entry through; `out` gets what begins with GO_BUILDINFO_MAGIC, or stays empty. */
bool scan_program_read(struct archive *a, struct strbuf *out, struct err *err) MUST_CHECK;
/* The Maven packages of a jar, and of jars in it. What is damaged or too much becomes a note. */
void scan_jar(struct str bytes, struct str path, int depth, struct scan_budget *budget,
              struct json *packages, struct json *notes);
/* "<what>: <path>", once, while there are not too many. */
void scan_note(struct json *notes, const char *what, struct str path);
