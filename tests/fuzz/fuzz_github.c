/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/build.h"
#include "pipeline/forge/git_remote.h"
#include "pipeline/forge/forge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_events(struct str body)
{
    static const struct {
        enum forge forge;
        const char *event;
    } events[] = {{FORGE_GITHUB, "push"},           {FORGE_GITHUB, "pull_request"},
                  {FORGE_GITEA, "pull_request"},    {FORGE_GITLAB, "Push Hook"},
                  {FORGE_GITLAB, "Merge Request Hook"}};

    for (size_t i = 0; i < ARRAY_COUNT(events); i++) {
        struct forge_event e;
        struct err err;
        if (!forge_event_parse(events[i].forge, str_of(events[i].event), body, &e, &err)) {
            assert(err.code == ERR_BAD_REQUEST && err.message[0] != '\0');
            continue;
        }
        if (e.what == FORGE_BUILD)
            assert(build_branch_is_valid(str_of(e.push.branch)) &&
                   build_commit_is_valid(str_of(e.push.commit)) && e.push.repository[0] != '\0');
        assert(e.what != FORGE_NOTHING || e.ignored != NULL);
        forge_event_done(&e);
    }
}

/* A push event, plain and as a form; a hook's line. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str body = {(const char *)data, size};
    cleanup(strbuf_done) struct strbuf payload = {0};
    struct github_push push;
    struct git_hook_push hook;
    struct err err;

    if (github_push_parse(body, &push, &err)) {
        if (push.is_branch && !push.is_deleted)
            assert(build_branch_is_valid(str_of(push.branch)) &&
                   build_commit_is_valid(str_of(push.commit)));
        github_push_done(&push);
    } else {
        assert(err.message[0] != '\0');
    }
    if (github_payload(body, STR("application/x-www-form-urlencoded"), &payload, &err) &&
        github_push_parse(strbuf_str(&payload), &push, &err))
        github_push_done(&push);
    if (git_hook_line(body, &hook))
        assert(build_commit_is_valid(hook.commit) && hook.branch.at + hook.branch.len <= body.at + body.len &&
               (hook.before.len == 0 || build_commit_is_valid(hook.before)));
    try_events(body);
    assert(!github_signature_is_valid(STR("s"), body, body));
    return 0;
}
