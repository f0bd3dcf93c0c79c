/* SPDX-License-Identifier: MIT */
/* Policies as anybody may set them; what was taken is asked about a few requests. The first byte chooses
 * the kind. */
#include <assert.h>

#include "registry/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const principals[] = {NULL, "arn:aws:iam::000000000000:root",
                                             "arn:aws:iam::111111111111:user/a", "x", ":::::"};
    cleanup_json struct json *policy = NULL;
    struct err err = {0};

    if (size == 0)
        return 0;
    const struct str text = {(const char *)data + 1, size - 1};
    if (!policy_parse(text, data[0] % 2 ? POLICY_OF_REGISTRY : POLICY_OF_REPOSITORY, &policy, &err)) {
        assert(err.code == ERR_INVALID_PARAMETER && err.message[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(principals); i++) {
        const struct policy_request rq = {
            .principal = principals[i], .action = "ecr:PutImage", .source_ip = i ? "10.1.2.3" : NULL,
            .region = "eu-west-1", .resource = "arn:aws:ecr:eu-west-1:000000000000:repository/a",
            .is_secure = i % 2, .now_ms = 1767323045000};
        const enum policy_verdict verdict = policy_verdict(policy, &rq);
        assert(verdict >= POLICY_NONE && verdict <= POLICY_DENY);
        assert(policy_verdict(policy, &rq) == verdict);
    }
    return 0;
}
