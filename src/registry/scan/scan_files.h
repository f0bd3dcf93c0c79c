/* SPDX-License-Identifier: MIT */
/* scan_files.h - what a file of an image says about the packages in it. Pure: a path and bytes in,
 * packages out; all of it comes from outside, and what cannot be read says nothing.
 *
 * A package is {"manager", "ecosystem", "name", "version"}, and of a distribution's also "source"
 * and "sourceVersion" (what its advisories name). The ecosystem of a distribution's package is ""
 * until the image's os-release is known: scan_os_ecosystem(). */
#pragma once
#include "base/json.h"
#include "base/str.h"

enum scan_kind {
    SCAN_NONE,
    SCAN_OS_RELEASE,
    SCAN_DPKG,         /* var/lib/dpkg/status and status.d/ */
    SCAN_APK,          /* lib/apk/db/installed */
    SCAN_RPM,          /* rpmdb.sqlite */
    SCAN_RPM_BDB,      /* Packages, of Berkeley DB */
    SCAN_PACKAGE_LOCK, /* package-lock.json, npm-shrinkwrap.json */
    SCAN_NODE_MODULE,  /* node_modules/<name>/package.json */
    SCAN_YARN_LOCK,
    SCAN_REQUIREMENTS,    /* requirements.txt, pinned lines only */
    SCAN_PYTHON_METADATA, /* *.dist-info/METADATA, *.egg-info/PKG-INFO */
    SCAN_PIPFILE_LOCK,
    SCAN_POETRY_LOCK,
    SCAN_CARGO_LOCK,
    SCAN_GO_SUM,
    SCAN_GO_BINARY, /* told by its content, not by its path */
    SCAN_GEMFILE_LOCK,
    SCAN_GEMSPEC,  /* specifications/<name>-<version>.gemspec: the path says it */
    SCAN_COMPOSER, /* composer.lock, vendor/composer/installed.json */
    SCAN_JAR,      /* an archive; its pom.properties are what is read */
    SCAN_POM_PROPERTIES,
    SCAN_RPM_NDB, /* Packages.db */
    SCAN_PNPM_LOCK,
    SCAN_UV_LOCK, /* and pdm.lock, pylock.toml */
    SCAN_GRADLE_LOCK,
    SCAN_NUGET_LOCK, /* packages.lock.json */
    SCAN_DEPS_JSON,  /* *.deps.json */
    SCAN_BUN_LOCK,
    SCAN_DENO_LOCK,
    SCAN_MIX_LOCK,
    SCAN_REBAR_LOCK,
    SCAN_PUB_LOCK,      /* pubspec.lock */
    SCAN_CONAN_LOCK,
    SCAN_SWIFT_LOCK,    /* Package.resolved */
    SCAN_RENV_LOCK,
    SCAN_CABAL_FREEZE,  /* cabal.project.freeze */
    SCAN_STACK_LOCK,    /* stack.yaml.lock */
    SCAN_GO_MOD,
};
#define SCAN_KIND_COUNT (SCAN_GO_MOD + 1)

#define SCAN_PACKAGES_MAX 200000 /* of one image; more are not looked at */
#define SCAN_TEXT_MAX 512        /* bytes of a name or version; longer ones are none */

/* `path` has no '/' in front. */
enum scan_kind scan_kind_of(struct str path);
size_t scan_kind_limit(enum scan_kind kind); /* bytes of such a file that is read */
/* Appends to the array `packages`. Not for SCAN_JAR, SCAN_OS_RELEASE. False: an rpm database that
 * is damaged, or of a form that is not read: there may be more than what was appended. */
bool scan_parse(enum scan_kind kind, struct str path, struct str bytes, struct json *packages);
/* "Debian:12" of an os-release; false: OSV has nothing about that distribution. `name_out` (may be
 * empty) is its PRETTY_NAME, or ID. */
bool scan_os_ecosystem(struct str os_release, struct strbuf *ecosystem_out,
                       struct strbuf *name_out);

#define GO_BUILDINFO_MAGIC "\xff Go buildinf:"
#define GO_BUILDINFO_MAX (4 << 20)

/* ---- for the files of parsers ---- */
void package_add(struct json *packages, const char *manager, const char *ecosystem, struct str name,
                 struct str version);
/* The next line without its end; false when there is none. */
bool line_cut(struct str *rest, struct str *line_out);
/* The value of a line "<key><separator> value", without quotes; false for other lines. */
bool value_of(struct str line, const char *key, char separator, struct str *out);
void scan_dpkg(struct str bytes, struct json *packages);
void scan_apk(struct str bytes, struct json *packages);
void scan_go_buildinfo(struct str from_magic, struct json *packages); /* scan_go.c */
void scan_go_sum(struct str bytes, struct json *packages);
void scan_go_mod(struct str bytes, struct json *packages);
void scan_pnpm_lock(struct str bytes, struct json *packages); /* scan_locks.c */
void scan_gradle_lock(struct str bytes, struct json *packages);
void scan_nuget_lock(struct str bytes, struct json *packages);
void scan_deps_json(struct str bytes, struct json *packages);
void scan_bun_lock(struct str bytes, struct json *packages); /* scan_locks_other.c */
void scan_deno_lock(struct str bytes, struct json *packages);
void scan_mix_lock(struct str bytes, struct json *packages);
void scan_rebar_lock(struct str bytes, struct json *packages);
void scan_pub_lock(struct str bytes, struct json *packages);
void scan_conan_lock(struct str bytes, struct json *packages);
void scan_swift_lock(struct str bytes, struct json *packages);
void scan_renv_lock(struct str bytes, struct json *packages);
void scan_cabal_freeze(struct str bytes, struct json *packages);
void scan_stack_lock(struct str bytes, struct json *packages);
