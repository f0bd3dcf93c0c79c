/* SPDX-License-Identifier: MIT */
/* github_api.h - calls of GitHub's REST API, as a user (a token) or as an App.
 * Who we are stands in the secret `github`: kind text (a token), password (its password is the token)
 * or github-app (a JWT of RS256 gets a token of the installation, which is kept until it ends).
 * Blocking; one thread at a time. */
#pragma once
#include "base/json.h"

struct github_api;

/* `api_url`: "https://api.github.com", or an Enterprise server's "https://host/api/v3". */
struct github_api *github_api_new(const char *api_url, const char *secrets_dir);
void github_api_free(struct github_api *api);
void github_api_cancel(struct github_api *api); /* from any thread: calls end soon */
bool github_api_is_of(const struct github_api *api, const char *api_url);
bool github_api_has_identity(struct github_api *api, bool *is_app_out);

enum github_outcome {
    GITHUB_DONE,
    GITHUB_LATER,  /* retry after `retry_ms` */
    GITHUB_REFUSED /* for good; `err` says why */
};
struct github_reply {
    int64_t retry_ms;
    struct json *body; /* of GITHUB_DONE; may be NULL */
};
/* `path` is "/repos/acme/shop/statuses/..."; `repository` "acme/shop", for the App's installation. */
enum github_outcome github_api_call(struct github_api *api, const char *repository,
                                    const char *method, const char *path, const struct json *body,
                                    struct github_reply *out, struct err *err);

/* What git logs in with (as the user x-access-token): the token of a user, or one of the App's
 * installation, which is kept as long as it lives.  False: none, or GitHub gives none now. */
bool github_api_token(struct github_api *api, const char *repository, struct strbuf *out,
                      struct err *err) MUST_CHECK;

/* How long to wait after an answer: Retry-After, the end of the rate limit, or twice as long as
 * before (from 1 s, at most 5 min) with `attempt` counting from 0.  Texts may be empty. */
int64_t github_retry_ms(int status, struct str retry_after, struct str remaining, struct str reset,
                        int64_t now_s, unsigned attempt);
/* The API's URL for a repository's: github.com's, or that of the Enterprise server it lies on.
 * malloc'd. */
char *github_api_url_of(const char *repository_url);
