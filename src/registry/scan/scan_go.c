/* SPDX-License-Identifier: MIT */
/* scan_go.c - Go modules: of go.sum and go.mod, and of the build information inside a program. */
#include "registry/scan/scan_files.h"

#define HEADER_SIZE 32
#define FLAG_INLINE 2    /* texts follow the header (Go 1.18 and newer) */
#define SENTINEL_SIZE 16 /* around the list of modules */

static void
module_add(struct json *packages, struct str name, struct str version)
{
    if (version.len > 1 && version.at[0] == 'v')
        version = str_slice(version, 1, version.len);
    if (!str_is(version, "(devel)"))
        package_add(packages, "go", "Go", name, version);
}

/* "<module> <version> h1:..." of what was downloaded; "<version>/go.mod" only was looked at. */
void
scan_go_sum(struct str bytes, struct json *packages)
{
    struct str line, name, version;

    while (line_cut(&bytes, &line))
        if (str_split(&line, ' ', &name) && str_split(&line, ' ', &version) &&
            !str_ends(version, STR("/go.mod")))
            module_add(packages, name, version);
}

/* ---- go.mod ----
 * "require module v1.2.3", or a block of them; "replace" says what stands in for one. */

/* What stands on the left of "=>". */
static struct json *
mod_replaced(struct str bytes)
{
    struct json *names = json_object();
    struct str line, name;

    while (line_cut(&bytes, &line)) {
        const ptrdiff_t arrow = str_find(line, STR(" => "));
        struct str left = str_trim(str_slice(line, 0, arrow >= 0 ? (size_t)arrow : 0));
        if (str_starts(left, STR("replace ")))
            left = str_trim(str_slice(left, 8, left.len));
        if (arrow >= 0 && str_split(&left, ' ', &name) && name.len <= SCAN_TEXT_MAX) {
            cleanup_free char *key = str_dup(name);
            json_set(names, key, json_bool(true));
        }
    }
    return names;
}

/* "module v1.2.3", or "one => other v1.2.3"; a folder has no version. */
static void
mod_line(struct str line, const struct json *replaced, struct json *packages)
{
    const ptrdiff_t comment = str_find(line, STR("//")), arrow = str_find(line, STR(" => "));
    struct str name, version;

    line = str_trim(str_slice(line, 0, comment >= 0 ? (size_t)comment : line.len));
    if (arrow >= 0)
        line = str_trim(str_slice(line, (size_t)arrow + 4, line.len));
    if (!str_split(&line, ' ', &name) || !str_split(&line, ' ', &version) || version.len < 2 ||
        version.at[0] != 'v' || name.len > SCAN_TEXT_MAX)
        return;
    cleanup_free char *key = str_dup(name);
    if (arrow >= 0 || json_get(replaced, key) == NULL)
        module_add(packages, name, version);
}

void
scan_go_mod(struct str bytes, struct json *packages)
{
    cleanup_json struct json *replaced = mod_replaced(bytes);
    struct str line;
    bool is_in = false;

    while (line_cut(&bytes, &line)) {
        line = str_trim(line);
        const bool is_word = str_starts(line, STR("require ")) || str_starts(line, STR("replace "));
        if (is_word) {
            line = str_trim(str_slice(line, 8, line.len));
            is_in = line.len > 0 && line.at[0] == '(';
            if (!is_in)
                mod_line(line, replaced, packages);
        } else if (line.len > 0 && (line.at[0] == ')' || line.at[line.len - 1] == '(')) {
            is_in = false; /* the end of a block, or the begin of one of another kind */
        } else if (is_in) {
            mod_line(line, replaced, packages);
        }
    }
}

/* A text with its length in front as a varint. */
static bool
text_cut(struct str *rest, struct str *out)
{
    uint64_t len = 0;
    size_t used = 0;

    for (int shift = 0; used < rest->len && shift < 35; shift += 7) {
        const unsigned char byte = (unsigned char)rest->at[used++];
        len |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) != 0)
            continue;
        if (len > rest->len - used)
            return false;
        *out = str_slice(*rest, used, used + (size_t)len);
        *rest = str_slice(*rest, used + (size_t)len, rest->len);
        return true;
    }
    return false;
}

/* Lines "dep<TAB>module<TAB>version<TAB>sum"; "=>" says what stands in for the one before it. */
static void
modules_read(struct str text, struct json *packages)
{
    struct str line, kind, name = {0}, version = {0};

    while (line_cut(&text, &line)) {
        if (!str_split(&line, '\t', &kind))
            continue;
        const bool is_dep = str_is(kind, "dep"), is_other = str_is(kind, "=>");
        if (!is_other) {
            module_add(packages, name, version);
            name = version = (struct str){0};
        }
        struct str n = {0}, v = {0};
        if ((is_dep || is_other) && str_split(&line, '\t', &n) && str_split(&line, '\t', &v)) {
            name = n;
            version = v;
        }
    }
    module_add(packages, name, version);
}

void
scan_go_buildinfo(struct str bytes, struct json *packages)
{
    const struct str magic = STR(GO_BUILDINFO_MAGIC);
    struct str go = {0}, modules = {0};

    if (!str_starts(bytes, magic) || bytes.len < HEADER_SIZE ||
        ((unsigned char)bytes.at[magic.len + 1] & FLAG_INLINE) == 0)
        return;
    struct str rest = str_slice(bytes, HEADER_SIZE, bytes.len);
    if (!text_cut(&rest, &go) || !text_cut(&rest, &modules))
        return;
    const ptrdiff_t blank = str_index(go, ' '); /* "go1.22.1 X:boringcrypto" */
    if (str_starts(go, STR("go")))
        module_add(packages, STR("stdlib"), str_slice(go, 2, blank >= 0 ? (size_t)blank : go.len));
    if (modules.len > 2 * SENTINEL_SIZE)
        modules_read(str_slice(modules, SENTINEL_SIZE, modules.len - SENTINEL_SIZE), packages);
}
