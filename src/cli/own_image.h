/* SPDX-License-Identifier: MIT */
/* own_image.h - images that this naru's registry has to have, asked for before they are deployed. */
#pragma once
#include "model/image_ref.h"
#include "cli/client.h"

/* False: another registry's, or one that is named by its digest. */
bool own_image_parse(const char *image, const struct image_home *home, struct image_ref *out);
/* Fails if such an image is not there, and says how it gets there; any other one is not asked for. */
bool own_image_check(const struct client_config *config, const char *image, struct err *err) MUST_CHECK;
