/* SPDX-License-Identifier: MIT */
/* webhooks.h - the routes of forges, and the replies that this room's routes share. */
#pragma once
#include "pipeline/pipeline.h"

#define WEBHOOK_ROUTES 3
void webhook_routes(struct pipeline_room *room, struct http_route out[static WEBHOOK_ROUTES]);

/* routes.c */
void room_reply_json(struct http_exchange *x, int status, struct json *j); /* takes the value */
void room_reply_error(struct http_exchange *x, const struct err *err);
void room_reply_message(struct http_exchange *x, int status, const char *message);
/* As http_route's refuse. */
void room_refuse(struct http_exchange *x, int status, const char *why, void *ctx);
