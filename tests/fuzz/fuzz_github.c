/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "pipeline/build.h"
#include "pipeline/git_remote.h"
#include "pipeline/github.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A push event, plain and as a form; a hook's line. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str body = {(const char *)data, size};
    cleanup(strbuf_done) struct strbuf payload = {0};
    struct github_push push;
    char branch[256], commit[41];
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
    if (git_hook_line(body, branch, commit))
        assert(build_branch_is_valid(str_of(branch)));
    assert(!github_signature_is_valid(STR("s"), body, body));
    return 0;
}
