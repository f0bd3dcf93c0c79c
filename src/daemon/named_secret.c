/* SPDX-License-Identifier: MIT */
#include "daemon/named_secret.h"

#include <string.h>

#include "base/json.h"
#include "pipeline/secrets.h"

#define SUFFIX 6 /* characters that Secrets Manager puts behind a name and a '-' */

struct wanted {
    struct str name;
    struct str bare; /* without what Secrets Manager may have put behind it; else the name */
    struct str key; /* of the JSON that it is; empty: all of it */
};

static bool
has_suffix(struct str name)
{
    if (name.len < SUFFIX + 2 || name.at[name.len - SUFFIX - 1] != '-')
        return false;
    for (size_t i = name.len - SUFFIX; i < name.len; i++) {
        const char c = name.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            return false;
    }
    return true;
}

/* "<name>[:<json-key>[:<stage>[:<version>]]]" */
static bool
manager_read(struct str rest, struct wanted *out, struct err *err)
{
    struct str part, stage = {0}, version = {0};

    (void)str_split(&rest, ':', &out->name);
    out->bare = has_suffix(out->name) ? str_slice(out->name, 0, out->name.len - SUFFIX - 1) : out->name;
    if (str_split(&rest, ':', &part))
        out->key = part;
    (void)str_split(&rest, ':', &stage);
    (void)str_split(&rest, ':', &version);
    if (rest.at != NULL || out->name.len == 0)
        return err_set(err, ERR_INVALID_PARAMETER, "it is no name of a secret");
    return (version.len == 0 && (stage.len == 0 || str_is(stage, "AWSCURRENT"))) ||
           err_set(err, ERR_INVALID_PARAMETER, "versions of secrets are not kept: only AWSCURRENT is there");
}

static bool
value_from_read(const char *value_from, struct wanted *out, struct err *err)
{
    const struct str all = str_of(value_from);
    const ptrdiff_t secret = str_find(all, STR(":secret:")), parameter = str_find(all, STR(":parameter/"));

    *out = (struct wanted){.name = all};
    if (str_starts(all, STR("arn:")) && str_find(all, STR(":secretsmanager:")) > 0 && secret > 0)
        return manager_read(str_slice(all, (size_t)secret + strlen(":secret:"), all.len), out, err);
    if (str_starts(all, STR("arn:")) && str_find(all, STR(":ssm:")) > 0 && parameter > 0)
        out->name = str_slice(all, (size_t)parameter + strlen(":parameter"), all.len);
    else if (str_starts(all, STR("arn:")))
        return err_set(err, ERR_INVALID_PARAMETER, "'%.200s' is no ARN of Secrets Manager or of a parameter", value_from);
    if (out->name.len > 0 && out->name.at[0] == '/')
        out->name = str_slice(out->name, 1, out->name.len);
    out->bare = out->name; /* of a parameter, "db-passwd" is all of its name */
    return out->name.len > 0 || err_set(err, ERR_INVALID_PARAMETER, "it has no name");
}

/* NULL without an error in `err`: there is none of that name. */
static struct json *
get(const char *directory, const char *prefix, struct str name, struct err *err)
{
    cleanup_free char *id = text_format("%s" STR_FMT, prefix, STR_ARG(name));
    struct err why = {0};
    struct json *secret = secrets_get(directory, id, &why);

    if (secret == NULL && why.code != ERR_RESOURCE_NOT_FOUND)
        *err = why;
    return secret;
}

/* By its name, by that with a slash in front, and by that without what Secrets Manager puts behind it. */
static struct json *
find(const char *directory, const struct wanted *wanted, struct err *err)
{
    const struct str name = wanted->name, bare = wanted->bare;
    struct err why = {0};
    struct json *found = get(directory, "", name, &why);

    if (found == NULL && why.message[0] == '\0')
        found = get(directory, "/", name, &why);
    if (found == NULL && why.message[0] == '\0' && bare.len < name.len)
        found = get(directory, "", bare, &why);
    if (found == NULL && why.message[0] == '\0')
        (void)err_set(&why, ERR_RESOURCE_NOT_FOUND, "there is no secret '" STR_FMT "': 'naru secret set " STR_FMT "' keeps one",
                      STR_ARG(str_slice(name, 0, 200)), STR_ARG(str_slice(bare, 0, 200)));
    if (found == NULL)
        *err = why;
    return found;
}

static char *
text_of(const struct json *secret)
{
    const char *text = json_get_cstr(secret, "text", NULL);
    cleanup_json struct json *members = json_copy(secret);

    json_delete(members, "kind");
    return text != NULL ? text_dup(text) : json_format(members);
}

/* One member of a text that is a JSON object; takes it over. */
static char *
member_of(char *text, struct str key, struct err *err)
{
    cleanup_free char *whole = text;
    cleanup_free char *name = str_dup(key);
    cleanup_json struct json *parsed = json_parse(str_of(whole), NULL);
    const struct json *value = json_get(parsed, name);

    if (value == NULL) {
        (void)err_set(err, ERR_RESOURCE_NOT_FOUND, "the secret is no JSON object with the key '%.200s'", name);
        return NULL;
    }
    return json_type(value) == JSON_TEXT ? text_dup(json_cstr(value, "")) : json_format(value);
}

char *
named_secret(const char *secrets_directory, const char *value_from, struct err *err)
{
    struct wanted wanted;

    if (!value_from_read(value_from, &wanted, err))
        return NULL;
    cleanup_json struct json *secret = find(secrets_directory, &wanted, err);
    if (secret == NULL)
        return NULL;
    char *text = text_of(secret);
    return wanted.key.len > 0 ? member_of(text, wanted.key, err) : text;
}
