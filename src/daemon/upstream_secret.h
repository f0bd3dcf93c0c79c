/* SPDX-License-Identifier: MIT */
/* upstream_secret.h - credentials for other registries, for registry_set_credentials(). */
#pragma once
#include "base/err.h"

/* `ctx` is the data directory. SECRET_NOT_FOUND, SECRET_NOT_READ. */
bool upstream_secret(void *ctx, const char *arn, char **username_out, char **password_out,
                     struct err *err);
