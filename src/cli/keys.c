/* SPDX-License-Identifier: MIT */
/* naru keys: access keys with roles, for people and machines beside the installation's own. Works
 * on the data directory, so whoever may write there decides; a running server sees the change at
 * once. */
#include "base/clock.h"
#include "cli/commands.h"
#include "io/access_keys.h"
#include "io/key_sessions.h"
#include "model/role.h"

struct keys_command {
    const char *role, *repositories, *output, *data_dir;
    char *path, *sessions_path;
};

static bool
name_check(const char *name, struct err *err)
{
    const size_t len = strlen(name);
    const size_t good =
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-");

    return (len >= 1 && len <= 64 && good == len && strcmp(name, "root") != 0) ||
           err_set(err, ERR_USAGE,
                   "'%.80s' is no name of a key: 1 to 64 letters, digits and +=,.@_-, and not root",
                   name);
}

static bool
create(const struct keys_command *c, const char *name, struct err *err)
{
    const char *role = c->role != NULL ? c->role : "";
    struct access_key key = {0};
    enum role known;
    bool wants_json;

    if (!cli_wants_json(c->output, err, &wants_json) || !name_check(name, err) ||
        !cli_repositories_check(c->repositories, err))
        return false;
    if (!role_parse(str_of(role), &known))
        return err_set(err, ERR_USAGE,
                       "--role '%s' is none of admin, deploy, push, pull and read-only", role);
    text_copy_all(key.name, sizeof(key.name), name);
    text_copy_all(key.role, sizeof(key.role), role);
    if (c->repositories != NULL)
        text_copy_all(key.repositories, sizeof(key.repositories), c->repositories);
    if (!access_keys_create(c->path, &key, clock_wall_ms(), err))
        return false;
    if (wants_json) {
        cleanup_json struct json *made = json_object();
        json_set(made, "accessKeyId", json_text(key.id));
        json_set(made, "secretAccessKey", json_text(key.secret));
        json_set(made, "name", json_text(key.name));
        json_set(made, "role", json_text(key.role));
        json_set(made, "repositories", json_text(key.repositories));
        cli_print_json(made);
    } else {
        printf("export AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\n", key.id,
               key.secret);
        fprintf(stderr, "the secret is shown this once; 'naru keys delete %s' takes the key back\n",
                key.name);
    }
    explicit_bzero(&key, sizeof(key));
    return true;
}

static void
add_key(struct table *table, const struct json *row)
{
    const char *patterns = json_get_cstr(row, "repositories", "");
    char when[32];

    clock_format_iso(json_get_i64(row, "createdAt", 0), when);
    table_add(table, json_get_cstr(row, "name", ""), json_get_cstr(row, "accessKeyId", ""),
              json_get_cstr(row, "role", ""), patterns[0] != '\0' ? patterns : "*", when);
}

static bool
list(const struct keys_command *c, struct err *err)
{
    static const char *const titles[] = {"NAME",         "ACCESS KEY", "ROLE",
                                         "REPOSITORIES", "CREATED",    NULL};
    cleanup_json struct json *all = NULL;
    bool wants_json;

    if (!cli_wants_json(c->output, err, &wants_json) || !access_keys_list(c->path, &all, err))
        return false;
    if (wants_json)
        cli_print_json(all);
    else
        table_print_list(titles, all, add_key);
    return true;
}

static void
add_session(struct table *table, const struct json *row)
{
    char begun[32], end[32];

    clock_format_iso(json_get_i64(row, "createdAt", 0), begun);
    clock_format_iso(json_get_i64(row, "expiresAt", 0), end);
    table_add(table, json_get_cstr(row, "accessKeyId", ""), json_get_cstr(row, "parent", ""),
              json_get_cstr(row, "session", "-"), begun, end);
}

static bool
list_sessions(const struct keys_command *c, struct err *err)
{
    static const char *const titles[] = {"ACCESS KEY", "OF", "ROLE/SESSION", "BEGUN", "ENDS", NULL};
    cleanup_json struct json *all = NULL;
    bool wants_json;

    if (!cli_wants_json(c->output, err, &wants_json) ||
        !key_sessions_list(c->sessions_path, clock_wall_ms(), &all, err))
        return false;
    if (wants_json)
        cli_print_json(all);
    else
        table_print_list(titles, all, add_session);
    return true;
}

static bool
end_session(const struct keys_command *c, const char *id, struct err *err)
{
    if (!key_sessions_end(c->sessions_path, id, err))
        return false;
    printf("session %s has ended\n", id);
    return true;
}

static bool
act(const struct keys_command *c, int count, char **argv, struct err *err)
{
    const char *verb = count >= 1 ? argv[1] : "list";

    if (strcmp(verb, "list") == 0 && count <= 1)
        return list(c, err);
    if (strcmp(verb, "create") == 0 && count == 2)
        return create(c, argv[2], err);
    if (strcmp(verb, "delete") == 0 && count == 2) {
        if (!access_keys_delete(c->path, argv[2], err))
            return false;
        printf("access key %s is deleted\n", argv[2]);
        return true;
    }
    if (strcmp(verb, "sessions") == 0 && count == 1)
        return list_sessions(c, err);
    if (strcmp(verb, "end") == 0 && count == 2)
        return end_session(c, argv[2], err);
    return err_set(err, ERR_USAGE,
                   "naru keys [list | create NAME --role ROLE | delete NAME | sessions | end ID]");
}

int
command_keys(int argc, char **argv)
{
    struct keys_command c = {0};
    const struct option_row rows[] = {{"role", 'r', OPTION_TEXT, &c.role},
                                      {"repositories", 0, OPTION_TEXT, &c.repositories},
                                      {"output", 'o', OPTION_TEXT, &c.output},
                                      {"data-dir", 0, OPTION_TEXT, &c.data_dir},
                                      {0}};
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 2, &status);

    if (count < 0)
        return status;
    c.path = text_format("%s/keys.json", client_data_dir(c.data_dir));
    c.sessions_path = text_format("%s/sessions.json", client_data_dir(c.data_dir));
    const bool ok = act(&c, count, argv, &err);
    free(c.path);
    free(c.sessions_path);
    return ok ? EXIT_LIVE : cli_fail(&err);
}
