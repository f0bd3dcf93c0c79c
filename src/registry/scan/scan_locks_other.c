/* SPDX-License-Identifier: MIT */
/* scan_locks_other.c - lock files of the smaller languages: Bun and Deno, Erlang and Elixir, Dart,
 * C++ (Conan), Swift, R, Haskell. */
#include "registry/scan/scan_files.h"

static bool
begins_with_digit(struct str s)
{
    return s.len > 0 && s.at[0] >= '0' && s.at[0] <= '9';
}

/* Takes the next text in quotes, and what stands in front of it, off `*rest`. */
static bool
quoted_cut(struct str *rest, struct str *out)
{
    struct str before;

    return str_index(*rest, '"') >= 0 && str_split(rest, '"', &before) &&
           str_index(*rest, '"') >= 0 && str_split(rest, '"', out);
}

/* "name@1.2.3" of npm's registry; what comes from elsewhere (a folder, a repository of git) has no
 * version. */
static void
npm_add(const char *manager, struct str id, char peers_begin, struct json *packages)
{
    const ptrdiff_t at = str_index(str_slice(id, 1, id.len), '@') + 1;
    struct str version = str_slice(id, (size_t)at + 1, id.len);
    const ptrdiff_t peers = str_index(version, peers_begin);

    if (at > 0 && begins_with_digit(version))
        package_add(packages, manager, "npm", str_slice(id, 0, (size_t)at),
                    str_slice(version, 0, peers >= 0 ? (size_t)peers : version.len));
}

/* bun.lock is JSON with commas too many, so it is read by line: `"key": ["name@1.2.3", "", {...},
 * "sha512-..."],` */
void
scan_bun_lock(struct str bytes, struct json *packages)
{
    struct str line, key, id;
    bool is_in = false;

    while (line_cut(&bytes, &line)) {
        line = str_trim(line);
        if (str_starts(line, STR("\"packages\":")) && line.at[line.len - 1] == '{')
            is_in = true;
        else if (line.len > 0 && line.at[0] == '}')
            is_in = false;
        else if (is_in && quoted_cut(&line, &key) && str_starts(line, STR(": [")) &&
                 quoted_cut(&line, &id) && id.len > 0)
            npm_add("bun", id, ' ', packages);
    }
}

/* deno.lock: {"npm": {"name@1.2.3_peer@4.0.0": {}}}; up to version 3 below "packages". */
void
scan_deno_lock(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *list = json_get(lock, "npm");

    if (list == NULL)
        list = json_get(json_get(lock, "packages"), "npm");
    for (void *it = json_first(list); it != NULL; it = json_next(list, it))
        if (json_key(it)[0] != '\0')
            npm_add("deno", str_of(json_key(it)), '_', packages);
}

/* What stands behind the mark in the next line that has it; false when there is none. */
static bool
marked_cut(struct str *rest, struct str mark, struct str *out)
{
    struct str line;

    while (line_cut(rest, &line)) {
        const ptrdiff_t at = str_find(line, mark);
        if (at < 0)
            continue;
        *out = str_slice(line, (size_t)at + mark.len, line.len);
        return true;
    }
    return false;
}

/* mix.lock: `"plug": {:hex, :plug, "1.15.3", "<hash>", ...},` */
void
scan_mix_lock(struct str bytes, struct json *packages)
{
    struct str line, name, version;

    while (marked_cut(&bytes, STR("{:hex, :"), &line))
        if (str_split(&line, ',', &name) && quoted_cut(&line, &version)) {
            if (name.len > 2 && name.at[0] == '"')
                name = str_slice(name, 1, name.len - 1);
            package_add(packages, "mix", "Hex", name, version);
        }
}

/* rebar.lock: `{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},` */
void
scan_rebar_lock(struct str bytes, struct json *packages)
{
    struct str line, name, version;

    while (marked_cut(&bytes, STR("{pkg,"), &line))
        if (quoted_cut(&line, &name) && quoted_cut(&line, &version))
            package_add(packages, "rebar", "Hex", name, version);
}

/* pubspec.lock: keys of the mapping "packages", each with "source" in front of "version". */
void
scan_pub_lock(struct str bytes, struct json *packages)
{
    struct str line, name = {0}, source = {0}, version;
    bool is_in = false;

    while (line_cut(&bytes, &line)) {
        if (line.len > 0 && line.at[0] != ' ' && line.at[0] != '#')
            is_in = str_is(line, "packages:");
        if (!is_in || !str_starts(line, STR("  ")) || line.len < 4)
            continue;
        if (line.at[2] != ' ') {
            name = str_trim(line);
            name = str_slice(name, 0, name.len - str_ends(name, STR(":")));
            source = (struct str){0};
        } else if (str_starts(line, STR("    ")) && line.len > 4 && line.at[4] != ' ') {
            value_of(line, "source", ':', &source);
            if (value_of(line, "version", ':', &version) && str_is(source, "hosted"))
                package_add(packages, "pub", "Pub", name, version);
        }
    }
}

/* "zlib/1.2.13@user/channel#revision%time" */
static void
conan_add(struct str reference, struct json *packages)
{
    const ptrdiff_t slash = str_index(reference, '/');
    size_t end = (size_t)(slash + 1);

    while (end < reference.len && strchr("@#%", reference.at[end]) == NULL)
        end++;
    if (slash > 0)
        package_add(packages, "conan", "ConanCenter", str_slice(reference, 0, (size_t)slash),
                    str_slice(reference, (size_t)slash + 1, end));
}

/* conan.lock of Conan 2: lists of references; of Conan 1: {"graph_lock": {"nodes": {"1": {"ref"}}}}
 */
void
scan_conan_lock(struct str bytes, struct json *packages)
{
    static const char *const lists[] = {"requires", "build_requires", "python_requires"};
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *nodes = json_get(json_get(lock, "graph_lock"), "nodes");

    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct json *list = json_get(lock, lists[i]);
        for (size_t k = 0; k < json_size(list); k++)
            conan_add(str_of(json_cstr(json_at(list, k), "")), packages);
    }
    for (void *it = json_first(nodes); it != NULL; it = json_next(nodes, it))
        conan_add(str_of(json_get_cstr(json_value(it), "ref", "")), packages);
}

/* Package.resolved: {"pins": [{"location", "state": {"version"}}]}; version 1 has them below
 * "object", as "repositoryURL". OSV's name is the URL, as osv_package_name() has it. */
void
scan_swift_lock(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *pins = json_get(lock, "pins");

    if (pins == NULL)
        pins = json_get(json_get(lock, "object"), "pins");
    for (size_t i = 0; i < json_size(pins); i++) {
        const struct json *pin = json_at(pins, i);
        const char *url = json_get_cstr(pin, "location", json_get_cstr(pin, "repositoryURL", ""));
        package_add(packages, "swift", "SwiftURL", str_of(url),
                    str_of(json_get_cstr(json_get(pin, "state"), "version", "")));
    }
}

/* renv.lock: {"Packages": {"<name>": {"Package", "Version", "Source"}}} */
void
scan_renv_lock(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *list = json_get(lock, "Packages");

    for (void *it = json_first(list); it != NULL; it = json_next(list, it)) {
        const struct json *one = json_value(it);
        if (strcmp(json_get_cstr(one, "Source", "Repository"), "Repository") == 0)
            package_add(packages, "renv", "CRAN",
                        str_of(json_get_cstr(one, "Package", json_key(it))),
                        str_of(json_get_cstr(one, "Version", "")));
    }
}

/* cabal.project.freeze: "constraints: any.aeson ==2.1.0.0," and more such lines; the others are
 * flags. */
void
scan_cabal_freeze(struct str bytes, struct json *packages)
{
    const struct str mark = STR("any."), equals = STR(" ==");
    struct str line;

    while (line_cut(&bytes, &line)) {
        const ptrdiff_t at = str_find(line, mark);
        struct str rest = str_slice(line, at >= 0 ? (size_t)at + mark.len : line.len, line.len);
        const ptrdiff_t pin = str_find(rest, equals);
        if (pin <= 0)
            continue;
        const struct str version = str_slice(rest, (size_t)pin + equals.len, rest.len);
        const ptrdiff_t comma = str_index(version, ',');
        package_add(packages, "cabal", "Hackage", str_slice(rest, 0, (size_t)pin),
                    str_slice(version, 0, comma >= 0 ? (size_t)comma : version.len));
    }
}

/* stack.yaml.lock: "hackage: acme-missiles-0.3@sha256:<hash>,613" */
void
scan_stack_lock(struct str bytes, struct json *packages)
{
    struct str line, package;

    while (line_cut(&bytes, &line)) {
        if (!value_of(line, "hackage", ':', &package) &&
            !value_of(line, "- hackage", ':', &package))
            continue;
        const ptrdiff_t at = str_index(package, '@');
        package = str_slice(package, 0, at >= 0 ? (size_t)at : package.len);
        const ptrdiff_t hyphen = str_rindex(package, '-');
        if (hyphen > 0)
            package_add(packages, "stack", "Hackage", str_slice(package, 0, (size_t)hyphen),
                        str_slice(package, (size_t)hyphen + 1, package.len));
    }
}
