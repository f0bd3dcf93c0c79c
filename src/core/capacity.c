/* SPDX-License-Identifier: MIT */
#include "core/capacity.h"
#include <assert.h>
#include "core/requests.h"
#include "model/arn.h"

struct capacity_provider *
core_capacity_provider(const struct core *core, const char *region, const char *name_or_arn)
{
    for (struct capacity_provider *p = core->capacity_providers; p != NULL; p = p->next) {
        if (strcmp(p->region, region) == 0 &&
            (strcmp(p->name, name_or_arn) == 0 || strcmp(p->arn, name_or_arn) == 0))
            return p;
    }
    return NULL;
}

enum place_lack
capacity_for_run(const struct core *core, const char *region, const struct json *strategy,
                 int counts[static PROVIDERS_MAX], struct place_request *rq, const char **name_out)
{
    const struct capacity_provider *p;
    int at;

    *name_out = "";
    rq->host_group = NULL;
    if (json_size(strategy) == 0)
        return PLACE_FITS;
    at = capacity_choose(strategy, counts);
    if (at < 0)
        return LACK_CAPACITY;
    counts[at]++;
    *name_out = json_get_cstr(json_at(strategy, (size_t)at), "capacityProvider", "");
    if (capacity_provider_is_fargate(*name_out))
        return PLACE_FITS;
    p = core_capacity_provider(core, region, *name_out);
    if (p == NULL)
        return LACK_PROVIDER_INSTANCES; /* the door keeps one in use from being deleted */
    rq->host_group = p->host_group;
    return PLACE_FITS;
}

enum place_lack
capacity_for_service(const struct core *core, const struct service *s, const struct deployment *d,
                     struct place_request *rq, const char **name_out)
{
    const struct json *strategy = json_get(d->revision->doc, "capacityProviderStrategy");
    int counts[PROVIDERS_MAX] = {0};

    for (const struct task *t = s->live; json_size(strategy) > 0 && t != NULL; t = t->next_live) {
        if (t->deployment != d || !task_is_wanted(t))
            continue;
        for (size_t i = 0; i < json_size(strategy); i++)
            counts[i] += strcmp(t->capacity_provider, json_get_cstr(json_at(strategy, i),
                                                                    "capacityProvider", "")) == 0;
    }
    return capacity_for_run(core, s->region, strategy, counts, rq, name_out);
}

void
capacity_provider_put(struct core *core, const struct ev_capacity_provider_put *ev)
{
    struct capacity_provider *p = core_capacity_provider(core, ev->region, ev->name);
    struct capacity_provider **end = &core->capacity_providers;

    if (p == NULL) {
        p = mem_new(sizeof(*p));
        arn_format(p->arn, "ecs", ev->region, core->options.account, "capacity-provider/%s", ev->name);
        text_copy_all(p->name, sizeof(p->name), ev->name);
        text_copy_all(p->region, sizeof(p->region), ev->region);
        text_copy_all(p->host_group, sizeof(p->host_group), ev->host_group);
        while (*end != NULL)
            end = &(*end)->next;
        *end = p;
    }
    replace_doc(&p->doc, ev->doc);
    replace_doc(&p->tags, ev->tags);
    core_touch(core, ROW_CAPACITY_PROVIDER, p->arn);
}

void
capacity_provider_delete(struct core *core, const struct ev_capacity_provider_delete *ev)
{
    for (struct capacity_provider **at = &core->capacity_providers; *at != NULL; at = &(*at)->next) {
        struct capacity_provider *p = *at;
        if (strcmp(p->arn, ev->arn) != 0)
            continue;
        *at = p->next;
        core_touch(core, ROW_CAPACITY_PROVIDER, p->arn);
        capacity_provider_free(p);
        return;
    }
    assert(false && "the door found it");
}
