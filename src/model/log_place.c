/* SPDX-License-Identifier: MIT */
#include "model/log_place.h"

#include <ctype.h>

static bool
check_bucket(struct str bucket)
{
    if (bucket.len < 3 || bucket.len > 63)
        return false;
    for (size_t i = 0; i < bucket.len; i++) {
        const char c = bucket.at[i];
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (!is_plain && (i == 0 || i == bucket.len - 1 || (c != '-' && c != '.')))
            return false;
    }
    return str_find(bucket, STR("..")) < 0;
}

static bool
check_prefix(struct str prefix)
{
    struct str rest = prefix, part;

    if (prefix.len == 0)
        return true;
    if (prefix.len > 255 || str_find(prefix, STR("AWSLogs")) >= 0)
        return false;
    while (str_split(&rest, '/', &part)) {
        if (part.len == 0 || part.at[0] == '.')
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (!isalnum((unsigned char)part.at[i]) && strchr("!-_.*'()", part.at[i]) == NULL)
                return false;
    }
    return true;
}

bool
log_place_check(const char *bucket, const char *prefix, struct err *err)
{
    if (!check_bucket(str_of(bucket)))
        return err_set(err, ERR_VALIDATION, "'%.100s' is not the name of a bucket", bucket);
    if (!check_prefix(str_of(prefix)))
        return err_set(err, ERR_VALIDATION, "'%.300s' cannot be the prefix of logs", prefix);
    return true;
}

static bool
check_key(struct str key)
{
    struct str rest = key, part;

    if (key.len == 0 || key.len > OBJECT_KEY_MAX || key.at[key.len - 1] == '/')
        return false;
    while (str_split(&rest, '/', &part)) {
        if (part.len == 0 || part.len > 255 || str_is(part, ".") || str_is(part, ".."))
            return false;
        for (size_t i = 0; i < part.len; i++)
            if (iscntrl((unsigned char)part.at[i]))
                return false;
    }
    return true;
}

bool
object_place_check(const char *bucket, const char *key, struct err *err)
{
    if (!check_bucket(str_of(bucket)))
        return err_set(err, ERR_VALIDATION, "'%.100s' is not the name of a bucket", bucket);
    if (!check_key(str_of(key)))
        return err_set(err, ERR_VALIDATION, "'%.300s' cannot be the key of a file", key);
    return true;
}
