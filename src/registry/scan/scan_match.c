/* SPDX-License-Identifier: MIT */
/* scan_match.c - the packages of an image against the database: findings, and what they leave open.
 */
#include <stdio.h>

#include "registry/scan/osv.h"
#include "registry/scan/scan.h"
#include "registry/scan/scan_layers.h"

struct judge {
    struct json *findings;
    struct json *seen; /* of this package */
    const struct json *package;
    int64_t counts[SEVERITY_COUNT];
    bool is_cut_off;
};

static void
judge_done(struct judge *j)
{
    json_unref(j->findings);
    json_unref(j->seen);
}

static void keep_worst(struct judge *j);

/* ---- one finding ---- */

static void
attribute_add(struct json *finding, const char *key, const char *value)
{
    struct json *one = json_object();

    json_set(one, "key", json_text(key));
    json_set(one, "value", json_text(value));
    json_append(json_get(finding, "attributes"), one);
}

static void
rating_add(struct json *finding, const struct osv_rating *rating)
{
    const bool is_named = strncmp(rating->vector, "CVSS:", 5) == 0; /* version 2 is not */
    const char version = is_named ? rating->vector[5] : '2';
    cleanup_free char *vector_key = text_format("CVSS%c_VECTOR", version),
                      *score_key = text_format("CVSS%c_SCORE", version);
    char score[16];

    if (rating->vector[0] == '\0')
        return;
    snprintf(score, sizeof score, "%.1f", rating->score);
    attribute_add(finding, vector_key, rating->vector);
    attribute_add(finding, score_key, score);
}

static void
found(void *arg, const struct osv_match *match)
{
    struct judge *j = arg;
    const char *name = json_get_cstr(j->package, "name", ""),
               *version = json_get_cstr(j->package, "version", "");
    cleanup_free char *key = text_format("%s\n%s\n%s", match->id, name, version);

    if (json_get(j->seen, key) != NULL)
        return;
    json_set(j->seen, key, json_bool(true));
    j->counts[match->rating.severity]++;
    struct json *finding = json_object();
    json_set(finding, "name", json_text(match->id));
    if (match->summary[0] != '\0')
        json_set(finding, "description", json_text(match->summary));
    if (match->uri[0] != '\0')
        json_set(finding, "uri", json_text(match->uri));
    json_set(finding, "severity", json_text(severity_name(match->rating.severity)));
    json_set(finding, "attributes", json_array());
    attribute_add(finding, "package_name", name);
    attribute_add(finding, "package_version", version);
    attribute_add(finding, "package_manager", json_get_cstr(j->package, "manager", ""));
    if (match->fixed[0] != '\0')
        attribute_add(finding, "fixed_version", match->fixed);
    rating_add(finding, &match->rating);
    json_append(j->findings, finding);
    if (json_size(j->findings) >= (size_t)2 * SCAN_FINDINGS_MAX)
        keep_worst(j);
}

/* A distribution's advisories name the source; some name what is installed. */
static bool
package_judge(struct judge *j, struct osv *osv, const struct json *package, struct err *err)
{
    const char *ecosystem = json_get_cstr(package, "ecosystem", ""),
               *name = json_get_cstr(package, "name", ""),
               *version = json_get_cstr(package, "version", ""),
               *source = json_get_cstr(package, "source", name),
               *source_version = json_get_cstr(package, "sourceVersion", version);
    const bool is_rpm = strcmp(json_get_cstr(package, "manager", ""), "rpm") == 0;

    j->package = package;
    json_unref(j->seen);
    j->seen = json_object();
    if (!osv_lookup(osv, ecosystem, source, source_version, found, j, err))
        return false;
    return !is_rpm || strcmp(source, name) == 0 ||
           osv_lookup(osv, ecosystem, name, version, found, j, err);
}

/* ---- the worst first ---- */

static int
severity_rank(const struct json *finding)
{
    const char *name = json_get_cstr(finding, "severity", "");

    for (int i = 0; i < SEVERITY_COUNT; i++)
        if (strcmp(severity_name((enum osv_severity)i), name) == 0)
            return i;
    return 0;
}

static int
worst_first(const void *a, const void *b)
{
    const struct json *x = *(struct json *const *)a, *y = *(struct json *const *)b;
    const int order = severity_rank(y) - severity_rank(x);

    if (order != 0)
        return order;
    const int names = strcmp(json_get_cstr(x, "name", ""), json_get_cstr(y, "name", ""));
    if (names != 0)
        return names;
    return strcmp(json_get_cstr(json_at(json_get(x, "attributes"), 0), "value", ""),
                  json_get_cstr(json_at(json_get(y, "attributes"), 0), "value", ""));
}

/* An image may name packages that have thousands each. */
static void
keep_worst(struct judge *j)
{
    const size_t count = json_size(j->findings);
    cleanup_free struct json **sorted = mem_new((count + 1) * sizeof *sorted);
    struct json *list = json_array();

    for (size_t i = 0; i < count; i++)
        sorted[i] = json_at(j->findings, i);
    qsort(sorted, count, sizeof *sorted, worst_first);
    for (size_t i = 0; i < count && i < SCAN_FINDINGS_MAX; i++)
        json_append(list, json_ref(sorted[i]));
    j->is_cut_off = j->is_cut_off || count > SCAN_FINDINGS_MAX;
    json_unref(j->findings);
    j->findings = list;
}

/* ---- what could not be judged ---- */

/* "Debian:12 (88 packages), npm (3 packages)" of the ecosystems that the database does not know. */
static size_t
ecosystems_missing(struct osv *osv, const struct json *packages, struct strbuf *out)
{
    cleanup_json struct json *counts = json_object();
    size_t unknown = 0;

    for (size_t i = 0; i < json_size(packages); i++) {
        const char *name = json_get_cstr(json_at(packages, i), "ecosystem", "");
        json_set(counts, name, json_int(json_get_i64(counts, name, 0) + 1));
    }
    for (void *it = json_first(counts); it != NULL; it = json_next(counts, it)) {
        const int64_t count = json_i64(json_value(it), 0);
        if (osv_has_ecosystem(osv, json_key(it)))
            continue;
        unknown += (size_t)count;
        strbuf_addf(out, "%s%s (%lld package%s)", out->len > 0 ? ", " : "", json_key(it),
                    (long long)count, count == 1 ? "" : "s");
    }
    return unknown;
}

static void
fail(struct json *document, const char *description)
{
    json_set(document, "status", json_text("FAILED"));
    json_set(document, "description", json_text(description));
}

static void
notes_write(const struct scan_found *f, const char *missing, bool is_cut_off, struct strbuf *out)
{
    if (missing[0] != '\0')
        strbuf_addf(out, " Not judged, for want of a vulnerability database: %s.", missing);
    if (f->has_unknown_os)
        strbuf_addf(out, " Not judged: the packages of %s.",
                    f->os[0] != '\0' ? f->os : "a distribution that has no os-release");
    if (is_cut_off)
        strbuf_addf(out, " Only the %d worst findings are kept.", SCAN_FINDINGS_MAX);
    for (size_t i = 0; i < json_size(f->notes); i++)
        strbuf_addf(out, " Not looked at: %s.", json_cstr(json_at(f->notes, i), ""));
}

/* False, with the status FAILED written, if there is nothing that can be judged. */
static bool
can_be_judged(const struct scan_found *f, size_t unknown, const char *missing,
              struct json *document)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const size_t count = json_size(f->packages);

    if (count > unknown)
        return true;
    if (count > 0)
        strbuf_addf(&text, "no vulnerability database: nothing was imported for %s.", missing);
    else
        strbuf_add_cstr(&text, "UnsupportedImageError: The operating system and/or package manager "
                               "are not supported.");
    notes_write(f, "", /* is_cut_off= */ false, &text);
    fail(document, strbuf_cstr(&text));
    return false;
}

bool
scan_judge(struct osv *osv, const struct scan_found *f, bool (*is_cancelled)(void *arg), void *arg,
           struct json *document, struct err *err)
{
    cleanup(strbuf_done) struct strbuf missing = {0}, text = {0};
    cleanup(judge_done) struct judge j = {.findings = json_array()};
    const size_t unknown = ecosystems_missing(osv, f->packages, &missing);
    struct json *counts = json_object();

    json_set(document, "packages", json_int((int64_t)json_size(f->packages)));
    json_set(document, "counts", counts);
    json_set(document, "sourceUpdatedAt", json_int(osv_modified_ms(osv)));
    if (!can_be_judged(f, unknown, strbuf_cstr(&missing), document))
        return true;
    for (size_t i = 0; i < json_size(f->packages); i++) {
        if (is_cancelled != NULL && is_cancelled(arg))
            return err_set(err, ERR_TIMEOUT, "the scan was given up");
        if (!package_judge(&j, osv, json_at(f->packages, i), err))
            return false;
    }
    for (int i = SEVERITY_COUNT - 1; i >= 0; i--)
        if (j.counts[i] > 0)
            json_set(counts, severity_name((enum osv_severity)i), json_int(j.counts[i]));
    keep_worst(&j);
    json_set(document, "findings", json_ref(j.findings));
    strbuf_add_cstr(&text, "The scan was completed successfully.");
    notes_write(f, strbuf_cstr(&missing), j.is_cut_off, &text);
    json_set(document, "status", json_text("COMPLETE"));
    json_set(document, "description", json_text(strbuf_cstr(&text)));
    return true;
}
