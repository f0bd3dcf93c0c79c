/* SPDX-License-Identifier: MIT */
/* scan_files.c - which files are looked at, and the lists of languages' packages in them. */
#include "registry/scan/scan_rpm.h"

#include <stdio.h>

#define NESTED_MAX 48

/* ---- which files ---- */

static bool
is_directly_below(struct str path, const char *directory)
{
    const size_t len = strlen(directory);
    return str_starts(path, str_of(directory)) &&
           str_index(str_slice(path, len, path.len), '/') < 0;
}

/* "requirements.txt", "requirements-dev.txt", "requirements/base.txt" */
static bool
is_requirements(struct str path, struct str name)
{
    return str_ends(name, STR(".txt")) &&
           (str_starts(name, STR("requirements")) ||
            str_ends(str_slice(path, 0, path.len - name.len), STR("requirements/")));
}

/* "…/node_modules/a/package.json" and "…/node_modules/@s/a/package.json". */
static bool
is_node_module(struct str path)
{
    const struct str mark = STR("node_modules/");
    struct str rest = path;
    ptrdiff_t at;

    while ((at = str_find(rest, mark)) >= 0)
        rest = str_slice(rest, (size_t)at + mark.len, rest.len);
    int slashes = 0;
    for (size_t i = 0; i < rest.len; i++)
        slashes += rest.at[i] == '/';
    return rest.at != path.at && slashes == (rest.len > 0 && rest.at[0] == '@' ? 2 : 1);
}

enum scan_kind
scan_kind_of(struct str path)
{
    static const struct {
        const char *name; /* with a '/': the whole path; else the last part of it */
        enum scan_kind kind;
    } rows[] = {
        {"etc/os-release", SCAN_OS_RELEASE},
        {"usr/lib/os-release", SCAN_OS_RELEASE},
        {"var/lib/dpkg/status", SCAN_DPKG},
        {"lib/apk/db/installed", SCAN_APK},
        {"usr/lib/apk/db/installed", SCAN_APK},
        {"var/lib/rpm/rpmdb.sqlite", SCAN_RPM},
        {"usr/lib/sysimage/rpm/rpmdb.sqlite", SCAN_RPM},
        {"usr/share/rpm/rpmdb.sqlite", SCAN_RPM},
        {"var/lib/rpm/Packages", SCAN_RPM_BDB},
        {"var/lib/rpm/Packages.db", SCAN_RPM_NDB},
        {"usr/lib/sysimage/rpm/Packages", SCAN_RPM_BDB},
        {"usr/lib/sysimage/rpm/Packages.db", SCAN_RPM_NDB},
        {"package-lock.json", SCAN_PACKAGE_LOCK},
        {"npm-shrinkwrap.json", SCAN_PACKAGE_LOCK},
        {"yarn.lock", SCAN_YARN_LOCK},
        {"Pipfile.lock", SCAN_PIPFILE_LOCK},
        {"poetry.lock", SCAN_POETRY_LOCK},
        {"uv.lock", SCAN_UV_LOCK},
        {"pdm.lock", SCAN_UV_LOCK},
        {"pylock.toml", SCAN_UV_LOCK},
        {"pnpm-lock.yaml", SCAN_PNPM_LOCK},
        {"gradle.lockfile", SCAN_GRADLE_LOCK},
        {"buildscript-gradle.lockfile", SCAN_GRADLE_LOCK},
        {"bun.lock", SCAN_BUN_LOCK},
        {"deno.lock", SCAN_DENO_LOCK},
        {"mix.lock", SCAN_MIX_LOCK},
        {"rebar.lock", SCAN_REBAR_LOCK},
        {"pubspec.lock", SCAN_PUB_LOCK},
        {"conan.lock", SCAN_CONAN_LOCK},
        {"Package.resolved", SCAN_SWIFT_LOCK},
        {"renv.lock", SCAN_RENV_LOCK},
        {"cabal.project.freeze", SCAN_CABAL_FREEZE},
        {"stack.yaml.lock", SCAN_STACK_LOCK},
        {"go.mod", SCAN_GO_MOD},
        {"packages.lock.json", SCAN_NUGET_LOCK},
        {"Cargo.lock", SCAN_CARGO_LOCK},
        {"go.sum", SCAN_GO_SUM},
        {"Gemfile.lock", SCAN_GEMFILE_LOCK},
        {"gems.locked", SCAN_GEMFILE_LOCK},
        {"composer.lock", SCAN_COMPOSER},
        {"pom.properties", SCAN_POM_PROPERTIES},
    };
    const ptrdiff_t slash = str_rindex(path, '/');
    const struct str name = str_slice(path, (size_t)(slash + 1), path.len);

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_is(strchr(rows[i].name, '/') ? path : name, rows[i].name))
            return rows[i].kind;
    if (str_is(name, "package.json"))
        return is_node_module(path) ? SCAN_NODE_MODULE : SCAN_NONE;
    if ((str_is(name, "METADATA") && str_ends(path, STR(".dist-info/METADATA"))) ||
        (str_is(name, "PKG-INFO") && str_ends(path, STR(".egg-info/PKG-INFO"))) ||
        str_ends(name, STR(".egg-info"))) /* a file where Debian's distutils installed it */
        return SCAN_PYTHON_METADATA;
    if (is_requirements(path, name))
        return SCAN_REQUIREMENTS;
    if (str_ends(name, STR(".deps.json")))
        return SCAN_DEPS_JSON;
    if (str_ends(path, STR("vendor/composer/installed.json")))
        return SCAN_COMPOSER;
    if (is_directly_below(path, "var/lib/dpkg/status.d/") && !str_ends(name, STR(".md5sums")))
        return SCAN_DPKG;
    if (str_ends(name, STR(".gemspec")) && str_find(path, STR("specifications/")) >= 0)
        return SCAN_GEMSPEC;
    if (str_ends(name, STR(".jar")) || str_ends(name, STR(".war")) || str_ends(name, STR(".ear")))
        return SCAN_JAR;
    return SCAN_NONE;
}

size_t
scan_kind_limit(enum scan_kind kind)
{
    switch (kind) {
    case SCAN_NONE:
    case SCAN_GEMSPEC:
        return 0;
    case SCAN_OS_RELEASE:
    case SCAN_POM_PROPERTIES:
        return 64 << 10;
    case SCAN_RPM:
    case SCAN_RPM_BDB:
    case SCAN_RPM_NDB:
    case SCAN_JAR:
        return 256 << 20;
    case SCAN_PYTHON_METADATA:
    case SCAN_NODE_MODULE:
        return 2 << 20;
    default:
        return 32 << 20;
    }
}

/* ---- words that all parsers use ---- */

void
package_add(struct json *packages, const char *manager, const char *ecosystem, struct str name,
            struct str version)
{
    name = str_trim(name);
    version = str_trim(version);
    if (name.len == 0 || version.len == 0 || name.len > SCAN_TEXT_MAX ||
        version.len > SCAN_TEXT_MAX || json_size(packages) >= SCAN_PACKAGES_MAX)
        return;
    struct json *package = json_object();
    json_set(package, "manager", json_text(manager));
    json_set(package, "ecosystem", json_text(ecosystem));
    json_set(package, "name", json_str(name));
    json_set(package, "version", json_str(version));
    json_append(packages, package);
}

bool
line_cut(struct str *rest, struct str *line_out)
{
    if (rest->len == 0 || !str_split(rest, '\n', line_out))
        return false;
    if (line_out->len > 0 && line_out->at[line_out->len - 1] == '\r')
        line_out->len--;
    return true;
}

static struct str
text_of(const struct json *object, const char *member)
{
    return str_of(json_get_cstr(object, member, NULL));
}

static struct str
unquote(struct str s)
{
    s = str_trim(s);
    if (s.len >= 2 && (s.at[0] == '"' || s.at[0] == '\'') && s.at[s.len - 1] == s.at[0])
        return str_slice(s, 1, s.len - 1);
    return s;
}

bool
value_of(struct str line, const char *key, char separator, struct str *out)
{
    line = str_trim(line);
    if (!str_starts(line, str_of(key)))
        return false;
    line = str_trim(str_slice(line, strlen(key), line.len));
    if (line.len == 0 || line.at[0] != separator)
        return false;
    *out = unquote(str_slice(line, 1, line.len));
    return true;
}

/* ---- npm ---- */

static struct str
module_name(struct str path)
{
    const struct str mark = STR("node_modules/");
    ptrdiff_t at;

    while ((at = str_find(path, mark)) >= 0)
        path = str_slice(path, (size_t)at + mark.len, path.len);
    return path;
}

/* "npm:real@1.2.3" stands for another package under a name of the project's own. False: it is none.
 */
static bool
alias_cut(struct str version, struct str *name_out, struct str *version_out)
{
    if (!str_starts(version, STR("npm:")))
        return false;
    version = str_slice(version, 4, version.len);
    const ptrdiff_t at = str_rindex(version, '@');
    if (at <= 0)
        return false;
    *name_out = str_slice(version, 0, (size_t)at);
    *version_out = str_slice(version, (size_t)at + 1, version.len);
    return true;
}

static void
lock_dependencies(const struct json *dependencies, int depth, struct json *packages)
{
    for (void *it = json_first(dependencies); it != NULL && depth < NESTED_MAX;
         it = json_next(dependencies, it)) {
        const struct json *one = json_value(it);
        struct str name = str_of(json_key(it)), version = text_of(one, "version");
        (void)alias_cut(version, &name, &version);
        package_add(packages, "npm", "npm", name, version);
        lock_dependencies(json_get(one, "dependencies"), depth + 1, packages);
    }
}

static void
package_lock(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);
    const struct json *list = json_get(lock, "packages");

    if (list == NULL) { /* of npm 6 and before */
        lock_dependencies(json_get(lock, "dependencies"), 0, packages);
        return;
    }
    for (void *it = json_first(list); it != NULL; it = json_next(list, it)) {
        const struct json *one = json_value(it);
        const struct str path = str_of(json_key(it));
        if (json_get_bool(one, "link", false) || str_find(path, STR("node_modules/")) < 0)
            continue; /* the project itself, and its workspaces */
        struct str name = text_of(one, "name");
        package_add(packages, "npm", "npm", name.len > 0 ? name : module_name(path),
                    text_of(one, "version"));
    }
}

static void
node_module(struct str bytes, struct json *packages)
{
    cleanup_json struct json *module = json_parse(bytes, NULL);
    package_add(packages, "npm", "npm", text_of(module, "name"), text_of(module, "version"));
}

/* The name in front of an entry: "@scope/a@^1.0", and of "mine@npm:theirs@^1.0" theirs. Empty: it
 * is no package of the registry. */
static struct str
yarn_name(struct str head)
{
    struct str first = head, real, range;

    if (first.at[0] == '"')
        first = str_slice(first, 1, first.len);
    const ptrdiff_t end = str_find(first, STR(", "));
    first = str_slice(first, 0, end >= 0 ? (size_t)end : first.len);
    const ptrdiff_t at = str_index(str_slice(first, 1, first.len), '@');
    if (at < 0 || str_find(head, STR("@workspace:")) >= 0)
        return (struct str){0};
    return alias_cut(str_slice(first, (size_t)at + 2, first.len), &real, &range)
               ? real
               : str_slice(first, 0, (size_t)at + 1);
}

/* `"@scope/a@^1.0", "@scope/a@^1.1":` heads an entry, its version is a line of it. */
static void
yarn_lock(struct str bytes, struct json *packages)
{
    struct str line, name = {0}, version;

    while (line_cut(&bytes, &line)) {
        const bool is_head = line.len > 0 && line.at[0] != ' ' && line.at[0] != '#';
        if (is_head) {
            name = yarn_name(line);
        } else if (name.len > 0 && (value_of(line, "version", ':', &version) ||
                                    value_of(line, "version", '"', &version))) {
            if (version.len > 0 && version.at[version.len - 1] == '"')
                version.len--;
            package_add(packages, "yarn", "npm", name, version);
            name = (struct str){0};
        }
    }
}

/* ---- Python ---- */

static void
requirements(struct str bytes, struct json *packages)
{
    struct str line;

    while (line_cut(&bytes, &line)) {
        const ptrdiff_t pin = str_find(line, STR("=="));
        const ptrdiff_t comment = str_index(line, '#');
        if (pin <= 0 || line.at[0] == '-' || (comment >= 0 && comment < pin))
            continue;
        struct str name = str_trim(str_slice(line, 0, (size_t)pin));
        struct str version = str_slice(line, (size_t)pin + 2, line.len);
        size_t end = 0;
        while (end < version.len && strchr(" \t;#,\\", version.at[end]) == NULL)
            end++;
        const ptrdiff_t extras = str_index(name, '[');
        version = end == 0 ? str_trim(version) : str_slice(version, 0, end);
        if (str_index(version, '*') < 0 && version.len > 0 && version.at[0] != '=')
            package_add(packages, "pip", "PyPI",
                        extras >= 0 ? str_slice(name, 0, (size_t)extras) : name, version);
    }
}

static void
python_metadata(struct str bytes, struct json *packages)
{
    struct str line, name = {0}, version = {0};

    while (line_cut(&bytes, &line) && line.len > 0) {
        if (name.len == 0)
            value_of(line, "Name", ':', &name);
        if (version.len == 0)
            value_of(line, "Version", ':', &version);
    }
    package_add(packages, "pip", "PyPI", name, version);
}

static void
pipfile_lock(struct str bytes, struct json *packages)
{
    static const char *const groups[] = {"default", "develop"};
    cleanup_json struct json *lock = json_parse(bytes, NULL);

    for (size_t g = 0; g < ARRAY_COUNT(groups); g++) {
        const struct json *group = json_get(lock, groups[g]);
        for (void *it = json_first(group); it != NULL; it = json_next(group, it)) {
            const struct str version = text_of(json_value(it), "version");
            if (str_starts(version, STR("==")))
                package_add(packages, "pip", "PyPI", str_of(json_key(it)),
                            str_slice(version, 2, version.len));
        }
    }
}

/* ---- poetry.lock, uv.lock, Cargo.lock: tables [[package]] with name, version, source ---- */

/* uv says of the project itself, and of its folders, where they are. */
static bool
is_of_the_project(struct str source)
{
    return str_find(source, STR("editable =")) >= 0 || str_find(source, STR("virtual =")) >= 0 ||
           str_find(source, STR("directory =")) >= 0;
}

static void
toml_lock(struct str bytes, const char *manager, const char *ecosystem, bool needs_source,
          struct json *packages)
{
    struct str line, name = {0}, version = {0}, source = {0};
    bool is_in = false, goes_on = true;

    while (goes_on) {
        goes_on = line_cut(&bytes, &line);
        if (!goes_on || (line.len > 0 && line.at[0] == '[')) {
            if (is_in && (!needs_source || source.len > 0) && !is_of_the_project(source))
                package_add(packages, manager, ecosystem, name, version);
            is_in = goes_on && (str_is(str_trim(line), "[[package]]") ||
                                str_is(str_trim(line), "[[packages]]"));
            name = version = source = (struct str){0};
        } else if (is_in && line.len > 0 && line.at[0] != ' ') {
            value_of(line, "name", '=', &name);
            value_of(line, "version", '=', &version);
            value_of(line, "source", '=', &source);
        }
    }
}

/* ---- Ruby ---- */

/* "1.13.0-x86_64-linux" is 1.13.0 for a platform. */
static struct str
without_platform(struct str version)
{
    for (size_t i = 0; i + 1 < version.len; i++)
        if (version.at[i] == '-' && !(version.at[i + 1] >= '0' && version.at[i + 1] <= '9'))
            return str_slice(version, 0, i);
    return version;
}

static void
gemfile_lock(struct str bytes, struct json *packages)
{
    struct str line;
    bool is_in = false;

    while (line_cut(&bytes, &line)) {
        if (line.len > 0 && line.at[0] != ' ')
            is_in = str_is(line, "GEM");
        if (!is_in || !str_starts(line, STR("    ")) || line.len < 5 || line.at[4] == ' ')
            continue;
        const ptrdiff_t open = str_find(line, STR(" ("));
        if (open < 0 || line.at[line.len - 1] != ')')
            continue;
        const struct str version = str_slice(line, (size_t)open + 2, line.len - 1);
        package_add(packages, "bundler", "RubyGems", str_slice(line, 4, (size_t)open),
                    without_platform(version));
    }
}

static void
gemspec(struct str path, struct json *packages)
{
    struct str name = str_slice(path, (size_t)(str_rindex(path, '/') + 1), path.len);

    name = str_slice(name, 0, name.len - strlen(".gemspec"));
    for (size_t i = 1; i + 1 < name.len; i++) {
        if (name.at[i] != '-' || name.at[i + 1] < '0' || name.at[i + 1] > '9')
            continue;
        package_add(packages, "gem", "RubyGems", str_slice(name, 0, i),
                    without_platform(str_slice(name, i + 1, name.len)));
        return;
    }
}

/* ---- PHP and Java ---- */

static void
composer_list(const struct json *list, struct json *packages)
{
    for (size_t i = 0; i < json_size(list); i++)
        package_add(packages, "composer", "Packagist", text_of(json_at(list, i), "name"),
                    text_of(json_at(list, i), "version"));
}

static void
composer(struct str bytes, struct json *packages)
{
    cleanup_json struct json *lock = json_parse(bytes, NULL);

    composer_list(lock, packages); /* Composer 1 writes installed.json as a plain list */
    composer_list(json_get(lock, "packages"), packages);
    composer_list(json_get(lock, "packages-dev"), packages);
}

static void
pom_properties(struct str bytes, struct json *packages)
{
    struct str line, group = {0}, artifact = {0}, version = {0};
    cleanup(strbuf_done) struct strbuf name = {0};

    while (line_cut(&bytes, &line)) {
        value_of(line, "groupId", '=', &group);
        value_of(line, "artifactId", '=', &artifact);
        value_of(line, "version", '=', &version);
    }
    if (group.len == 0 || artifact.len == 0)
        return;
    strbuf_add(&name, group);
    strbuf_add_char(&name, ':');
    strbuf_add(&name, artifact);
    package_add(packages, "maven", "Maven", strbuf_str(&name), version);
}

/* ---- lists of [[package]] ---- */

static void
poetry_lock(struct str bytes, struct json *packages)
{
    toml_lock(bytes, "poetry", "PyPI", /* needs_source= */ false, packages);
}

static void
uv_lock(struct str bytes, struct json *packages)
{
    toml_lock(bytes, "pip", "PyPI", /* needs_source= */ false, packages);
}

static void
cargo_lock(struct str bytes, struct json *packages)
{
    /* What has no source is the project itself. */
    toml_lock(bytes, "cargo", "crates.io", /* needs_source= */ true, packages);
}

/* ---- the door ---- */

static bool
rpm_parse(enum scan_kind kind, struct str bytes, struct json *packages)
{
    switch (kind) {
    case SCAN_RPM:
        return scan_rpm_sqlite(bytes, packages);
    case SCAN_RPM_BDB:
        return scan_rpm_bdb(bytes, packages);
    default:
        return scan_rpm_ndb(bytes, packages);
    }
}

bool
scan_parse(enum scan_kind kind, struct str path, struct str bytes, struct json *packages)
{
    static void (*const parsers[SCAN_KIND_COUNT])(struct str bytes, struct json *packages) = {
        [SCAN_DPKG] = scan_dpkg,
        [SCAN_APK] = scan_apk,
        [SCAN_PACKAGE_LOCK] = package_lock,
        [SCAN_NODE_MODULE] = node_module,
        [SCAN_YARN_LOCK] = yarn_lock,
        [SCAN_PNPM_LOCK] = scan_pnpm_lock,
        [SCAN_BUN_LOCK] = scan_bun_lock,
        [SCAN_DENO_LOCK] = scan_deno_lock,
        [SCAN_REQUIREMENTS] = requirements,
        [SCAN_PYTHON_METADATA] = python_metadata,
        [SCAN_PIPFILE_LOCK] = pipfile_lock,
        [SCAN_POETRY_LOCK] = poetry_lock,
        [SCAN_UV_LOCK] = uv_lock,
        [SCAN_GRADLE_LOCK] = scan_gradle_lock,
        [SCAN_POM_PROPERTIES] = pom_properties,
        [SCAN_NUGET_LOCK] = scan_nuget_lock,
        [SCAN_DEPS_JSON] = scan_deps_json,
        [SCAN_CARGO_LOCK] = cargo_lock,
        [SCAN_GO_SUM] = scan_go_sum,
        [SCAN_GO_MOD] = scan_go_mod,
        [SCAN_GO_BINARY] = scan_go_buildinfo,
        [SCAN_GEMFILE_LOCK] = gemfile_lock,
        [SCAN_COMPOSER] = composer,
        [SCAN_MIX_LOCK] = scan_mix_lock,
        [SCAN_REBAR_LOCK] = scan_rebar_lock,
        [SCAN_PUB_LOCK] = scan_pub_lock,
        [SCAN_CONAN_LOCK] = scan_conan_lock,
        [SCAN_SWIFT_LOCK] = scan_swift_lock,
        [SCAN_RENV_LOCK] = scan_renv_lock,
        [SCAN_CABAL_FREEZE] = scan_cabal_freeze,
        [SCAN_STACK_LOCK] = scan_stack_lock,
    };

    if (kind == SCAN_RPM || kind == SCAN_RPM_BDB || kind == SCAN_RPM_NDB)
        return rpm_parse(kind, bytes, packages);
    if (kind == SCAN_GEMSPEC)
        gemspec(path, packages);
    else if (parsers[kind] != NULL)
        parsers[kind](bytes, packages);
    return true;
}
