/* SPDX-License-Identifier: MIT */
/* git_login.h - lets git fetch a private repository by https with the token in the secret `github`
 * (kind text, password or github-app: then with a token of the App's installation, made anew before
 * it ends), or in `gitlab` or `gitea` where webhooks said, or else the host's name, that it is one of
 * those (forge_of()).  The token goes by git's environment, to that host only; over plain http to this
 * machine only. */
#pragma once
#include "base/str.h"

#define GIT_LOGIN_VARIABLES 3

/* Where GitHub's API is, for all that follow; NULL: where the repository's URL says. */
void git_login_use_api(const char *api_url);

struct git_login {
    char *variables[GIT_LOGIN_VARIABLES + 1]; /* "GIT_CONFIG_COUNT=1" ...; NULL-terminated */
    char *token;                              /* to be masked; NULL: no login */
};
/* `secrets_dir` is NULL for pipelines that are tied to no repository of a forge: the token is not for
 * other hosts.  `told`: the forge by its webhooks, or NULL.  git_login_done() is due. */
void git_login_find(const char *secrets_dir, const char *told, const char *url,
                    struct git_login *out);
void git_login_done(struct git_login *l);
