/* SPDX-License-Identifier: MIT */
/* forge_status.h - verdicts to GitLab and Gitea: the status of a commit, with a link to the build.
 * The token is in the secret `gitlab` or `gitea` (kind text or password); it goes to the host of the
 * repository's URL, by https, or by http to this machine only.
 * Rate limits are waited for as GitHub's are (github_api.h); what a forge refuses is refused. */
#pragma once
#include "io/http_client.h"
#include "pipeline/forge/forge.h"
#include "pipeline/forge/github_api.h"

/* "github", "gitlab" or "gitea" as a webhook's route said; NULL: what the host's name suggests.
 * github.com is GitHub, whatever was said: no other forge's token goes there. */
enum forge forge_of(const char *told, const char *url);
const char *forge_name(enum forge forge);
/* "https://host/api/v4" or ".../api/v1", malloc'd; NULL: no token may go there. */
char *forge_api_url(enum forge forge, const char *repository_url);

struct forge_status {
    const char *repository, *commit, *branch;
    const char *state, *result; /* of the build: "QUEUED", "RUNNING", "ENDED"; "SUCCESS" ... */
    const char *context, *link, *description;
};

/* The word that the forge has for it. */
const char *forge_status_word(enum forge forge, const struct forge_status *s);
/* Blocking.  GITHUB_DONE too where there is no token. */
enum github_outcome forge_status_send(struct http_client *client, enum forge forge,
                                      const char *secrets_dir, const char *repository_url,
                                      const struct forge_status *s,
                                      bool (*is_cancelled)(void *arg), void *arg,
                                      int64_t *retry_ms, struct err *err);
