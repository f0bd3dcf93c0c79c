/* SPDX-License-Identifier: MIT */
#include "io/key_sessions.h"

#include <stdio.h>

#include "io/key_file.h"
#include "io/role_map.h"

#define KEPT_AFTER_MS (3600 * 1000)

/* ---- rows ---- */

int64_t
key_session_end(const struct json *row)
{
    return json_get_i64(row, "expiresAt", 0);
}

const char *
key_session_parent(const struct json *row)
{
    return json_get_cstr(row, "parent", "");
}

/* Appends one more list or role behind `separator`. */
static bool
text_join(char *to, size_t size, char separator, const char *more)
{
    const size_t len = strlen(to);
    const char between[2] = {len > 0 ? separator : '\0', '\0'};

    return more[0] == '\0' || (size_t)snprintf(to + len, size - len, "%s%s", between, more) < size - len;
}

/* The role as it is now; one that was mapped anew since the session began is another, whichever way the clock went. */
static bool
narrow_by_role(const struct json *row, const struct json *roles, struct access_key *out)
{
    const char *name = json_get_cstr(row, "role", "");
    const struct json *role = json_find(roles, "name", name);

    if (roles == NULL || name[0] == '\0')
        return true;
    return role != NULL && json_get_i64(role, "createdAt", 0) == json_get_i64(row, "roleCreatedAt", -1) &&
           text_join(out->role, sizeof(out->role), ',', json_get_cstr(role, "role", "?")) &&
           text_join(out->repositories, sizeof(out->repositories), ';', json_get_cstr(role, "repositories", ""));
}

static bool
take_name(const struct json *row, struct access_key *out)
{
    if (json_get(row, "role") == NULL)
        return true;
    if (!out->has_holder) {
        out->has_holder = true;
        out->holder_is_role = out->is_role;
        memcpy(out->holder, out->name, sizeof(out->holder));
    }
    out->is_role = true;
    return text_copy(out->name, sizeof(out->name), str_of(json_get_cstr(row, "session", "")));
}

bool
key_session_fill(const char *id, const struct json *row, const struct json *roles, const struct access_key *parent,
                 struct access_key *out)
{
    const int64_t end_ms = key_session_end(row);

    *out = *parent;
    text_copy_all(out->root_id, sizeof(out->root_id), access_key_root_id(parent));
    out->depth = parent->depth + 1;
    out->until_ms = parent->depth > 0 && parent->until_ms < end_ms ? parent->until_ms : end_ms;
    return text_copy(out->id, sizeof(out->id), str_of(id)) &&
           text_copy(out->secret, sizeof(out->secret), str_of(json_get_cstr(row, "secretAccessKey", ""))) &&
           text_copy(out->token, sizeof(out->token), str_of(json_get_cstr(row, "sessionToken", ""))) &&
           out->secret[0] != '\0' && out->token[0] != '\0' && take_name(row, out) && narrow_by_role(row, roles, out);
}

struct json *
key_session_row(const struct access_key *made, const struct access_key *parent, const struct json *role,
                const struct session_wish *wish, int64_t now_ms)
{
    struct json *row = json_object();

    json_set(row, "secretAccessKey", json_text(made->secret));
    json_set(row, "sessionToken", json_text(made->token));
    json_set(row, "parent", json_text(parent->id));
    if (role != NULL) {
        const char *name = json_get_cstr(role, "name", "");
        const char *slash = strrchr(name, '/');
        cleanup_free char *session = text_format("%s/%s", slash != NULL ? slash + 1 : name, wish->session_name);
        json_set(row, "role", json_text(name));
        json_set(row, "session", json_text(session));
        json_set(row, "roleCreatedAt", json_int(json_get_i64(role, "createdAt", 0)));
    }
    json_set(row, "createdAt", json_int(now_ms));
    json_set(row, "expiresAt", json_int(now_ms + wish->seconds * 1000));
    return row;
}

/* ---- what is asked of a wish ---- */

bool
key_session_check(const struct json *role, const struct access_key *parent, int64_t seconds, struct err *err)
{
    if (role == NULL)
        return true;
    if (parent->depth > 0 && seconds > SESSION_CHAINED_SECONDS_MAX)
        return err_set(err, ERR_VALIDATION,
                       "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining");
    return seconds <= json_get_i64(role, "maxSessionDuration", ROLE_SECONDS_MAX) ||
           err_set(err, ERR_VALIDATION,
                   "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
}

/* ---- the file ---- */

static struct json *
those_that_stay(const struct json *sessions, int64_t now_ms, bool (*is_orphan)(void *ctx, const char *parent), void *ctx)
{
    struct json *stay = json_object();

    for (void *it = json_first(sessions); it != NULL; it = json_next(sessions, it)) {
        const struct json *row = json_value(it);
        if (now_ms < key_session_end(row) + KEPT_AFTER_MS &&
            (is_orphan == NULL || (now_ms < key_session_end(row) && !is_orphan(ctx, key_session_parent(row)))))
            json_set(stay, json_key(it), json_ref(row));
    }
    return stay;
}

/* The key behind a session, or behind a session's session: their limit is one. */
static const char *
root_of(const struct json *sessions, const char *id)
{
    const struct json *row;

    for (int depth = 0; depth <= SESSION_DEPTH_MAX && (row = json_get(sessions, id)) != NULL; depth++)
        id = key_session_parent(row);
    return id;
}

static size_t
count_of_root(const struct json *sessions, const char *root, int64_t now_ms)
{
    size_t count = 0;

    for (void *it = json_first(sessions); it != NULL; it = json_next(sessions, it))
        count += now_ms < key_session_end(json_value(it)) && strcmp(root_of(sessions, json_key(it)), root) == 0;
    return count;
}

static bool
room_check(const struct json *sessions, const char *parent, int64_t now_ms, struct err *err)
{
    const char *root = root_of(sessions, parent);

    if (json_size(sessions) >= SESSIONS_MAX)
        return err_set(err, ERR_THROTTLING, "Rate exceeded: there are %d sessions, the most that are; they end by time or "
                       "by 'naru keys end'.", SESSIONS_MAX);
    return count_of_root(sessions, root, now_ms) < SESSIONS_OF_KEY_MAX ||
           err_set(err, ERR_THROTTLING, "Rate exceeded: the access key %s has %d sessions, the most that it may; keep "
                   "and use one until it ends.", root, SESSIONS_OF_KEY_MAX);
}

bool
key_sessions_add(const char *path, const char *id, const struct json *row, int64_t now_ms,
                 bool (*is_orphan)(void *ctx, const char *parent), void *ctx, struct err *err)
{
    cleanup_close int lock = key_file_lock(path, err);
    cleanup_json struct json *sessions = NULL;

    if (lock < 0 || !key_file_read(path, SESSIONS_MEMBER, JSON_OBJECT, &sessions, err))
        return false;
    const bool is_full = json_size(sessions) >= SESSIONS_MAX;
    cleanup_json struct json *stay = those_that_stay(sessions, now_ms, is_full ? is_orphan : NULL, ctx);
    if (!room_check(stay, key_session_parent(row), now_ms, err))
        return false;
    json_set(stay, id, json_ref(row));
    return key_file_write(path, SESSIONS_MEMBER, stay, err);
}

/* ---- the command's side ---- */

bool
key_sessions_list(const char *path, int64_t now_ms, struct json **out, struct err *err)
{
    cleanup_json struct json *sessions = NULL;

    if (!key_file_read(path, SESSIONS_MEMBER, JSON_OBJECT, &sessions, err))
        return false;
    *out = json_array();
    for (void *it = json_first(sessions); it != NULL; it = json_next(sessions, it)) {
        if (now_ms >= key_session_end(json_value(it)))
            continue;
        struct json *row = json_copy(json_value(it));
        json_delete(row, "secretAccessKey");
        json_delete(row, "sessionToken");
        json_set(row, "accessKeyId", json_text(json_key(it)));
        json_append(*out, row);
    }
    return true;
}

bool
key_sessions_end(const char *path, const char *id, struct err *err)
{
    cleanup_close int lock = key_file_lock(path, err);
    cleanup_json struct json *sessions = NULL;

    if (lock < 0 || !key_file_read(path, SESSIONS_MEMBER, JSON_OBJECT, &sessions, err))
        return false;
    if (json_get(sessions, id) == NULL)
        return err_set(err, ERR_NOT_FOUND, "there is no session '%.100s'", id);
    cleanup_json struct json *left = json_copy(sessions);
    json_delete(left, id);
    return key_file_write(path, SESSIONS_MEMBER, left, err);
}
