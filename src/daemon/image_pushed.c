/* SPDX-License-Identifier: MIT */
#include "daemon/image_pushed.h"

#include "daemon/config.h"
#include "daemon/engine.h"

void
image_pushed_tell(struct engine *engine, const struct config *config,
                  const struct registry_push *push)
{
    const struct image_home home = {
        .account = config->account, .region = config->region, .registry_port = config->port};
    cleanup_free char *host = image_ref_ecr_host_of(str_of(config->account), str_of(push->region));
    cleanup_free char *image = text_format("%s/%s", host, push->repository);
    struct event event = {.type = EVENT_IMAGE_PUSHED};
    struct image_ref ref;

    if (!image_ref_parse(image, "", &home, &ref, NULL))
        return; /* no task definition can name it */
    event.image_pushed = (struct ev_image_pushed){.name = ref.name,
                                                  .home = home,
                                                  .tag = push->tag,
                                                  .digest = push->digest,
                                                  .config_digest = push->config_digest};
    engine_report(engine, &event);
}
