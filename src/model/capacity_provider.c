/* SPDX-License-Identifier: MIT */
#include "model/capacity_provider.h"
#include <assert.h>
#include "model/row.h"

static const struct row_field fields[] = {
    TEXT_FIELD(struct capacity_provider, arn),    TEXT_FIELD(struct capacity_provider, name),
    TEXT_FIELD(struct capacity_provider, region), TEXT_FIELD(struct capacity_provider, host_group),
    JSON_FIELD(struct capacity_provider, doc),    JSON_FIELD(struct capacity_provider, tags),
    FIELDS_END,
};

void
capacity_provider_free(struct capacity_provider *p)
{
    if (p == NULL)
        return;
    row_free_documents(fields, p);
    free(p);
}

struct json *
capacity_provider_encode(const struct capacity_provider *p)
{
    return row_encode(fields, p);
}

struct capacity_provider *
capacity_provider_decode(const struct json *row, struct err *err)
{
    return row_decode_new(fields, row, sizeof(struct capacity_provider), err);
}

bool
capacity_provider_is_fargate(const char *name)
{
    return strcmp(name, "FARGATE") == 0 || strcmp(name, "FARGATE_SPOT") == 0;
}

int
capacity_choose(const struct json *strategy, const int counts[static PROVIDERS_MAX])
{
    const size_t size = json_size(strategy);
    int64_t weights = 0, beyond_base = 0, best_lead = 0;
    int best = -1;

    assert(size <= PROVIDERS_MAX);
    for (size_t i = 0; i < size; i++) {
        const int64_t base = json_get_i64(json_at(strategy, i), "base", 0);
        if (counts[i] < base)
            return (int)i;
        weights += json_get_i64(json_at(strategy, i), "weight", 0);
        beyond_base += counts[i] - base;
    }
    for (size_t i = 0; i < size; i++) {
        const int64_t weight = json_get_i64(json_at(strategy, i), "weight", 0);
        const int64_t extra = counts[i] - json_get_i64(json_at(strategy, i), "base", 0);
        /* its share of all that are beyond the base, the next one included, times `weights` */
        const int64_t lead = weight * (beyond_base + 1) - extra * weights;
        if (weight == 0 || (best >= 0 && lead <= best_lead))
            continue;
        best = (int)i;
        best_lead = lead;
    }
    return best;
}
