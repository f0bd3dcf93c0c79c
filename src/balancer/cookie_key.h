/* SPDX-License-Identifier: MIT */
/* cookie_key.h - the secret behind stickiness cookies: whoever has it can tell which address is behind
 * one.  Made once, kept in a file that only we may read, so that cookies outlive restarts; HAProxy's
 * configuration, which has what is derived from it, is as private. */
#pragma once
#include "base/err.h"

#define COOKIE_KEY_SIZE 65 /* 64 hex digits */

bool cookie_key_read(const char *folder, char out[static COOKIE_KEY_SIZE], struct err *err) MUST_CHECK;
