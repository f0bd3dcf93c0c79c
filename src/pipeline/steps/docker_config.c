/* SPDX-License-Identifier: MIT */
/* docker_config.c - docker's configuration for a build or a block of it: what the user's has, but
 * logins stay in it.  Builds side by side would overwrite each other's in the user's own, and that of a
 * build ends with its key.  A build of strangers' code gets it without the user's logins. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/file.h"
#include "pipeline/steps/docker.h"

#define CONFIG_MAX ((size_t)1 << 20)
#define ENTRIES_MAX 1000

static const char *
env_text(struct run *run, const char *name)
{
    struct value v;
    bool found;

    return run_env_get(run, str_of(name), &v, &found) && found
               ? arena_cstr(&run->arena, value_to_text(&run->arena, v))
               : NULL;
}

/* NULL: he has none. */
static const char *
folder_of_user(struct run *run, const char *home)
{
    const char *given = env_text(run, "DOCKER_CONFIG");

    return given != NULL && given[0] != '\0' ? given
           : home != NULL                    ? arena_format(&run->arena, "%s/.docker", home)
                                             : NULL;
}

/* Contexts, plugins and builders: there under their own path, whatever they are. */
static bool
link_others(struct run *run, const char *from, const char *folder, struct err *err)
{
    DIR *d = opendir(from);
    const struct dirent *e;
    unsigned count = 0;
    bool ok = true;

    while (ok && d != NULL && count++ < ENTRIES_MAX && (e = readdir(d)) != NULL) {
        const char *to = arena_format(&run->arena, "%s/%s", folder, e->d_name);
        const char *at = arena_format(&run->arena, "%s/%s", from, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            str_starts(str_of(e->d_name), STR("config.json")))
            continue;
        if (symlink(at, to) < 0 && errno != EEXIST)
            ok = err_errno(err, "cannot link '%s'", to);
    }
    if (d != NULL)
        closedir(d);
    return ok;
}

/* Strangers' code gets what it needs to ask docker, and no login. */
static void
forget_logins(struct strbuf *text)
{
    static const char *const logins[] = {"auths", "credsStore", "credHelpers", "HttpHeaders"};
    struct err err;
    cleanup_json struct json *config = json_parse(strbuf_str(text), &err);
    cleanup_free char *rest = NULL;

    if (json_type(config) != JSON_OBJECT) {
        json_unref(config);
        config = json_object();
    }
    for (size_t i = 0; i < ARRAY_COUNT(logins); i++)
        json_delete(config, logins[i]);
    rest = json_format(config);
    strbuf_clear(text);
    strbuf_add_cstr(text, rest);
}

/* "" if there is none. */
static bool
read_config(struct run *run, const char *from, struct strbuf *text, struct err *err)
{
    const char *path = arena_format(&run->arena, "%s/config.json", from);

    return access(path, F_OK) != 0 || file_read(path, CONFIG_MAX, text, err);
}

/* What the user of naru has in `from` (NULL: nothing) was read by himself; the rest is the build's doing. */
static bool
make(struct run *run, const char *from, const char *folder, struct strbuf *text, struct err *err)
{
    USER_ACTS(run);

    if (!file_make_dirs(folder, 0700, err))
        return false;
    if (from == NULL)
        return true;
    if (!link_others(run, from, folder, err))
        return false;
    if (text->len == 0)
        return true;
    if (run->config->trusted_ref != NULL)
        forget_logins(text);
    return file_write_atomic(arena_format(&run->arena, "%s/config.json", folder), strbuf_str(text),
                             0600, err);
}

bool
docker_config_make(struct run *run, const char *folder, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *from = folder_of_user(run, env_text(run, "HOME"));
    USER_ACTS(run);

    return (from == NULL || read_config(run, from, &text, err)) &&
           make(run, from, folder, &text, err);
}

static bool
make_of_build(struct run *run, const char *folder, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *from =
        folder_of_user(run, run->user != NULL ? run->user->server_home : env_text(run, "HOME"));

    return (from == NULL || read_config(run, from, &text, err)) &&
           make(run, from, folder, &text, err);
}

static const char *
folder_of_build(struct run *run)
{
    const char *state_dir = run->config->state_dir;

    return state_dir == NULL   ? NULL
           : run->user != NULL ? arena_format(&run->arena, "%s@tmp/docker", run->config->workspace)
                               : arena_format(&run->arena, "%s/docker", state_dir);
}

void
docker_config_enter(struct run *run, bool again)
{
    const char *folder = folder_of_build(run);
    struct err err;

    if (folder == NULL)
        return;
    if (!(again && file_exists(folder)) && !make_of_build(run, folder, &err)) {
        run_logf(run, "WARNING: docker's configuration is %s: %s",
                 run->config->trusted_ref != NULL ? "empty" : "the user's", err.message);
        if (run->config->trusted_ref == NULL)
            return;
    }
    run_env_set(run, &run->base, STR("DOCKER_CONFIG"), str_of(folder));
}

bool
docker_config_is_of_build(struct run *run, struct str entry)
{
    const char *folder = folder_of_build(run);

    return folder != NULL && str_starts(entry, STR("DOCKER_CONFIG=")) &&
           str_is(str_slice(entry, 14, entry.len), folder);
}
