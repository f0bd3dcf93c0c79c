/* SPDX-License-Identifier: MIT */
#include "hooks/hooks.h"

#include <pthread.h>
#include <stdatomic.h>
#include "base/log.h"
#include "hooks/internal.h"
#include "io/loop.h"
#include "model/hook_target.h"

struct under_way {
    struct hooks *hooks;
    struct hook_call *call;
    bool is_command; /* else a URL */
    atomic_bool is_cancelled;
    struct under_way *next;
};

struct hooks {
    struct hooks_config config;
    char *commands_dir;
    struct crew *callers, *runners; /* of URLs, of commands: these may take hours */
    pthread_mutex_t lock;           /* of the list */
    struct under_way *list;
};

void
hook_call_free(struct hook_call *call)
{
    if (call == NULL)
        return;
    free(call->target);
    json_unref(call->payload);
    free(call);
}

struct hooks *
hooks_new(const struct hooks_config *config)
{
    struct hooks *h = mem_new(sizeof(*h));

    h->config = *config;
    h->commands_dir = text_dup(config->commands_dir);
    h->callers = crew_new("hook-url", HOOK_CALLS_MAX);
    h->runners = crew_new("hook-command", HOOK_CALLS_MAX);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

static bool
is_cancelled(void *arg)
{
    struct under_way *u = arg;

    return atomic_load(&u->is_cancelled);
}

/* Off the list first: a report that is asked for again from then on is made again. */
static void
leave(struct under_way *u)
{
    struct hooks *h = u->hooks;

    pthread_mutex_lock(&h->lock);
    for (struct under_way **at = &h->list; *at != NULL; at = &(*at)->next) {
        if (*at == u) {
            *at = u->next;
            break;
        }
    }
    pthread_mutex_unlock(&h->lock);
}

static void
make_call(void *arg)
{
    struct under_way *u = arg;
    const struct hook_call *call = u->call;
    struct hook_verdict verdict = {0};

    if (!is_cancelled(u)) {
        if (u->is_command)
            hook_command_run(u->hooks->commands_dir, call, is_cancelled, u, &verdict);
        else
            hook_url_call(call, is_cancelled, u, &verdict);
    }
    leave(u);
    if (!is_cancelled(u)) {
        log_info("hook.called", "hook=%s attempt=%d target=%s outcome=%s", call->hook_id,
                 call->attempt, log_quote(call->target), hook_outcome_name(verdict.outcome));
        u->hooks->config.report(u->hooks->config.ctx,
                                &(struct hook_report){
                                    .service_deployment_arn = call->service_deployment_arn,
                                    .hook_id = call->hook_id,
                                    .attempt = call->attempt,
                                    .outcome = verdict.outcome,
                                    .delay_s = verdict.delay_s,
                                    .detail = verdict.detail,
                                });
    }
    hook_call_free(u->call);
    free(u);
}

/* False: it is there already. */
static bool
enter(struct hooks *h, struct under_way *u)
{
    bool is_new = true;

    pthread_mutex_lock(&h->lock);
    for (const struct under_way *x = h->list; x != NULL; x = x->next)
        is_new &=
            strcmp(x->call->hook_id, u->call->hook_id) != 0 || x->call->attempt != u->call->attempt;
    if (is_new) {
        u->next = h->list;
        h->list = u;
    }
    pthread_mutex_unlock(&h->lock);
    return is_new;
}

void
hooks_call(struct hooks *h, struct hook_call *call)
{
    struct under_way *u = mem_new(sizeof(*u));

    u->hooks = h;
    u->call = call;
    u->is_command = str_starts(str_of(call->target), STR(HOOK_COMMAND_PREFIX));
    if (!enter(h, u)) {
        hook_call_free(call);
        free(u);
        return;
    }
    crew_post(u->is_command ? h->runners : h->callers, make_call, u);
}

static void
cancel(struct hooks *h, const char *hook_id) /* NULL: all */
{
    pthread_mutex_lock(&h->lock);
    for (struct under_way *u = h->list; u != NULL; u = u->next) {
        if (hook_id == NULL || strcmp(u->call->hook_id, hook_id) == 0)
            atomic_store(&u->is_cancelled, true);
    }
    pthread_mutex_unlock(&h->lock);
}

void
hooks_cancel(struct hooks *h, const char *hook_id)
{
    cancel(h, hook_id);
}

void
hooks_free(struct hooks *h)
{
    if (h == NULL)
        return;
    cancel(h, NULL);
    crew_free(h->callers);
    crew_free(h->runners);
    pthread_mutex_destroy(&h->lock);
    free(h->commands_dir);
    free(h);
}
