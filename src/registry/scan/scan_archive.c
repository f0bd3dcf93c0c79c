/* SPDX-License-Identifier: MIT */
#include "registry/scan/scan_archive.h"

#include <archive.h>
#include <archive_entry.h>

#define JAR_DEPTH_MAX 3
#define JAR_BYTES_MAX (1LL << 30)
#define JAR_ENTRIES_MAX 1000000
#define NOTES_MAX 20
#define CHUNK 65536

struct scan_budget
scan_budget_new(void)
{
    return (struct scan_budget){.bytes = JAR_BYTES_MAX, .entries = JAR_ENTRIES_MAX};
}

bool
scan_is_cancelled(const struct scan_budget *budget)
{
    return budget->is_cancelled != NULL && budget->is_cancelled(budget->arg);
}

void
scan_note(struct json *notes, const char *what, struct str path)
{
    cleanup_free char *text = text_format("%s: " STR_FMT, what, STR_ARG(str_slice(path, 0, 200)));

    if (json_size(notes) < NOTES_MAX && !json_has_text(notes, text))
        json_append(notes, json_text(text));
}

static bool
read_failed(struct archive *a, struct err *err)
{
    return err_set(err, ERR_INVALID_PARAMETER, "an archive is damaged: %s",
                   archive_error_string(a));
}

bool
scan_entry_read(struct archive *a, size_t limit, struct strbuf *out, struct err *err)
{
    char buffer[CHUNK];
    la_ssize_t n;

    while ((n = archive_read_data(a, buffer, sizeof buffer)) > 0) {
        if (out->len + (size_t)n > limit)
            return limit == 0 ||
                   err_set(err, ERR_LIMIT_EXCEEDED, "a file has more than %zu bytes", limit);
        strbuf_add(out, (struct str){buffer, (size_t)n});
    }
    return n == 0 || read_failed(a, err);
}

/* Looks for the magic in `window`; keeps what may be the beginning of it at the end. */
static bool
magic_find(struct strbuf *window, struct strbuf *out)
{
    const struct str magic = STR(GO_BUILDINFO_MAGIC);
    const char *at = memmem(window->at, window->len, magic.at, magic.len);

    if (at != NULL) {
        strbuf_add(out, str_range(at, window->at + window->len));
        return true;
    }
    const size_t keep = window->len < magic.len - 1 ? window->len : magic.len - 1;
    memmove(window->at, window->at + window->len - keep, keep);
    strbuf_cut(window, keep);
    return false;
}

bool
scan_program_read(struct archive *a, struct strbuf *out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf window = {0};
    char buffer[CHUNK];
    la_ssize_t n = archive_read_data(a, buffer, sizeof buffer);

    if (n > 0 && (n < 4 || memcmp(buffer, "\177ELF", 4) != 0))
        return true; /* a script; the reader skips the rest */
    for (; n > 0; n = archive_read_data(a, buffer, sizeof buffer)) {
        const struct str data = {buffer, (size_t)n};
        if (out->len >= GO_BUILDINFO_MAX)
            return true;
        if (out->len > 0) {
            strbuf_add(out, data);
            continue;
        }
        strbuf_add(&window, data);
        (void)magic_find(&window, out);
    }
    return n == 0 || read_failed(a, err);
}

/* ---- jars ---- */

static void
jar_entry(struct archive *zip, struct str name, int depth, struct scan_budget *budget,
          struct json *packages, struct json *notes)
{
    const enum scan_kind kind = scan_kind_of(name);
    const size_t limit = scan_kind_limit(kind);
    cleanup(strbuf_done) struct strbuf bytes = {0};

    if (kind != SCAN_POM_PROPERTIES && kind != SCAN_JAR)
        return;
    if (!scan_entry_read(zip, (int64_t)limit < budget->bytes ? limit : (size_t)budget->bytes,
                         &bytes, NULL)) {
        budget->bytes -= (int64_t)bytes.len;
        scan_note(notes, "damaged or too large inside an archive", name);
        return;
    }
    budget->bytes -= (int64_t)bytes.len;
    if (kind == SCAN_JAR)
        scan_jar(strbuf_str(&bytes), name, depth + 1, budget, packages, notes);
    else
        scan_parse(kind, name, strbuf_str(&bytes), packages);
}

static int
jar_entries(struct archive *zip, int depth, struct scan_budget *budget, struct json *packages,
            struct json *notes)
{
    struct archive_entry *entry;
    int result;

    while ((result = archive_read_next_header(zip, &entry)) == ARCHIVE_OK ||
           result == ARCHIVE_WARN) {
        const struct str name = str_of(archive_entry_pathname(entry));
        if (budget->bytes <= 0 || --budget->entries <= 0 || scan_is_cancelled(budget))
            return ARCHIVE_FATAL;
        if (name.len > 0 && archive_entry_filetype(entry) == AE_IFREG)
            jar_entry(zip, name, depth, budget, packages, notes);
    }
    return result;
}

void
scan_jar(struct str bytes, struct str path, int depth, struct scan_budget *budget,
         struct json *packages, struct json *notes)
{
    struct archive *zip;

    if (depth >= JAR_DEPTH_MAX || budget->bytes <= 0 || budget->entries <= 0) {
        scan_note(notes, "archives in archives that were not opened", path);
        return;
    }
    zip = archive_read_new();
    if (zip == NULL || archive_read_support_format_zip_seekable(zip) != ARCHIVE_OK ||
        archive_read_open_memory(zip, bytes.at, bytes.len) != ARCHIVE_OK ||
        jar_entries(zip, depth, budget, packages, notes) != ARCHIVE_EOF)
        scan_note(notes, "a damaged or too large archive", path);
    archive_read_free(zip);
}
