/* SPDX-License-Identifier: MIT */
/* naru registry gc: has the running server collect garbage now. */
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/registry.h"

static void
show(const struct json *answer)
{
    const bool is_dry = json_get_bool(answer, "dryRun", false);
    const int64_t expired = json_get_i64(answer, "imagesExpired", 0);

    if (expired > 0)
        printf("%lld images expired by lifecycle policies\n", (long long)expired);
    printf("%lld blobs (%lld bytes) %s, %lld blobs kept, in %lld ms\n",
           (long long)json_get_i64(answer, "blobsRemoved", 0),
           (long long)json_get_i64(answer, "bytesRemoved", 0), is_dry ? "would go" : "removed",
           (long long)json_get_i64(answer, "blobsKept", 0),
           (long long)json_get_i64(answer, "tookMs", 0));
}

static bool
run(const char *data_dir, bool is_dry, bool with_lifecycle, bool wants_json, struct err *err)
{
    struct client_config config;
    cleanup(client_answer_done) struct client_answer answer = {0};
    cleanup_json struct json *body = json_object();

    if (!client_config_load(&config, data_dir, err))
        return false;
    cleanup(client_free_) struct client *client = client_new(&config);
    json_set(body, "dryRun", json_bool(is_dry));
    json_set(body, "lifecycle", json_bool(with_lifecycle));
    if (!client_http(client, "POST", "/naru/registry/gc", body, &answer, err))
        return false;
    if (answer.status != 200)
        return client_refused(&answer, err);
    if (wants_json)
        cli_print_json(answer.body);
    else
        show(answer.body);
    return true;
}

int
registry_gc_command(int argc, char **argv)
{
    const char *data_dir = NULL, *output = NULL;
    bool is_dry = false, with_lifecycle = false, wants_json = false;
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir},
                                      {"output", 'o', OPTION_TEXT, &output},
                                      {"dry-run", 0, OPTION_FLAG, &is_dry},
                                      {"lifecycle", 0, OPTION_FLAG, &with_lifecycle},
                                      {0}};
    struct err err = {0};
    int status;

    if (command_begin(argc, argv, rows, 1, &status) < 0)
        return status;
    if (!cli_wants_json(output, &err, &wants_json) ||
        !run(data_dir, is_dry, with_lifecycle, wants_json, &err))
        return cli_fail(&err);
    return EXIT_LIVE;
}
