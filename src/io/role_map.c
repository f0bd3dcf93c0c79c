/* SPDX-License-Identifier: MIT */
#include "io/role_map.h"

#include "base/crypto.h"
#include "io/key_file.h"

#define MEMBER "roles"

/* ---- names ---- */

static bool
name_is_good(struct str name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-/";

    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == '\0' || strchr(good, name.at[i]) == NULL)
            return false;
    return name.len > 0 && name.at[0] != '/' && name.at[name.len - 1] != '/';
}

static struct str
last_part(struct str name)
{
    const ptrdiff_t slash = str_rindex(name, '/');

    return slash < 0 ? name : str_slice(name, (size_t)slash + 1, name.len);
}

bool
role_arn_parse(struct str arn, struct role_arn *out)
{
    struct str rest = arn, parts[5];

    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        if (!str_split(&rest, ':', &parts[i]))
            return false;
    if (!str_is(parts[0], "arn") || !str_starts(parts[1], STR("aws")) || !str_is(parts[2], "iam") ||
        parts[3].len != 0 || parts[4].len != 12 || !str_starts(rest, STR("role/")))
        return false;
    const struct str name = str_slice(rest, 5, rest.len);
    *out = (struct role_arn){.account = parts[4], .name = name, .last = last_part(name)};
    return name_is_good(name) && out->last.len <= 64;
}

const struct json *
role_map_find(const struct json *roles, const char *arn, const char *account)
{
    const struct json *row = json_find(roles, "name", arn);
    struct role_arn parts;

    if (row != NULL || !role_arn_parse(str_of(arn), &parts) || !str_is(parts.account, account))
        return row;
    cleanup_free char *name = str_dup(parts.name);
    return json_find(roles, "name", name);
}

bool
role_map_admits(const struct json *role, const char *arn, const char *external_id, const char *account,
                const char *principal, struct err *err)
{
    const char *wanted = json_get_cstr(role, "externalId", "");
    struct role_arn parts;

    if (!role_arn_parse(str_of(arn), &parts))
        return err_set(err, ERR_VALIDATION, "%.200s is invalid", arn);
    if (role == NULL) {
        const bool is_ours = str_is(parts.account, account);
        return err_set(err, ERR_ACCESS_DENIED,
                       "User: %s is not authorized to perform: sts:AssumeRole on resource: %.300s; no role of naru is "
                       "set for it: naru roles set %.*s --role ROLE",
                       principal, arn, is_ours ? (int)parts.name.len : 300, is_ours ? parts.name.at : arn);
    }
    return wanted[0] == '\0' || crypto_equal(str_of(external_id), str_of(wanted)) ||
           err_set(err, ERR_ACCESS_DENIED,
                   "User: %s is not authorized to perform: sts:AssumeRole on resource: %.300s; its external id is %s",
                   principal, arn, external_id == NULL ? "missing" : "another one");
}

/* ---- the command's side ---- */

static bool
map_check(const struct role_map *map, struct err *err)
{
    const struct str name = str_of(map->name);
    struct role_arn arn;

    if (name.len >= ROLE_MAP_NAME_MAX ||
        !(role_arn_parse(name, &arn) || (name_is_good(name) && last_part(name).len <= 64)))
        return err_set(err, ERR_USAGE,
                       "'%.100s' is no role: 'deploy', 'team/deploy', or of another account "
                       "'arn:aws:iam::123456789012:role/deploy'", map->name);
    if (map->seconds_max != 0 && (map->seconds_max < ROLE_SECONDS_MIN || map->seconds_max > ROLE_SECONDS_MAX))
        return err_set(err, ERR_USAGE, "--max-duration is %d to %d seconds", ROLE_SECONDS_MIN, ROLE_SECONDS_MAX);
    return str_of(map->external_id).len <= ROLE_EXTERNAL_ID_MAX ||
           err_set(err, ERR_USAGE, "--external-id has more than %d characters", ROLE_EXTERNAL_ID_MAX);
}

static struct json *
map_row(const struct role_map *map, int64_t now_ms)
{
    struct json *row = json_object();

    json_set(row, "name", json_text(map->name));
    json_set(row, "role", json_text(map->role));
    json_set(row, "repositories", json_text(map->repositories != NULL ? map->repositories : ""));
    json_set(row, "externalId", json_text(map->external_id != NULL ? map->external_id : ""));
    json_set(row, "maxSessionDuration", json_int(map->seconds_max != 0 ? map->seconds_max : ROLE_SECONDS_MAX));
    json_set(row, "createdAt", json_int(now_ms));
    return row;
}

static struct json *
without(const struct json *roles, const char *name)
{
    struct json *left = json_array();

    for (size_t i = 0; i < json_size(roles); i++)
        if (strcmp(json_get_cstr(json_at(roles, i), "name", ""), name) != 0)
            json_append(left, json_ref(json_at(roles, i)));
    return left;
}

bool
role_map_set(const char *path, const struct role_map *map, int64_t now_ms, struct err *err)
{
    cleanup_json struct json *roles = NULL;

    if (!map_check(map, err))
        return false;
    cleanup_close int lock = key_file_lock(path, err);
    if (lock < 0 || !key_file_read(path, MEMBER, JSON_ARRAY, &roles, err))
        return false;
    cleanup_json struct json *left = without(roles, map->name);
    if (json_size(left) >= ROLES_MAX)
        return err_set(err, ERR_VALIDATION, "there are %d roles, the most that are kept", ROLES_MAX);
    json_append(left, map_row(map, now_ms));
    return key_file_write(path, MEMBER, left, err);
}

bool
role_map_list(const char *path, struct json **out, struct err *err)
{
    return key_file_read(path, MEMBER, JSON_ARRAY, out, err);
}

bool
role_map_delete(const char *path, const char *name, struct err *err)
{
    cleanup_close int lock = key_file_lock(path, err);
    cleanup_json struct json *roles = NULL;

    if (lock < 0 || !key_file_read(path, MEMBER, JSON_ARRAY, &roles, err))
        return false;
    cleanup_json struct json *left = without(roles, name);
    if (json_size(left) == json_size(roles))
        return err_set(err, ERR_NOT_FOUND, "there is no role '%.200s'", name);
    return key_file_write(path, MEMBER, left, err);
}
