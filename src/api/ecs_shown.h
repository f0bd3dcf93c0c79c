/* SPDX-License-Identifier: MIT */
/* ecs_shown.h - services as DescribeServices showed them, for the next one who asks.
 * Whoever waits for a deployment asks again and again for a service that did not change meanwhile; what
 * was written once is kept until it does.  The key is service->change, so nothing has to be dropped.
 * What ecs_describe_service() shows must come from the service and its tasks alone.
 * Limits: SHOWN_BYTES_MAX of text in all, then some of it makes room.  Used under the core's lock. */
#pragma once
#include "api/operations.h"

#define SHOWN_SLOTS 16384
#define SHOWN_BYTES_MAX ((size_t)24 * 1024 * 1024)

struct ecs_shown;
struct ecs_shown *ecs_shown_new(void);
void ecs_shown_free(struct ecs_shown *shown);
/* As ecs_describe_service(), but only to be written, not to be read. */
struct json *ecs_shown_service(const struct request *rq, const struct service *service, bool with_tags);
