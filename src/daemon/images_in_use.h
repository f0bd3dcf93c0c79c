/* SPDX-License-Identifier: MIT */
/* images_in_use.h - who needs an image of the registry: running tasks, tasks and services that have yet to pull it, and every
 * deployment that is rolled out, being rolled out, or may be rolled back to (DESIGN promise 8). */
#pragma once
#include "base/str.h"

struct engine;
struct registry;

/* `users` (may be NULL) gets the first few: "task arn:aws:..., service web". An engine that cannot answer keeps the
 * image: deleting is what can't be undone. */
bool images_in_use(struct engine *engine, struct registry *registry, const char *region, const char *repository,
                   const char *digest, struct strbuf *users);
