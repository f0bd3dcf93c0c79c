/* SPDX-License-Identifier: MIT */
/* prefetch.h - which machines want an image before anybody deploys it.
 * A push has just ended.  If an ACTIVE service's newest deployment, or the newest revision of that
 * one's family, names the image by the very tag or digest, the next deployment will most likely ask
 * for it: the machines on which the service has tasks are told to fetch it (IMAGE_PREFETCH), or,
 * where it has none, as many of its cluster as it wants tasks.  A machine is told once, however many
 * services there name the image.
 * A hint: it changes no state, nothing waits for it, and a restart forgets it. */
#pragma once
#include "core/core.h"

void image_pushed(struct core *core, const struct ev_image_pushed *ev);
