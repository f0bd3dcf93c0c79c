/* SPDX-License-Identifier: MIT */
#include "pipeline/step_variables.h"

#include "model/image_ref.h"

void
step_variables_each(const struct step_place *at, step_variable_put *put, void *arg)
{
    cleanup_free char *registry =
        image_ref_ecr_host_of(str_of(at->account), str_of(at->home_region != NULL ? at->home_region : at->region));
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

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].value != NULL)
            put(arg, rows[i].name, rows[i].value);
}
