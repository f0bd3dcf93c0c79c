/* SPDX-License-Identifier: MIT */
#include "io/access_keys.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/random.h"
#include "io/key_file.h"
#include "io/key_sessions.h"
#include "io/role_map.h"

#define MEMBER "keys"

struct access_keys {
    struct access_key own;
    pthread_mutex_t lock; /* guards the rest */
    struct key_file file, roles, sessions;
    struct access_key *lent;
    size_t lent_count;
};

/* ---- making ---- */

static void
key_make(struct access_key *key, const char *kind)
{
    char hex[17];

    random_hex(hex, 16);
    for (char *p = hex; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
    snprintf(key->id, sizeof(key->id), "%s%s", kind, hex);
    random_token(key->secret, 40);
}

/* ---- the server's side ---- */

static char *
path_beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    return text_format("%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - path), path, name);
}

struct access_keys *
access_keys_new(const char *path, const char *own_id, const char *own_secret)
{
    struct access_keys *keys = mem_new(sizeof(*keys));

    keys->file = (struct key_file){.path = text_dup(path), .member = MEMBER, .type = JSON_ARRAY};
    keys->roles = (struct key_file){.path = path_beside(path, "roles.json"), .member = "roles", .type = JSON_ARRAY};
    keys->sessions = (struct key_file){
        .path = path_beside(path, "sessions.json"), .member = SESSIONS_MEMBER, .type = JSON_OBJECT};
    text_copy_all(keys->own.id, sizeof(keys->own.id), own_id);
    text_copy_all(keys->own.secret, sizeof(keys->own.secret), own_secret);
    text_copy_all(keys->own.role, sizeof(keys->own.role), "admin");
    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

void
access_keys_free(struct access_keys *keys)
{
    if (keys == NULL)
        return;
    pthread_mutex_destroy(&keys->lock);
    key_file_done(&keys->file);
    key_file_done(&keys->roles);
    key_file_done(&keys->sessions);
    explicit_bzero(&keys->own, sizeof(keys->own));
    if (keys->lent != NULL)
        explicit_bzero(keys->lent, KEYS_LENT_MAX * sizeof(*keys->lent));
    free(keys->lent);
    free(keys);
}

static bool
key_fill(const struct json *row, struct access_key *out)
{
    *out = (struct access_key){0};
    return text_copy(out->id, sizeof(out->id), str_of(json_get_cstr(row, "accessKeyId", ""))) &&
           text_copy(out->secret, sizeof(out->secret),
                     str_of(json_get_cstr(row, "secretAccessKey", ""))) &&
           text_copy(out->name, sizeof(out->name), str_of(json_get_cstr(row, "name", ""))) &&
           text_copy(out->role, sizeof(out->role), str_of(json_get_cstr(row, "role", ""))) &&
           text_copy(out->repositories, sizeof(out->repositories),
                     str_of(json_get_cstr(row, "repositories", ""))) &&
           out->secret[0] != '\0' && out->name[0] != '\0';
}

/* With the lock held. */
static bool
find_lent(const struct access_keys *keys, struct str id, struct access_key *out)
{
    for (size_t i = 0; i < keys->lent_count; i++) {
        if (!crypto_equal(id, str_of(keys->lent[i].id)))
            continue;
        *out = keys->lent[i];
        return true;
    }
    return false;
}

static void
format_principal(const char *name, bool is_role, const char *account, char out[static KEY_PRINCIPAL_SIZE])
{
    if (name[0] == '\0')
        snprintf(out, KEY_PRINCIPAL_SIZE, "arn:aws:iam::%s:root", account);
    else
        snprintf(out, KEY_PRINCIPAL_SIZE, "arn:aws:%s::%s:%s/%s", is_role ? "sts" : "iam", account,
                 is_role ? "assumed-role" : "user", name);
}

void
access_key_principal(const struct access_key *key, const char *account, char out[static KEY_PRINCIPAL_SIZE])
{
    format_principal(key->name, key->is_role, account, out);
}

bool
access_key_holder(const struct access_key *key, const char *account, char out[static KEY_PRINCIPAL_SIZE])
{
    if (key->has_holder)
        format_principal(key->holder, key->holder_is_role, account, out);
    return key->has_holder;
}

const char *
access_key_root_id(const struct access_key *key)
{
    return key->depth > 0 ? key->root_id : key->id;
}

static const char *
name_or_root(const char *name)
{
    return name[0] != '\0' ? name : "root";
}

void
access_key_log_name(const struct access_key *key, char out[static KEY_LOG_NAME_SIZE])
{
    snprintf(out, KEY_LOG_NAME_SIZE, "%s%s%s", name_or_root(key->name), key->has_holder ? " assumed_by=" : "",
             key->has_holder ? name_or_root(key->holder) : "");
}

static bool find_session(struct access_keys *keys, const char *id, int64_t now_ms, int depth, struct access_key *out);

/* With the lock held. */
static bool
find_key(struct access_keys *keys, struct str id, int64_t now_ms, int depth, struct access_key *out)
{
    cleanup_free char *name = str_dup(id);

    if (crypto_equal(id, str_of(keys->own.id))) {
        *out = keys->own;
        return true;
    }
    const struct json *row = id.len > 0 ? json_find(key_file_now(&keys->file), "accessKeyId", name) : NULL;
    if (row != NULL)
        return key_fill(row, out);
    return find_lent(keys, id, out) ||
           (str_starts(id, STR(SESSION_KIND)) && find_session(keys, name, now_ms, depth + 1, out));
}

/* A session is asked for its key, and for its role as it is mapped now: it ends with either. */
static bool
find_session(struct access_keys *keys, const char *id, int64_t now_ms, int depth, struct access_key *out)
{
    cleanup_json struct json *row = json_ref(json_get(key_file_now(&keys->sessions), id)); /* it may be read again */
    struct access_key parent;

    return row != NULL && depth <= SESSION_DEPTH_MAX && now_ms < key_session_end(row) &&
           find_key(keys, str_of(key_session_parent(row)), now_ms, depth, &parent) &&
           key_session_fill(id, row, key_file_now(&keys->roles), &parent, out);
}

bool
access_keys_find(struct access_keys *keys, struct str id, struct access_key *out)
{
    if (crypto_equal(id, str_of(keys->own.id))) { /* most are: no lock for them */
        *out = keys->own;
        return true;
    }
    pthread_mutex_lock(&keys->lock);
    const bool found = find_key(keys, id, clock_wall_ms(), 0, out);
    pthread_mutex_unlock(&keys->lock);
    return found;
}

bool
access_keys_has_expired(struct access_keys *keys, struct str id)
{
    cleanup_free char *name = str_dup(id);

    if (!str_starts(id, STR(SESSION_KIND)))
        return false;
    pthread_mutex_lock(&keys->lock);
    const struct json *row = json_get(key_file_now(&keys->sessions), name);
    const bool has_expired = row != NULL && clock_wall_ms() >= key_session_end(row);
    pthread_mutex_unlock(&keys->lock);
    return has_expired;
}

/* ---- sessions ---- */

static bool
is_orphan(void *ctx, const char *parent)
{
    struct access_key key;

    return !access_keys_find(ctx, str_of(parent), &key);
}

/* The row of the role that is wished for, a reference; NULL: none is, or there is none (an error). */
static bool
find_role(struct access_keys *keys, const struct access_key *parent, const struct session_wish *wish,
          const char *account, struct json **out, struct err *err)
{
    char principal[KEY_PRINCIPAL_SIZE];

    *out = NULL;
    if (wish->role_arn == NULL)
        return true;
    access_key_principal(parent, account, principal);
    pthread_mutex_lock(&keys->lock);
    *out = json_ref(role_map_find(key_file_now(&keys->roles), wish->role_arn, account));
    pthread_mutex_unlock(&keys->lock);
    return role_map_admits(*out, wish->role_arn, wish->external_id, account, principal, err);
}

bool
access_keys_begin_session(struct access_keys *keys, const struct access_key *parent, const struct session_wish *wish,
                          const char *account, int64_t now_ms, struct access_key *out, struct err *err)
{
    cleanup_json struct json *role = NULL;
    struct access_key made = {0};

    if (!find_role(keys, parent, wish, account, &role, err))
        return false;
    if (parent->depth >= SESSION_DEPTH_MAX)
        return err_set(err, ERR_ACCESS_DENIED, "These are credentials of a session of a session already; take the key itself.");
    if (!key_session_check(role, parent, wish->seconds, err))
        return false;
    key_make(&made, SESSION_KIND);
    random_token(made.token, SESSION_TOKEN_CHARS);
    cleanup_json struct json *row = key_session_row(&made, parent, role, wish, now_ms);
    if (!key_session_fill(made.id, row, NULL, parent, out)) /* only as a check of its sizes */
        return err_set(err, ERR_VALIDATION, "the names of the role and the session are too long");
    return key_sessions_add(keys->sessions.path, made.id, row, now_ms, is_orphan, keys, err);
}

/* ---- keys lent ---- */

/* With the lock held. */
static struct access_key *
lent_of_name(struct access_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->lent_count; i++)
        if (strcmp(keys->lent[i].name, name) == 0)
            return &keys->lent[i];
    return NULL;
}

bool
access_keys_lend(struct access_keys *keys, const struct access_key *key, struct err *err)
{
    bool fits = true;

    pthread_mutex_lock(&keys->lock);
    struct access_key *at = lent_of_name(keys, key->name);
    if (keys->lent == NULL)
        keys->lent = mem_new(KEYS_LENT_MAX * sizeof(*keys->lent));
    if (at == NULL && keys->lent_count < KEYS_LENT_MAX)
        at = &keys->lent[keys->lent_count++];
    if (at != NULL) {
        *at = *key;
        at->is_role = true;
    } else {
        fits = err_set(err, ERR_VALIDATION, "%d access keys are lent, the most that are",
                        KEYS_LENT_MAX);
    }
    pthread_mutex_unlock(&keys->lock);
    return fits;
}

void
access_keys_take_back(struct access_keys *keys, const char *name)
{
    pthread_mutex_lock(&keys->lock);
    struct access_key *at = lent_of_name(keys, name);
    if (at != NULL) {
        struct access_key *last = &keys->lent[--keys->lent_count];
        *at = *last;
        explicit_bzero(last, sizeof(*last));
    }
    pthread_mutex_unlock(&keys->lock);
}

/* ---- the command's side ---- */

void
access_key_make_lent(struct access_key *key)
{
    key_make(key, SESSION_KIND);
}

static struct json *
key_row(const struct access_key *key, int64_t now_ms)
{
    struct json *row = json_object();

    json_set(row, "accessKeyId", json_text(key->id));
    json_set(row, "secretAccessKey", json_text(key->secret));
    json_set(row, "name", json_text(key->name));
    json_set(row, "role", json_text(key->role));
    json_set(row, "repositories", json_text(key->repositories));
    json_set(row, "createdAt", json_int(now_ms));
    return row;
}

bool
access_keys_create(const char *path, struct access_key *key, int64_t now_ms, struct err *err)
{
    cleanup_close int lock = key_file_lock(path, err);
    cleanup_json struct json *keys = NULL;

    if (lock < 0 || !key_file_read(path, MEMBER, JSON_ARRAY, &keys, err))
        return false;
    if (json_size(keys) >= KEYS_MAX)
        return err_set(err, ERR_VALIDATION, "there are %d access keys, the most that are kept",
                       KEYS_MAX);
    if (json_find(keys, "name", key->name) != NULL)
        return err_set(err, ERR_VALIDATION, "there is an access key named '%s' already", key->name);
    key_make(key, "AKIA");
    json_append(keys, key_row(key, now_ms));
    return key_file_write(path, MEMBER, keys, err);
}

bool
access_keys_list(const char *path, struct json **out, struct err *err)
{
    cleanup_json struct json *keys = NULL;

    if (!key_file_read(path, MEMBER, JSON_ARRAY, &keys, err))
        return false;
    *out = json_copy(keys);
    for (size_t i = 0; i < json_size(*out); i++)
        json_delete(json_at(*out, i), "secretAccessKey");
    return true;
}

bool
access_keys_delete(const char *path, const char *id_or_name, struct err *err)
{
    cleanup_close int lock = key_file_lock(path, err);
    cleanup_json struct json *keys = NULL, *left = json_array();

    if (lock < 0 || !key_file_read(path, MEMBER, JSON_ARRAY, &keys, err))
        return false;
    for (size_t i = 0; i < json_size(keys); i++) {
        const struct json *row = json_at(keys, i);
        if (strcmp(json_get_cstr(row, "accessKeyId", ""), id_or_name) != 0 &&
            strcmp(json_get_cstr(row, "name", ""), id_or_name) != 0)
            json_append(left, json_ref(row));
    }
    if (json_size(left) == json_size(keys))
        return err_set(err, ERR_NOT_FOUND, "there is no access key '%s'", id_or_name);
    return key_file_write(path, MEMBER, left, err);
}
