/* SPDX-License-Identifier: MIT */
/* scan_os.c - which distribution it is, and the lists of dpkg and apk. */
#include <stdio.h>

#include "registry/scan/scan_files.h"

/* A distribution's package: advisories name its source. */
static void
os_package_add(struct json *packages, const char *manager, struct str name, struct str version,
               struct str source, struct str source_version)
{
    const size_t count = json_size(packages);

    package_add(packages, manager, "", name, version);
    if (json_size(packages) == count)
        return;
    struct json *package = json_at(packages, count);
    json_set(package, "source", json_str(source.len > 0 ? source : name));
    json_set(package, "sourceVersion", json_str(source_version.len > 0 ? source_version : version));
}

/* ---- dpkg: "Field: value" lines, a blank one between packages ---- */

struct stanza {
    struct str name, version, source, status;
};

static void
stanza_end(struct stanza *s, struct json *packages)
{
    /* "Source: name (version)" where the version is another one. */
    const ptrdiff_t open = str_index(s->source, '(');
    struct str source = s->source, source_version = {0};

    if (open >= 0) {
        source = str_trim(str_slice(s->source, 0, (size_t)open));
        source_version = str_slice(s->source, (size_t)open + 1, s->source.len);
        const ptrdiff_t close = str_index(source_version, ')');
        source_version = str_slice(source_version, 0, close >= 0 ? (size_t)close : 0);
    }
    /* Files of status.d say nothing about a status: what is there is installed. */
    if (s->status.len == 0 || str_ends(s->status, STR(" installed")))
        os_package_add(packages, "dpkg", s->name, s->version, source, source_version);
    *s = (struct stanza){0};
}

void
scan_dpkg(struct str bytes, struct json *packages)
{
    struct stanza s = {0};
    struct str line;

    while (line_cut(&bytes, &line)) {
        const ptrdiff_t colon = str_index(line, ':');
        if (line.len == 0)
            stanza_end(&s, packages);
        if (colon < 0 || line.at[0] == ' ')
            continue;
        const struct str field = str_slice(line, 0, (size_t)colon);
        const struct str value = str_trim(str_slice(line, (size_t)colon + 1, line.len));
        if (str_is(field, "Package"))
            s.name = value;
        else if (str_is(field, "Version"))
            s.version = value;
        else if (str_is(field, "Source"))
            s.source = value;
        else if (str_is(field, "Status"))
            s.status = value;
    }
    stanza_end(&s, packages);
}

/* ---- apk: "P:name", "V:version", "o:origin" ---- */

void
scan_apk(struct str bytes, struct json *packages)
{
    struct str line, name = {0}, version = {0}, origin = {0};
    bool goes_on = true;

    while (goes_on) {
        goes_on = line_cut(&bytes, &line);
        if (!goes_on || line.len == 0) {
            os_package_add(packages, "apk", name, version, origin, (struct str){0});
            name = version = origin = (struct str){0};
        } else if (line.len > 2 && line.at[1] == ':') {
            const struct str value = str_slice(line, 2, line.len);
            if (line.at[0] == 'P')
                name = value;
            else if (line.at[0] == 'V')
                version = value;
            else if (line.at[0] == 'o')
                origin = value;
        }
    }
}

/* ---- os-release ---- */

static struct str
os_value(struct str text, const char *key)
{
    struct str line;

    while (line_cut(&text, &line)) {
        const ptrdiff_t equals = str_index(line, '=');
        if (equals < 0 || !str_is(str_slice(line, 0, (size_t)equals), key))
            continue;
        struct str value = str_trim(str_slice(line, (size_t)equals + 1, line.len));
        if (value.len >= 2 && (value.at[0] == '"' || value.at[0] == '\'') &&
            value.at[value.len - 1] == value.at[0])
            value = str_slice(value, 1, value.len - 1);
        return value.len <= 128 ? value : (struct str){0};
    }
    return (struct str){0};
}

/* "3.18.4" with `parts` 2 is "3.18". */
static struct str
version_parts(struct str version, int parts)
{
    for (size_t i = 0; i < version.len; i++)
        if (version.at[i] == '.' && --parts == 0)
            return str_slice(version, 0, i);
    return version;
}

/* OSV names SUSE's products one by one, and their modules ("SUSE:Linux Enterprise Module for
 * Basesystem 15 SP5"): an image has packages of several, so all of the release are asked. */
static void
suse_ecosystem(struct str version, struct strbuf *out)
{
    const struct str release = version_parts(version, 1),
                     pack = str_slice(version, release.len + 1, version.len);

    strbuf_addf(out, "SUSE:Linux Enterprise * " STR_FMT, STR_ARG(release));
    if (pack.len > 0)
        strbuf_addf(out, " SP" STR_FMT "*", STR_ARG(pack));
}

bool
scan_os_ecosystem(struct str os_release, struct strbuf *ecosystem_out, struct strbuf *name_out)
{
    static const struct {
        const char *id, *ecosystem;
        int parts; /* of the version: 0: none is named */
    } rows[] = {
        {"debian", "Debian:", 1},
        {"ubuntu", "Ubuntu:", 2},
        {"alpine", "Alpine:v", 2},
        {"rocky", "Rocky Linux:", 1},
        {"almalinux", "AlmaLinux:", 1},
        {"rhel", "Red Hat:enterprise_linux:", 1},
        {"centos", "Red Hat:enterprise_linux:", 1}, /* rebuilt from the same packages */
        {"opensuse-leap", "openSUSE:Leap ", 2},
        {"opensuse-tumbleweed", "openSUSE:Tumbleweed", 0},
        {"mageia", "Mageia:", 1},
        {"azurelinux", "Azure Linux:", 1},
        {"wolfi", "Wolfi", 0},
        {"chainguard", "Chainguard", 0},
    };
    const struct str id = os_value(os_release, "ID"), version = os_value(os_release, "VERSION_ID"),
                     pretty = os_value(os_release, "PRETTY_NAME");

    strbuf_add(name_out, pretty.len > 0 ? pretty : id);
    if (str_is(id, "sles") && version.len > 0) {
        suse_ecosystem(version, ecosystem_out);
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!str_is(id, rows[i].id) || (rows[i].parts > 0 && version.len == 0))
            continue;
        strbuf_add_cstr(ecosystem_out, rows[i].ecosystem);
        if (rows[i].parts > 0)
            strbuf_add(ecosystem_out, version_parts(version, rows[i].parts));
        return true;
    }
    return false;
}
