/* SPDX-License-Identifier: MIT */
#include "pipeline/step_variables.h"

#include <stdio.h>
#include "base/str.h"

void
step_variables_each(const struct step_place *at, step_variable_put *put, void *arg)
{
    char registry[256];
    const struct {
        const char *name, *value;
    } rows[] = {
        {"AWS_ENDPOINT_URL", at->endpoint_url},
        {"AWS_DEFAULT_REGION", at->region},
        {"AWS_REGION", at->region},
        {"AWS_ACCOUNT_ID", at->account},
        {"AWS_PAGER", ""},
        {"ECR_REGISTRY", registry},
        {"NARU_DATA_DIR", at->data_dir},
        {"NARU_ACCOUNT_ID", at->account},
        {"NARU_REGION", at->home_region},
    };

    (void)snprintf(registry, sizeof(registry), "%s.dkr.ecr.%s.amazonaws.com", at->account,
                   at->home_region != NULL ? at->home_region : at->region);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].value != NULL)
            put(arg, rows[i].name, rows[i].value);
}
