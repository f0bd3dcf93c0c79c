/* SPDX-License-Identifier: MIT */
#include "io/access_keys.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/log.h"
#include "base/random.h"
#include "io/file.h"

#define FILE_MAX (4 << 20)

struct access_keys {
    char *path;
    struct access_key own;
    pthread_mutex_t lock; /* guards the rest */
    struct json *read;    /* the file's array of keys, as it was at `seen` */
    struct timespec seen_time;
    ino_t seen_inode;
    struct access_key *lent;
    size_t lent_count;
};

/* ---- the file ---- */

/* Without a file there are no keys. */
static bool
keys_read(const char *path, struct json **out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!file_exists(path)) {
        *out = json_array();
        return true;
    }
    if (!file_read(path, FILE_MAX, &text, err))
        return false;
    cleanup_json struct json *document = json_parse(strbuf_str(&text), err);
    if (json_type(json_get(document, "keys")) != JSON_ARRAY)
        return err_set(err, ERR_INTERNAL, "'%s' holds no list of keys", path);
    *out = json_ref(json_get(document, "keys"));
    return true;
}

static bool
keys_write(const char *path, const struct json *keys, struct err *err)
{
    cleanup_json struct json *document = json_object();

    json_set(document, "keys", json_ref(keys));
    cleanup_free char *text = json_format_pretty(document);
    return file_write_atomic(path, str_of(text), 0600, err);
}

/* Two commands at once would lose one key: the lock is a file beside, for the keys' own is
 * replaced. */
static int
file_lock(const char *path, struct err *err)
{
    cleanup_free char *lock = text_format("%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || flock(fd, LOCK_EX) < 0) {
        err_errno(err, "cannot lock '%s'", lock);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* ---- the server's side ---- */

struct access_keys *
access_keys_new(const char *path, const char *own_id, const char *own_secret)
{
    struct access_keys *keys = mem_new(sizeof(*keys));

    keys->path = text_dup(path);
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
    json_unref(keys->read);
    explicit_bzero(&keys->own, sizeof(keys->own));
    if (keys->lent != NULL)
        explicit_bzero(keys->lent, KEYS_LENT_MAX * sizeof(*keys->lent));
    free(keys->lent);
    free(keys->path);
    free(keys);
}

static void
refresh(struct access_keys *keys)
{
    struct err err = {0};
    struct stat st = {0};
    struct json *now = NULL;

    (void)stat(keys->path, &st); /* not there: all zero, as at the beginning */
    if (keys->read != NULL && st.st_ino == keys->seen_inode &&
        st.st_mtim.tv_sec == keys->seen_time.tv_sec &&
        st.st_mtim.tv_nsec == keys->seen_time.tv_nsec)
        return;
    if (!keys_read(keys->path, &now, &err)) {
        log_error("keys.unreadable", "error=%s", log_quote(err.message));
        now = json_array();
    }
    json_unref(keys->read);
    keys->read = now;
    keys->seen_inode = st.st_ino;
    keys->seen_time = st.st_mtim;
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

void
access_key_principal(const struct access_key *key, const char *account,
                     char out[static KEY_PRINCIPAL_SIZE])
{
    if (key->name[0] == '\0')
        snprintf(out, KEY_PRINCIPAL_SIZE, "arn:aws:iam::%s:root", account);
    else
        snprintf(out, KEY_PRINCIPAL_SIZE, "arn:aws:%s::%s:%s/%s", key->is_lent ? "sts" : "iam",
                 account, key->is_lent ? "assumed-role" : "user", key->name);
}

bool
access_keys_find(struct access_keys *keys, struct str id, struct access_key *out)
{
    bool found = false;

    if (crypto_equal(id, str_of(keys->own.id))) {
        *out = keys->own;
        return true;
    }
    cleanup_free char *name = str_dup(id);
    pthread_mutex_lock(&keys->lock);
    refresh(keys);
    const struct json *row = id.len > 0 ? json_find(keys->read, "accessKeyId", name) : NULL;
    if (row != NULL)
        found = key_fill(row, out);
    else
        found = find_lent(keys, id, out);
    pthread_mutex_unlock(&keys->lock);
    return found;
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
        at->is_lent = true;
    } else {
        fits = err_set(err, ERR_VALIDATION, "%d access keys are lent, the most that are", KEYS_LENT_MAX);
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

void
access_key_make_lent(struct access_key *key)
{
    key_make(key, "ASIA");
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
    cleanup_close int lock = file_lock(path, err);
    cleanup_json struct json *keys = NULL;

    if (lock < 0 || !keys_read(path, &keys, err))
        return false;
    if (json_size(keys) >= KEYS_MAX)
        return err_set(err, ERR_VALIDATION, "there are %d access keys, the most that are kept",
                       KEYS_MAX);
    if (json_find(keys, "name", key->name) != NULL)
        return err_set(err, ERR_VALIDATION, "there is an access key named '%s' already", key->name);
    key_make(key, "AKIA");
    json_append(keys, key_row(key, now_ms));
    return keys_write(path, keys, err);
}

bool
access_keys_list(const char *path, struct json **out, struct err *err)
{
    cleanup_json struct json *keys = NULL;

    if (!keys_read(path, &keys, err))
        return false;
    *out = json_copy(keys);
    for (size_t i = 0; i < json_size(*out); i++)
        json_delete(json_at(*out, i), "secretAccessKey");
    return true;
}

bool
access_keys_delete(const char *path, const char *id_or_name, struct err *err)
{
    cleanup_close int lock = file_lock(path, err);
    cleanup_json struct json *keys = NULL, *left = json_array();

    if (lock < 0 || !keys_read(path, &keys, err))
        return false;
    for (size_t i = 0; i < json_size(keys); i++) {
        const struct json *row = json_at(keys, i);
        if (strcmp(json_get_cstr(row, "accessKeyId", ""), id_or_name) != 0 &&
            strcmp(json_get_cstr(row, "name", ""), id_or_name) != 0)
            json_append(left, json_ref(row));
    }
    if (json_size(left) == json_size(keys))
        return err_set(err, ERR_NOT_FOUND, "there is no access key '%s'", id_or_name);
    return keys_write(path, left, err);
}
