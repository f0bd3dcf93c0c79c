/* SPDX-License-Identifier: MIT */
/* git_login.h - lets git fetch a private repository by https with the token in the secret `github`
 * (kind text or password).  The token goes by git's environment, to that host only; over plain http
 * to this machine only. */
#pragma once
#include "base/str.h"

#define GIT_LOGIN_VARIABLES 3

struct git_login {
    char *variables[GIT_LOGIN_VARIABLES + 1]; /* "GIT_CONFIG_COUNT=1" ...; NULL-terminated */
    char *token;                              /* to be masked; NULL: no login */
};
/* `secrets_dir` is NULL for pipelines that are tied to no repository on GitHub: the token is not for
 * other hosts.  git_login_done() is due. */
void git_login_find(const char *secrets_dir, const char *url, struct git_login *out);
void git_login_done(struct git_login *l);
