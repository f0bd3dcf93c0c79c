/* SPDX-License-Identifier: MIT */
/* steps_github.c - githubNotify: a commit status of one's own.  Never fatal. */
#include <stdio.h>
#include "pipeline/forge/github_api.h"
#include "pipeline/run/run_thread.h"

struct status_call {
    struct run_work work; /* first */
    const char *api_url, *secrets_dir, *repository, *path;
    struct json *body;
    enum github_outcome outcome;
    struct err err;
};

static void
post_status(struct run_work *work)
{
    struct status_call *c = (struct status_call *)work;
    struct github_api *api = github_api_new(c->api_url, c->secrets_dir);
    struct github_reply reply;

    c->outcome = github_api_call(api, c->repository, "POST", c->path, c->body, &reply, &c->err);
    json_unref(reply.body);
    github_api_free(api);
}

static struct json *
status_body(struct step_call *s, const char *state)
{
    struct json *body = json_object();
    struct str url = step_text(s, "targetUrl", "");

    json_set(body, "state", json_text(state));
    json_set(body, "context", json_str(step_text(s, "context", "jenkins/githubNotify")));
    json_set(body, "description", json_str(str_slice(step_text(s, "description", ""), 0, 140)));
    json_set(body, "target_url",
             url.len > 0 ? json_str(url) : json_text(s->run->config->build_url));
    return body;
}

static const char *
state_of(struct str status)
{
    static const char *const states[] = {"pending", "success", "failure", "error"};

    for (size_t i = 0; i < ARRAY_COUNT(states); i++)
        if (str_equal_nocase(status, str_of(states[i])))
            return states[i];
    return NULL;
}

/* "acme/shop" of `account` and `repo`, or the pipeline's own. */
static const char *
repository_of(struct step_call *s)
{
    struct str account = step_text(s, "account", ""), repo = step_text(s, "repo", "");

    if (str_index(repo, '/') > 0)
        return arena_cstr(&s->run->arena, repo);
    if (repo.len > 0 && account.len > 0)
        return arena_format(&s->run->arena, STR_FMT "/" STR_FMT, STR_ARG(account), STR_ARG(repo));
    return s->run->config->github;
}

static bool
step_github_notify(struct step_call *s)
{
    const struct runner_config *c = s->run->config;
    const char *state = state_of(step_text(s, "status", ""));
    cleanup_free char *api_url = c->github_api_url != NULL && c->github_api_url[0] != '\0'
                                     ? text_dup(c->github_api_url)
                                     : github_api_url_of(c->git_url == NULL ? "" : c->git_url);
    struct str sha = step_text(s, "sha", c->commit == NULL ? "" : c->commit);
    struct status_call call = {.work = {.work = post_status},
                               .api_url = api_url,
                               .secrets_dir = c->secrets_dir,
                               .repository = repository_of(s)};
    cleanup_json struct json *body = NULL;

    if (state == NULL)
        return step_fail(s, "githubNotify: status is PENDING, SUCCESS, FAILURE or ERROR");
    if (call.repository == NULL || call.secrets_dir == NULL || sha.len == 0) {
        run_logf(s->run, "Skipped: githubNotify: this build is of no repository of GitHub");
        return true;
    }
    call.path =
        arena_format(&s->run->arena, "/repos/%s/statuses/" STR_FMT, call.repository, STR_ARG(sha));
    body = call.body = status_body(s, state);
    if (!run_on_thread(s->run, s->at, &call.work))
        return false;
    if (call.outcome != GITHUB_DONE)
        run_logf(s->run, "WARNING: 'githubNotify' was not sent: %s", call.err.message);
    return true;
}

step_function *
step_github_find(struct str name)
{
    return str_is(name, "githubNotify") ? step_github_notify : NULL;
}
