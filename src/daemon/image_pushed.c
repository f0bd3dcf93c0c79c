/* SPDX-License-Identifier: MIT */
#include "daemon/image_pushed.h"

#include <stdio.h>

#include "daemon/config.h"
#include "daemon/engine.h"

#define FORMS 3

/* As registry_parse_image() reads them: by ECR's name, by that behind our own host, and, in the region
 * that is meant where none is named, by our own host alone. */
void
image_pushed_tell(struct engine *engine, const struct config *config,
                  const struct registry_push *push)
{
    char forms[FORMS][REGISTRY_IMAGE_SIZE];
    const char *const names[FORMS] = {forms[0], forms[1], forms[2]};
    struct event event = {.type = EVENT_IMAGE_PUSHED};
    int count = 2;

    snprintf(forms[0], sizeof(forms[0]), "%s.dkr.ecr.%s.amazonaws.com/%s", config->account,
             push->region, push->repository);
    snprintf(forms[1], sizeof(forms[1]), "localhost:%u/%s.dkr.ecr.%s.amazonaws.com/%s",
             config->port, config->account, push->region, push->repository);
    if (strcmp(push->region, config->region) == 0)
        snprintf(forms[count++], sizeof(forms[0]), "localhost:%u/%s", config->port,
                 push->repository);
    event.image_pushed = (struct ev_image_pushed){.names = names,
                                                  .name_count = count,
                                                  .tag = push->tag,
                                                  .digest = push->digest,
                                                  .config_digest = push->config_digest};
    engine_report(engine, &event);
}
