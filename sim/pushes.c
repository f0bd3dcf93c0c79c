/* SPDX-License-Identifier: MIT */
/* pushes.c - images that are pushed again under their tags, and who is told to fetch them
 * (core/prefetch.h). The judge goes by what services name, and by the book of what runs where. */
#include "world.h"
#include <stdio.h>
#include <string.h>

#define DIGEST "sha256:00000000000000000000000000000000000000000000000000000000000000fe"

static bool
runs_image(const struct world *w, const char *definition, const char *image)
{
    const struct task_definition *td = core_task_definition(w->core, "eu-west-1", str_of(definition));

    return td != NULL && strcmp(td->containers[0].image, image) == 0;
}

/* By its newest deployment, or by the newest revision of that family. */
static bool
is_named(const struct world *w, const struct sim_service *s, const char *image)
{
    const struct service *now = core_service_by_arn(w->core, s->arn);
    const struct deployment *newest = now == NULL ? NULL : now->deployments;

    return newest != NULL && now->status == SERVICE_ACTIVE &&
           (runs_image(w, newest->revision->task_definition_arn, image) || runs_image(w, s->name, image));
}

static int
host_by_name(const struct world *w, const char *name)
{
    for (int i = 0; i < w->host_count; i++)
        if (strcmp(w->hosts[i].name, name) == 0)
            return i;
    return -1;
}

/* Does the service run there, by what naru was told?  Fargate's tasks have no instance. */
static bool
runs_on(const struct world *w, int service, int host)
{
    for (int i = 0; i < w->container_count; i++) {
        const struct sim_container *c = &w->containers[i];
        if (c->service == service && c->is_placed && c->host == host && is_wanted(c) &&
            c->told_running_ms != 0)
            return true;
    }
    return false;
}

static void
judge(struct world *w, int service, const char *image)
{
    const bool named = is_named(w, &w->services[service], image);
    int told[HOSTS_MAX] = {0};

    for (int i = 0; i < w->effects.count; i++) {
        const struct effect *e = &w->effects.at[i];
        const int host = e->type == EFFECT_IMAGE_PREFETCH ? host_by_name(w, e->image_prefetch.host) : -1;
        if (e->type != EFFECT_IMAGE_PREFETCH)
            continue;
        if (!named || strcmp(e->image_prefetch.image, image) != 0 ||
            strcmp(e->image_prefetch.digest, DIGEST) != 0)
            world_fail(w, "%s is fetched, which nobody wants next", e->image_prefetch.image);
        else if (host < 0 || !w->hosts[host].told_connected || w->hosts[host].told_draining)
            world_fail(w, "%s is told to fetch %s and takes no task", e->image_prefetch.host, image);
        else if (told[host]++ > 0)
            world_fail(w, "%s is told to fetch %s twice", e->image_prefetch.host, image);
    }
    for (int h = 0; h < w->host_count && named; h++)
        if (told[h] == 0 && runs_on(w, service, h) && w->hosts[h].told_connected &&
            !w->hosts[h].told_draining)
            world_fail(w, "%s runs on %s, which is not told to fetch what was pushed",
                       w->services[service].name, w->hosts[h].name);
}

void
operator_pushes(struct world *w, int number)
{
    const int service = number % w->service_count, version = number / w->service_count % VERSIONS_MAX;
    const struct sim_service *s = &w->services[service];
    char tag[16], image[64];
    const struct event ev = {.type = EVENT_IMAGE_PUSHED,
                             .image_pushed = {.name = s->name, .home = {"", "", 0}, .tag = tag, .digest = DIGEST, .config_digest = ""}};

    snprintf(tag, sizeof(tag), "v%d", version);
    snprintf(image, sizeof(image), "%s:%s", s->name, tag);
    world_trace(w, "%s is pushed", image);
    if (world_step(w, &ev) && w->core != NULL && !w->store_is_away)
        judge(w, service, image);
}
