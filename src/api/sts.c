/* SPDX-License-Identifier: MIT */
#include "api/operations.h"

/* The installation's own key is the root user's, those of `naru keys` are users'; the id is the account's for all. */
static bool
get_caller_identity(struct request *rq, struct json *out, struct err *err)
{
    (void)err;
    json_set(out, "UserId", json_text(rq->account));
    json_set(out, "Account", json_text(rq->account));
    json_set(out, "Arn", json_text(rq->principal));
    return true;
}

const struct operation sts_operations[] = {
    {"GetCallerIdentity", ACCESS_LOCAL, get_caller_identity},
    {0},
};
