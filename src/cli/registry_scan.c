/* SPDX-License-Identifier: MIT */
/* naru registry scan, naru registry osv: vulnerabilities of images, and the database that tells them. */
#include <stdlib.h>
#include "base/clock.h"
#include "cli/commands.h"
#include "cli/registry.h"
#include "registry/scan/osv.h"

#define TIMEOUT_S 600
#define ASK_AGAIN_MS 300

struct registry_command {
    const char *output, *data_dir, *fail_on;
    bool replaces, wants_json;
    int64_t timeout_s;
    struct client *client;
};

/* ---- osv ---- */

static bool
database_open(const struct registry_command *r, bool creates, struct osv **out, struct err *err)
{
    cleanup_free char *path = text_format("%s/osv.db", client_data_dir(r->data_dir));
    return osv_open(path, creates, out, err);
}

static bool
import(const struct registry_command *r, const char *path, struct err *err)
{
    cleanup(osv_close_) struct osv *osv = NULL;
    cleanup_json struct json *answer = json_object();
    struct osv_import count;

    if (!database_open(r, /* creates= */ true, &osv, err) ||
        !osv_import(osv, path, r->replaces, &count, err))
        return false;
    if (!r->wants_json) {
        printf("%lld records of %lld affected packages; %lld withdrawn, %lld that are no records\n",
               (long long)count.records, (long long)count.affected, (long long)count.withdrawn,
               (long long)count.skipped);
        return true;
    }
    json_set(answer, "records", json_int(count.records));
    json_set(answer, "affected", json_int(count.affected));
    json_set(answer, "withdrawn", json_int(count.withdrawn));
    json_set(answer, "skipped", json_int(count.skipped));
    cli_print_json(answer);
    return true;
}

/* ---- scan ---- */

/* "my-app:v1", "my-app@sha256:...", with or without the registry's host in front. */
static bool
image_read(const char *text, struct json *input, struct err *err)
{
    struct str image = str_of(text), name = image, tag = STR("latest");
    const ptrdiff_t slash = str_index(image, '/'), at = str_index(image, '@');
    struct json *id = json_object();

    json_set(input, "imageId", id);
    if (slash > 0 && str_index(str_slice(image, 0, (size_t)slash), ':') >= 0)
        name = str_slice(image, (size_t)slash + 1, image.len); /* "localhost:4566/..." */
    const size_t cut = (size_t)(name.at - image.at);
    if (at >= 0) {
        json_set(id, "imageDigest", json_str(str_slice(image, (size_t)at + 1, image.len)));
        name = str_slice(name, 0, (size_t)at - cut);
    }
    const ptrdiff_t colon = str_index(name, ':');
    if (colon >= 0) {
        tag = str_slice(name, (size_t)colon + 1, name.len);
        name = str_slice(name, 0, (size_t)colon);
    }
    if (at < 0)
        json_set(id, "imageTag", json_str(tag));
    json_set(input, "repositoryName", json_str(name));
    return name.len > 0 || err_set(err, ERR_USAGE, "'%s' is no image", text);
}

/* The whole answer once the scan is over: all pages in one. */
static struct json *
findings_wait(struct registry_command *r, struct json *input, struct err *err)
{
    const int64_t end_ms = clock_monotonic_ms() + r->timeout_s * 1000;
    struct json *all = NULL;

    for (;;) {
        struct json *page = client_call(r->client, "ecr", "DescribeImageScanFindings", input, err);
        const struct json *list = json_get(json_get(page, "imageScanFindings"), "findings");
        if (page == NULL) {
            json_unref(all);
            return NULL;
        }
        if (strcmp(json_get_cstr(json_get(page, "imageScanStatus"), "status", ""), "IN_PROGRESS") ==
            0) {
            json_unref(page);
            if (clock_monotonic_ms() > end_ms) {
                err_set(err, ERR_TIMEOUT, "the scan goes on after %lld s; ask again later",
                        (long long)r->timeout_s);
                return NULL;
            }
            clock_sleep_ms(ASK_AGAIN_MS);
            continue;
        }
        cleanup_free char *next = text_dup(json_get_cstr(page, "nextToken", NULL));
        for (size_t i = 0; all != NULL && i < json_size(list); i++)
            json_append(json_get(json_get(all, "imageScanFindings"), "findings"),
                        json_ref(json_at(list, i)));
        if (all != NULL)
            json_unref(page);
        else
            all = page;
        if (next == NULL) {
            json_delete(all, "nextToken");
            return all;
        }
        json_set(input, "nextToken", json_text(next));
    }
}

static const char *
attribute(const struct json *finding, const char *key)
{
    const struct json *one = json_find(json_get(finding, "attributes"), "key", key);
    return json_get_cstr(one, "value", NULL);
}

static void
findings_print(const struct json *answer)
{
    static const char *const titles[] = {"SEVERITY", "VULNERABILITY", "PACKAGE",
                                         "VERSION",  "FIXED IN",      NULL};
    const struct json *list = json_get(json_get(answer, "imageScanFindings"), "findings");
    struct table *table = table_new(titles);

    for (size_t i = 0; i < json_size(list); i++) {
        const struct json *f = json_at(list, i);
        table_add(table, json_get_cstr(f, "severity", ""), json_get_cstr(f, "name", ""),
                  attribute(f, "package_name"), attribute(f, "package_version"),
                  attribute(f, "fixed_version"));
    }
    if (json_size(list) > 0)
        table_print(table, stdout);
    table_free(table);
    printf("%zu finding%s. %s\n", json_size(list), json_size(list) == 1 ? "" : "s",
           json_get_cstr(json_get(answer, "imageScanStatus"), "description", ""));
}

static int
severity_of(const char *name)
{
    for (int i = 0; i < SEVERITY_COUNT; i++)
        if (str_equal_nocase(str_of(name), str_of(severity_name((enum osv_severity)i))))
            return i;
    return -1;
}

static bool
is_too_bad(const struct json *answer, int limit)
{
    const struct json *counts =
        json_get(json_get(answer, "imageScanFindings"), "findingSeverityCounts");

    for (int i = limit; limit >= 0 && i < SEVERITY_COUNT; i++)
        if (json_get_i64(counts, severity_name((enum osv_severity)i), 0) > 0)
            return true;
    return false;
}

static bool
scan(struct registry_command *r, const char *image, int *status, struct err *err)
{
    cleanup_json struct json *input = json_object(), *started = NULL, *answer = NULL;
    const int limit = r->fail_on != NULL ? severity_of(r->fail_on) : -1;

    if (r->fail_on != NULL && limit < 0)
        return err_set(err, ERR_USAGE, "'%s' is no severity: say LOW, MEDIUM, HIGH or CRITICAL",
                       r->fail_on);
    if (!image_read(image, input, err))
        return false;
    started = client_call(r->client, "ecr", "StartImageScan", input, err);
    if (started == NULL)
        return false;
    answer = findings_wait(r, input, err);
    if (answer == NULL)
        return false;
    const struct json *said = json_get(answer, "imageScanStatus");
    if (r->wants_json)
        cli_print_json(answer);
    if (strcmp(json_get_cstr(said, "status", ""), "COMPLETE") != 0)
        return err_set(err, ERR_CLIENT, "the image was not scanned: %s",
                       json_get_cstr(said, "description", ""));
    if (!r->wants_json)
        findings_print(answer);
    if (is_too_bad(answer, limit))
        *status = EXIT_ROLLED_BACK;
    return true;
}

/* ---- the command ---- */

static bool
run(struct registry_command *r, int count, char **argv, int *status, struct err *err)
{
    if (count == 3 && strcmp(argv[1], "osv") == 0 && strcmp(argv[2], "import") == 0)
        return import(r, argv[3], err);
    if (count != 2 || strcmp(argv[1], "scan") != 0)
        return err_set(err, ERR_USAGE,
                       "say scan IMAGE or osv import PATH (try: naru registry --help)");
    r->client = cli_connect(r->data_dir, status);
    if (r->client == NULL)
        return true; /* it was said */
    return scan(r, argv[2], status, err);
}

int
registry_scan_command(int argc, char **argv)
{
    struct registry_command r = {.timeout_s = TIMEOUT_S};
    const struct option_row rows[] = {
        {"output", 'o', OPTION_TEXT, &r.output},     {"data-dir", 0, OPTION_TEXT, &r.data_dir},
        {"fail-on", 0, OPTION_TEXT, &r.fail_on},     {"replace", 0, OPTION_FLAG, &r.replaces},
        {"timeout", 0, OPTION_NUMBER, &r.timeout_s}, {0},
    };
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 3, &status);

    if (count < 0)
        return status;
    if (!cli_wants_json(r.output, &err, &r.wants_json))
        return cli_fail(&err);
    status = EXIT_LIVE;
    if (!run(&r, count, argv, &status, &err))
        status = cli_fail(&err);
    client_free(r.client);
    return status;
}
