/* SPDX-License-Identifier: MIT */
#include "pipeline/forge/github_report.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "pipeline/build.h"
#include "pipeline/forge/forge_status.h"
#include "pipeline/forge/github_api.h"

#define NOTE_MAX ((size_t)65536)

/* A build that GitHub may not know all about. */
struct item {
    struct json *build;
    int64_t due_ms;
    unsigned tries;
    bool is_busy, has_changed; /* offered again while it was being sent */
    struct item *next;
};

struct github_reports {
    char *data_dir, *base_url, *api_url;
    struct github_reports_config config;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    struct item *items;
    size_t count;
    bool stopping;
    struct github_api *api; /* NULL until it is needed; only the thread calls it */
    struct http_client *client; /* of other forges; the same */
};

static const char *
text(const struct json *build, const char *key)
{
    return json_get_cstr(build, key, "");
}

static bool
is_ended(const struct json *build)
{
    return strcmp(text(build, "state"), "ENDED") == 0;
}

const char *
github_state_of(const struct json *build)
{
    const char *result = text(build, "result");

    if (!is_ended(build))
        return "pending";
    if (strcmp(result, "SUCCESS") == 0)
        return "success";
    return strcmp(result, "FAILURE") == 0 || strcmp(result, "UNSTABLE") == 0 ? "failure" : "error";
}

const char *
github_context_of(const struct json *build)
{
    const char *ref = text(build, "ref"), *head = text(build, "head");

    if (strncmp(ref, "refs/tags/", 10) == 0)
        return "continuous-integration/jenkins/tags";
    if (head[0] == '\0')
        return "continuous-integration/jenkins/branch";
    return strcmp(head, text(build, "commit")) == 0 ? "continuous-integration/jenkins/pr-head"
                                                    : "continuous-integration/jenkins/pr-merge";
}

/* The commit that people look at: of a change its head, not the merge that was built. */
static const char *
judged_commit(const struct json *build)
{
    return text(build, text(build, "head")[0] != '\0' ? "head" : "commit");
}

static void
describe(const struct json *build, char out[static REPORT_DESCRIPTION_MAX + 1])
{
    const char *result = text(build, "result"), *reason = text(build, "reason");
    long long number = (long long)json_get_i64(build, "number", 0);
    double took_s = (double)json_get_i64(build, "tookMs", 0) / 1000;
    size_t n;

    if (!is_ended(build))
        snprintf(out, REPORT_DESCRIPTION_MAX + 1, "build %lld is %s", number,
                 strcmp(text(build, "state"), "QUEUED") == 0 ? "waiting" : "running");
    else if (reason[0] != '\0')
        snprintf(out, REPORT_DESCRIPTION_MAX + 1, "build %lld: %s: %s", number, result, reason);
    else
        snprintf(out, REPORT_DESCRIPTION_MAX + 1, "build %lld: %s in %.1f s", number, result,
                 took_s);
    n = strlen(out);
    while (n == REPORT_DESCRIPTION_MAX && n > 0 && ((unsigned char)out[n - 1] & 0x80) != 0)
        out[--n] = '\0'; /* not in the middle of a character */
}

/* One build's report while it is sent. */
struct report {
    struct github_reports *reports;
    struct github_api *api;
    const struct json *build;
    const char *repository, *link;
    struct json *note; /* what GitHub knows */
    char *note_path;
    bool is_app;
    int64_t retry_ms;
    struct err err;
};

static bool
knows(const struct report *r, const char *what, const char *state)
{
    return strcmp(json_get_cstr(r->note, what, ""), state) == 0;
}

static void
note(struct report *r, const char *what, struct json *value)
{
    cleanup_free char *all = NULL;
    struct err err;

    json_set(r->note, what, value);
    all = json_format(r->note);
    if (!file_write_atomic(r->note_path, str_of(all), 0640, &err))
        log_warn("github.note", "error=%s", log_quote(err.message));
}

static enum github_outcome send(struct report *r, const char *method, struct json *body,
                                int64_t *id_out, const char *format, ...) PRINTF_LIKE(5, 6);

static enum github_outcome
send(struct report *r, const char *method, struct json *body, int64_t *id_out, const char *format,
     ...)
{
    struct github_reply reply;
    enum github_outcome outcome;
    char tail[300], path[600];
    va_list args;

    va_start(args, format);
    vsnprintf(tail, sizeof(tail), format, args);
    va_end(args);
    snprintf(path, sizeof(path), "/repos/%s/%s", r->repository, tail);
    outcome = github_api_call(r->api, r->repository, method, path, body, &reply, &r->err);
    if (outcome == GITHUB_DONE && id_out != NULL)
        *id_out = json_get_i64(reply.body, "id", 0);
    r->retry_ms = reply.retry_ms;
    json_unref(reply.body);
    json_unref(body);
    return outcome;
}

static enum github_outcome
send_status(struct report *r)
{
    char description[REPORT_DESCRIPTION_MAX + 1];
    struct json *body;
    enum github_outcome outcome;

    describe(r->build, description);
    if (knows(r, "status", description))
        return GITHUB_DONE;
    body = json_object();
    json_set(body, "state", json_text(github_state_of(r->build)));
    json_set(body, "target_url", json_text(r->link));
    json_set(body, "description", json_text(description));
    json_set(body, "context", json_text(github_context_of(r->build)));
    outcome = send(r, "POST", body, NULL, "statuses/%s", judged_commit(r->build));
    if (outcome == GITHUB_DONE)
        note(r, "status", json_text(description));
    return outcome;
}

static const char *
conclusion_of(const struct json *build)
{
    const char *result = text(build, "result");

    return strcmp(result, "SUCCESS") == 0     ? "success"
           : strcmp(result, "ABORTED") == 0   ? "cancelled"
           : strcmp(result, "NOT_BUILT") == 0 ? "skipped"
           : strcmp(result, "UNSTABLE") == 0  ? "neutral"
                                              : "failure";
}

/* A line a stage, as far as they fit. */
static struct json *
check_output(const struct json *build)
{
    cleanup(strbuf_done) struct strbuf summary = {0};
    char title[REPORT_DESCRIPTION_MAX + 1];
    const struct json *stages = json_get(build, "stages");
    struct json *output = json_object();

    describe(build, title);
    strbuf_addf(&summary, "%s\n\n", title);
    for (size_t i = 0; i < json_size(stages) && summary.len < 30000; i++) {
        const struct json *s = json_at(stages, i);
        strbuf_addf(&summary, "%*s- %s: %s\n", (int)json_get_i64(s, "depth", 0) * 2, "",
                    text(s, "name"), text(s, "status"));
    }
    json_set(output, "title", json_text(title));
    json_set(output, "summary", json_str(strbuf_str(&summary)));
    return output;
}

static void
set_time(struct json *body, const char *key, int64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    char out[32];
    struct tm tm;

    if (ms == 0)
        return;
    gmtime_r(&s, &tm);
    strftime(out, sizeof(out), "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_set(body, key, json_text(out));
}

static enum github_outcome
send_check(struct report *r)
{
    const char *state = is_ended(r->build)                                ? "completed"
                        : strcmp(text(r->build, "state"), "RUNNING") == 0 ? "in_progress"
                                                                          : "queued";
    int64_t id = json_get_i64(r->note, "checkId", 0);
    struct json *body;
    enum github_outcome outcome;

    if (!r->is_app || knows(r, "check", state))
        return GITHUB_DONE;
    body = json_object();
    json_set(body, "name", json_text(github_context_of(r->build)));
    json_set(body, "details_url", json_text(r->link));
    json_set(body, "status", json_text(state));
    set_time(body, "started_at", json_get_i64(r->build, "startedAtMs", 0));
    if (is_ended(r->build)) {
        json_set(body, "conclusion", json_text(conclusion_of(r->build)));
        set_time(body, "completed_at", json_get_i64(r->build, "endedAtMs", 0));
    }
    json_set(body, "output", check_output(r->build));
    if (id == 0) {
        json_set(body, "head_sha", json_text(judged_commit(r->build)));
        outcome = send(r, "POST", body, &id, "check-runs");
    } else {
        outcome = send(r, "PATCH", body, NULL, "check-runs/%lld", (long long)id);
    }
    if (outcome != GITHUB_DONE)
        return outcome;
    json_set(r->note, "checkId", json_int(id));
    note(r, "check", json_text(state));
    return GITHUB_DONE;
}

/* The last stage whose name says that it deploys, and that began. */
static const struct json *
deploying_stage(const struct json *build)
{
    const struct json *stages = json_get(build, "stages"), *found = NULL;

    for (size_t i = 0; i < json_size(stages); i++) {
        const struct json *s = json_at(stages, i);
        if (strcasestr(text(s, "name"), "deploy") != NULL &&
            strcmp(text(s, "status"), "SKIPPED") != 0)
            found = s;
    }
    return found;
}

/* The verdict of the stage itself: what fails after a deployment does not undo it. */
static const char *
deployment_state(const struct json *build, const struct json *stage)
{
    const char *status = text(stage, "status");

    if (strcmp(status, "RUNNING") == 0)
        return is_ended(build) ? "error" : "in_progress";
    return strcmp(status, "SUCCESS") == 0 || strcmp(status, "UNSTABLE") == 0 ? "success"
           : strcmp(status, "ABORTED") == 0                                  ? "error"
                                                                             : "failure";
}

static enum github_outcome
create_deployment(struct report *r, int64_t *id)
{
    struct json *body = json_object();
    const char *branch = text(r->build, "branch");
    bool is_primary = strcmp(branch, "main") == 0 || strcmp(branch, "master") == 0;

    json_set(body, "ref", json_text(text(r->build, "commit")));
    json_set(body, "auto_merge", json_bool(false));
    json_set(body, "required_contexts", json_array()); /* this very build is still pending */
    json_set(body, "environment", json_text(is_primary ? "production" : branch));
    json_set(body, "production_environment", json_bool(is_primary));
    json_set(body, "description", json_text("naru"));
    return send(r, "POST", body, id, "deployments");
}

static enum github_outcome
send_deployment(struct report *r)
{
    const struct json *stage = deploying_stage(r->build);
    int64_t id = json_get_i64(r->note, "deploymentId", 0);
    enum github_outcome outcome;
    char description[REPORT_DESCRIPTION_MAX + 1];
    const char *state;
    struct json *body;

    if (stage == NULL || text(r->build, "head")[0] != '\0')
        return GITHUB_DONE;
    state = deployment_state(r->build, stage);
    if (knows(r, "deployment", state))
        return GITHUB_DONE;
    if (id == 0) {
        outcome = create_deployment(r, &id);
        if (outcome != GITHUB_DONE)
            return outcome;
        note(r, "deploymentId", json_int(id)); /* should its status fail, the next try finds it */
    }
    snprintf(description, sizeof(description), "stage %.60s: %s", text(stage, "name"),
             text(stage, "status"));
    body = json_object();
    json_set(body, "state", json_text(state));
    json_set(body, "log_url", json_text(r->link));
    json_set(body, "description", json_text(description));
    outcome = send(r, "POST", body, NULL, "deployments/%lld/statuses", (long long)id);
    if (outcome == GITHUB_DONE)
        note(r, "deployment", json_text(state));
    return outcome;
}

/* One kind that GitHub refuses (a token without that right) does not keep the others back. */
static enum github_outcome
send_all(struct report *r)
{
    static enum github_outcome (*const kinds[])(struct report * r) = {send_status, send_check,
                                                                      send_deployment};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        enum github_outcome outcome = kinds[i](r);
        if (outcome == GITHUB_LATER)
            return outcome;
        if (outcome == GITHUB_REFUSED)
            log_warn("github.refused", "repository=%s build=%lld error=%s", r->repository,
                     (long long)json_get_i64(r->build, "number", 0), log_quote(r->err.message));
    }
    return GITHUB_DONE;
}

static struct json *
read_note(const char *path)
{
    cleanup(strbuf_done) struct strbuf all = {0};
    struct json *j = NULL;
    struct err err;

    if (file_exists(path) && file_read(path, NOTE_MAX, &all, &err))
        j = json_parse(strbuf_str(&all), &err);
    return json_type(j) == JSON_OBJECT ? j : json_object();
}

/* One is kept: its connection and its token serve the next report, too. */
static struct github_api *
api_for(struct github_reports *r, const char *url, const char *secrets_dir)
{
    pthread_mutex_lock(&r->mutex);
    if (r->api == NULL || !github_api_is_of(r->api, url)) {
        github_api_free(r->api);
        r->api = github_api_new(url, secrets_dir);
    }
    if (r->stopping)
        github_api_cancel(r->api);
    pthread_mutex_unlock(&r->mutex);
    return r->api;
}

static bool
is_stopping(void *arg)
{
    struct github_reports *r = arg;
    bool stopping;

    pthread_mutex_lock(&r->mutex);
    stopping = r->stopping;
    pthread_mutex_unlock(&r->mutex);
    return stopping;
}

static enum github_outcome
send_elsewhere(struct report *r, enum forge forge, const char *url, const char *secrets)
{
    char description[REPORT_DESCRIPTION_MAX + 1];
    const struct forge_status status = {.repository = r->repository,
                                        .commit = judged_commit(r->build),
                                        .branch = text(r->build, "branch"),
                                        .state = text(r->build, "state"),
                                        .result = text(r->build, "result"),
                                        .context = github_context_of(r->build),
                                        .link = r->link,
                                        .description = description};
    enum github_outcome outcome;

    describe(r->build, description);
    if (knows(r, "status", description))
        return GITHUB_DONE;
    if (r->reports->client == NULL)
        r->reports->client = http_client_new();
    outcome = forge_status_send(r->reports->client, forge, secrets, url, &status, is_stopping,
                                r->reports, &r->retry_ms, &r->err);
    if (outcome == GITHUB_DONE)
        note(r, "status", json_text(description));
    else if (outcome == GITHUB_REFUSED)
        log_warn("forge.refused", "forge=%s repository=%s error=%s", forge_name(forge),
                 r->repository, log_quote(r->err.message));
    return outcome;
}

static enum github_outcome
send_to_github(struct report *r)
{
    return github_api_has_identity(r->api, &r->is_app) ? send_all(r) : GITHUB_DONE;
}

static enum github_outcome
report(struct github_reports *reports, const struct json *build, int64_t *retry_ms)
{
    const char *pipeline = text(build, "pipeline");
    long long number = (long long)json_get_i64(build, "number", 0);
    cleanup_free char *repository = NULL, *url = NULL, *api_url = NULL, *secrets = NULL;
    cleanup_free char *told = NULL;
    cleanup_free char *directory = build_directory(reports->data_dir, pipeline, number);
    cleanup_free char *path = text_format("%s/github.json", directory);
    cleanup_free char *link = NULL;
    struct report r = {.reports = reports, .build = build, .note_path = path};
    enum github_outcome outcome;
    enum forge forge;

    if (!reports->config.repository_of(reports->config.ctx, pipeline, &repository, &url, &told))
        return GITHUB_DONE;
    forge = forge_of(told, url);
    api_url = reports->api_url != NULL ? text_dup(reports->api_url) : github_api_url_of(url);
    secrets = text_format("%s/secrets", reports->data_dir);
    link = text_format("%s/naru/builds/%s/%lld/", reports->base_url, pipeline, number);
    r.api = api_for(reports, api_url, secrets);
    r.repository = repository;
    r.link = link;
    r.note = read_note(path);
    outcome = forge == FORGE_GITHUB ? send_to_github(&r) : send_elsewhere(&r, forge, url, secrets);
    json_unref(r.note);
    if (outcome == GITHUB_LATER)
        log_warn("github.later", "repository=%s build=%lld retry_ms=%lld error=%s", repository,
                 number, (long long)r.retry_ms, log_quote(r.err.message));
    *retry_ms = r.retry_ms;
    return outcome;
}

static void
item_remove(struct github_reports *r, struct item *item)
{
    for (struct item **at = &r->items; *at != NULL; at = &(*at)->next)
        if (*at == item) {
            *at = item->next;
            json_unref(item->build);
            free(item);
            r->count--;
            return;
        }
}

/* Waits longer with every try, at least as long as GitHub wants. */
static void
settle(struct github_reports *r, struct item *item, enum github_outcome outcome, int64_t retry_ms)
{
    int64_t backoff = github_retry_ms(0, STR(""), STR(""), STR(""), 0, item->tries);

    item->is_busy = false;
    if (outcome != GITHUB_LATER) {
        item->tries = 0;
        if (!item->has_changed)
            item_remove(r, item);
        return;
    }
    if (++item->tries >= REPORT_TRIES_MAX) {
        log_warn("github.given_up", "pipeline=%s build=%lld", text(item->build, "pipeline"),
                 (long long)json_get_i64(item->build, "number", 0));
        item_remove(r, item);
        return;
    }
    item->due_ms = clock_monotonic_ms() + (retry_ms > backoff ? retry_ms : backoff);
}

static struct item *
next_due(const struct github_reports *r, int64_t *wait_ms)
{
    int64_t now_ms = clock_monotonic_ms();

    *wait_ms = 60000;
    for (struct item *i = r->items; i != NULL; i = i->next) {
        if (i->due_ms <= now_ms)
            return i;
        if (i->due_ms - now_ms < *wait_ms)
            *wait_ms = i->due_ms - now_ms;
    }
    return NULL;
}

static void
wait_for_change(struct github_reports *r, int64_t wait_ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&r->changed, &r->mutex, &until);
}

static void *
run_reports(void *arg)
{
    struct github_reports *r = arg;

    pthread_mutex_lock(&r->mutex);
    while (!r->stopping) {
        int64_t wait_ms, retry_ms = 0;
        struct item *item = next_due(r, &wait_ms);
        struct json *build;
        enum github_outcome outcome;
        if (item == NULL) {
            wait_for_change(r, wait_ms);
            continue;
        }
        item->is_busy = true;
        item->has_changed = false;
        build = json_ref(item->build);
        pthread_mutex_unlock(&r->mutex);
        outcome = report(r, build, &retry_ms);
        json_unref(build);
        pthread_mutex_lock(&r->mutex);
        settle(r, item, outcome, retry_ms);
    }
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

static void
make_room(struct github_reports *r)
{
    struct item *oldest = r->items;

    while (oldest != NULL && oldest->is_busy)
        oldest = oldest->next;
    if (oldest == NULL)
        return;
    log_warn("github.dropped", "pipeline=%s build=%lld", text(oldest->build, "pipeline"),
             (long long)json_get_i64(oldest->build, "number", 0));
    item_remove(r, oldest);
}

void
github_reports_offer(struct github_reports *r, const struct json *build)
{
    struct item **at = &r->items;

    pthread_mutex_lock(&r->mutex);
    for (; *at != NULL; at = &(*at)->next)
        if (json_get_i64((*at)->build, "number", 0) == json_get_i64(build, "number", 0) &&
            strcmp(text((*at)->build, "pipeline"), text(build, "pipeline")) == 0)
            break;
    if (*at == NULL) {
        if (r->count >= REPORTS_MAX) {
            make_room(r);
            for (at = &r->items; *at != NULL;)
                at = &(*at)->next;
        }
        *at = mem_new(sizeof(**at));
        r->count++;
    }
    json_unref((*at)->build);
    (*at)->build = json_copy(build);
    (*at)->has_changed = true;
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

static void
reports_free(struct github_reports *r)
{
    while (r->items != NULL)
        item_remove(r, r->items);
    github_api_free(r->api);
    http_client_free(r->client);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r->data_dir);
    free(r->base_url);
    free(r->api_url);
    free(r);
}

struct github_reports *
github_reports_start(const struct github_reports_config *config, struct err *err)
{
    struct github_reports *r = mem_new(sizeof(*r));
    pthread_condattr_t attr;
    int failure;

    r->config = *config;
    r->data_dir = text_dup(config->data_dir);
    r->base_url = text_dup(config->base_url);
    r->api_url = text_dup(config->api_url);
    pthread_mutex_init(&r->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&r->changed, &attr);
    pthread_condattr_destroy(&attr);
    failure = pthread_create(&r->thread, NULL, run_reports, r);
    if (failure == 0)
        return r;
    errno = failure;
    err_errno(err, "cannot start the thread of GitHub's reports");
    reports_free(r);
    return NULL;
}

void
github_reports_stop(struct github_reports *r)
{
    if (r == NULL)
        return;
    pthread_mutex_lock(&r->mutex);
    r->stopping = true;
    if (r->api != NULL)
        github_api_cancel(r->api);
    pthread_cond_signal(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    reports_free(r);
}
