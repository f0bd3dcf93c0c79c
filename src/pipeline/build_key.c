/* SPDX-License-Identifier: MIT */
#include "pipeline/build_key.h"

#include <stdio.h>
#include "base/log.h"
#include "io/file.h"
#include "model/role.h"

#define KEY_FILE_MAX 4096

/* ---- the role ---- */

bool
build_roles_check(const char *roles, struct err *err)
{
    struct str rest = str_of(roles), one, pattern;
    enum role role;

    while (rest.len > 0 && str_split(&rest, ',', &one)) {
        struct str name = one;
        if (str_index(one, '=') >= 0 && (!str_split(&name, '=', &pattern) || str_trim(pattern).len == 0))
            return err_set(err, ERR_USAGE, "'" STR_FMT "' names no pipeline before its '='", STR_ARG(one));
        if (!role_parse(str_trim(name), &role))
            return err_set(err, ERR_USAGE,
                           "'" STR_FMT "' is no role of builds (admin, deploy, push, pull, read-only)",
                           STR_ARG(str_trim(name)));
    }
    return true;
}

const char *
build_role_of(const char *roles, const char *pipeline, char out[static 16])
{
    struct str rest = str_of(roles), one, found = STR(BUILD_ROLE_DEFAULT);

    while (rest.len > 0 && str_split(&rest, ',', &one)) {
        struct str name = one, pattern;
        if (str_index(one, '=') < 0) {
            found = str_trim(one);
        } else if (str_split(&name, '=', &pattern) && str_like(str_trim(pattern), str_of(pipeline))) {
            found = str_trim(name);
            break;
        }
    }
    if (!text_copy(out, 16, found))
        text_copy_all(out, 16, BUILD_ROLE_DEFAULT);
    return out;
}

/* ---- the key ---- */

static void
name_key(const char *roles, const char *pipeline, int64_t number, struct access_key *key)
{
    snprintf(key->name, sizeof(key->name), "naru-build/%.63s-%lld", pipeline, (long long)number);
    build_role_of(roles, pipeline, key->role);
}

static bool
key_read(const char *path, struct access_key *out)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!file_read(path, KEY_FILE_MAX, &text, NULL))
        return false;
    cleanup_json struct json *j = json_parse(strbuf_str(&text), NULL);
    return text_copy(out->id, sizeof(out->id), str_of(json_get_cstr(j, "accessKeyId", ""))) &&
           text_copy(out->secret, sizeof(out->secret),
                     str_of(json_get_cstr(j, "secretAccessKey", ""))) &&
           out->id[0] != '\0' && out->secret[0] != '\0';
}

static bool
key_write(const char *state_dir, const char *path, const struct access_key *key, struct err *err)
{
    cleanup_json struct json *j = json_object();

    json_set(j, "accessKeyId", json_text(key->id));
    json_set(j, "secretAccessKey", json_text(key->secret));
    cleanup_free char *text = json_format(j);
    return file_make_dirs(state_dir, 0700, err) && file_write_atomic(path, str_of(text), 0600, err);
}

bool
build_key_begin(struct access_keys *keys, const char *roles, const char *pipeline, int64_t number,
                const char *state_dir, struct access_key *out, struct err *err)
{
    cleanup_free char *path = text_format("%s/key.json", state_dir);
    struct access_key key = {0};
    struct err kept;

    if (!key_read(path, &key)) {
        access_key_make_lent(&key);
        if (!key_write(state_dir, path, &key, &kept))
            log_warn("build.key", "pipeline=%s build=%lld error=%s", pipeline, (long long)number,
                     log_quote(kept.message));
    }
    name_key(roles, pipeline, number, &key);
    if (!access_keys_lend(keys, &key, err))
        return false;
    *out = key;
    return true;
}

void
build_key_again(struct access_keys *keys, const char *roles, const char *pipeline, int64_t number,
                const char *state_dir)
{
    cleanup_free char *path = text_format("%s/key.json", state_dir);
    struct access_key key = {0};
    struct err err;

    if (!key_read(path, &key))
        return;
    name_key(roles, pipeline, number, &key);
    if (!access_keys_lend(keys, &key, &err))
        log_warn("build.key", "pipeline=%s build=%lld error=%s", pipeline, (long long)number,
                 log_quote(err.message));
}

void
build_key_end(struct access_keys *keys, const char *pipeline, int64_t number)
{
    struct access_key key = {0};

    name_key("", pipeline, number, &key);
    access_keys_take_back(keys, key.name);
}

/* ---- the environment ---- */

static bool
is_of_a_key(const char *line)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=",
                                        "AWS_SESSION_TOKEN="};

    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strncmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

const char *const *
build_key_env(struct arena *a, const char *const *env, const struct access_key *key)
{
    const char **out;
    size_t count = 0, n = 0;

    while (env != NULL && env[count] != NULL)
        count++;
    out = arena_alloc(a, (count + 4) * sizeof(*out));
    for (size_t i = 0; i < count; i++)
        if (!is_of_a_key(env[i]))
            out[n++] = env[i];
    out[n++] = arena_format(a, "AWS_ACCESS_KEY_ID=%s", key == NULL ? "" : key->id);
    out[n++] = arena_format(a, "AWS_SECRET_ACCESS_KEY=%s", key == NULL ? "" : key->secret);
    if (key == NULL)
        out[n++] = "AWS_SESSION_TOKEN=";
    return out;
}
