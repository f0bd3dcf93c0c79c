/* SPDX-License-Identifier: MIT */
/* credentials.c - credentials by id, bound as environment variables and hidden in the log. */
#include "pipeline/run/credentials.h"

#include <stdio.h>
#include <unistd.h>
#include "base/crypto.h"
#include "base/uri.h"
#include "io/file.h"
#include "pipeline/secrets.h"

struct json *
credential_get(struct run *run, const struct node *at, const char *id)
{
    const char *directory = run->config->secrets_dir;
    struct json *c;
    struct err err;

    if (directory == NULL) {
        interp_throw(&run->in, at, "CredentialNotFoundException",
                     "there is no credential '%.200s': this build has no secrets", id);
        return NULL;
    }
    c = secrets_get(directory, id, &err);
    if (c != NULL)
        return c;
    if (err.code == ERR_RESOURCE_NOT_FOUND)
        interp_throw(&run->in, at, "CredentialNotFoundException",
                     "Could not find credentials entry with ID '%.200s' (naru secret set %.200s)",
                     id, id);
    else
        interp_throw(&run->in, at, "CredentialNotFoundException", "%s", err.message);
    return NULL;
}

static const char *
kind_of(const struct json *c)
{
    return json_get_cstr(c, "kind", "");
}

static bool
is_one_of(const char *kind, const char *kinds)
{
    struct str rest = str_of(kinds), one;

    while (str_split(&rest, ' ', &one))
        if (str_is(one, kind))
            return true;
    return false;
}

struct json *
credential_of_kind(struct run *run, const struct node *at, const char *id, const char *kinds)
{
    struct json *c = credential_get(run, at, id);

    if (c == NULL || is_one_of(kind_of(c), kinds))
        return c;
    interp_throw(&run->in, at, "AbortException",
                 "credential '%.200s' is of kind '%s'; '%s' is needed here", id, kind_of(c), kinds);
    json_unref(c);
    return NULL;
}

/* 'it'\''s' and "'"'"'": how shells write a quote within quotes. */
static void
mask_quoted(struct run *run, struct str secret, const char *quote)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    for (size_t i = 0; i < secret.len; i++) {
        if (secret.at[i] == '\'')
            strbuf_add_cstr(&out, quote);
        else
            strbuf_add_char(&out, secret.at[i]);
    }
    run_mask(run, strbuf_str(&out));
}

void
credential_mask(struct run *run, struct str secret)
{
    cleanup(strbuf_done) struct strbuf base64 = {0}, url = {0};

    run_mask(run, secret);
    if (secret.len < 3)
        return;
    if (str_index(secret, '\'') >= 0) {
        mask_quoted(run, secret, "'\\''");
        mask_quoted(run, secret, "'\"'\"'");
    }
    base64_encode(&base64, secret);
    run_mask(run, strbuf_str(&base64));
    uri_encode(&url, secret, false);
    run_mask(run, strbuf_str(&url));
}

bool
credential_file(struct run *run, const struct node *at, struct str content, const char *name,
                unsigned mode, const char **path_out)
{
    const char *folder, *path;
    struct err err;

    if (run->workspace == NULL)
        return interp_throw(&run->in, at, "AbortException",
                            "a credential that is a file needs a workspace");
    folder = arena_format(&run->arena, "%s@tmp/secret-%u", run->workspace, ++run->files);
    if (name[0] == '\0' || strchr(name, '/') != NULL || name[0] == '.')
        name = "secret";
    path = arena_format(&run->arena, "%s/%s", folder, name);
    USER_ACTS(run);
    if (!file_make_dirs(folder, 0700, &err) || !file_write_atomic(path, content, mode, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    *path_out = path;
    return true;
}

void
credential_file_remove(struct run *run, const char *path)
{
    const char *slash = path == NULL ? NULL : strrchr(path, '/');
    struct err err;

    if (slash == NULL || run_is_suspended(run))
        return; /* none, or the script that reads it goes on */
    USER_ACTS(run);
    if (!file_remove_tree(arena_cstr(&run->arena, str_range(path, slash)), &err))
        run_logf(run, "WARNING: a secret file was not removed: %s", err.message);
}

static bool
is_masked(const struct run *run, struct str text)
{
    for (const struct mask *m = run->masks; m != NULL; m = m->next)
        if (str_equal(m->secret, text))
            return true;
    return false;
}

void
credential_warn(struct run *run, const char *step, struct str text)
{
    cleanup(strbuf_done) struct strbuf names = {0};

    for (const char *const *line = run_env_list(run); run->masks != NULL && *line != NULL; line++) {
        struct str value = str_of(*line), name;
        if (str_split(&value, '=', &name) && value.len > 0 && str_find(text, value) >= 0 && is_masked(run, value))
            strbuf_addf(&names, "%s" STR_FMT, names.len > 0 ? ", " : "", STR_ARG(name));
    }
    if (names.len > 0)
        run_logf(run, "Warning: a secret was passed to \"%s\" by Groovy's string interpolation, which is insecure: it is in the "
                 "script's text. In single quotes the shell puts it in. Variables: [%s]", step, strbuf_cstr(&names));
}

/* ssh asks for the passphrase by a program; git for name and password, too. */
static const char askpass[] = "#!/bin/sh\n"
                              "case \"$1\" in\n"
                              "*[Uu]sername*) printf '%s\\n' \"$NARU_ASKED_USERNAME\" ;;\n"
                              "*) printf '%s\\n' \"$NARU_ASKED_PASSWORD\" ;;\n"
                              "esac\n";

static bool
git_by_password(struct run *run, const struct node *at, struct env_layer *layer,
                const struct json *c, const char **path_out)
{
    const char *password = json_get_cstr(c, "password", json_get_cstr(c, "text", ""));

    credential_mask(run, str_of(password));
    if (!credential_file(run, at, STR(askpass), "askpass", 0500, path_out))
        return false;
    run_env_set(run, layer, STR("GIT_ASKPASS"), str_of(*path_out));
    run_env_set(run, layer, STR("NARU_ASKED_USERNAME"),
                str_of(json_get_cstr(c, "username", "git")));
    run_env_set(run, layer, STR("NARU_ASKED_PASSWORD"), str_of(password));
    return true;
}

static bool
git_by_key(struct run *run, const struct node *at, struct env_layer *layer, const struct json *c,
           const char **path_out)
{
    const char *passphrase = json_get_cstr(c, "passphrase", ""), *folder, *program;
    struct err err;

    if (!credential_file(run, at, str_of(json_get_cstr(c, "privateKey", "")), "key", 0400,
                         path_out))
        return false;
    run_env_set(run, layer, STR("GIT_SSH_COMMAND"),
                str_of(arena_format(&run->arena,
                                    "ssh -i '%s' -o IdentitiesOnly=yes "
                                    "-o StrictHostKeyChecking=accept-new%s",
                                    *path_out, passphrase[0] == '\0' ? " -o BatchMode=yes" : "")));
    if (passphrase[0] == '\0')
        return true;
    credential_mask(run, str_of(passphrase));
    folder = arena_cstr(&run->arena, str_range(*path_out, strrchr(*path_out, '/')));
    program = arena_format(&run->arena, "%s/askpass", folder);
    USER_ACTS(run);
    if (!file_write_atomic(program, STR(askpass), 0500, &err))
        return interp_throw(&run->in, at, "AbortException", "%s", err.message);
    run_env_set(run, layer, STR("SSH_ASKPASS"), str_of(program));
    run_env_set(run, layer, STR("SSH_ASKPASS_REQUIRE"), STR("force"));
    run_env_set(run, layer, STR("NARU_ASKED_PASSWORD"), str_of(passphrase));
    return true;
}

bool
credential_for_git(struct run *run, const struct node *at, struct env_layer *layer, const char *id,
                   const char **path_out)
{
    cleanup_json struct json *c = credential_of_kind(run, at, id, "password text ssh");

    if (c == NULL)
        return false;
    return strcmp(kind_of(c), "ssh") == 0 ? git_by_key(run, at, layer, c, path_out)
                                          : git_by_password(run, at, layer, c, path_out);
}

static void
bind(struct run *run, struct env_layer *layer, struct str name, const char *value, bool is_secret)
{
    if (name.len == 0)
        return;
    if (is_secret)
        credential_mask(run, str_of(value));
    run_env_set(run, layer, name, str_of(value));
}

static bool
bind_file(struct run *run, const struct node *at, struct env_layer *layer, struct str name,
          const struct json *c, const char *file_name, const char **path_out)
{
    cleanup(strbuf_done) struct strbuf content = {0};

    if (!base64_decode(&content, str_of(json_get_cstr(c, "contentBase64", ""))))
        return interp_throw(&run->in, at, "AbortException", "the secret file is broken");
    if (!credential_file(run, at, strbuf_str(&content), file_name, 0400, path_out))
        return false;
    run_env_set(run, layer, name, str_of(*path_out));
    return true;
}

static bool
bind_key(struct run *run, const struct node *at, struct env_layer *layer, struct str name,
         const struct json *c, const char **path_out)
{
    if (!credential_file(run, at, str_of(json_get_cstr(c, "privateKey", "")), "key", 0400,
                         path_out))
        return false;
    run_env_set(run, layer, name, str_of(*path_out));
    return true;
}

/* Even one that could not be bound whole. */
static void
keep_file(struct run *run, struct env_layer *layer, const char *path)
{
    struct env_file *file = arena_alloc(&run->arena, sizeof(*file));

    *file = (struct env_file){.path = path, .next = layer->files};
    layer->files = file;
}

void
credentials_unbind(struct run *run, const struct env_layer *outer)
{
    for (struct env_layer *layer = run->env; layer != NULL && layer != outer; layer = layer->outer) {
        for (struct env_file *f = layer->files; f != NULL; f = f->next)
            credential_file_remove(run, f->path);
        layer->files = NULL;
    }
}

bool
credentials_bind(struct run *run, const struct node *at, struct env_layer *layer, struct str name,
                 struct str id)
{
    cleanup_json struct json *c = credential_get(run, at, arena_cstr(&run->arena, id));
    struct str user = str_of(arena_format(&run->arena, STR_FMT "_USR", STR_ARG(name)));
    struct str password = str_of(arena_format(&run->arena, STR_FMT "_PSW", STR_ARG(name)));
    const char *kind = kind_of(c), *path = NULL;
    bool ok = true;

    if (c == NULL)
        return false;
    if (strcmp(kind, "text") == 0) {
        bind(run, layer, name, json_get_cstr(c, "text", ""), true);
    } else if (strcmp(kind, "password") == 0) {
        const char *u = json_get_cstr(c, "username", ""), *p = json_get_cstr(c, "password", "");
        bind(run, layer, user, u, false);
        bind(run, layer, password, p, true);
        bind(run, layer, name, arena_format(&run->arena, "%s:%s", u, p), true);
    } else if (strcmp(kind, "file") == 0) {
        ok = bind_file(run, at, layer, name, c, json_get_cstr(c, "name", ""), &path);
    } else if (strcmp(kind, "ssh") == 0) {
        bind(run, layer, user, json_get_cstr(c, "username", ""), false);
        bind(run, layer, password, json_get_cstr(c, "passphrase", ""), true);
        ok = bind_key(run, at, layer, name, c, &path);
    } else {
        return interp_throw(&run->in, at, "CredentialNotFoundException",
                            "credential '" STR_FMT "' (%s) cannot be used in 'environment'",
                            STR_ARG(id), kind);
    }
    if (path != NULL)
        keep_file(run, layer, path);
    return ok;
}

struct binding {
    struct step_call *s;
    struct env_layer *layer;
    const struct map *map;
    const struct json *credential;
    const char *path; /* of the file that it made, or NULL */
};

static struct str
field(const struct binding *b, const char *name, const char *fallback)
{
    const struct value *v = map_find_text(b->map, name);

    return v == NULL || v->type == V_NULL ? str_of(fallback) : value_to_text(&b->s->run->arena, *v);
}

static void
bind_member(struct binding *b, const char *variable, const char *fallback, const char *member,
            bool is_secret)
{
    bind(b->s->run, b->layer, field(b, variable, fallback),
         json_get_cstr(b->credential, member, ""), is_secret);
}

static bool
bind_text(struct binding *b)
{
    bind_member(b, "variable", "", "text", true);
    return true;
}

static bool
bind_password(struct binding *b)
{
    bind_member(b, "usernameVariable", "", "username", false);
    bind_member(b, "passwordVariable", "", "password", true);
    return true;
}

static bool
bind_colon(struct binding *b)
{
    const char *password = json_get_cstr(b->credential, "password", "");

    credential_mask(b->s->run, str_of(password));
    bind(b->s->run, b->layer, field(b, "variable", ""),
         arena_format(&b->s->run->arena, "%s:%s", json_get_cstr(b->credential, "username", ""),
                      password),
         true);
    return true;
}

static bool
bind_secret_file(struct binding *b)
{
    return bind_file(b->s->run, b->s->at, b->layer, field(b, "variable", ""), b->credential,
                     json_get_cstr(b->credential, "name", ""), &b->path);
}

/* A folder with what is in the archive, and nobody else's; the archive itself does not stay. */
static bool
bind_zip(struct binding *b)
{
    struct run *run = b->s->run;
    struct env_layer *layer = run_env_push(run);
    const char *folder, *archive = NULL;
    struct err err;
    bool ok = bind_file(run, b->s->at, layer, STR("NARU_ZIP"), b->credential, "archive.zip", &b->path);

    run->env = layer->outer;
    if (!ok)
        return false;
    archive = b->path;
    folder = arena_format(&run->arena, STR_FMT "/content",
                          STR_ARG(str_range(archive, strrchr(archive, '/'))));
    USER_ACTS(run);
    if (!file_make_dirs(folder, 0700, &err))
        return step_fail(b->s, "%s", err.message);
    ok = step_unpack_secret(b->s, archive, folder);
    unlink(archive);
    run_env_set(run, b->layer, field(b, "variable", ""), str_of(folder));
    return ok;
}

static bool
bind_ssh(struct binding *b)
{
    bind_member(b, "usernameVariable", "", "username", false);
    bind_member(b, "passphraseVariable", "", "passphrase", true);
    return bind_key(b->s->run, b->s->at, b->layer, field(b, "keyFileVariable", ""), b->credential,
                    &b->path);
}

/* What the credential gets for the role, asked for with the credential. */
static bool
bind_aws_role(struct binding *b)
{
    struct run *run = b->s->run;
    struct env_layer *outer = run->env, *own = run_env_push(run);
    struct aws_role role = {
        .role = field(b, "roleArn", ""),
        .session_name = field(b, "roleSessionName", ""),
        .key_variable = arena_cstr(&run->arena, field(b, "accessKeyVariable", "AWS_ACCESS_KEY_ID")),
        .secret_variable = arena_cstr(&run->arena, field(b, "secretKeyVariable", "AWS_SECRET_ACCESS_KEY")),
    };

    (void)str_to_i64(field(b, "roleSessionDurationSeconds", ""), &role.seconds);
    bind(run, own, STR("AWS_ACCESS_KEY_ID"), json_get_cstr(b->credential, "accessKeyId", ""), false);
    bind(run, own, STR("AWS_SECRET_ACCESS_KEY"), json_get_cstr(b->credential, "secretAccessKey", ""), true);
    run_env_set(run, own, STR("AWS_SESSION_TOKEN"), STR(""));
    const bool ok = aws_assume_role(b->s, b->layer, &role);
    run->env = outer;
    return ok;
}

static bool
bind_aws(struct binding *b)
{
    if (field(b, "roleArn", "").len > 0)
        return bind_aws_role(b);
    bind_member(b, "accessKeyVariable", "AWS_ACCESS_KEY_ID", "accessKeyId", true);
    bind_member(b, "secretKeyVariable", "AWS_SECRET_ACCESS_KEY", "secretAccessKey", true);
    return true;
}

static bool
bind_certificate(struct binding *b)
{
    bind_member(b, "passwordVariable", "", "password", true);
    bind_member(b, "aliasVariable", "", "alias", false);
    return bind_file(b->s->run, b->s->at, b->layer, field(b, "keystoreVariable", ""), b->credential,
                     "keystore", &b->path);
}

static bool
bind_git(struct binding *b)
{
    return git_by_password(b->s->run, b->s->at, b->layer, b->credential, &b->path);
}

static const struct {
    const char *names; /* the symbol and the classes it stands for */
    const char *kind;
    bool (*bind)(struct binding *b);
} binding_types[] = {
    {"string StringBinding", "text", bind_text},
    {"usernamePassword UsernamePasswordMultiBinding", "password", bind_password},
    {"usernameColonPassword UsernamePasswordBinding", "password", bind_colon},
    {"file FileBinding", "file", bind_secret_file},
    {"zip ZipFileBinding", "file", bind_zip},
    {"sshUserPrivateKey SSHUserPrivateKeyBinding", "ssh", bind_ssh},
    {"aws AmazonWebServicesCredentialsBinding", "aws", bind_aws},
    {"certificate CertificateMultiBinding", "certificate", bind_certificate},
    {"gitUsernamePassword GitUsernamePasswordBinding", "password text", bind_git},
};

static bool
bind_one(struct binding *b)
{
    struct str type = field(b, "$class", "");
    const char *id = arena_cstr(&b->s->run->arena, field(b, "credentialsId", ""));
    ptrdiff_t dot = str_rindex(type, '.');
    const char *name =
        arena_cstr(&b->s->run->arena, str_slice(type, dot < 0 ? 0 : (size_t)dot + 1, type.len));

    for (size_t i = 0; i < ARRAY_COUNT(binding_types); i++) {
        cleanup_json struct json *c = NULL;
        if (!is_one_of(name, binding_types[i].names))
            continue;
        c = credential_of_kind(b->s->run, b->s->at, id, binding_types[i].kind);
        b->credential = c;
        return c != NULL && binding_types[i].bind(b);
    }
    return step_fail(b->s, "the credentials binding '" STR_FMT "' is not supported", STR_ARG(type));
}

static bool
step_with_credentials(struct step_call *s)
{
    struct run *run = s->run;
    struct env_layer *outer = run->env, *layer;
    const struct value *list = step_value(s, "bindings");
    const char **paths;
    size_t count;
    bool ok = true;

    if (list == NULL || list->type != V_LIST)
        return step_fail(s, "withCredentials needs a list of bindings");
    layer = run_env_push(run);
    count = list->list->count;
    paths = arena_alloc(&run->arena, (count + 1) * sizeof(*paths));
    for (size_t i = 0; i < count && ok; i++) {
        struct binding b = {.s = s, .layer = layer, .map = list->list->at[i].map};
        ok = list->list->at[i].type == V_MAP ? bind_one(&b)
                                             : step_fail(s, "withCredentials needs bindings");
        paths[i] = b.path;
    }
    ok = ok && s->body.run(run, s->body.arg, s->out);
    run_log_flush(run);
    for (size_t i = 0; i < count; i++)
        credential_file_remove(run, paths[i]);
    run->env = outer;
    return ok;
}

step_function *
step_credentials_find(struct str name)
{
    return str_is(name, "withCredentials") ? step_with_credentials : NULL;
}
