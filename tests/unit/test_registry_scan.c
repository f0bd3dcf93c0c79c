/* SPDX-License-Identifier: MIT */
/* Scans: what files say about packages, layers over each other, and an image from push to findings.
 */
#include "registry_world.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/random.h"
#include "io/file.h"
#include "registry/internal.h"
#include "registry/scan/osv.h"
#include "registry/scan/scan.h"
#include "registry/scan/scan_layers.h"
#include "scan_setup.h"

/* ---- files ---- */

static const struct {
    const char *path, *bytes, *want;
} files[] = {
    {"var/lib/dpkg/status",
     "Package: curl\nStatus: install ok installed\nVersion: 7.88.1-10\nDescription: x\n Version: "
     "9\n\n"
     "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
     "Package: libcurl4\nStatus: install ok installed\nSource: curl (7.88.1-10)\nVersion: "
     "7.88.1-10+b1\n\n"
     "Package: zlib1g\nStatus: install ok installed\nSource: zlib\nVersion: 1:1.2.13.dfsg-1",
     "dpkg curl 7.88.1-10;dpkg libcurl4 7.88.1-10+b1 <curl@7.88.1-10>;"
     "dpkg zlib1g 1:1.2.13.dfsg-1 <zlib@1:1.2.13.dfsg-1>;"},
    {"var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12.4\n", "dpkg base-files 12.4;"},
    {"lib/apk/db/installed",
     "C:Q1x\nP:musl\nV:1.2.4-r2\no:musl\n\nP:ssl_client\nV:1.36.1-r5\no:busybox\nF:usr\n\n",
     "apk musl 1.2.4-r2;apk ssl_client 1.36.1-r5 <busybox@1.36.1-r5>;"},
    {"app/package-lock.json",
     "{\"lockfileVersion\":3,\"packages\":{\"\":{\"version\":\"1.0.0\"},\"node_modules/@s/"
     "a\":{\"version\":\"1.2.3\"},"
     "\"node_modules/b/node_modules/c\":{\"version\":\"2.0.0\"},\"node_modules/"
     "l\":{\"link\":true,\"version\":\"1.0.0\"},"
     "\"node_modules/alias\":{\"name\":\"real\",\"version\":\"3.0.0\"}}}",
     "npm @s/a 1.2.3;npm c 2.0.0;npm real 3.0.0;"},
    {"package-lock.json",
     "{\"dependencies\":{\"a\":{\"version\":\"1.0.0\",\"dependencies\":{\"b\":{\"version\":\"2.0."
     "0\"}}}}}",
     "npm a 1.0.0;npm b 2.0.0;"},
    {"usr/lib/node_modules/npm/node_modules/@s/x/package.json",
     "{\"name\":\"@s/x\",\"version\":\"4.0.0\"}", "npm @s/x 4.0.0;"},
    {"yarn.lock",
     "# yarn lockfile v1\n\n\"@b/c@^7.0.0\", \"@b/c@^7.1.0\":\n  version \"7.12.13\"\n  "
     "dependencies:\n    version \"9\"\n\n"
     "left-pad@^1.0.0:\n  version \"1.3.0\"\n",
     "yarn @b/c 7.12.13;yarn left-pad 1.3.0;"},
    {"yarn.lock",
     "__metadata:\n  version: 6\n\n\"a@npm:^1.0.0\":\n  version: 1.2.0\n\n\"me@workspace:.\":\n  "
     "version: 0.0.0-use.local\n",
     "yarn a 1.2.0;"},
    {"yarn.lock",
     "\"mine@npm:theirs@^1.0.0\", x@1:\n  version \"1.4.0\"\n\n\"s@npm:@a/b@^2\":\n  version: "
     "2.1.0\n",
     "yarn theirs 1.4.0;yarn @a/b 2.1.0;"},
    {"package-lock.json",
     "{\"dependencies\":{\"mine\":{\"version\":\"npm:@a/b@1.0.0\"},\"c\":{\"version\":\"npm:\"}}}",
     "npm @a/b 1.0.0;npm c npm:;"},
    {"pnpm-lock.yaml",
     "lockfileVersion: '9.0'\nimporters:\n\n  .:\n    x: 1\n\npackages:\n\n  '@a/b@1.2.3':\n    "
     "resolution: {}\n  c@2.0.0-rc.1:\n  d@file:x:\n\nsnapshots:\n\n  e@1.0.0:\n",
     "pnpm @a/b 1.2.3;pnpm c 2.0.0-rc.1;"},
    {"pnpm-lock.yaml",
     "packages:\n\n  /@a/b@1.2.3(react@18.0.0)(@x/y@1.0.0):\n  /@a/b/4.5.6_react@18.0.0:\n    dev: "
     "true\n"
     "  /c/1.0.0:\n  /:\n  :\n  \t\t\n",
     "pnpm @a/b 1.2.3;pnpm @a/b 4.5.6;pnpm c 1.0.0;"},
    {"uv.lock",
     "version = 1\n\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\nsource = { editable = \".\" "
     "}\n\n"
     "[[package]]\nname = \"idna\"\nversion = \"3.7\"\nsource = { registry = "
     "\"https://pypi.org/simple\" }\n",
     "pip idna 3.7;"},
    {"pylock.toml", "[[packages]]\nname = \"attrs\"\nversion = \"25.1.0\"\n", "pip attrs 25.1.0;"},
    {"gradle.lockfile",
     "# x:y:1=z\ncom.google.guava:guava:31.1-jre=compileClasspath\nempty=annotationProcessor\n",
     "gradle com.google.guava:guava 31.1-jre;"},
    {"src/packages.lock.json",
     "{\"dependencies\":{\"net8.0\":{\"Newtonsoft.Json\":{\"type\":\"Direct\",\"resolved\":"
     "\"13.0.1\"},\"mine\":{\"type\":\"Project\",\"resolved\":\"1\"}}}}",
     "nuget Newtonsoft.Json 13.0.1;"},
    {"app/web.deps.json",
     "{\"libraries\":{\"web/1.0.0\":{\"type\":\"project\"},\"Npgsql/8.0.2\":{\"type\":\"package\"},"
     "\"none\":{}}}",
     "nuget Npgsql 8.0.2;"},
    {"requirements.txt",
     "# x==1\nDjango==4.2.1 ; python_version > '3'\nrequests[socks] == 2.31.0\nflask>=2\n-r "
     "other.txt\nx==1.*\n",
     "pip Django 4.2.1;pip requests 2.31.0;"},
    {"usr/lib/python3/dist-packages/idna-3.3.dist-info/METADATA",
     "Metadata-Version: 2.1\nName: idna\nVersion: 3.3\n\nName: no\n", "pip idna 3.3;"},
    {"Pipfile.lock",
     "{\"default\":{\"six\":{\"version\":\"==1.16.0\"}},\"develop\":{\"x\":{\"git\":\"y\"}}}",
     "pip six 1.16.0;"},
    {"poetry.lock",
     "[[package]]\nname = \"rich\"\nversion = \"13.0.0\"\n\n[package.dependencies]\nname = "
     "\"no\"\n",
     "poetry rich 13.0.0;"},
    {"Cargo.lock",
     "version = 3\n\n[[package]]\nname = \"me\"\nversion = \"0.1.0\"\n\n[[package]]\nname = "
     "\"serde\"\nversion = \"1.0.1\"\n"
     "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
     "cargo serde 1.0.1;"},
    {"go.sum",
     "golang.org/x/net v0.1.0 h1:a=\ngolang.org/x/net v0.1.0/go.mod h1:b=\nx v0.2.0/go.mod h1:c=\n",
     "go golang.org/x/net 0.1.0;"},
    {"Gemfile.lock",
     "GIT\n  specs:\n    no (1)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    rack "
     "(2.2.3)\n    nokogiri (1.13.0-x86_64-linux)\n"
     "      racc (~> 1.4)\n\nPLATFORMS\n  ruby\n",
     "bundler rack 2.2.3;bundler nokogiri 1.13.0;"},
    {"usr/lib/ruby/gems/3.1.0/specifications/net-imap-0.2.3.gemspec", "", "gem net-imap 0.2.3;"},
    {"composer.lock",
     "{\"packages\":[{\"name\":\"a/b\",\"version\":\"v1.0.0\"}],\"packages-dev\":[{\"name\":\"c/"
     "d\",\"version\":\"2.0\"}]}",
     "composer a/b v1.0.0;composer c/d 2.0;"},
    {"META-INF/maven/g/a/pom.properties",
     "#x\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\r\nversion=2.14.1\n",
     "maven org.apache.logging.log4j:log4j-core 2.14.1;"},
    {"app/bun.lock",
     "{\n  \"lockfileVersion\": 1,\n  \"workspaces\": {\n    \"\": {\n      \"dependencies\": {\n        \"packages\": "
     "\"^1.0.0\",\n      },\n    },\n  },\n  \"packages\": {\n    \"app\": [\"app@workspace:packages/app\"],\n\n    "
     "\"@types/node\": [\"@types/node@20.1.0\", \"\", { \"dependencies\": { \"x\": \"^1\" } }, \"sha512-a==\"],\n\n"
     "    \"mine\": [\"theirs@1.2.3-rc.1\", \"\", {}, \"\"],\n    \"g\": [\"g@github:a/b#c\", {}],\n    // no\n  }\n}\n",
     "bun @types/node 20.1.0;bun theirs 1.2.3-rc.1;"},
    {"deno.lock",
     "{\"version\":\"4\",\"npm\":{\"chalk@5.3.0\":{},\"@a/b_c@1.0.0_react@18.0.0\":{},\"\":{},\"@\":{}}}",
     "deno chalk 5.3.0;deno @a/b_c 1.0.0;"},
    {"deno.lock", "{\"version\":\"3\",\"packages\":{\"npm\":{\"a@1.0.0\":{}}}}", "deno a 1.0.0;"},
    {"mix.lock",
     "%{\n  \"plug\": {:hex, :plug, \"1.15.3\", \"ab\", [:mix], [{:mime, \"~> 1.0\", [hex: :mime]}], \"hexpm\", \"cd\"},\n"
     "  \"fork\": {:git, \"https://example.com/x.git\", \"abc123\", []},\n  \"q\": {:hex, :\"q-r\", \"0.1.0\"},\n}\n",
     "mix plug 1.15.3;mix q-r 0.1.0;"},
    {"rebar.lock",
     "{\"1.2.0\",\n[{<<\"cowboy\">>,{pkg,<<\"cowboy\">>,<<\"2.9.0\">>},0},\n {<<\"x\">>,{git,\"u\",{ref,\"1\"}},0}]}.\n",
     "rebar cowboy 2.9.0;"},
    {"pubspec.lock",
     "# x\npackages:\n  async:\n    dependency: transitive\n    description:\n      name: async\n      version: no\n    "
     "source: hosted\n    version: \"2.11.0\"\n  mine:\n    source: path\n    version: \"1.0.0\"\nsdks:\n  dart: \"3\"\n",
     "pub async 2.11.0;"},
    {"pubspec.lock", "packages:\n  \t\t\n", ""},
    {"conan.lock",
     "{\"version\":\"0.5\",\"requires\":[\"zlib/1.2.13#ab%1.0\",\"mine/1.0@me/stable\",\"none\"],\"build_requires\":"
     "[\"cmake/3.27.7\"]}",
     "conan zlib 1.2.13;conan mine 1.0;conan cmake 3.27.7;"},
    {"conan.lock", "{\"graph_lock\":{\"nodes\":{\"0\":{},\"1\":{\"ref\":\"zlib/1.2.11#0\"}}}}", "conan zlib 1.2.11;"},
    {"Package.resolved",
     "{\"pins\":[{\"identity\":\"n\",\"location\":\"https://github.com/a/n.git\",\"state\":{\"version\":\"2.1.0\"}},"
     "{\"location\":\"https://x\",\"state\":{\"branch\":\"main\"}}],\"version\":2}",
     "swift https://github.com/a/n.git 2.1.0;"},
    {"Package.resolved",
     "{\"object\":{\"pins\":[{\"repositoryURL\":\"https://github.com/a/n\",\"state\":{\"version\":\"1.0.0\"}}]}}",
     "swift https://github.com/a/n 1.0.0;"},
    {"renv.lock",
     "{\"Packages\":{\"mime\":{\"Package\":\"mime\",\"Version\":\"0.12-1\",\"Source\":\"Repository\"},\"mine\":{"
     "\"Package\":\"mine\",\"Version\":\"1\",\"Source\":\"GitHub\"}}}",
     "renv mime 0.12-1;"},
    {"cabal.project.freeze",
     "active-repositories: hackage.haskell.org:merge\nconstraints: any.aeson ==2.1.0.0,\n             aeson "
     "-cffi,\n             any.base ==4.16\n",
     "cabal aeson 2.1.0.0;cabal base 4.16;"},
    {"stack.yaml.lock",
     "packages:\n- completed:\n    hackage: acme-missiles-0.3@sha256:ab,613\n    pantry-tree:\n      size: 1\n",
     "stack acme-missiles 0.3;"},
    {"go.mod",
     "module me\n\ngo 1.22\n\nrequire golang.org/x/net v0.1.0\nrequire (\n\ta/b v1.2.3 // indirect\n\tc/d v1.0.0\n\te/f "
     "v2.0.0+incompatible\n)\nexclude (\n\tx/y v1.0.0\n)\nreplace (\n\tc/d => ./here\n)\nreplace e/f v2.0.0+incompatible "
     "=> g/h v3.0.0\n",
     "go golang.org/x/net 0.1.0;go a/b 1.2.3;go g/h 3.0.0;"},
    {"srv/requirements/base.txt", "six==1.16.0\n", "pip six 1.16.0;"},
    {"requirements-dev.txt", "six==1.16.0\n", "pip six 1.16.0;"},
    {"usr/lib/python3/dist-packages/foo-1.0.egg-info", "Metadata-Version: 1.1\nName: foo\nVersion: 1.0\n", "pip foo 1.0;"},
    {"buildscript-gradle.lockfile", "a:b:1.0=classpath\n", "gradle a:b 1.0;"},
    {"gems.locked", "GEM\n  specs:\n    rack (2.2.3)\n", "bundler rack 2.2.3;"},
    {"package-lock.json", "{\"packages\":", ""},
    {"var/lib/rpm/rpmdb.sqlite", "SQLite format 3", ""},
};

TEST(files_say_which_packages_are_there)
{
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        cleanup_json struct json *packages = json_array();
        const enum scan_kind kind = scan_kind_of(str_of(files[i].path));
        CHECK(kind != SCAN_NONE);
        scan_parse(kind, str_of(files[i].path), str_of(files[i].bytes), packages);
        CHECK_TEXT(said(packages), files[i].want);
    }
}

TEST(other_files_are_left_alone)
{
    static const char *const paths[] = {"app/package.json",
                                        "node_modules/a/lib/package.json",
                                        "var/lib/dpkg/status-old",
                                        "srv/var/lib/dpkg/status",
                                        "x.gemspec",
                                        "METADATA",
                                        "var/lib/dpkg/status.d/a.md5sums",
                                        ""};

    for (size_t i = 0; i < ARRAY_COUNT(paths); i++)
        CHECK_EQ(scan_kind_of(str_of(paths[i])), SCAN_NONE);
}

static const struct {
    const char *bytes, *ecosystem;
} releases[] = {
    {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n", "Debian:12"},
    {"ID=ubuntu\nVERSION_ID=\"22.04\"\n", "Ubuntu:22.04"},
    {"ID=alpine\nVERSION_ID=3.18.4\n", "Alpine:v3.18"},
    {"ID=\"rocky\"\nVERSION_ID=\"9.2\"\n", "Rocky Linux:9"},
    {"ID=wolfi\nVERSION_ID=20230201\n", "Wolfi"},
    {"ID=centos\nVERSION_ID=7\n", "Red Hat:enterprise_linux:7"},
    {"ID=\"sles\"\nVERSION_ID=\"15.5\"\n", "SUSE:Linux Enterprise * 15 SP5*"},
    {"ID=\"sles\"\nVERSION_ID=\"15\"\n", "SUSE:Linux Enterprise * 15"},
    {"ID=amzn\nVERSION_ID=2\n", ""},
    {"ID=debian\n", ""}, /* testing */
    {"", ""},
};

TEST(a_distribution_is_an_ecosystem_with_a_release)
{
    for (size_t i = 0; i < ARRAY_COUNT(releases); i++) {
        cleanup(strbuf_done) struct strbuf ecosystem = {0}, name = {0};
        CHECK_EQ(scan_os_ecosystem(str_of(releases[i].bytes), &ecosystem, &name),
                 releases[i].ecosystem[0] != '\0');
        CHECK_TEXT(strbuf_cstr(&ecosystem), releases[i].ecosystem);
    }
}

/* ---- Go ---- */

static void
go_buildinfo(struct strbuf *out)
{
    const char *modules =
        "0123456789abcdefpath\tx\nmod\tx\t(devel)\t\ndep\tgolang.org/x/net\tv0.1.0\th1:a=\n"
        "dep\told\tv1.0.0\n=>\tnew\tv1.1.0\th1:b=\n0123456789abcdef";

    strbuf_add_cstr(out, GO_BUILDINFO_MAGIC);
    strbuf_add(out, (struct str){"\x08\x02", 2});
    while (out->len < 32)
        strbuf_add_char(out, '\0');
    strbuf_add_char(out, 8);
    strbuf_add_cstr(out, "go1.20.3");
    const size_t len = strlen(modules);
    strbuf_add_char(out, (char)((len & 0x7f) | 0x80));
    strbuf_add_char(out, (char)(len >> 7));
    strbuf_add_cstr(out, modules);
}

TEST(a_go_program_names_its_modules)
{
    cleanup_json struct json *packages = json_array(), *none = json_array();
    cleanup(strbuf_done) struct strbuf info = {0};

    go_buildinfo(&info);
    scan_go_buildinfo(strbuf_str(&info), packages);
    CHECK_TEXT(said(packages), "go stdlib 1.20.3;go golang.org/x/net 0.1.0;go new 1.1.0;");
    for (size_t cut = 0; cut < info.len; cut++)
        scan_go_buildinfo((struct str){info.at, cut}, none);
    CHECK_TEXT(said(none), ""); /* half of it is none of it */
}

/* ---- layers ---- */

struct entry {
    const char *path;
    const char *content; /* NULL: a directory */
    size_t size;         /* 0: of the text */
    int mode;
};

/* A tar of the entries, which end with {0}, compressed if asked for. */
static void
tar_write(struct strbuf *out, const struct entry *entries, bool is_gzip)
{
    struct archive *a = archive_write_new();
    cleanup_free char *buffer = mem_new(8 << 20);
    size_t used = 0;

    if (is_gzip)
        archive_write_add_filter_gzip(a);
    archive_write_set_format_pax_restricted(a);
    CHECK_EQ(archive_write_open_memory(a, buffer, 8 << 20, &used), ARCHIVE_OK);
    for (; entries->path != NULL; entries++) {
        struct archive_entry *e = archive_entry_new();
        const size_t size = entries->size > 0  ? entries->size
                            : entries->content ? strlen(entries->content)
                                               : 0;
        archive_entry_set_pathname(e, entries->path);
        archive_entry_set_filetype(e, entries->content ? AE_IFREG : AE_IFDIR);
        archive_entry_set_perm(e, (mode_t)(entries->mode ? entries->mode : 0644));
        archive_entry_set_size(e, (la_int64_t)size);
        CHECK_EQ(archive_write_header(a, e), ARCHIVE_OK);
        if (size > 0)
            CHECK_EQ(archive_write_data(a, entries->content, size), size);
        archive_entry_free(e);
    }
    CHECK_EQ(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
    strbuf_add(out, (struct str){buffer, used});
}

static bool
layer_add(struct scan_layers *l, const struct entry *entries, bool is_gzip, struct err *err)
{
    cleanup(strbuf_done) struct strbuf tar = {0};
    char path[] = "/tmp/naru-layer-XXXXXX";
    const int fd = mkstemp(path);

    tar_write(&tar, entries, is_gzip);
    CHECK(fd >= 0 && file_write_all(fd, strbuf_str(&tar), err));
    close(fd);
    const bool ok = scan_layers_add(l, path, err);
    unlink(path);
    return ok;
}

#define LAYER(l, ...)                                                                    \
    do {                                                                                 \
        struct err layer_err = {0};                                                      \
        CHECK(layer_add(l, (const struct entry[]){__VA_ARGS__, {0}}, true, &layer_err)); \
        CHECK_TEXT(layer_err.message, "");                                               \
    } while (0)

#define OS "ID=debian\nVERSION_ID=12\nPRETTY_NAME=Bookworm\n"
#define LOCK(name) "{\"packages\":{\"node_modules/" name "\":{\"version\":\"1.0.0\"}}}"

static const char *
left(struct scan_layers *l)
{
    cleanup(scan_found_done) struct scan_found found = {0};

    scan_layers_found(l, &found);
    return said(found.packages);
}

TEST(an_upper_layer_replaces_and_whites_out)
{
    cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new();

    LAYER(l, {"./etc/os-release", OS, 0, 0}, {"a/package-lock.json", LOCK("one"), 0, 0},
          {"b/x/package-lock.json", LOCK("two"), 0, 0},
          {"c/package-lock.json", LOCK("three"), 0, 0},
          {"d/d/package-lock.json", LOCK("four"), 0, 0});
    CHECK(strstr(left(l), "one") && strstr(left(l), "two") && strstr(left(l), "three") &&
          strstr(left(l), "four"));
    LAYER(l, {"a/package-lock.json", LOCK("uno"), 0, 0}, {"b/.wh.x", "", 0, 0},
          {"c/.wh..wh..opq", "", 0, 0}, {"c/n/package-lock.json", LOCK("new"), 0, 0},
          {"d", "now a file", 0, 0});
    CHECK(strstr(left(l), "uno") && strstr(left(l), "new"));
    CHECK(!strstr(left(l), "one") && !strstr(left(l), "two") && !strstr(left(l), "three") &&
          !strstr(left(l), "four"));
    LAYER(l, {"/a/", NULL, 0, 0}, {"c/.wh.n", "", 0, 0}); /* a directory alone takes nothing away */
    CHECK_TEXT(left(l), "npm uno 1.0.0;");
    LAYER(l, {".wh..wh..opq", "", 0, 0});
    LAYER(l, {"../a/.wh.package-lock.json", "", 0, 0}); /* leads out */
    CHECK_TEXT(left(l), "npm uno 1.0.0;");
}

TEST(distribution_programs_and_jars_are_found)
{
    cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new();
    cleanup(scan_found_done) struct scan_found found = {0};
    cleanup(strbuf_done) struct strbuf program = {0};

    strbuf_add_cstr(&program, "\177ELF");
    while (program.len < 65536 - 7) /* the magic lies across two reads */
        strbuf_add_char(&program, 'x');
    cleanup(strbuf_done) struct strbuf info = {0};
    go_buildinfo(&info);
    strbuf_add(&program, strbuf_str(&info));
    LAYER(l, {"usr/lib/os-release", OS, 0, 0},
          {"var/lib/dpkg/status", "Package: a\nVersion: 1\n", 0, 0},
          {"usr/bin/tool", program.at, program.len, 0755}, {"app.jar", "no jar", 0, 0},
          {"var/lib/rpm/Packages.db", "RpmP", 0, 0});
    scan_layers_found(l, &found);
    CHECK(strstr(said(found.packages), "go golang.org/x/net 0.1.0;") &&
          strstr(said(found.packages), "dpkg a 1;"));
    CHECK_TEXT(json_get_cstr(json_find(found.packages, "name", "a"), "ecosystem", ""), "Debian:12");
    CHECK_TEXT(found.os, "Bookworm");
    CHECK_EQ(json_size(found.notes), 2);
    CHECK(!found.has_unknown_os);
}

static void
zip_write(struct strbuf *out, const char *path, struct str content)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    cleanup_free char *buffer = mem_new(1 << 20);
    size_t used = 0;

    archive_write_set_format_zip(a);
    CHECK_EQ(archive_write_open_memory(a, buffer, 1 << 20, &used), ARCHIVE_OK);
    archive_entry_set_pathname(e, path);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_size(e, (la_int64_t)content.len);
    CHECK_EQ(archive_write_header(a, e), ARCHIVE_OK);
    CHECK_EQ(archive_write_data(a, content.at, content.len), content.len);
    CHECK_EQ(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
    strbuf_add(out, (struct str){buffer, used});
}

TEST(a_jar_in_a_jar_is_opened_but_not_for_ever)
{
    struct strbuf jars[5] = {{0}};

    zip_write(&jars[0], "META-INF/maven/g/a/pom.properties",
              STR("groupId=g\nartifactId=a\nversion=1\n"));
    for (int i = 1; i < 5; i++)
        zip_write(&jars[i], "BOOT-INF/lib/inner.jar", strbuf_str(&jars[i - 1]));
    for (int i = 0; i < 5; i++) {
        cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new();
        cleanup(scan_found_done) struct scan_found found = {0};
        LAYER(l, {"app.jar", jars[i].at, jars[i].len, 0});
        scan_layers_found(l, &found);
        CHECK_TEXT(said(found.packages), i < 3 ? "maven g:a 1;" : "");
        CHECK_EQ(json_size(found.notes), i < 3 ? 0 : 1);
    }
    for (int i = 0; i < 5; i++)
        strbuf_done(&jars[i]);
}

TEST(a_layer_that_is_none_or_would_unpack_for_ever_is_refused)
{
    cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new();
    cleanup(strbuf_done) struct strbuf tar = {0};
    struct err err = {0};
    char path[] = "/tmp/naru-layer-XXXXXX";
    const int fd = mkstemp(path);

    CHECK(fd >= 0 &&
          file_write_all(fd, STR("this is no tar, whatever it is called; not at all"), &err));
    CHECK(!scan_layers_add(l, path, &err));
    /* An entry that says it had four terabytes, in a header whose checksum is right. */
    tar_write(&tar, (const struct entry[]){{"big", "x", 0, 0}, {0}}, false);
    memcpy(tar.at + 124, "\x80\0\0\0\0\0\x04\0\0\0\0\0", 12);
    memset(tar.at + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)tar.at[i];
    snprintf(tar.at + 148, 8, "%06o", sum);
    CHECK(file_write_atomic(path, strbuf_str(&tar), 0600, &err));
    CHECK(!scan_layers_add(l, path, &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    close(fd);
    unlink(path);
}

/* A few kilobytes of gzip are files without end: what is kept of them has limits of its own. */
TEST(files_that_would_fill_the_memory_are_refused)
{
    cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new(), *m = scan_layers_new();
    cleanup(strbuf_done) struct strbuf many = {0};
    struct entry entries[41] = {{0}};
    struct err err = {0};

    for (int i = 0; i < SCAN_PACKAGES_MAX; i++)
        strbuf_add_cstr(&many, "a==1\n");
    CHECK(!layer_add(l,
                     (const struct entry[]){{"a/requirements.txt", many.at, many.len, 0},
                                            {"b/requirements.txt", many.at, many.len, 0},
                                            {0}},
                     true, &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    err = (struct err){0};
    for (int i = 0; i < 40; i++) { /* each of 2,000 directories of its own */
        struct strbuf path = {0};
        strbuf_addf(&path, "%d", i);
        while (path.len < 4000)
            strbuf_add_cstr(&path, "/a");
        strbuf_add_cstr(&path, "/requirements.txt");
        entries[i] = (struct entry){strbuf_take(&path), "a==1\n", 0, 0};
    }
    CHECK(!layer_add(m, entries, true, &err));
    CHECK_EQ(err.code, ERR_LIMIT_EXCEEDED);
    for (int i = 0; i < 40; i++)
        free((char *)(uintptr_t)entries[i].path);
}

/* Is told to end when it is asked for the nth time. */
static bool
ends_soon(void *arg)
{
    int *left = arg;
    return --*left < 0;
}

/* A large entry is many blocks, and it is passed over in one call to the archive's reader. */
TEST(a_scan_is_given_up_in_the_middle_of_an_entry)
{
    cleanup(scan_layers_free_) struct scan_layers *l = scan_layers_new();
    cleanup_free char *noise = mem_new(4 << 20);
    struct err err = {0};
    int left = 10;

    random_bytes(noise, 4 << 20); /* nothing that gzip could make shorter */
    scan_layers_set_cancelled(l, ends_soon, &left);
    CHECK(!layer_add(l, (const struct entry[]){{"big", noise, 4 << 20, 0}, {0}}, true, &err));
    CHECK_EQ(err.code, ERR_TIMEOUT);
    CHECK(left > -10); /* and not at the end of it */
}

/* ---- from push to findings ---- */

/* An image with one layer of these files. */
static void
image_push(struct world *w, const char *config_type, const struct entry *entries)
{
    cleanup(strbuf_done) struct strbuf tar = {0};
    char layer[REGISTRY_DIGEST_SIZE], config[REGISTRY_DIGEST_SIZE];
    struct err err = {0};

    tar_write(&tar, entries, true);
    CHECK(put_blob(w->reg, "my-app", strbuf_str(&tar), layer));
    CHECK(put_blob(w->reg, "my-app", STR("{}"), config));
    cleanup_free char *manifest =
        text_format("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
                    "\"size\":2},\"layers\":["
                    "{\"mediaType\":\"application/"
                    "vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%zu}]}",
                    config_type, config, layer, tar.len);
    const struct registry_put put = {
        .manifest = str_of(manifest), .media_type = STR(OCI_MANIFEST), .tag = "v1"};
    CHECK(registry_manifest_put(w->reg, REGION, "my-app", &put, w->digest, &err));
    CHECK_TEXT(err.message, "");
}

static const struct entry debian_image[] = {
    {"etc/os-release", OS, 0, 0},
    {"var/lib/dpkg/status",
     "Package: libcurl4\nStatus: install ok installed\nSource: curl\nVersion: 7.88.1-10\n", 0, 0},
    {"app/package-lock.json", LOCK("left-pad"), 0, 0},
    {0}};

/* Waits until the scan is over. */
static struct json *
scan_end(struct world *w)
{
    struct json *scan = NULL;
    struct err err = {0};
    const int64_t end_ms = clock_monotonic_ms() + 24000 * CHECK_PATIENCE;

    for (;;) {
        CHECK(registry_scan_get(w->reg, REGION, "my-app", w->digest, &scan, &err));
        if (strcmp(json_get_cstr(scan, "status", ""), "IN_PROGRESS") != 0)
            return scan;
        json_unref(scan);
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
}

static void
database_import(struct world *w, const char *text)
{
    cleanup(osv_close_) struct osv *osv = NULL;
    cleanup_free char *path = text_format("%s/osv.db", w->dir),
                      *record = text_format("%s/record.json", w->dir);
    struct osv_import count;
    struct err err = {0};

    CHECK(file_write_atomic(record, str_of(text), 0600, &err));
    CHECK(osv_open(path, true, &osv, &err) && osv_import(osv, record, false, &count, &err));
}

#define CURL                                                                                   \
    "{\"id\":\"DEBIAN-CVE-2024-1\",\"modified\":\"2024-05-01T00:00:00Z\",\"upstream\":[\"CVE-" \
    "2024-1\"],"                                                                               \
    "\"summary\":\"curl "                                                                      \
    "overflows\",\"severity\":[{\"type\":\"CVSS_V3\",\"score\":\"CVSS:3.1/AV:N/AC:L/PR:N/"     \
    "UI:N/S:U/C:H/I:H/A:H\"}],\"references\":[{\"type\":\"ADVISORY\",\"url\":\"https://"       \
    "example.com/1\"}],"                                                                       \
    "\"affected\":[{\"package\":{\"ecosystem\":\"Debian:12\",\"name\":\"curl\"},\"ranges\":[{" \
    "\"type\":"                                                                                \
    "\"ECOSYSTEM\",\"events\":[{\"introduced\":\"0\"},{\"fixed\":\"7.88.1-11\"}]}]}]}"

TEST(a_judge_is_given_up_between_packages)
{
    REGISTRY(w);
    cleanup(osv_close_) struct osv *osv = NULL;
    cleanup_json struct json *document = json_object(), *packages = json_array();
    const struct scan_found found = {.packages = packages};
    cleanup_free char *path = text_format("%s/osv.db", w.dir);
    struct err err = {0};
    int left = 3;

    CHECK(osv_open(path, true, &osv, &err));
    database_import(&w, CURL);
    for (int i = 0; i < 100; i++)
        package_add(packages, "dpkg", "Debian:12", STR("curl"), STR("7.88.1-10"));
    CHECK(!scan_judge(osv, &found, ends_soon, &left, document, &err));
    CHECK_EQ(err.code, ERR_TIMEOUT);
    CHECK_EQ(left, -1);
    CHECK(json_get(document, "status") == NULL);
}

TEST(without_a_database_a_scan_fails_and_says_so)
{
    REGISTRY(w);
    struct err err = {0};

    image_push(&w, OCI_CONFIG, debian_image);
    CHECK(!registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    CHECK_EQ(err.code, ERR_UNAVAILABLE); /* nobody scans in this process yet */
    registry_start_scanning(w.reg, w.dir);
    CHECK(!registry_scan_get(w.reg, REGION, "my-app", w.digest, &(struct json *){NULL}, &err));
    CHECK_EQ(err.code, ERR_SCAN_NOT_FOUND);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    cleanup_json struct json *scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "FAILED");
    CHECK(strncmp(json_get_cstr(scan, "description", ""), "no vulnerability database: ", 27) == 0);
    CHECK(json_get(scan, "findings") == NULL);
}

TEST(findings_are_told_with_what_mends_them)
{
    REGISTRY(w);
    struct err err = {0};

    database_import(&w, CURL);
    image_push(&w, OCI_CONFIG, debian_image);
    registry_start_scanning(w.reg, w.dir);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    cleanup_json struct json *scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "COMPLETE");
    CHECK(strstr(json_get_cstr(scan, "description", ""),
                 "Not judged, for want of a vulnerability database: npm (1 package)"));
    CHECK_EQ(json_get_i64(json_get(scan, "counts"), "CRITICAL", 0), 1);
    CHECK_EQ(json_size(json_get(scan, "findings")), 1);
    cleanup_free char *finding = json_format(json_at(json_get(scan, "findings"), 0));
    CHECK_TEXT(finding, "{\"name\":\"CVE-2024-1\",\"description\":\"curl "
                        "overflows\",\"uri\":\"https://example.com/1\",\"severity\":"
                        "\"CRITICAL\",\"attributes\":[{\"key\":\"package_name\",\"value\":"
                        "\"libcurl4\"},{\"key\":\"package_version\","
                        "\"value\":\"7.88.1-10\"},{\"key\":\"package_manager\",\"value\":\"dpkg\"},"
                        "{\"key\":\"fixed_version\",\"value\":"
                        "\"7.88.1-11\"},{\"key\":\"CVSS3_VECTOR\",\"value\":\"CVSS:3.1/AV:N/AC:L/"
                        "PR:N/UI:N/S:U/C:H/I:H/A:H\"},"
                        "{\"key\":\"CVSS3_SCORE\",\"value\":\"9.8\"}]}");
}

TEST(a_database_about_other_packages_is_none)
{
    REGISTRY(w);
    struct err err = {0};

    database_import(&w, "{\"id\":\"X\",\"modified\":\"2024-05-01T00:00:00Z\",\"affected\":[{"
                        "\"package\":{\"ecosystem\":"
                        "\"PyPI\",\"name\":\"x\"},\"versions\":[\"1\"]}]}");
    image_push(&w, OCI_CONFIG, debian_image);
    registry_start_scanning(w.reg, w.dir);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    cleanup_json struct json *scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "FAILED");
    CHECK(strstr(json_get_cstr(scan, "description", ""), "Debian:12 (1 package)") != NULL);
    image_push(&w, OCI_CONFIG, (const struct entry[]){{"hello", "world", 0, 0}, {0}});
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    cleanup_json struct json *nothing = scan_end(&w);
    CHECK_TEXT(json_get_cstr(nothing, "status", ""), "FAILED");
    CHECK(strstr(json_get_cstr(nothing, "description", ""), "UnsupportedImageError") != NULL);
}

#define MANY (2 * SCAN_FINDINGS_MAX + 1) /* then the worst are chosen twice */

/* All are counted, the worst are kept. */
TEST(more_findings_than_are_kept)
{
    REGISTRY(w);
    cleanup(strbuf_done) struct strbuf many = {0};
    struct err err = {0};

    database_import(&w, CURL);
    database_import(&w, "{\"id\":\"PYSEC-1\",\"modified\":\"2024-05-01T00:00:00Z\",\"affected\":[{"
                        "\"package\":{\"ecosystem\":"
                        "\"PyPI\",\"name\":\"a\"},\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":[{"
                        "\"introduced\":\"0\"}]}]}]}");
    for (int i = 0; i < MANY; i++)
        strbuf_addf(&many, "a==%d\n", i);
    image_push(
        &w, OCI_CONFIG,
        (const struct entry[]){
            debian_image[0], debian_image[1], {"requirements.txt", many.at, many.len, 0}, {0}});
    registry_start_scanning(w.reg, w.dir);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    cleanup_json struct json *scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "COMPLETE");
    CHECK_EQ(json_get_i64(json_get(scan, "counts"), "CRITICAL", 0), 1);
    CHECK_EQ(json_get_i64(json_get(scan, "counts"), "UNDEFINED", 0), MANY);
    CHECK_EQ(json_size(json_get(scan, "findings")), SCAN_FINDINGS_MAX);
    CHECK_TEXT(json_get_cstr(json_at(json_get(scan, "findings"), 0), "name", ""), "CVE-2024-1");
    CHECK(strstr(json_get_cstr(scan, "description", ""),
                 "Only the 10000 worst findings are kept.") != NULL);
}

static bool
scan_on_push(void *arg, struct json *document, struct err *err)
{
    (void)arg, (void)err;
    json_set(document, "scanOnPush", json_bool(true));
    return true;
}

TEST(a_push_is_scanned_where_that_is_wanted_and_an_artifact_never)
{
    REGISTRY(w);
    struct err err = {0};
    cleanup_json struct json *scan = NULL;

    database_import(&w, CURL);
    registry_start_scanning(w.reg, w.dir);
    CHECK(registry_repository_change(w.reg, REGION, "my-app", scan_on_push, NULL, &err));
    image_push(&w, OCI_CONFIG, debian_image);
    scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "COMPLETE");
    image_push(&w, "application/vnd.example.chart", debian_image);
    CHECK(!registry_scan_get(w.reg, REGION, "my-app", w.digest, &(struct json *){NULL}, &err));
    CHECK(!registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    CHECK_EQ(err.code, ERR_UNSUPPORTED_IMAGE_TYPE);
}

TEST(a_scan_that_was_asked_for_outlives_the_process)
{
    REGISTRY(w);
    struct err err = {0};

    image_push(&w, OCI_CONFIG, debian_image);
    cleanup_free char *dir = text_format("%s/registry/" REGION "/my-app/_scans", w.dir);
    cleanup_free char *path = text_format("%s/%s", dir, w.digest + 7);
    CHECK(file_make_dirs(dir, 0750, &err) &&
          file_write_atomic(path, STR("{\"status\":\"PENDING\"}"), 0640, &err));
    registry_close(w.reg);
    database_import(&w, CURL);
    registry_up(&w);
    registry_start_scanning(w.reg, w.dir);
    cleanup_json struct json *scan = scan_end(&w);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "COMPLETE");
}

static void
wait_for_complete(struct world *w)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    cleanup_json struct json *scan = NULL;
    struct err err = {0};

    while (strcmp(json_get_cstr(scan, "status", ""), "COMPLETE") != 0) {
        CHECK(clock_monotonic_ms() < end_ms);
        json_unref(TAKE(scan));
        clock_sleep_ms(5);
        CHECK(registry_scan_get(w->reg, REGION, "my-app", w->digest, &scan, &err));
    }
}

struct held { /* a scanner that has begun to read a pipe, and two images that were asked for meanwhile */
    char digests[2][REGISTRY_DIGEST_SIZE];
    char *pipe;
    int writer;
};

/* Until somebody writes into the pipe, the start reads what was asked for before; so there is room for one only. */
static struct held
scanner_hold(struct world *w)
{
    static const char *const types[] = {OCI_CONFIG, "application/vnd.docker.container.image.v1+json"};
    struct held held = {0};
    struct err err = {0};

    database_import(w, CURL);
    image_push(w, OCI_CONFIG, (const struct entry[]){{"hello", "world", 0, 0}, {0}});
    cleanup_free char *folder = repository_path(w->reg, REGION, "my-app", "_scans");
    held.pipe = text_format("%s/%s", folder, w->digest + 7);
    CHECK(mkdir(folder, 0750) == 0 && mkfifo(held.pipe, 0600) == 0);
    w->reg->scan_limit = 1;
    registry_start_scanning(w->reg, w->dir);
    held.writer = open(held.pipe, O_WRONLY | O_CLOEXEC); /* it has begun to read */
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        image_push(w, types[i], debian_image);
        text_copy_all(held.digests[i], sizeof held.digests[i], w->digest);
        CHECK(registry_scan_request(w->reg, REGION, "my-app", w->digest, &err));
    }
    return held;
}

static void
scanner_release(struct held *held)
{
    CHECK(unlink(held->pipe) == 0 && close(held->writer) == 0);
    free(held->pipe);
}

static void
both_complete(struct world *w, const struct held *held)
{
    for (size_t i = 0; i < ARRAY_COUNT(held->digests); i++) {
        text_copy_all(w->digest, sizeof w->digest, held->digests[i]);
        wait_for_complete(w);
    }
}

TEST(what_a_full_queue_has_no_room_for_is_scanned_when_it_has)
{
    REGISTRY(w);
    struct held held = scanner_hold(&w);

    scanner_release(&held);
    both_complete(&w, &held);
}

/* What cannot be kept would be found on disk again, and scanned again, for as long as the disk is full. */
TEST(a_full_disk_has_nothing_scanned_again_and_again)
{
    REGISTRY(w);
    struct held held = scanner_hold(&w);
    struct err err = {0};

    CHECK(rmdir(w.reg->uploads_dir) == 0); /* nothing can be stored */
    const struct log_catch log = log_catch_begin();
    scanner_release(&held);
    clock_sleep_ms(200);
    CHECK(mkdir(w.reg->uploads_dir, 0750) == 0);
    cleanup_free char *said = log_catch_end(&log);
    const char *first = strstr(said, "registry.scan_not_kept");
    CHECK(first == NULL || strstr(first + 1, "registry.scan_not_kept") == NULL);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", held.digests[0], &err));
    both_complete(&w, &held);
}

static void
scan_damage(struct world *w, const char *path)
{
    struct err err = {0};

    CHECK(file_write_atomic(path, STR("{\"status\":"), 0640, &err));
    cleanup_json struct json *scan = NULL;
    const struct log_catch log = log_catch_begin();
    CHECK(registry_scan_get(w->reg, REGION, "my-app", w->digest, &scan, &err));
    cleanup_free char *said = log_catch_end(&log);
    CHECK_TEXT(json_get_cstr(scan, "status", ""), "FAILED");
    CHECK(strstr(json_get_cstr(scan, "description", ""), "cannot be read") != NULL);
    CHECK(strstr(said, path) != NULL);
}

/* It is not one that never was. */
TEST(a_scan_whose_result_is_damaged_has_failed_until_it_is_made_again)
{
    REGISTRY(w);
    struct err err = {0};

    database_import(&w, CURL);
    image_push(&w, OCI_CONFIG, debian_image);
    registry_start_scanning(w.reg, w.dir);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    json_unref(scan_end(&w));
    cleanup_free char *path = text_format("%s/registry/" REGION "/my-app/_scans/%s", w.dir, w.digest + 7);
    scan_damage(&w, path);
    CHECK(registry_scan_request(w.reg, REGION, "my-app", w.digest, &err));
    wait_for_complete(&w);
    /* A start makes it again, as it may have been under way. */
    scan_damage(&w, path);
    registry_close(w.reg);
    registry_up(&w);
    registry_start_scanning(w.reg, w.dir);
    wait_for_complete(&w);
}

TEST(filters_take_names_with_and_without_stars)
{
    CHECK(scan_filter_takes("*", "a/b") && scan_filter_takes("prod-*", "prod-x") &&
          !scan_filter_takes("prod-*", "x-prod-x"));
    CHECK(scan_filter_takes("my", "not-my-app") && !scan_filter_takes("my*", "not-my-app"));
    CHECK(scan_filter_takes("a*b*c", "a1b2b3c") && !scan_filter_takes("a*b*c", "a1b2b3"));
}

TEST(a_push_is_not_silently_left_unscanned_where_the_settings_cannot_be_read)
{
    REGISTRY(w);
    cleanup_free char *settings = text_format("%s/registry/" REGION "/_registry.json", w.dir);
    struct err err = {0};

    registry_start_scanning(w.reg, w.dir);
    CHECK(file_write_atomic(settings, STR("{"), 0640, &err));
    const struct log_catch log = log_catch_begin();
    CHECK(put_image(w.reg, "my-app", "v1", "one", w.digest));
    cleanup_free char *said = log_catch_end(&log);
    CHECK(strstr(said, settings) != NULL);
}
