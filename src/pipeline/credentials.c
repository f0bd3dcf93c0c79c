/* SPDX-License-Identifier: MIT */
/* credentials.c - credentials by id, bound as environment variables and masked in the log.
 * They stand in a JSON file (<data>/secrets.json) that only its owner may read:
 *   {"docker-hub": {"kind": "usernamePassword", "username": "u", "password": "p"},
 *    "token": {"kind": "string", "secret": "s"},
 *    "kubeconfig": {"kind": "file", "content": "...", "name": "config"},
 *    "deploy-key": {"kind": "ssh", "username": "git", "privateKey": "...", "passphrase": ""},
 *    "aws": {"kind": "aws", "accessKeyId": "A", "secretAccessKey": "S"}} */
#include <stdio.h>
#include <sys/stat.h>
#include "base/json.h"
#include "io/file.h"
#include "pipeline/run.h"

#define CREDENTIALS_MAX ((size_t)1 << 20)

/* The credential, for the caller to unref; NULL with something thrown. */
static struct json *
find(struct run *run, const struct node *at, const char *id)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *all = NULL;
    struct json *one;
    const char *path = run->config->credentials_path;
    struct stat st;
    struct err err;

    if (path == NULL || stat(path, &st) != 0) {
        interp_throw(&run->in, at, "CredentialNotFoundException",
                     "there is no credential '%s' (no credentials are configured%s%s)", id,
                     path == NULL ? "" : ": ", path == NULL ? "" : path);
        return NULL;
    }
    if ((st.st_mode & 077) != 0) {
        interp_throw(&run->in, at, "CredentialNotFoundException",
                     "'%s' can be read by others; chmod 600 it", path);
        return NULL;
    }
    if (!file_read(path, CREDENTIALS_MAX, &text, &err) ||
        (all = json_parse(strbuf_str(&text), &err)) == NULL) {
        interp_throw(&run->in, at, "CredentialNotFoundException", "'%s' is not usable: %s", path,
                     err.message);
        return NULL;
    }
    one = json_get(all, id);
    if (json_type(one) != JSON_OBJECT) {
        interp_throw(&run->in, at, "CredentialNotFoundException",
                     "Could not find credentials entry with ID '%s'", id);
        return NULL;
    }
    return json_ref(one);
}

static const char *
kind_of(const struct json *c)
{
    return json_get_cstr(c, "kind", "");
}

static void
bind(struct run *run, struct env_layer *layer, struct str name, const char *value, bool is_secret)
{
    if (name.len == 0)
        return;
    if (is_secret)
        run_mask(run, str_of(value));
    run_env_set(run, layer, name, str_of(value));
}

/* A private copy beside the workspace; the build's end removes the folder. */
static bool
bind_file(struct run *run, const struct node *at, struct env_layer *layer, struct str name,
          const char *content, const char *file_name)
{
    const char *folder, *path;
    struct err err;

    if (run->workspace == NULL)
        return interp_throw(&run->in, at, "AbortException",
                            "a credential that is a file needs a workspace");
    folder = arena_format(&run->arena, "%s@tmp/secret-%u", run->workspace, ++run->files);
    if (file_name[0] == '\0' || strchr(file_name, '/') != NULL || file_name[0] == '.')
        file_name = "secret";
    path = arena_format(&run->arena, "%s/%s", folder, file_name);
    if (!file_make_dirs(folder, 0700, &err) ||
        !file_write_atomic(path, str_of(content), 0400, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    run_env_set(run, layer, name, str_of(path));
    return true;
}

static void
remove_files(struct run *run, unsigned from)
{
    struct err err;

    if (run->workspace == NULL)
        return;
    for (unsigned i = from + 1; i <= run->files; i++) {
        char path[4200];
        snprintf(path, sizeof(path), "%s@tmp/secret-%u", run->workspace, i);
        if (file_exists(path) && !file_remove_tree(path, &err))
            run_logf(run, "WARNING: a secret file was not removed: %s", err.message);
    }
}

bool
credentials_bind(struct run *run, const struct node *at, struct env_layer *layer, struct str name,
                 struct str id)
{
    cleanup_json struct json *c = find(run, at, arena_cstr(&run->arena, id));
    struct str user = str_of(arena_format(&run->arena, STR_FMT "_USR", STR_ARG(name)));
    struct str password = str_of(arena_format(&run->arena, STR_FMT "_PSW", STR_ARG(name)));

    if (c == NULL)
        return false;
    if (strcmp(kind_of(c), "string") == 0) {
        bind(run, layer, name, json_get_cstr(c, "secret", ""), true);
    } else if (strcmp(kind_of(c), "usernamePassword") == 0) {
        const char *u = json_get_cstr(c, "username", ""), *p = json_get_cstr(c, "password", "");
        bind(run, layer, user, u, false);
        bind(run, layer, password, p, true);
        bind(run, layer, name, arena_format(&run->arena, "%s:%s", u, p), true);
    } else if (strcmp(kind_of(c), "file") == 0) {
        return bind_file(run, at, layer, name, json_get_cstr(c, "content", ""),
                         json_get_cstr(c, "name", ""));
    } else if (strcmp(kind_of(c), "ssh") == 0) {
        bind(run, layer, user, json_get_cstr(c, "username", ""), false);
        bind(run, layer, password, json_get_cstr(c, "passphrase", ""), true);
        return bind_file(run, at, layer, name, json_get_cstr(c, "privateKey", ""), "key");
    } else {
        return interp_throw(&run->in, at, "CredentialNotFoundException",
                            "credential '" STR_FMT "' (%s) cannot be used in 'environment'",
                            STR_ARG(id), kind_of(c));
    }
    return true;
}

struct binding {
    struct step_call *s;
    struct env_layer *layer;
    const struct map *map;
};

static struct str
field(const struct binding *b, const char *name, const char *fallback)
{
    const struct value *v = map_find_text(b->map, name);

    return v == NULL || v->type == V_NULL ? str_of(fallback) : value_to_text(&b->s->run->arena, *v);
}

static bool
is_kind(const struct binding *b, const struct json *c, const char *wanted)
{
    if (strcmp(kind_of(c), wanted) == 0)
        return true;
    return step_fail(b->s, "credential '" STR_FMT "' is of kind '%s', not '%s'",
                     STR_ARG(field(b, "credentialsId", "")), kind_of(c), wanted);
}

static bool
bind_one(const struct binding *b)
{
    struct run *run = b->s->run;
    struct str type = field(b, "$class", "");
    cleanup_json struct json *c =
        find(run, b->s->at, arena_cstr(&run->arena, field(b, "credentialsId", "")));

    if (c == NULL)
        return false;
    if (str_is(type, "string") || str_is(type, "StringBinding")) {
        if (!is_kind(b, c, "string"))
            return false;
        bind(run, b->layer, field(b, "variable", ""), json_get_cstr(c, "secret", ""), true);
    } else if (str_is(type, "usernamePassword") || str_is(type, "UsernamePasswordMultiBinding")) {
        if (!is_kind(b, c, "usernamePassword"))
            return false;
        bind(run, b->layer, field(b, "usernameVariable", ""), json_get_cstr(c, "username", ""),
             false);
        bind(run, b->layer, field(b, "passwordVariable", ""), json_get_cstr(c, "password", ""),
             true);
    } else if (str_is(type, "usernameColonPassword")) {
        if (!is_kind(b, c, "usernamePassword"))
            return false;
        run_mask(run, str_of(json_get_cstr(c, "password", "")));
        bind(run, b->layer, field(b, "variable", ""),
             arena_format(&run->arena, "%s:%s", json_get_cstr(c, "username", ""),
                          json_get_cstr(c, "password", "")),
             true);
    } else if (str_is(type, "file") || str_is(type, "FileBinding")) {
        return is_kind(b, c, "file") &&
               bind_file(run, b->s->at, b->layer, field(b, "variable", ""),
                         json_get_cstr(c, "content", ""), json_get_cstr(c, "name", ""));
    } else if (str_is(type, "sshUserPrivateKey")) {
        if (!is_kind(b, c, "ssh"))
            return false;
        bind(run, b->layer, field(b, "usernameVariable", ""), json_get_cstr(c, "username", ""),
             false);
        bind(run, b->layer, field(b, "passphraseVariable", ""), json_get_cstr(c, "passphrase", ""),
             true);
        return bind_file(run, b->s->at, b->layer, field(b, "keyFileVariable", ""),
                         json_get_cstr(c, "privateKey", ""), "key");
    } else if (str_is(type, "aws") || str_is(type, "AmazonWebServicesCredentialsBinding")) {
        if (!is_kind(b, c, "aws"))
            return false;
        bind(run, b->layer, field(b, "accessKeyVariable", "AWS_ACCESS_KEY_ID"),
             json_get_cstr(c, "accessKeyId", ""), true);
        bind(run, b->layer, field(b, "secretKeyVariable", "AWS_SECRET_ACCESS_KEY"),
             json_get_cstr(c, "secretAccessKey", ""), true);
    } else {
        return step_fail(b->s, "the credentials binding '" STR_FMT "' is not supported yet",
                         STR_ARG(type));
    }
    return true;
}

static bool
step_with_credentials(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env;
    struct mask *masks = run->masks;
    const struct value *list = step_value(s, "bindings");
    struct binding b = {.s = s};
    unsigned files = run->files;
    bool ok = true;

    if (list == NULL || list->type != V_LIST)
        return step_fail(s, "withCredentials needs a list of bindings");
    b.layer = run_env_push(run);
    for (size_t i = 0; i < list->list->count && ok; i++) {
        b.map = list->list->at[i].map;
        ok = list->list->at[i].type == V_MAP ? bind_one(&b)
                                             : step_fail(s, "withCredentials needs bindings");
    }
    ok = ok && s->body.run(run, s->body.arg, s->out);
    run_log_flush(run);
    remove_files(run, files);
    run->env = outer;
    /* An error message that is logged later may still carry the secret. */
    if (ok)
        run->masks = masks;
    return ok;
}

step_function *
step_credentials_find(struct str name)
{
    return str_is(name, "withCredentials") ? step_with_credentials : NULL;
}
