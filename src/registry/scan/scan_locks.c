/* SPDX-License-Identifier: MIT */
/* scan_locks.c - lock files beside those of scan_files.c: pnpm, Gradle, NuGet. */
#include "registry/scan/scan_files.h"

/* ---- pnpm-lock.yaml: keys of the mapping "packages" ----
 * "  /@scope/name/1.2.3_peer@4.0.0:" (version 5), "  /@scope/name@1.2.3(peer@4.0.0):" (6),
 * "  '@scope/name@1.2.3':" (9). What is no release (a folder, a URL) has no version. */

static void
pnpm_key(struct str key, struct json *packages)
{
    struct str name, version;

    if (key.len > 1 && (key.at[0] == '\'' || key.at[0] == '"') && key.at[key.len - 1] == key.at[0])
        key = str_slice(key, 1, key.len - 1);
    if (key.len > 0 && key.at[0] == '/')
        key = str_slice(key, 1, key.len);
    const ptrdiff_t peers = str_index(key, '(');
    key = str_slice(key, 0, peers >= 0 ? (size_t)peers : key.len);
    const ptrdiff_t slash = str_rindex(key, '/');
    const struct str last = str_slice(key, (size_t)(slash + 1), key.len);
    const bool is_old = slash > 0 && last.len > 0 && last.at[0] >= '0' && last.at[0] <= '9' &&
                        str_index(str_slice(key, 1, (size_t)slash), '@') < 0;
    const ptrdiff_t at = is_old ? slash : str_rindex(key, '@');
    if (at <= 0)
        return;
    name = str_slice(key, 0, (size_t)at);
    version = str_slice(key, (size_t)at + 1, key.len);
    const ptrdiff_t peer = str_index(version, '_');
    version = str_slice(version, 0, is_old && peer >= 0 ? (size_t)peer : version.len);
    if (version.len > 0 && version.at[0] >= '0' && version.at[0] <= '9')
        package_add(packages, "pnpm", "npm", name, version);
}

void
scan_pnpm_lock(struct str bytes, struct json *packages)
{
    struct str line;
    bool is_in = false;

    while (line_cut(&bytes, &line)) {
        if (line.len > 0 && line.at[0] != ' ' && line.at[0] != '#')
            is_in = str_is(line, "packages:");
        if (!is_in || !str_starts(line, STR("  ")) || line.len < 4 || line.at[2] == ' ')
            continue;
        line = str_trim(line);
        if (line.len > 0 && line.at[line.len - 1] == ':')
            pnpm_key(str_slice(line, 0, line.len - 1), packages);
    }
}

/* ---- gradle.lockfile: "group:artifact:version=configurations" ---- */

void
scan_gradle_lock(struct str bytes, struct json *packages)
{
    struct str line;

    while (line_cut(&bytes, &line)) {
        const ptrdiff_t equals = str_index(line, '=');
        if (equals < 0 || line.at[0] == '#')
            continue;
        line = str_slice(line, 0, (size_t)equals);
        const ptrdiff_t colon = str_rindex(line, ':');
        if (colon > 0 && str_index(str_slice(line, 0, (size_t)colon), ':') > 0)
            package_add(packages, "gradle", "Maven", str_slice(line, 0, (size_t)colon),
                        str_slice(line, (size_t)colon + 1, line.len));
    }
}

/* ---- NuGet ---- */

static bool
type_is_project(const struct json *library)
{
    return str_equal_nocase(str_of(json_get_cstr(library, "type", "")), STR("project"));
}

/* packages.lock.json: {"dependencies": {"net8.0": {"<name>": {"type", "resolved"}}}} */
void
scan_nuget_lock(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *frameworks = json_get(lock, "dependencies");

    for (void *f = json_first(frameworks); f != NULL; f = json_next(frameworks, f)) {
        const struct json *list = json_value(f);
        for (void *it = json_first(list); it != NULL; it = json_next(list, it))
            if (!type_is_project(json_value(it)))
                package_add(packages, "nuget", "NuGet", str_of(json_key(it)),
                            str_of(json_get_cstr(json_value(it), "resolved", NULL)));
    }
}

/* <application>.deps.json, which 'dotnet publish' writes: {"libraries": {"<name>/<version>":
 * {"type"}}} */
void
scan_deps_json(struct str bytes, struct json *packages)
{
    cleanup_json struct json *deps = json_parse(bytes, NULL);
    const struct json *libraries = json_get(deps, "libraries");

    for (void *it = json_first(libraries); it != NULL; it = json_next(libraries, it)) {
        const struct str key = str_of(json_key(it));
        const ptrdiff_t slash = str_index(key, '/');
        if (slash > 0 && !type_is_project(json_value(it)))
            package_add(packages, "nuget", "NuGet", str_slice(key, 0, (size_t)slash),
                        str_slice(key, (size_t)slash + 1, key.len));
    }
}
