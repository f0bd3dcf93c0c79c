/* SPDX-License-Identifier: MIT */
/* scan_setup.h - what tests of scans share: packages as a line of text. */
#pragma once
#include "check.h"
#include "registry/scan/scan_files.h"

/* "npm a 1.0;" a package, with "<source@version>" behind it where that differs. */
static const char *
said(const struct json *packages)
{
    static struct strbuf text;

    strbuf_clear(&text);
    for (size_t i = 0; i < json_size(packages); i++) {
        const struct json *p = json_at(packages, i);
        const char *name = json_get_cstr(p, "name", ""), *version = json_get_cstr(p, "version", "");
        const char *source = json_get_cstr(p, "source", name),
                   *source_version = json_get_cstr(p, "sourceVersion", version);
        strbuf_addf(&text, "%s %s %s", json_get_cstr(p, "manager", ""), name, version);
        if (strcmp(source, name) != 0 || strcmp(source_version, version) != 0)
            strbuf_addf(&text, " <%s@%s>", source, source_version);
        strbuf_add_char(&text, ';');
    }
    return strbuf_cstr(&text);
}
