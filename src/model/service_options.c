/* SPDX-License-Identifier: MIT */
#include "model/service_options.h"
#include <stddef.h>
#include <string.h>

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
read_option(const struct option *o, const char *text, struct service_options *out, struct err *err)
{
    int64_t n;

    /* Digits only: " 5", "+5" and "5s" are somebody's mistake. */
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) ||
        !str_to_i64(str_of(text), &n) || (n != 0 && (n < o->min || n > o->max)))
        return err_set(err, ERR_INVALID_PARAMETER,
                       "The tag %s must be 0 or a whole number of seconds from %d to %d, not '%.64s'.",
                       o->tag, o->min, o->max, text);
    *(int *)((char *)out + o->value) = (int)n;
    return true;
}

bool
service_options_read(const struct json *tags, struct service_options *out, struct err *err)
{
    static const struct service_options defaults = {.progress_deadline_s = 86400,
                                                    .probation_s = 60};
    struct service_options found = defaults;

    *out = defaults;
    for (size_t i = 0; i < json_size(tags); i++) {
        const char *key = json_get_cstr(json_at(tags, i), "key", "");
        for (size_t k = 0; k < ARRAY_COUNT(options); k++) {
            if (strcmp(options[k].tag, key) == 0 &&
                !read_option(&options[k], json_get_cstr(json_at(tags, i), "value", ""), &found, err))
                return false;
        }
    }
    *out = found;
    return true;
}
