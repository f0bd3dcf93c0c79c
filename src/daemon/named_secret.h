/* SPDX-License-Identifier: MIT */
/* named_secret.h - what AWS's names of secrets stand for: what `naru secret` keeps under the same name.
 *
 * The `valueFrom` of a task definition's secret is, as in ECS (ecs.md 3.4),
 *   arn:aws:secretsmanager:<region>:<account>:secret:<name>[-<6 characters>][:<json-key>[:<stage>[:<version>]]]
 *   arn:aws:ssm:<region>:<account>:parameter/<name>, or only <name>, with or without a slash in front.
 * Region and account are not looked at: a definition from AWS means the same here. A secret of the kind text is its
 * text; of another kind what Secrets Manager would have: a JSON object of its members. Of a stage only AWSCURRENT is there,
 * of versions none.  The credentialArn of another registry (upstream_secret.h) is the first of them. */
#pragma once
#include "base/err.h"

/* malloc'd; NULL: RESOURCE_NOT_FOUND, naming the command that keeps one, or it cannot be read. */
char *named_secret(const char *secrets_directory, const char *value_from, struct err *err);
