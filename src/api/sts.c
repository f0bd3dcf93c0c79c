/* SPDX-License-Identifier: MIT */
#include "api/operations.h"

#include <stdio.h>
#include "io/access_keys.h"

/* The installation's own key is the root user's, those of `naru keys` are users'; the id is the account's for
 * both. A build has assumed a role: its id has the session's name, as clients take it from there. */
static bool
get_caller_identity(struct request *rq, struct json *out, struct err *err)
{
    const char *session = strrchr(rq->principal, '/');
    char id[KEY_PRINCIPAL_SIZE];

    (void)err;
    if (strstr(rq->principal, ":assumed-role/") != NULL && session != NULL)
        snprintf(id, sizeof(id), "AROANARUBUILD:%s", session + 1);
    else
        snprintf(id, sizeof(id), "%s", rq->account);
    json_set(out, "UserId", json_text(id));
    json_set(out, "Account", json_text(rq->account));
    json_set(out, "Arn", json_text(rq->principal));
    return true;
}

const struct operation sts_operations[] = {
    {"GetCallerIdentity", ACCESS_LOCAL, get_caller_identity},
    {0},
};
