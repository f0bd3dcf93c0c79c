/* SPDX-License-Identifier: MIT */
/* Files of images as anybody may push them. The first byte chooses what kind of file it is. */
#include <assert.h>

#include "registry/scan/scan_archive.h"
#include "registry/scan/scan_rpm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
packages_check(const struct json *packages)
{
    for (size_t i = 0; i < json_size(packages); i++) {
        const struct json *p = json_at(packages, i);
        const char *name = json_get_cstr(p, "name", ""), *version = json_get_cstr(p, "version", "");
        assert(name[0] != '\0' && version[0] != '\0');
        assert(strlen(name) <= SCAN_TEXT_MAX && strlen(version) <= SCAN_TEXT_MAX);
        assert(json_get(p, "manager") != NULL && json_get(p, "ecosystem") != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_json struct json *packages = json_array(), *headers = json_array(),
                             *notes = json_array();
    cleanup(strbuf_done) struct strbuf ecosystem = {0}, name = {0};
    struct scan_budget budget = scan_budget_new();

    if (size == 0)
        return 0;
    const struct str bytes = {(const char *)data + 1, size - 1};
    const enum scan_kind kind = (enum scan_kind)(data[0] % SCAN_KIND_COUNT);
    if (kind == SCAN_JAR)
        scan_jar(bytes, STR("app.jar"), 0, &budget, packages, notes);
    else if (kind == SCAN_GEMSPEC && str_ends(bytes, STR(".gemspec")))
        scan_parse(kind, bytes, (struct str){0}, packages);
    else if (kind != SCAN_GEMSPEC)
        scan_parse(kind, STR("a/file"), bytes, packages);
    if (!scan_rpm_header(bytes, headers))
        assert(json_size(headers) == 0);
    packages_check(headers);
    packages_check(packages);
    assert(scan_kind_of(bytes) < SCAN_KIND_COUNT);
    if (!scan_os_ecosystem(bytes, &ecosystem, &name))
        assert(ecosystem.len == 0);
    return 0;
}
