/* SPDX-License-Identifier: MIT */
/* naru git-hook: the post-receive hook of naru's bare repositories.  Git has already taken the
 * commits, so nothing here may fail the push: what goes wrong is said, and the exit code is 0. */
#include <stdlib.h>
#include "cli/commands.h"
#include "pipeline/forge/git_remote.h"

static void
queue_build(struct client *client, const char *pipeline, const struct git_hook_push *push)
{
    cleanup_json struct json *body = json_object();
    cleanup(client_answer_done) struct client_answer answer = {0};
    struct err err = {0};

    json_set(body, "pipeline", json_text(pipeline));
    json_set(body, "branch", json_str(push->branch));
    json_set(body, "commit", json_str(push->commit));
    if (push->before.len > 0)
        json_set(body, "before", json_str(push->before));
    json_set(body, "cause", json_text("push"));
    if (!client_http(client, "POST", "/naru/builds", body, &answer, &err)) {
        printf("naru: the push is in, but no build was queued: %s\n", err.message);
    } else if (answer.code[0] != '\0') {
        printf("naru: the push is in, but no build was queued: %s: %s\n", answer.code,
               answer.message);
    } else {
        printf("naru: build #%lld of %s queued\n",
               (long long)json_get_i64(answer.body, "number", 0), pipeline);
    }
    fflush(stdout);
}

int
command_git_hook(int argc, char **argv)
{
    const char *data_dir = NULL;
    const struct option_row rows[] = {{"data-dir", 0, OPTION_TEXT, &data_dir}, {0}};
    struct client *client;
    struct git_hook_push push;
    char line[8192];
    int status;
    const int count = command_begin(argc, argv, rows, 1, &status);

    if (count < 0)
        return status;
    if (count != 1) {
        struct err err = {0};

        err_set(&err, ERR_USAGE, "naru git-hook <pipeline>");
        return cli_fail(&err);
    }
    client_forget_environment(); /* the pusher's shell may be set up for another AWS */
    client = cli_connect(data_dir, &status);
    while (client != NULL && fgets(line, sizeof(line), stdin) != NULL)
        if (git_hook_line(str_of(line), &push)) /* deleted branches, tags and notes start nothing */
            queue_build(client, argv[1], &push);
    client_free(client);
    return EXIT_LIVE;
}
