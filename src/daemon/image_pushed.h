/* SPDX-License-Identifier: MIT */
/* image_pushed.h - what the registry tells of a push, as the core's event. */
#pragma once

struct config;
struct engine;
struct registry_push;

void image_pushed_tell(struct engine *engine, const struct config *config,
                       const struct registry_push *push);
