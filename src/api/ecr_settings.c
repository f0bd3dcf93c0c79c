/* SPDX-License-Identifier: MIT */
/* ecr_settings.c - what a repository is created with: checked, written into its document, told. */
#include "api/ecr.h"

#define TAGS_MAX 50

/* "[a-zA-Z0-9._*-]", and at most two '*': what AWS takes for a filter. */
static bool
filter_is_valid(const char *filter)
{
    static const char chars[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-*";
    int stars = 0;

    for (const char *c = filter; *c != '\0'; c++)
        stars += *c == '*';
    return filter[0] != '\0' && filter[strspn(filter, chars)] == '\0' && stars <= 2;
}

bool
ecr_mutability_set(struct json *document, const struct json *input, struct err *err)
{
    const char *mutability = json_get_cstr(input, "imageTagMutability", "MUTABLE");
    struct json *filters = json_get(input, "imageTagMutabilityExclusionFilters");
    const bool excludes = strstr(mutability, "_WITH_EXCLUSION") != NULL;

    if (excludes != (json_size(filters) > 0))
        return err_set(
            err, ERR_INVALID_PARAMETER,
            "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy "
            "constraint: '%s %s'",
            mutability, excludes ? "needs exclusion filters" : "takes no exclusion filters");
    for (size_t i = 0; i < json_size(filters); i++) {
        const char *filter = json_get_cstr(json_at(filters, i), "filter", "");
        if (!filter_is_valid(filter))
            return err_set(
                err, ERR_INVALID_PARAMETER,
                "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy "
                "constraint: '%.128s' is no filter of [a-zA-Z0-9._*-] with at most two "
                "wildcards",
                filter);
    }
    json_set(document, "imageTagMutability", json_text(mutability));
    json_delete(document, "imageTagMutabilityExclusionFilters");
    if (excludes)
        json_set(document, "imageTagMutabilityExclusionFilters", json_copy(filters));
    return true;
}

void
ecr_mutability_tell(struct json *out, const struct json *document)
{
    struct json *filters = json_get(document, "imageTagMutabilityExclusionFilters");

    json_set(out, "imageTagMutability",
             json_text(json_get_cstr(document, "imageTagMutability", "MUTABLE")));
    if (filters != NULL)
        json_set(out, "imageTagMutabilityExclusionFilters", json_ref(filters));
}

bool
ecr_encryption_check(const struct json *encryption, struct err *err)
{
    const char *type = json_get_cstr(encryption, "encryptionType", "AES256");

    if (strcmp(type, "AES256") != 0)
        return err_set(
            err, ERR_UNSUPPORTED_FEATURE,
            "encryptionType '%s' is not built in naru, which has no KMS: leave encryptionConfiguration out or say AES256; "
            "what is on the disk is encrypted by the disk",
            type);
    return json_get(encryption, "kmsKey") == NULL ||
           err_set(err, ERR_INVALID_PARAMETER,
                   "Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: "
                   "'kmsKey does not go with AES256'");
}

void
ecr_encryption_tell(struct json *out)
{
    struct json *encryption = json_object();

    json_set(encryption, "encryptionType", json_text("AES256"));
    json_set(out, "encryptionConfiguration", encryption);
}

struct str
ecr_prefix_bare(const char *prefix)
{
    const struct str text = str_of(prefix);

    return str_ends(text, STR("/")) ? str_slice(text, 0, text.len - 1) : text;
}

/* ---- tags ---- */

static bool
tag_check(const struct json *tag, struct err *err)
{
    const char *key = json_get_cstr(tag, "Key", ""), *value = json_get_cstr(tag, "Value", "");

    if (key[0] == '\0' || text_characters(key) > 128 || text_characters(value) > 256)
        return err_set(err, ERR_INVALID_TAG_PARAMETER,
                       "The tag key has 1 to 128 characters, the value at most 256; got '%.150s'",
                       key);
    if (strncasecmp(key, "aws:", 4) == 0)
        return err_set(err, ERR_INVALID_TAG_PARAMETER,
                       "The tag key '%.150s' begins with 'aws:', which is reserved", key);
    return true;
}

/* The place of `key` in the list, or its size. */
static size_t
tag_index(const struct json *tags, const char *key)
{
    size_t i = 0;

    while (i < json_size(tags) && strcmp(json_get_cstr(json_at(tags, i), "Key", ""), key) != 0)
        i++;
    return i;
}

/* `now` and `added` together; a key that is there already gets the new value. */
bool
ecr_tags_merge(const struct json *now, const struct json *added, struct json **out, struct err *err)
{
    cleanup_json struct json *merged = json_array();

    for (size_t i = 0; i < json_size(added); i++) {
        const struct json *tag = json_at(added, i);
        if (!tag_check(tag, err))
            return false;
        if (tag_index(added, json_get_cstr(tag, "Key", "")) != i)
            return err_set(err, ERR_INVALID_TAG_PARAMETER, "The tag key '%.150s' is given twice",
                           json_get_cstr(tag, "Key", ""));
    }
    for (size_t i = 0; i < json_size(now); i++)
        if (tag_index(added, json_get_cstr(json_at(now, i), "Key", "")) == json_size(added))
            json_append(merged, json_ref(json_at(now, i)));
    for (size_t i = 0; i < json_size(added); i++)
        json_append(merged, json_copy(json_at(added, i)));
    if (json_size(merged) > TAGS_MAX)
        return err_set(err, ERR_TOO_MANY_TAGS, "A repository has at most %d tags", TAGS_MAX);
    *out = TAKE(merged);
    return true;
}
