/* SPDX-License-Identifier: MIT */
/* capacity.h - capacity providers: which one the next task is for (ecs.md 7.8).
 * A strategy is the JSON list of a revision or a RunTask; names in it were checked by the door.  A task
 * remembers its provider's name; there is no falling back to another one that has room. */
#pragma once
#include "core/placement.h"

/* Sets rq->host_group and *name_out ("" without a strategy) for the next task of the deployment. */
enum place_lack capacity_for_service(const struct core *core, const struct service *s,
                                     const struct deployment *d, struct place_request *rq,
                                     const char **name_out);
/* The same for one of a RunTask; `counts` are those of the call, and include it afterwards. */
enum place_lack capacity_for_run(const struct core *core, const char *region,
                                 const struct json *strategy, int counts[static PROVIDERS_MAX],
                                 struct place_request *rq, const char **name_out);

void capacity_provider_put(struct core *core, const struct ev_capacity_provider_put *ev);
void capacity_provider_delete(struct core *core, const struct ev_capacity_provider_delete *ev);
