/* SPDX-License-Identifier: MIT */
/* naru registry quota: what a repository may keep. */
#include "base/uri.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/registry.h"

#define PATH "/naru/registry/quota"

struct wanted {
    const char *repository; /* NULL: all that have a quota */
    const char *region;     /* NULL: the default */
    const char *size;       /* NULL: it is only shown */
    bool wants_json;
};

static void
show_row(const struct json *row)
{
    const int64_t limit = json_get_i64(row, "quotaBytes", 0);
    cleanup_free char *text = limit > 0 ? text_format("%lld", (long long)limit) : text_dup("none");

    printf("%-40s %-16s %16s %16lld\n", json_get_cstr(row, "repositoryName", ""),
           json_get_cstr(row, "region", ""), text, (long long)json_get_i64(row, "usedBytes", 0));
}

static void
show(const struct json *answer)
{
    const struct json *quotas = json_get(answer, "quotas");

    printf("%-40s %-16s %16s %16s\n", "REPOSITORY", "REGION", "QUOTA", "USED");
    for (size_t i = 0; i < json_size(quotas); i++)
        show_row(json_at(quotas, i));
    if (quotas == NULL)
        show_row(answer);
}

static struct json *
body_of(const struct wanted *w, struct err *err)
{
    struct json *body = json_object();
    int64_t bytes = 0;

    if (strcmp(w->size, "none") != 0 && !str_to_size(str_of(w->size), &bytes)) {
        err_set(err, ERR_USAGE, "'%s' is no size, such as 50G, and not 'none'", w->size);
        json_unref(body);
        return NULL;
    }
    json_set(body, "repositoryName", json_text(w->repository));
    json_set(body, "quotaBytes", json_int(bytes));
    if (w->region != NULL)
        json_set(body, "region", json_text(w->region));
    return body;
}

static char *
path_of(const struct wanted *w)
{
    cleanup(strbuf_done) struct strbuf path = {0};

    strbuf_add_cstr(&path, PATH);
    if (w->repository == NULL)
        return strbuf_take(&path);
    strbuf_add_cstr(&path, "?");
    if (w->region != NULL) { /* sorted, as the signature wants it */
        strbuf_add_cstr(&path, "region=");
        uri_encode(&path, str_of(w->region), /* keep_slash= */ false);
        strbuf_add_cstr(&path, "&");
    }
    strbuf_add_cstr(&path, "repositoryName=");
    uri_encode(&path, str_of(w->repository), /* keep_slash= */ false);
    return strbuf_take(&path);
}

static bool
run(const char *data_dir, const struct wanted *w, struct err *err)
{
    struct client_config config;
    cleanup(client_answer_done) struct client_answer answer = {0};
    cleanup_free char *path = path_of(w);
    cleanup_json struct json *body = w->size != NULL ? body_of(w, err) : NULL;

    if ((w->size != NULL && body == NULL) || !client_config_load(&config, data_dir, err))
        return false;
    cleanup(client_free_) struct client *client = client_new(&config);
    if (!(body != NULL ? client_http(client, "POST", PATH, body, &answer, err)
                       : client_http(client, "GET", path, NULL, &answer, err)))
        return false;
    if (answer.status != 200)
        return client_refused(&answer, err);
    if (w->wants_json)
        cli_print_json(answer.body);
    else
        show(answer.body);
    return true;
}

int
registry_quota_command(int argc, char **argv)
{
    const char *data_dir = NULL, *output = NULL;
    struct wanted w = {0};
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir},
                                      {"output", 'o', OPTION_TEXT, &output},
                                      {"region", 0, OPTION_TEXT, &w.region},
                                      {0}};
    struct err err = {0};
    int status;

    const int count = command_begin(argc, argv, rows, 3, &status);
    if (count < 0)
        return status;
    w.repository = count > 1 ? argv[2] : NULL;
    w.size = count > 2 ? argv[3] : NULL;
    if (!cli_wants_json(output, &err, &w.wants_json) || !run(data_dir, &w, &err))
        return cli_fail(&err);
    return EXIT_LIVE;
}
