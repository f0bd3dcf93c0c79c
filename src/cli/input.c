/* SPDX-License-Identifier: MIT */
/* naru input: answers the questions of builds. */
#include "cli/input.h"

#include <pwd.h>
#include <stdlib.h>
#include "cli/builds.h"
#include "cli/commands.h"

struct input {
    struct client *client;
    const char *pipeline, *id, *by, *output, *data_dir;
    int64_t number;
    struct json *params;
    bool lists, aborts, wants_json;
};

void
input_print(const struct json *build)
{
    const struct json *asked = json_get(build, "inputs");

    for (size_t i = 0; i < json_size(asked); i++) {
        const struct json *q = json_at(asked, i), *params = json_get(q, "parameters");
        printf("%s#%lld asks (%s): %s", json_get_cstr(build, "pipeline", ""),
               (long long)json_get_i64(build, "number", 0), json_get_cstr(q, "id", ""),
               json_get_cstr(q, "message", ""));
        for (size_t k = 0; k < json_size(params); k++)
            printf("%s%s", k == 0 ? " [" : ", ", json_get_cstr(json_at(params, k), "name", ""));
        puts(json_size(params) > 0 ? "]" : "");
    }
}

/* The build that is meant: the newest one that asks something, unless there is a number. */
static struct json *
find_build(const struct input *in, struct err *err)
{
    cleanup_free char *path = text_format("/naru/builds?limit=1000&pipeline=%s", in->pipeline);
    cleanup_json struct json *answer = builds_ask(in->client, "GET", path, NULL, err);
    const struct json *all = json_get(answer, "builds");

    if (answer == NULL)
        return NULL;
    for (size_t i = 0; i < json_size(all); i++) {
        const struct json *b = json_at(all, i);
        if (in->number != 0 ? json_get_i64(b, "number", 0) == in->number
                            : json_size(json_get(b, "inputs")) > 0)
            return json_ref(b);
    }
    err_set(err, ERR_NOT_FOUND,
            in->number != 0 ? "there is no such build of '%s'" : "no build of '%s' asks anything",
            in->pipeline);
    return NULL;
}

static bool
say(const struct input *in, const struct json *build, struct err *err)
{
    const long long number = (long long)json_get_i64(build, "number", 0);
    cleanup_free char *path = text_format("/naru/builds/%s/%lld/input", in->pipeline, number);
    cleanup_json struct json *body = json_object(), *answer = NULL;
    const struct passwd *me = getpwuid(getuid());

    if (in->id != NULL)
        json_set(body, "id", json_text(in->id));
    json_set(body, "proceed", json_bool(!in->aborts));
    json_set(body, "by", json_text(in->by != NULL ? in->by : me != NULL ? me->pw_name : "somebody"));
    if (in->params != NULL)
        json_set(body, "parameters", json_ref(in->params));
    answer = builds_ask(in->client, "POST", path, body, err);
    if (answer == NULL)
        return false;
    printf("build #%lld of %s %s\n", number, in->pipeline, in->aborts ? "is told no" : "goes on");
    return true;
}

static bool
run(struct input *in, struct err *err)
{
    cleanup_json struct json *build = find_build(in, err);

    if (build == NULL)
        return false;
    if (in->wants_json)
        cli_print_json(build);
    else if (in->lists || (in->id == NULL && json_size(json_get(build, "inputs")) > 1))
        input_print(build);
    return in->lists || in->wants_json || say(in, build, err);
}

int
command_input(int argc, char **argv)
{
    struct input in = {0};
    const struct option_row rows[] = {
        {"id", 0, OPTION_TEXT, &in.id},          {"as", 0, OPTION_TEXT, &in.by},
        {"param", 'p', OPTION_PAIR, &in.params}, {"abort", 0, OPTION_FLAG, &in.aborts},
        {"list", 'l', OPTION_FLAG, &in.lists},   {"output", 'o', OPTION_TEXT, &in.output},
        {"data-dir", 0, OPTION_TEXT, &in.data_dir}, {0},
    };
    struct err err = {0};
    int status;
    const int count = command_begin(argc, argv, rows, 2, &status);

    if (count < 0)
        return status;
    in.pipeline = count > 0 ? argv[1] : "";
    if (count == 0 || in.pipeline[strspn(in.pipeline, "abcdefghijklmnopqrstuvwxyz0123456789._-")] != 0 ||
        (count == 2 && (!str_to_i64(str_of(argv[2]), &in.number) || in.number < 1)))
        err_set(&err, ERR_USAGE, "say PIPELINE and perhaps NUMBER (try: naru input --help)");
    else
        (void)cli_wants_json(in.output, &err, &in.wants_json);
    if (err.code != ERR_NONE)
        return cli_fail(&err);
    in.client = cli_connect(in.data_dir, &status);
    if (in.client == NULL)
        return status;
    status = run(&in, &err) ? EXIT_LIVE : cli_fail(&err);
    client_free(in.client);
    json_unref(in.params);
    return status;
}
