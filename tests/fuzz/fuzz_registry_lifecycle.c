/* SPDX-License-Identifier: MIT */
/* Lifecycle policies as anybody may set them; what was taken is applied to a few images. */
#include <assert.h>

#include "registry/lifecycle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "[{\"digest\":\"a\",\"pushedAt\":9000000000000,\"tags\":[\"prod-1\",\"v1\"]},"
        "{\"digest\":\"b\",\"pushedAt\":8000000000000,\"tags\":[]},"
        "{\"digest\":\"c\",\"pushedAt\":7000000000000,\"pulledAt\":8500000000000,\"tags\":[\"beta\"]},"
        "{\"digest\":\"d\",\"pushedAt\":0,\"tags\":[\"prod-2\"]}]";
    cleanup_json struct json *images = json_parse(STR(text), NULL);
    cleanup(lifecycle_done) struct lifecycle_policy policy = {0};
    struct err err = {0};
    int64_t rules[4];

    if (!lifecycle_parse((struct str){(const char *)data, size}, &policy, &err)) {
        assert((err.code == ERR_INVALID_PARAMETER || err.code == ERR_UNSUPPORTED_FEATURE) &&
               err.message[0] != '\0' && policy.document == NULL);
        return 0;
    }
    assert(policy.rule_count >= 1 && policy.rule_count <= LIFECYCLE_RULES_MAX);
    lifecycle_evaluate(&policy, images, 9100000000000, NULL, NULL, rules);
    for (size_t i = 0; i < ARRAY_COUNT(rules); i++) {
        bool is_known = rules[i] == 0;
        for (size_t r = 0; r < policy.rule_count; r++)
            is_known |= policy.rules[r].priority == rules[i];
        assert(is_known);
    }
    return 0;
}
