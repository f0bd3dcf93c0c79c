/* SPDX-License-Identifier: MIT */
/* elbv2_transform.c - transforms of rules: checked, and written out as AWS shows them. */
#include "api/elbv2.h"

#include <ctype.h>
#include "model/pattern.h"

#define TEXT_LENGTH 1024

struct transform_kind {
    const char *type, *config;
    bool ignores_case;
};

static const struct transform_kind kinds[] = {
    {"host-header-rewrite", "HostHeaderRewriteConfig", true},
    {"url-rewrite", "UrlRewriteConfig", false},
};

static bool
check_text(const char *what, const char *text, struct err *err)
{
    if (strlen(text) > TEXT_LENGTH)
        return err_set(err, ERR_ELB_VALIDATION, "%s of a transform is too long; the limit is '%d'", what, TEXT_LENGTH);
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
            return err_set(err, ERR_ELB_VALIDATION, "%s of a transform contains a character that is not valid", what);
    return true;
}

static bool
check_regex(const struct transform_kind *kind, const char *regex, int *groups_out, struct err *err)
{
    const struct pattern_dialect plain = {.begin = "", .end = "", .has_captures = true};
    cleanup(strbuf_done) struct strbuf translated = {0};
    struct err why;
    int longest;

    if (regex[0] == '\0')
        return err_set(err, ERR_ELB_VALIDATION, "Regex of a transform must be specified");
    if (!check_text("Regex", regex, err))
        return false;
    if (!pattern_longest(str_of(regex), kind->ignores_case, &longest, &why) ||
        !pattern_translate_search(str_of(regex), &plain, &translated, groups_out, &why))
        return err_set(err, ERR_ELB_VALIDATION, "Regex of a transform is not valid: %s", why.message);
    return *groups_out <= TRANSFORM_GROUPS ||
           err_set(err, ERR_ELB_VALIDATION, "Regex of a transform can have '%d' capture groups in naru; use (?:...) for "
                                            "the others", TRANSFORM_GROUPS);
}

static bool
check_replace(const char *replace, int groups, struct err *err)
{
    if (!check_text("Replace", replace, err))
        return false;
    if (strchr(replace, ' ') != NULL)
        return err_set(err, ERR_ELB_VALIDATION, "Replace of a transform contains a character that is not valid");
    for (const char *p = strchr(replace, '$'); p != NULL; p = strchr(p + 1, '$')) {
        if (p[1] < '1' || p[1] > '9' || isdigit((unsigned char)p[2]))
            return err_set(err, ERR_ELB_VALIDATION, "A '$' in Replace of a transform must be followed by a digit from 1 to 9");
        if (p[1] - '0' > groups)
            return err_set(err, ERR_ELB_VALIDATION, "Replace of a transform names the capture group '$%c', which its Regex "
                                                    "does not have", p[1]);
    }
    return true;
}

static const struct transform_kind *
find_kind(const char *type)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0)
            return &kinds[i];
    return NULL;
}

static bool
check_transform(const struct json *transform, const struct transform_kind *kind, struct err *err)
{
    const struct json *rewrites = json_get(json_get(transform, kind->config), "Rewrites");
    const struct json *rewrite = json_at(rewrites, 0);
    int groups = 0;

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (&kinds[i] != kind && json_get(transform, kinds[i].config) != NULL)
            return err_set(err, ERR_ELB_VALIDATION, "%s does not belong to a transform of the type '%s'", kinds[i].config,
                           kind->type);
    if (json_size(rewrites) != 1)
        return err_set(err, ERR_ELB_VALIDATION, "A transform of the type '%s' must have exactly one rewrite in %s",
                       kind->type, kind->config);
    return check_regex(kind, json_get_cstr(rewrite, "Regex", ""), &groups, err) &&
           check_replace(json_get_cstr(rewrite, "Replace", ""), groups, err);
}

struct json *
elb_accept_transforms(const struct json *transforms, struct err *err)
{
    bool has[ARRAY_COUNT(kinds)] = {false};

    for (size_t i = 0; i < json_size(transforms); i++) {
        const struct json *transform = json_at(transforms, i);
        const char *type = json_get_cstr(transform, "Type", "");
        const struct transform_kind *kind = find_kind(type);

        if (kind == NULL) {
            err_set(err, ERR_ELB_VALIDATION, "Transform type '%.100s' must be one of '[host-header-rewrite, url-rewrite]'",
                    type);
            return NULL;
        }
        if (has[kind - kinds]) {
            err_set(err, ERR_ELB_VALIDATION, "A rule can only have one '%s' transform", type);
            return NULL;
        }
        has[kind - kinds] = true;
        if (!check_transform(transform, kind, err))
            return NULL;
    }
    return json_copy(transforms);
}
