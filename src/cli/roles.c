/* SPDX-License-Identifier: MIT */
/* naru roles: what the roles of IAM that scripts and Jenkinsfiles assume stand for here. Works on the data directory, as
 * `naru keys` does; a running server sees the change at once. */
#include "base/clock.h"
#include "cli/commands.h"
#include "io/access_keys.h"
#include "io/role_map.h"
#include "model/role.h"

struct roles_command {
    const char *role, *repositories, *external_id, *output, *data_dir;
    int64_t max_duration;
    char *path;
};

bool
cli_repositories_check(const char *patterns, struct err *err)
{
    struct str rest = str_of(patterns), one;

    if (rest.len >= KEY_REPOSITORIES_SIZE)
        return err_set(err, ERR_USAGE, "the patterns of --repositories have more than %d bytes",
                       KEY_REPOSITORIES_SIZE - 1);
    while (str_split(&rest, ',', &one))
        for (size_t i = 0; i < one.len || one.len == 0; i++)
            if (one.len == 0 || strchr("abcdefghijklmnopqrstuvwxyz0123456789._-/*", one.at[i]) == NULL)
                return err_set(err, ERR_USAGE,
                               "'" STR_FMT "' is no pattern of repositories, such as 'team-a/*'", STR_ARG(one));
    return true;
}

static bool
set(const struct roles_command *c, const char *name, struct err *err)
{
    const struct role_map map = {.name = name,
                                 .role = c->role,
                                 .repositories = c->repositories,
                                 .external_id = c->external_id,
                                 .seconds_max = c->max_duration};
    enum role known;

    if (!role_parse(str_of(c->role), &known))
        return err_set(err, ERR_USAGE, "--role '%.40s' is none of admin, deploy, push, pull and read-only",
                       c->role != NULL ? c->role : "");
    if (!cli_repositories_check(c->repositories, err) || !role_map_set(c->path, &map, clock_wall_ms(), err))
        return false;
    printf("role %s stands for %s\n", name, c->role);
    return true;
}

static void
add_role(struct table *table, const struct json *row)
{
    const char *patterns = json_get_cstr(row, "repositories", "");
    cleanup_free char *seconds = text_format("%lld", (long long)json_get_i64(row, "maxSessionDuration", 0));

    table_add(table, json_get_cstr(row, "name", ""), json_get_cstr(row, "role", ""),
              patterns[0] != '\0' ? patterns : "*",
              json_get_cstr(row, "externalId", "")[0] != '\0' ? "yes" : "no", seconds);
}

static bool
list(const struct roles_command *c, struct err *err)
{
    static const char *const titles[] = {"NAME", "ROLE", "REPOSITORIES", "EXTERNAL ID", "SECONDS", NULL};
    cleanup_json struct json *all = NULL;
    bool wants_json;

    if (!cli_wants_json(c->output, err, &wants_json) || !role_map_list(c->path, &all, err))
        return false;
    if (wants_json)
        cli_print_json(all);
    else
        table_print_list(titles, all, add_role);
    return true;
}

static bool
act(const struct roles_command *c, int count, char **argv, struct err *err)
{
    const char *verb = count >= 1 ? argv[1] : "list";

    if (strcmp(verb, "list") == 0 && count <= 1)
        return list(c, err);
    if (strcmp(verb, "set") == 0 && count == 2)
        return set(c, argv[2], err);
    if (strcmp(verb, "delete") == 0 && count == 2) {
        if (!role_map_delete(c->path, argv[2], err))
            return false;
        printf("role %s is deleted, and its sessions have ended\n", argv[2]);
        return true;
    }
    return err_set(err, ERR_USAGE, "naru roles [list | set NAME --role ROLE | delete NAME]");
}

int
command_roles(int argc, char **argv)
{
    struct roles_command c = {0};
    const struct option_row rows[] = {{"role", 'r', OPTION_TEXT, &c.role},
                                      {"repositories", 0, OPTION_TEXT, &c.repositories},
                                      {"external-id", 0, OPTION_TEXT, &c.external_id},
                                      {"max-duration", 0, OPTION_NUMBER, &c.max_duration},
                                      {"output", 'o', OPTION_TEXT, &c.output},
                                      {"data-dir", 0, OPTION_TEXT, &c.data_dir},
                                      {0}};
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 2, &status);

    if (count < 0)
        return status;
    c.path = text_format("%s/roles.json", client_data_dir(c.data_dir));
    const bool ok = act(&c, count, argv, &err);
    free(c.path);
    return ok ? EXIT_LIVE : cli_fail(&err);
}
