/* SPDX-License-Identifier: MIT */
/* aws_wait.h - `aws <service> wait <name>`: the waiters of the AWS CLI with their exact acceptors
 * (ecs.md 9, alb.md A1), asked every half second instead of every 15, for as long in all. */
#pragma once
#include "base/err.h"
#include "cli/client.h"

struct aws_waiter;
const struct aws_waiter *aws_waiter_find(const char *service, const char *name);
const char *aws_waiter_operation(const struct aws_waiter *waiter); /* whose arguments it takes */
/* Returns the AWS CLI's exit code: 0, or 255 with "Waiter X failed: ..." on stderr. */
int aws_wait(struct client *client, const struct aws_service *service,
             const struct aws_waiter *waiter, const struct json *input);
/* "services-stable, ..." for the usage message. */
void aws_waiter_list(const char *service, struct strbuf *out);
