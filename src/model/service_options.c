/* SPDX-License-Identifier: MIT */
#include "model/service_options.h"
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct option {
    const char *tag;
    int min, max; /* beside 0 */
    size_t value; /* offset of an int */
};

static const struct option options[] = {
    {PROGRESS_DEADLINE_TAG, 10, 2592000, offsetof(struct service_options, progress_deadline_s)},
    {PROBATION_TAG, 1, 86400, offsetof(struct service_options, probation_s)},
};

static bool
read_value(const struct option *o, const char *text, int *out, struct err *err)
{
    int64_t n;

    /* Digits only: " 5", "+5" and "5s" are somebody's mistake. */
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) ||
        !str_to_i64(str_of(text), &n) || (n != 0 && (n < o->min || n > o->max)))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The tag %s must be 0 or a whole number of seconds from %d to %d, not '%.64s'.",
                       o->tag, o->min, o->max, text);
    *out = (int)n;
    return true;
}

/* NULL: there is none of that name. */
static const struct option *
find_option(const char *key)
{
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (strcmp(options[i].tag, key) == 0)
            return &options[i];
    }
    return NULL;
}

/* One that is mistyped would be kept, shown and never acted upon. */
static bool
refuse_unknown(const char *key, struct err *err)
{
    cleanup(strbuf_done) struct strbuf known = {0};

    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        strbuf_addf(&known, "%s%s", i > 0 ? ", " : "", options[i].tag);
    return err_set(err, ERR_INVALID_PARAMETER,
                   "The tag %.128s is no option of a service. Those that begin with '" OPTION_PREFIX
                   "' are: %s.",
                   key, strbuf_cstr(&known));
}

bool
service_options_check(const struct json *tags, struct err *err)
{
    for (size_t i = 0; i < json_size(tags); i++) {
        const char *key = json_get_cstr(json_at(tags, i), "key", "");
        const struct option *o = find_option(key);
        int value;

        if (o != NULL && !read_value(o, json_get_cstr(json_at(tags, i), "value", ""), &value, err))
            return false;
        if (o == NULL && strncasecmp(key, OPTION_PREFIX, strlen(OPTION_PREFIX)) == 0)
            return refuse_unknown(key, err);
    }
    return true;
}

struct service_options
service_options_read(const struct json *tags)
{
    struct service_options out = {.progress_deadline_s = 86400, .probation_s = 60};

    for (size_t i = 0; i < json_size(tags); i++) {
        const struct option *o = find_option(json_get_cstr(json_at(tags, i), "key", ""));
        const char *value = json_get_cstr(json_at(tags, i), "value", "");

        if (o != NULL)
            (void)read_value(o, value, (int *)((char *)&out + o->value), /* err= */ NULL);
    }
    return out;
}
