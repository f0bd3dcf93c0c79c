/* SPDX-License-Identifier: MIT */
#include "core/prefetch.h"

#include "core/index.h"

/* Its last component: what writes of the image has it, and few that do not. */
static const char *
last_of(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash != NULL ? slash + 1 : name;
}

/* Does `image`, as a definition writes it, mean what was pushed? */
static bool
names_it(const struct ev_image_pushed *ev, const char *image)
{
    struct image_ref ref;

    if (strstr(image, last_of(ev->name)) == NULL || !image_ref_parse(image, "", &ev->home, &ref, NULL) ||
        strcmp(ref.name, ev->name) != 0)
        return false;
    return ref.digest[0] != '\0' ? strcmp(ref.digest, ev->digest) == 0 : strcmp(ref.tag, ev->tag) == 0;
}

/* The name by which it is asked for; NULL: the definition has nothing to do with it. */
static const char *
image_of(const struct ev_image_pushed *ev, const struct task_definition *td)
{
    for (int i = 0; td != NULL && i < td->container_count; i++)
        if (names_it(ev, td->containers[i].image))
            return td->containers[i].image;
    return NULL;
}

static const char *
image_of_service(const struct core *core, const struct ev_image_pushed *ev, const struct service *s)
{
    const struct deployment *newest = s->deployments;
    const struct task_definition *td;
    const char *image;

    if (s->status != SERVICE_ACTIVE || newest == NULL || newest->revision == NULL)
        return NULL;
    td = strmap_get(&core->index->definitions, newest->revision->task_definition_arn);
    image = image_of(ev, td);
    return image != NULL || td == NULL
               ? image
               : image_of(ev, core_task_definition(core, s->region, str_of(td->family)));
}

static bool
is_ready(const struct container_instance *i)
{
    return i != NULL && i->status == INSTANCE_ACTIVE && i->is_connected;
}

static void
tell(struct core *core, const struct ev_image_pushed *ev, const char *image, struct host *host)
{
    struct effect *e;

    if (host->prefetch_step == core->index->step)
        return; /* another service there named it */
    host->prefetch_step = core->index->step;
    e = core_emit(core, EFFECT_IMAGE_PREFETCH);
    text_copy(e->image_prefetch.host, sizeof(e->image_prefetch.host), str_of(host->name));
    text_copy(e->image_prefetch.image, IMAGE_SIZE, str_of(image));
    text_copy(e->image_prefetch.digest, DIGEST_SIZE, str_of(ev->digest));
    text_copy(e->image_prefetch.config_digest, DIGEST_SIZE, str_of(ev->config_digest));
}

static void
tell_machines_of(struct core *core, const struct ev_image_pushed *ev, const char *image,
                 const struct service *s)
{
    bool has_any = false;
    int left = s->desired_count;

    for (const struct task *t = s->live; t != NULL; t = t->next_live) {
        if (t->desired_status == TASK_RUNNING && is_ready(t->instance)) {
            tell(core, ev, image, t->instance->machine);
            has_any = true;
        }
    }
    if (has_any || s->cluster == NULL)
        return;
    for (const struct container_instance *i = s->cluster->instances; i != NULL && left > 0;
         i = i->next_in_cluster) {
        if (is_ready(i)) {
            tell(core, ev, image, i->machine);
            left--;
        }
    }
}

void
image_pushed(struct core *core, const struct ev_image_pushed *ev)
{
    for (const struct service *s = core->services; s != NULL; s = s->next) {
        const char *image = image_of_service(core, ev, s);

        if (image != NULL)
            tell_machines_of(core, ev, image, s);
    }
}
