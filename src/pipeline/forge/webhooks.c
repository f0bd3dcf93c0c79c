/* SPDX-License-Identifier: MIT */
/* webhooks.c - POST /github/webhook, /gitlab/webhook and /gitea/webhook: verify, drop what was
 * seen, queue.  The request waits for no network: what git has to be asked is asked when the build
 * runs. */
#include "pipeline/forge/webhooks.h"

#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/guard.h"
#include "pipeline/forge/forge_status.h"
#include "pipeline/forks.h"

static const struct forge_type {
    const char *prefix;
    const char *signature, *event, *delivery; /* headers */
    bool needs_delivery;
} forges[] = {
    [FORGE_GITHUB] = {"/github/webhook", "X-Hub-Signature-256", "X-GitHub-Event",
                      "X-GitHub-Delivery", true},
    [FORGE_GITLAB] = {"/gitlab/webhook", "X-Gitlab-Token", "X-Gitlab-Event", "X-Gitlab-Event-UUID",
                      false},
    [FORGE_GITEA] = {"/gitea/webhook", "X-Gitea-Signature", "X-Gitea-Event", "X-Gitea-Delivery",
                     true},
};

/* False if it should be delivered again. */
static bool
reply_build(struct http_exchange *x, struct pipeline_room *room, const struct forge_event *e,
            const char *pipeline)
{
    const struct github_push *push = &e->push;
    const struct build_request request = {
        .pipeline = pipeline,
        .branch = push->branch,
        .commit = push->commit,
        .before = push->before[0] != '\0' ? push->before : NULL,
        .ref = e->ref[0] != '\0' ? e->ref : NULL,
        .head = e->head[0] != '\0' ? e->head : NULL,
        .change = e->change,
        .cause = "BranchEventCause",
        .message = push->message,
        .author = push->author,
        .paths = push->paths,
        .path_count = push->path_count,
        .unless_known = true,
        .may_be_late = e->ref[0] == '\0',
    };
    int64_t number;
    struct err err;
    struct json *j;

    if (!pipeline_submit(room, &request, &number, &err)) {
        room_reply_error(x, &err);
        return false;
    }
    j = json_object();
    json_set(j, "pipeline", json_text(pipeline));
    json_set(j, "build", json_int(number));
    room_reply_json(x, 202, j);
    return true;
}

static bool
act(struct http_exchange *x, struct pipeline_room *room, enum forge forge,
    const struct forge_event *e)
{
    enum fork_trust trust;
    char name[64];
    struct err err;

    if (e->what == FORGE_NOTHING) {
        room_reply_message(x, 200, e->ignored);
        return true;
    }
    if (!pipeline_of_github(room, e->push.repository, name, sizeof(name))) {
        err_set(&err, ERR_NOT_FOUND, "no pipeline is tied to the repository '%s'",
                e->push.repository);
        room_reply_error(x, &err);
        return false;
    }
    pipeline_note_forge(room, name, forge_name(forge));
    if (e->what == FORGE_GONE) {
        (void)pipeline_gone(room, name, e->push.branch, 0);
        room_reply_message(x, 200, "what waited of it is not built");
        return true;
    }
    trust = e->is_fork ? room_fork_trust(room, name, json_get_cstr(e->change, "author", ""),
                                         json_get_cstr(e->change, "fork", ""))
                       : FORK_TRUSTED;
    if (trust == FORK_REFUSED) {
        room_reply_message(x, 200,
                           "ignored: changes from forks are not built, they are strangers' code");
        return true;
    }
    if (trust == FORK_UNTRUSTED)
        json_set(e->change, "untrusted", json_bool(true));
    return reply_build(x, room, e, name);
}

/* The signature was right. Remembered as seen once it was acted upon: if we die in between, a
 * redelivery still finds the build by its commit. */
static bool
accept_delivery(struct http_exchange *x, struct pipeline_room *room, enum forge forge,
                struct str event)
{
    cleanup(strbuf_done) struct strbuf payload = {0};
    struct forge_event e;
    struct err err;
    bool done;

    if (!github_payload(x->body, http_header_get(x, "Content-Type"), &payload, &err) ||
        !forge_event_parse(forge, event, strbuf_str(&payload), &e, &err)) {
        err.code = ERR_BAD_REQUEST;
        room_reply_error(x, &err);
        return false;
    }
    done = act(x, room, forge, &e);
    forge_event_done(&e);
    return done;
}

/* Who has sent too many wrong ones waits, with the right one too: or the answer would tell. */
static bool
is_in_time(struct http_exchange *x, struct guard *guard, struct str key)
{
    const int64_t wait_ms =
        guard != NULL ? guard_wait_ms(guard, x->peer, key, clock_monotonic_ms()) : 0;
    char seconds[24];

    if (wait_ms <= 0)
        return true;
    snprintf(seconds, sizeof(seconds), "%lld", (long long)((wait_ms + 999) / 1000));
    const struct http_header headers[] = {
        {"Content-Type", "application/json"}, {"Retry-After", seconds}, {NULL, NULL}};
    http_reply(x, 429, headers, STR("{\"message\":\"too many wrong signatures; try again later\"}"));
    return false;
}

static void
refuse_signature(struct http_exchange *x, enum forge forge, struct guard *guard, struct str key)
{
    char message[100];

    if (guard != NULL)
        guard_failed(guard, x->peer, key, clock_monotonic_ms());
    log_warn("webhook.refused", "forge=%s peer=" STR_FMT, forge_name(forge), STR_ARG(x->peer));
    snprintf(message, sizeof(message), "%s in %s is missing or wrong",
             forge == FORGE_GITLAB ? "the token" : "the signature", forges[forge].signature);
    room_reply_message(x, 401, message);
}

static bool
is_authentic(struct http_exchange *x, struct pipeline_room *room, enum forge forge)
{
    struct guard *guard = pipeline_room_config(room)->guard;
    cleanup_free char *secret = pipeline_webhook_secret(room, forge_name(forge));
    const struct str key = str_of(forges[forge].prefix);

    if (secret[0] == '\0') {
        char message[160];

        snprintf(message, sizeof(message),
                 "no webhook secret is configured: say the webhook's to `naru secret set %s-webhook`", forge_name(forge));
        room_reply_message(x, 403, message);
        return false;
    }
    if (!is_in_time(x, guard, key))
        return false;
    if (!forge_is_authentic(forge, str_of(secret), x->body,
                            http_header_get(x, forges[forge].signature))) {
        refuse_signature(x, forge, guard, key);
        return false;
    }
    if (guard != NULL)
        guard_passed(guard, x->peer, key);
    return true;
}

static void
receive(struct http_exchange *x, struct pipeline_room *room, enum forge forge)
{
    struct str delivery = http_header_get(x, forges[forge].delivery);
    struct str event = http_header_get(x, forges[forge].event);
    struct err err;
    char message[100];

    if (!str_is(x->method, "POST")) {
        room_reply_message(x, 405, "this method is not allowed here");
        return;
    }
    if (!is_authentic(x, room, forge))
        return;
    if (event.len == 0 || delivery.len > 100 ||
        (delivery.len == 0 && forges[forge].needs_delivery)) {
        snprintf(message, sizeof(message), "%s and %s are needed", forges[forge].event,
                 forges[forge].delivery);
        room_reply_message(x, 400, message);
        return;
    }
    if (delivery.len > 0 && !pipeline_delivery_is_new(room, delivery)) {
        room_reply_message(x, 200, "ignored: this delivery was seen before");
        return;
    }
    if (accept_delivery(x, room, forge, event) && delivery.len > 0 &&
        !pipeline_delivery_seen(room, delivery, &err))
        log_error("webhook.delivery", "error=%s", log_quote(err.message));
}

static void
from_github(struct http_exchange *x, void *ctx)
{
    receive(x, ctx, FORGE_GITHUB);
}

static void
from_gitlab(struct http_exchange *x, void *ctx)
{
    receive(x, ctx, FORGE_GITLAB);
}

static void
from_gitea(struct http_exchange *x, void *ctx)
{
    receive(x, ctx, FORGE_GITEA);
}

void
webhook_routes(struct pipeline_room *room, struct http_route out[static WEBHOOK_ROUTES])
{
    static void (*const ends[])(struct http_exchange * x, void *ctx) = {
        [FORGE_GITHUB] = from_github, [FORGE_GITLAB] = from_gitlab, [FORGE_GITEA] = from_gitea};

    for (size_t i = 0; i < WEBHOOK_ROUTES; i++)
        out[i] = (struct http_route){
            .prefix = forges[i].prefix, .body_limit = GITHUB_BODY_MAX, .end = ends[i], .refuse = room_refuse,
            .ctx = room};
}
