/* SPDX-License-Identifier: MIT */
/* naru secret: the credentials that Jenkinsfiles and task definitions name.  Values come from standard input or a file,
 * never from the command line, which other users of the machine can read. */
#include <libgen.h>
#include <stdlib.h>
#include <termios.h>
#include "base/clock.h"
#include "base/crypto.h"
#include "base/seal.h"
#include "cli/commands.h"
#include "io/file.h"
#include "pipeline/secrets.h"

struct secret_command {
    const char *kind, *from, *username, *access_key_id, *passphrase_from, *description, *alias,
        *app_id, *installation_id, *output, *data_dir;
    char *directory;
};

/* What the terminal shows while a secret is typed; `hides` false brings it back. */
static void
echo_terminal(bool hides)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &t) != 0)
        return;
    if (hides)
        t.c_lflag &= ~(tcflag_t)ECHO;
    else
        t.c_lflag |= ECHO;
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &t);
}

/* The one line that is typed, or all of a pipe. */
static bool
read_stdin(struct strbuf *out, struct err *err)
{
    const bool typed = isatty(STDIN_FILENO) == 1;
    char buffer[65536];
    ssize_t n;

    if (typed) {
        fputs("value (it is not shown): ", stderr);
        echo_terminal(true);
    }
    while ((n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0) {
        strbuf_add(out, (struct str){buffer, (size_t)n});
        if (out->len > SECRET_LEN_MAX || (typed && out->at[out->len - 1] == '\n'))
            break;
    }
    secret_wipe(buffer, sizeof(buffer));
    if (typed) {
        echo_terminal(false);
        fputc('\n', stderr);
    }
    if (n < 0)
        return err_errno(err, "cannot read standard input");
    return out->len <= SECRET_LEN_MAX ||
           err_set(err, ERR_VALIDATION, "a secret has at most %zu bytes", SECRET_LEN_MAX);
}

static bool
read_value(const struct secret_command *c, struct strbuf *out, struct err *err)
{
    if (c->from != NULL ? !file_read(c->from, SECRET_LEN_MAX, out, err) : !read_stdin(out, err))
        return false;
    return out->len > 0 || err_set(err, ERR_VALIDATION, "the value is empty");
}

/* Without the line break that `echo` and editors put behind it. */
static struct str
line_of(const struct strbuf *text)
{
    struct str s = strbuf_str(text);

    if (s.len > 0 && s.at[s.len - 1] == '\n')
        s = str_slice(s, 0, s.len - 1);
    if (s.len > 0 && s.at[s.len - 1] == '\r')
        s = str_slice(s, 0, s.len - 1);
    return s;
}

static bool
set_member(struct json *to, const char *key, struct str value, struct err *err)
{
    if (!json_is_utf8(value) || memchr(value.at == NULL ? "" : value.at, '\0', value.len) != NULL)
        return err_set(err, ERR_VALIDATION, "the value is not text; --kind file takes any bytes");
    json_set(to, key, json_str(value));
    return true;
}

static bool
needs(const char *value, const char *option, const char *kind, struct err *err)
{
    return value != NULL ||
           err_set(err, ERR_USAGE, "a secret of kind '%s' needs --%s", kind, option);
}

static bool
set_passphrase(const struct secret_command *c, struct json *to, const char *key, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    bool ok;

    if (c->passphrase_from == NULL)
        return true;
    ok = file_read(c->passphrase_from, SECRET_LEN_MAX, &text, err) &&
         set_member(to, key, line_of(&text), err);
    secret_wipe(text.at, text.len);
    return ok;
}

static void
set_bytes(const struct secret_command *c, struct json *to, const struct strbuf *text)
{
    cleanup(strbuf_done) struct strbuf base64 = {0};
    cleanup_free char *path = text_dup(c->from == NULL ? "secret" : c->from);

    base64_encode(&base64, strbuf_str(text));
    json_set(to, "contentBase64", json_str(strbuf_str(&base64)));
    json_set(to, "name", json_text(basename(path)));
    secret_wipe(base64.at, base64.len);
}

static bool
fill_value(const struct secret_command *c, struct json *to, const struct strbuf *text,
           struct err *err)
{
    const char *kind = c->kind == NULL ? "text" : c->kind;

    json_set(to, "kind", json_text(kind));
    if (strcmp(kind, "text") == 0)
        return set_member(to, "text", line_of(text), err);
    if (strcmp(kind, "password") == 0)
        return needs(c->username, "username", kind, err) &&
               set_member(to, "username", str_of(c->username), err) &&
               set_member(to, "password", line_of(text), err);
    if (strcmp(kind, "ssh") == 0)
        return set_member(to, "username", str_of(c->username == NULL ? "git" : c->username), err) &&
               set_member(to, "privateKey", strbuf_str(text), err) &&
               set_passphrase(c, to, "passphrase", err);
    if (strcmp(kind, "aws") == 0)
        return needs(c->access_key_id, "access-key-id", kind, err) &&
               set_member(to, "accessKeyId", str_of(c->access_key_id), err) &&
               set_member(to, "secretAccessKey", line_of(text), err);
    if (strcmp(kind, "github-app") == 0) {
        if (c->installation_id != NULL &&
            !set_member(to, "installationId", str_of(c->installation_id), err))
            return false;
        return needs(c->app_id, "app-id", kind, err) &&
               set_member(to, "appId", str_of(c->app_id), err) &&
               set_member(to, "privateKey", strbuf_str(text), err);
    }
    if (strcmp(kind, "file") == 0 || strcmp(kind, "certificate") == 0) {
        set_bytes(c, to, text);
        if (c->alias != NULL)
            json_set(to, "alias", json_text(c->alias));
        return set_passphrase(c, to, "password", err);
    }
    return err_set(err, ERR_USAGE,
                   "'%s' is not a kind; there are text, password, ssh, file, aws, certificate and "
                   "github-app",
                   kind);
}

static bool
set(const struct secret_command *c, const char *id, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_json struct json *value = json_object();
    bool ok = read_value(c, &text, err) && fill_value(c, value, &text, err) &&
              secrets_set(c->directory, id, value, c->description, err);

    secret_wipe(text.at, text.len);
    if (ok)
        printf("secret %s (%s) is stored\n", id, json_get_cstr(value, "kind", ""));
    return ok;
}

static void
add_secret(struct table *table, const struct json *row)
{
    char when[32];

    clock_format_iso(json_get_i64(row, "updatedAtMs", 0), when);
    table_add(table, json_get_cstr(row, "id", ""), json_get_cstr(row, "kind", ""), when,
              json_get_cstr(row, "description", NULL));
}

static bool
list(const struct secret_command *c, struct err *err)
{
    static const char *const titles[] = {"ID", "KIND", "UPDATED", "DESCRIPTION", NULL};
    cleanup_json struct json *all = secrets_list(c->directory, err);
    bool wants_json;

    if (all == NULL || !cli_wants_json(c->output, err, &wants_json))
        return false;
    if (wants_json)
        cli_print_json(all);
    else
        table_print_list(titles, all, add_secret);
    return true;
}

static bool
act(const struct secret_command *c, int count, char **argv, struct err *err)
{
    const char *verb = count >= 1 ? argv[1] : "list";

    if (strcmp(verb, "list") == 0 && count <= 1)
        return list(c, err);
    if (strcmp(verb, "set") == 0 && count == 2)
        return set(c, argv[2], err);
    if (strcmp(verb, "delete") == 0 && count == 2) {
        if (!secrets_delete(c->directory, argv[2], err))
            return false;
        printf("secret %s is deleted\n", argv[2]);
        return true;
    }
    return err_set(err, ERR_USAGE, "naru secret [list | set ID | delete ID]");
}

int
command_secret(int argc, char **argv)
{
    struct secret_command c = {0};
    const struct option_row rows[] = {{"kind", 'k', OPTION_TEXT, &c.kind},
                                      {"from", 'f', OPTION_TEXT, &c.from},
                                      {"username", 'u', OPTION_TEXT, &c.username},
                                      {"access-key-id", 0, OPTION_TEXT, &c.access_key_id},
                                      {"passphrase-from", 0, OPTION_TEXT, &c.passphrase_from},
                                      {"alias", 0, OPTION_TEXT, &c.alias},
                                      {"app-id", 0, OPTION_TEXT, &c.app_id},
                                      {"installation-id", 0, OPTION_TEXT, &c.installation_id},
                                      {"description", 'd', OPTION_TEXT, &c.description},
                                      {"output", 'o', OPTION_TEXT, &c.output},
                                      {"data-dir", 0, OPTION_TEXT, &c.data_dir},
                                      {0}};
    struct err err = {0};
    cleanup_free char *plain = NULL;
    unsigned moved;
    int status;
    bool ok;
    const int count = command_begin(argc, argv, rows, 2, &status);

    if (count < 0)
        return status;
    c.directory = text_format("%s/secrets", client_data_dir(c.data_dir));
    plain = text_format("%s/secrets.json", client_data_dir(c.data_dir));
    ok = secrets_migrate(c.directory, plain, &moved, &err) && act(&c, count, argv, &err);
    free(c.directory);
    return ok ? EXIT_LIVE : cli_fail(&err);
}
