/* SPDX-License-Identifier: MIT */
/* own_image.h - images that this naru's registry has to have, asked for before they are deployed. */
#pragma once
#include "cli/client.h"

/* "localhost:4566/shop/web:7" or "<account>.dkr.ecr.<region>.amazonaws.com/shop/web:7"; views of `image`.
 * False: another registry's or another region's, or one that is named by its digest. */
bool own_image_split(const struct client_config *config, const char *image, struct str *repository_out,
                     struct str *tag_out);
/* Fails if such an image is not there, and says how it gets there; any other one is not asked for. */
bool own_image_check(struct client *client, const char *image, struct err *err) MUST_CHECK;
