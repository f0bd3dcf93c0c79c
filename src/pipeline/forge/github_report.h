/* SPDX-License-Identifier: MIT */
/* github_report.h - tells forges what becomes of builds: GitHub by commit statuses, check runs (as an
 * App) and Deployments (for stages that deploy), GitLab and Gitea by commit statuses (forge_status.h),
 * with a link to the build.
 * Builds never wait for it: what is offered is kept until a thread of its own has sent it.  It sends
 * what GitHub does not know yet, so a build that changed ten times meanwhile is told once.  What was
 * sent is noted in the build's folder (github.json); a start goes on where the last run was.
 * Failures are retried with back-off, REPORT_TRIES_MAX times, then given up with a line in the log.
 * Limits: REPORTS_MAX builds waiting; beyond that the oldest gives way. */
#pragma once
#include "base/json.h"

#define REPORTS_MAX 1000
#define REPORT_TRIES_MAX 12
#define REPORT_DESCRIPTION_MAX 140

struct github_reports;

struct github_reports_config {
    const char *data_dir, *base_url;
    const char *api_url; /* NULL: by the repository's URL */
    void *ctx;
    /* The repository a pipeline is tied to, malloc'd ("acme/shop") with the URL it is fetched from;
     * false: to none. */
    bool (*repository_of)(void *ctx, const char *pipeline, char **repository_out, char **url_out,
                          char **forge_out); /* "gitlab"; NULL: what the URL says */
};

/* Texts are copied. */
struct github_reports *github_reports_start(const struct github_reports_config *config,
                                            struct err *err) MUST_CHECK;
/* A build as build_to_public_json() shows it, with stages; the value is borrowed. */
void github_reports_offer(struct github_reports *r, const struct json *build);
/* Gives up what is under way; it is sent after the next start. */
void github_reports_stop(struct github_reports *r);

/* "success", "failure", "error" or "pending", and words for it. */
const char *github_state_of(const struct json *build);
/* "continuous-integration/jenkins/branch" and its like, as Jenkins names them. */
const char *github_context_of(const struct json *build);
