/* SPDX-License-Identifier: MIT */
#include "pipeline/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/random.h"
#include "base/seal.h"
#include "io/file.h"

#define STORE_MAX ((size_t)64 << 20)

bool
secrets_id_is_valid(struct str id)
{
    if (id.len == 0 || id.len > 200 || !json_is_utf8(id) || str_trim(id).len != id.len)
        return false;
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.at[i] < ' ' || id.at[i] == 0x7F)
            return false;
    return true;
}

static bool
is_private(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return err_errno(err, "cannot read '%s'", path);
    if ((st.st_mode & 077) != 0)
        return err_set(err, ERR_ACCESS_DENIED, "'%s' can be read by others; chmod 600 it", path);
    return true;
}

/* The key; `makes`: a new one if there is none. */
static bool
read_key(const char *directory, bool makes, unsigned char key[static SEAL_KEY_LEN], struct err *err)
{
    cleanup_free char *path = text_format("%s/key", directory);
    cleanup(strbuf_done) struct strbuf text = {0};

    if (makes && !file_exists(path)) {
        random_bytes(key, SEAL_KEY_LEN);
        return file_write_atomic(path, (struct str){(const char *)key, SEAL_KEY_LEN}, 0600, err);
    }
    if (!is_private(path, err) || !file_read(path, SEAL_KEY_LEN + 1, &text, err))
        return false;
    if (text.len != SEAL_KEY_LEN)
        return err_set(err, ERR_INTERNAL, "'%s' is not a key of %d bytes", path, SEAL_KEY_LEN);
    memcpy(key, text.at, SEAL_KEY_LEN);
    secret_wipe(text.at, text.len);
    return true;
}

/* An empty store if there is none yet. */
static struct json *
read_store(const char *directory, struct err *err)
{
    cleanup_free char *path = text_format("%s/store.json", directory);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct json *store;

    if (access(path, F_OK) != 0 && errno == ENOENT) /* not: a folder that is closed to us */
        return json_object();
    if (!is_private(path, err) || !file_read(path, STORE_MAX, &text, err))
        return NULL;
    store = json_parse(strbuf_str(&text), err);
    if (store != NULL && json_type(store) == JSON_OBJECT)
        return store;
    json_unref(store);
    err_set(err, ERR_INTERNAL, "'%s' is not a store of secrets", path);
    return NULL;
}

static bool
write_store(const char *directory, const struct json *store, struct err *err)
{
    cleanup_free char *path = text_format("%s/store.json", directory);
    cleanup_free char *text = json_format_pretty(store);

    return file_write_atomic(path, str_of(text), 0600, err);
}

/* Keeps other writers out until the descriptor is closed. */
static bool
lock_store(const char *directory, int *fd_out, struct err *err)
{
    cleanup_free char *path = text_format("%s/lock", directory);

    if (!file_make_dirs(directory, 0700, err))
        return false;
    *fd_out = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd_out < 0 || flock(*fd_out, LOCK_EX) != 0)
        return err_errno(err, "cannot lock '%s'", path);
    return true;
}

static struct str
context_of(const char *id, const char *kind, struct strbuf *to)
{
    strbuf_addf(to, "%s\n%s", kind, id);
    return strbuf_str(to);
}

static bool
is_kind(const char *kind)
{
    static const char *const kinds[] = {"text", "password",    "ssh",       "file",
                                        "aws",  "certificate", "github-app"};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static struct json *
seal_value(const unsigned char *key, const char *id, const struct json *value,
           const char *description)
{
    cleanup(strbuf_done) struct strbuf context = {0}, sealed = {0}, base64 = {0};
    const char *kind = json_get_cstr(value, "kind", "");
    char *text = json_format(value);
    struct json *row = json_object();

    seal(key, context_of(id, kind, &context), str_of(text), &sealed);
    base64_encode(&base64, strbuf_str(&sealed));
    secret_wipe(text, strlen(text));
    free(text);
    json_set(row, "kind", json_text(kind));
    if (description != NULL && description[0] != '\0')
        json_set(row, "description", json_text(description));
    json_set(row, "updatedAtMs", json_int(clock_wall_ms()));
    json_set(row, "sealed", json_str(strbuf_str(&base64)));
    return row;
}

bool
secrets_set(const char *directory, const char *id, const struct json *value,
            const char *description, struct err *err)
{
    cleanup_json struct json *store = NULL;
    cleanup_close int lock = -1;
    unsigned char key[SEAL_KEY_LEN];

    if (!secrets_id_is_valid(str_of(id)))
        return err_set(err, ERR_VALIDATION, "an id has 1 to 200 printable characters");
    if (!is_kind(json_get_cstr(value, "kind", "")))
        return err_set(
            err, ERR_VALIDATION,
            "a secret is of kind text, password, ssh, file, aws, certificate or github-app");
    if (!lock_store(directory, &lock, err))
        return false;
    store = read_store(directory, err);
    /* A lost key is not replaced while it seals something: it may come back from a backup. */
    if (store == NULL || !read_key(directory, /* makes= */ json_size(store) == 0, key, err))
        return false;
    if (json_get(store, id) == NULL && json_size(store) >= SECRETS_MAX)
        return err_set(err, ERR_LIMIT_EXCEEDED, "there are %d secrets already", SECRETS_MAX);
    json_set(store, id, seal_value(key, id, value, description));
    secret_wipe(key, sizeof(key));
    return write_store(directory, store, err);
}

const char *
secret_token(const struct json *value)
{
    return json_get_cstr(value, "text", json_get_cstr(value, "password", ""));
}

/* A lost key is not replaced while it seals something. */
static bool
key_is_there(const char *directory, struct err *err)
{
    cleanup_free char *path = text_format("%s/key", directory);
    cleanup_json struct json *store = NULL;
    cleanup_close int lock = -1;
    unsigned char key[SEAL_KEY_LEN];
    bool ok;

    if (file_exists(path))
        return true;
    if (!lock_store(directory, &lock, err))
        return false;
    store = read_store(directory, err);
    ok = store != NULL && read_key(directory, /* makes= */ json_size(store) == 0, key, err);
    secret_wipe(key, sizeof(key));
    return ok;
}

bool
secrets_seal(const char *directory, struct str context, struct str text, struct strbuf *out,
             struct err *err)
{
    cleanup(strbuf_done) struct strbuf sealed = {0};
    unsigned char key[SEAL_KEY_LEN];

    if (!key_is_there(directory, err) || !read_key(directory, /* makes= */ false, key, err))
        return false;
    seal(key, context, text, &sealed);
    secret_wipe(key, sizeof(key));
    base64_encode(out, strbuf_str(&sealed));
    return true;
}

bool
secrets_unseal(const char *directory, struct str context, struct str sealed, struct strbuf *out,
               struct err *err)
{
    cleanup(strbuf_done) struct strbuf bytes = {0};
    unsigned char key[SEAL_KEY_LEN];
    bool ok;

    if (!base64_decode(&bytes, sealed))
        return err_set(err, ERR_INTERNAL, "what is sealed is no base64");
    if (!read_key(directory, /* makes= */ false, key, err))
        return false;
    ok = unseal(key, context, strbuf_str(&bytes), out, err);
    secret_wipe(key, sizeof(key));
    return ok;
}

bool
secrets_delete(const char *directory, const char *id, struct err *err)
{
    cleanup_json struct json *store = NULL;
    cleanup_close int lock = -1;

    if (!lock_store(directory, &lock, err))
        return false;
    store = read_store(directory, err);
    if (store == NULL)
        return false;
    if (json_get(store, id) == NULL)
        return err_set(err, ERR_RESOURCE_NOT_FOUND, "there is no secret '%.200s'", id);
    json_delete(store, id);
    return write_store(directory, store, err);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct json *
secrets_list(const char *directory, struct err *err)
{
    cleanup_json struct json *store = read_store(directory, err);
    cleanup_free const char **ids = NULL;
    struct json *list;
    size_t count = 0;

    if (store == NULL)
        return NULL;
    ids = mem_new((json_size(store) + 1) * sizeof(*ids));
    for (void *it = json_first(store); it != NULL; it = json_next(store, it))
        ids[count++] = json_key(it);
    qsort((void *)(uintptr_t)ids, count, sizeof(*ids), by_text);
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        struct json *row = json_copy(json_get(store, ids[i])), *shown = json_object();
        json_delete(row, "sealed");
        json_set(shown, "id", json_text(ids[i]));
        for (void *it = json_first(row); it != NULL; it = json_next(row, it))
            json_set(shown, json_key(it), json_ref(json_value(it)));
        json_append(list, shown);
        json_unref(row);
    }
    return list;
}

struct json *
secrets_get(const char *directory, const char *id, struct err *err)
{
    cleanup_json struct json *store = read_store(directory, err);
    cleanup(strbuf_done) struct strbuf context = {0}, sealed = {0}, text = {0};
    const struct json *row;
    unsigned char key[SEAL_KEY_LEN];
    struct json *value = NULL;

    if (store == NULL)
        return NULL;
    row = json_get(store, id);
    if (json_type(row) != JSON_OBJECT) {
        err_set(err, ERR_RESOURCE_NOT_FOUND, "there is no secret '%.200s'", id);
        return NULL;
    }
    if (!read_key(directory, false, key, err))
        return NULL;
    if (!base64_decode(&sealed, str_of(json_get_cstr(row, "sealed", "")))) {
        err_set(err, ERR_INTERNAL, "the secret '%.200s' is broken", id);
    } else if (!unseal(key, context_of(id, json_get_cstr(row, "kind", ""), &context),
                       strbuf_str(&sealed), &text, err)) {
        err_context(err, "secret '%.200s'", id);
    } else {
        value = json_parse(strbuf_str(&text), err);
        secret_wipe(text.at, text.len);
    }
    secret_wipe(key, sizeof(key));
    return value;
}

/* The kinds and members of the plain file had Jenkins's names. */
static struct json *
from_plain(const struct json *old)
{
    const char *kind = json_get_cstr(old, "kind", "");
    struct json *value = json_copy(old);

    if (strcmp(kind, "string") == 0) {
        json_set(value, "kind", json_text("text"));
        json_set(value, "text", json_text(json_get_cstr(old, "secret", "")));
        json_delete(value, "secret");
    } else if (strcmp(kind, "usernamePassword") == 0) {
        json_set(value, "kind", json_text("password"));
    } else if (strcmp(kind, "file") == 0) {
        cleanup(strbuf_done) struct strbuf base64 = {0};
        base64_encode(&base64, str_of(json_get_cstr(old, "content", "")));
        json_set(value, "contentBase64", json_str(strbuf_str(&base64)));
        json_delete(value, "content");
    }
    return value;
}

bool
secrets_migrate(const char *directory, const char *plain_path, unsigned *count_out, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *plain = NULL;
    cleanup_json struct json *known = NULL;

    *count_out = 0;
    if (!file_exists(plain_path))
        return true;
    if (!is_private(plain_path, err) || !file_read(plain_path, SECRET_LEN_MAX, &text, err))
        return false;
    plain = json_parse(strbuf_str(&text), err);
    secret_wipe(text.at, text.len);
    known = read_store(directory, err);
    if (plain == NULL || known == NULL)
        return err_context(err, "'%s'", plain_path);
    for (void *it = json_first(plain); it != NULL; it = json_next(plain, it)) {
        cleanup_json struct json *value = from_plain(json_value(it));
        if (json_get(known, json_key(it)) != NULL)
            continue;
        if (!secrets_set(directory, json_key(it), value, NULL, err))
            return err_context(err, "'%s': '%.200s'", plain_path, json_key(it));
        (*count_out)++;
    }
    if (unlink(plain_path) != 0)
        return err_errno(err, "cannot remove '%s', whose credentials are stored now", plain_path);
    return true;
}

bool
secrets_take_over(const char *data_dir, struct err *err)
{
    cleanup_free char *directory = text_format("%s/secrets", data_dir);
    cleanup_free char *plain = text_format("%s/secrets.json", data_dir);
    unsigned count;

    if (!secrets_migrate(directory, plain, &count, err))
        return false;
    if (count > 0)
        log_info("pipeline.secrets", "taken_over=%u from=%s", count, plain);
    return true;
}
