/* SPDX-License-Identifier: MIT */
#include "balancer/balancer.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include "balancer/certificates.h"
#include "balancer/rule_pattern.h"
#include "balancer/traffic.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "io/process.h"

/* ---- reports ---- */

enum target_state
member_state(const struct member *m)
{
    if (!m->group->in_use)
        return TARGET_unused;
    if (!m->group->check.enabled)
        return TARGET_unavailable;
    return m->checker != NULL ? checker_health(m->checker)->state : TARGET_initial;
}

static const char *
member_reason(const struct member *m, const char **description_out)
{
    switch (member_state(m)) {
    case TARGET_unused:
        *description_out =
            "Target group is not configured to receive traffic from the load balancer";
        return "Target.NotInUse";
    case TARGET_unavailable:
        *description_out = "Health checks are disabled for this target group";
        return "Target.HealthCheckDisabled";
    default:
        if (m->checker == NULL) {
            *description_out = "Target registration is in progress";
            return "Elb.RegistrationInProgress";
        }
        *description_out = checker_health(m->checker)->description;
        return checker_health(m->checker)->reason;
    }
}

/* Healthy means: requests reach it. So it is said only once HAProxy has it in rotation. */
static bool
is_served(const struct balancer *b, const struct member *m)
{
    return haproxy_process_state(b->haproxy) == HAPROXY_RUNNING && m->slot >= 0 &&
           m->slot < m->group->has_slots && m->group->slots.at[m->slot].has_ready;
}

void
member_tell(struct balancer *b, struct member *m)
{
    const enum target_state state = member_state(m);
    const char *description = "", *reason = member_reason(m, &description);

    if (m->is_draining || (state == TARGET_healthy && !is_served(b, m)))
        return;
    if (m->has_told && m->told == state && strcmp(m->told_reason, reason) == 0 &&
        strcmp(m->told_description, description) == 0)
        return;
    const bool is_known =
        m->is_new && state == TARGET_initial && strcmp(reason, "Elb.RegistrationInProgress") == 0;
    m->is_new = false;
    if (!m->has_told || m->told != state)
        log_info("target.health", "group=%s target=%s port=%d state=%s reason=%s", m->group->id,
                 m->id, m->port, target_state_name(state), reason[0] != '\0' ? reason : "-");
    m->has_told = true;
    m->told = state;
    text_copy(m->told_reason, sizeof(m->told_reason), str_of(reason));
    text_copy(m->told_description, sizeof(m->told_description), str_of(description));
    if (is_known)
        return;
    const struct event event = {
        .type = EVENT_TARGET_HEALTH,
        .target_health = {.target_group_arn = m->group->arn,
                          .target_id = m->id,
                          .port = m->port,
                          .registration = m->registration,
                          .state = state,
                          .reason = m->told_reason,
                          .description = m->told_description},
    };
    b->config.report(b->config.ctx, &event);
}

void
member_tell_drained(struct balancer *b, struct member *m)
{
    const struct event event = {
        .type = EVENT_TARGET_DRAINED,
        .target_drained = {.target_group_arn = m->group->arn,
                           .target_id = m->id,
                           .port = m->port,
                           .registration = m->registration},
    };

    b->config.report(b->config.ctx, &event);
}

void
frontend_tell(struct balancer *b, struct frontend *f)
{
    const struct event event = {
        .type = EVENT_LISTENER_IN_FORCE,
        .listener_in_force = {.listener_arn = f->arn, .generation = f->generation},
    };

    if (!f->must_tell || !sync_is_in_force(b, f))
        return;
    f->must_tell = false;
    log_info("listener.in_force", "listener=%s action=%s", f->id, f->has_action);
    b->config.report(b->config.ctx, &event);
}

/* ---- a new view ---- */

struct delivery { /* a call for the loop */
    struct balancer *balancer;
    struct balancer_view *view;
};

static void
member_free(struct member *m)
{
    checker_free(m->checker);
    free(m);
}

/* Out of the list: its slot, if it still has one, is left to empty itself. */
static void
member_forget(struct member *m)
{
    if (m->slot >= 0)
        slots_leave(&m->group->slots, m->slot);
    member_free(m);
}

static void
group_free(struct group *g)
{
    for (struct member *m = g->members, *next; m != NULL; m = next) {
        next = m->next;
        member_free(m);
    }
    slots_done(&g->slots);
    free(g);
}

static void
frontend_free(struct frontend *f)
{
    json_unref(f->actions);
    json_unref(f->attributes);
    json_unref(f->balancer_attributes);
    view_rules_free(f->rules, f->rule_count);
    frontend_tls_free(f);
    json_unref(f->sources);
    for (int kind = 0; kind < FRONTEND_MAPS; kind++)
        strbuf_done(&f->maps[kind].text);
    free(f);
}

static struct member *
find_member(struct group *g, const struct view_target *t)
{
    for (struct member *m = g->members; m != NULL; m = m->next)
        if (m->port == t->port && strcmp(m->id, t->id) == 0 && strcmp(m->address, t->address) == 0)
            return m;
    return NULL;
}

static struct member *
member_new(struct group *g, const struct view_target *t)
{
    struct member *m = mem_new(sizeof(*m));
    unsigned char ignored[16];

    m->group = g;
    memcpy(m->id, t->id, sizeof(m->id));
    memcpy(m->address, t->address, sizeof(m->address));
    m->port = t->port;
    m->registration = t->registration;
    m->slot = -1;
    /* It goes into HAProxy's configuration and commands: nothing but an address may. */
    m->is_numeric = inet_pton(AF_INET, m->address, ignored) == 1 ||
                    inet_pton(AF_INET6, m->address, ignored) == 1;
    if (!m->is_numeric)
        log_error("target.address", "group=%s target=%s error=\"no numeric address\"", g->id,
                  log_quote(m->id));
    m->known_state = t->state;
    m->is_new = t->state == TARGET_initial;
    m->next = g->members;
    g->members = m;
    return m;
}

static void
member_begin_drain(struct balancer *b, struct member *m)
{
    m->is_draining = true;
    m->deadline_ms = clock_monotonic_ms() + (int64_t)m->group->drain_delay_s * 1000;
    m->cut_ms = 0;
    m->idle_polls = 0;
    checker_free(m->checker);
    m->checker = NULL;
    drain_soon(b);
}

/* Registered again, perhaps for another process at the same address: what was known of it is old. */
static void
member_renew(struct member *m, int64_t registration)
{
    m->registration = registration;
    m->is_draining = m->is_drained = false;
    m->has_told = false;
    m->known_state = TARGET_initial;
    checker_free(m->checker);
    m->checker = NULL;
}

static void
apply_target(struct balancer *b, struct group *g, const struct view_target *t)
{
    struct member *m = find_member(g, t);

    if (m == NULL)
        m = member_new(g, t);
    m->is_seen = true;
    if (m->registration != t->registration)
        member_renew(m, t->registration);
    if (t->is_draining && !m->is_draining)
        member_begin_drain(b, m);
    else if (m->is_drained)
        member_tell_drained(b, m); /* it did not hear us */
    else if (m->has_told && m->told != t->state)
        m->has_told = false;
    if (m->checker != NULL)
        checker_set_check(m->checker, &g->check);
}

/* Ids are made by the core; another character would be a bug, and end up in commands. */
static bool
is_plain(const char *id)
{
    return id[0] != '\0' && id[strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static struct group *
find_group(struct balancer *b, const char *id)
{
    struct group **at = &b->groups;

    assert(is_plain(id));
    while (*at != NULL && strcmp((*at)->id, id) < 0)
        at = &(*at)->next;
    if (*at == NULL || strcmp((*at)->id, id) != 0) {
        struct group *g = mem_new(sizeof(*g));
        g->balancer = b;
        text_copy(g->id, sizeof(g->id), str_of(id));
        g->next = *at;
        *at = g;
    }
    return *at;
}

static void
apply_group(struct balancer *b, const struct view_group *v)
{
    struct group *g = find_group(b, v->id);

    g->is_seen = true;
    memcpy(g->arn, v->arn, sizeof(g->arn));
    memcpy(g->algorithm, v->algorithm, sizeof(g->algorithm));
    g->check = v->check;
    g->check.sends_proxy = v->tcp.sends_proxy;
    g->options = v->options;
    g->drain_delay_s = v->deregistration_delay_s;
    g->tcp = v->tcp;
    g->in_use = v->in_use;
    for (struct member *m = g->members; m != NULL; m = m->next)
        m->is_seen = false;
    for (int i = 0; i < v->target_count; i++)
        apply_target(b, g, &v->targets[i]);
    for (struct member **at = &g->members; *at != NULL;) {
        struct member *m = *at;
        if (m->is_seen) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        member_forget(m);
        drain_soon(b); /* its slot */
    }
}

static struct frontend *
find_frontend(struct balancer *b, const char *id, int port)
{
    struct frontend **at = &b->frontends;

    assert(is_plain(id));
    while (*at != NULL &&
           ((*at)->port < port || ((*at)->port == port && strcmp((*at)->id, id) < 0)))
        at = &(*at)->next;
    if (*at == NULL || (*at)->port != port || strcmp((*at)->id, id) != 0) {
        struct frontend *f = mem_new(sizeof(*f));
        text_copy(f->id, sizeof(f->id), str_of(id));
        f->port = port;
        f->next = *at;
        *at = f;
    }
    return *at;
}

static void
apply_listener(struct balancer *b, struct view_listener *v)
{
    struct frontend *f = find_frontend(b, v->id, v->port);

    f->is_seen = true;
    f->idle_timeout_s = v->idle_timeout_s;
    f->is_tcp = v->is_tcp;
    json_unref(f->actions);
    f->actions = json_ref(v->actions);
    json_unref(f->attributes);
    f->attributes = TAKE(v->attributes);
    json_unref(f->balancer_attributes);
    f->balancer_attributes = TAKE(v->balancer_attributes);
    view_rules_free(f->rules, f->rule_count);
    f->rule_count = v->rule_count;
    f->rules = TAKE(v->rules);
    v->rule_count = 0;
    frontend_tls_apply(f, v);
    json_unref(f->sources);
    f->sources = v->sources != NULL ? json_ref(v->sources) : NULL;
    memcpy(f->arn, v->arn, sizeof(f->arn));
    f->generation = v->generation;
    f->must_tell = v->is_awaited;
    f->has_log = v->log_bucket[0] != '\0';
}

static void
drop_unseen(struct balancer *b)
{
    for (struct group **at = &b->groups; *at != NULL;) {
        struct group *g = *at;
        if (g->is_seen) {
            at = &g->next;
            continue;
        }
        *at = g->next;
        group_free(g);
    }
    for (struct frontend **at = &b->frontends; *at != NULL;) {
        struct frontend *f = *at;
        if (f->is_seen) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        frontend_free(f);
    }
}

/* Rules outlive the version that they were made with (rule_pattern_outdated()). */
static void
look_for_outdated(struct balancer *b)
{
    const int before = atomic_load(&b->outdated_count);
    int count = 0;

    b->advice[0] = '\0';
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        for (int i = 0; i < f->rule_count; i++) {
            const char *regex = rule_pattern_outdated(f->rules[i].conditions);
            if (regex == NULL)
                continue;
            if (++count == 1)
                snprintf(b->advice, sizeof(b->advice),
                         "rule %s (port %d, priority %d) answers 431 to headers of more than 256 characters: its expression "
                         "takes time by the square of them (the log names all: rule.outdated)", f->rules[i].id, f->port,
                         f->rules[i].priority);
            if (count > before)
                log_warn("rule.outdated", "listener=%s rule=%s priority=%d expression=%s", f->id, f->rules[i].id,
                         f->rules[i].priority, log_quote(regex));
        }
    atomic_store(&b->outdated_count, count);
}

static void
deliver(void *arg)
{
    struct delivery *d = arg;
    struct balancer *b = d->balancer;

    for (struct group *g = b->groups; g != NULL; g = g->next)
        g->is_seen = false;
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        f->is_seen = false;
    for (int i = 0; i < d->view->group_count; i++)
        apply_group(b, &d->view->groups[i]);
    for (int i = 0; i < d->view->listener_count; i++)
        apply_listener(b, &d->view->listeners[i]);
    drop_unseen(b);
    look_for_outdated(b);
    certificates_apply(b, d->view);
    balancer_view_free(d->view);
    free(d);
    b->views_applied++;
    b->is_dirty = true;
    traffic_turn(b);
}

void
balancer_apply(struct balancer *b, struct balancer_view *view)
{
    struct delivery *d = mem_new(sizeof(*d));

    d->balancer = b;
    d->view = view;
    if (b->seeing != NULL)
        seeing_apply(b->seeing, view);
    atomic_fetch_add(&b->views_posted, 1);
    loop_post(b->loop, deliver, d);
}

void
member_checked(void *arg)
{
    struct member *m = arg;
    struct balancer *b = m->group->balancer;

    traffic_turn(b);
}

/* ---- life cycle ---- */

static bool
make_folders(const char *folder, struct err *err)
{
    cleanup_free char *maps = text_format("%s/maps", folder);
    cleanup_free char *bodies = text_format("%s/bodies", folder);

    return file_make_dirs(folder, 0700, err) && file_make_dirs(maps, 0700, err) &&
           file_make_dirs(bodies, 0700, err);
}

/* Two control planes on one HAProxy would undo each other's work. */
static bool
lock_folder(const char *folder, int *fd_out, struct err *err)
{
    cleanup_free char *path = text_format("%s/lock", folder);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, "cannot open '%s'", path);
    if (!file_lock(fd))
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_UNAVAILABLE, "another naru steers the HAProxy of '%s'", folder)
                   : err_errno(err, "cannot lock '%s'", path);
    *fd_out = fd;
    fd = -1;
    return true;
}

static bool
find_program(const struct balancer_config *config, char *out, size_t size, struct err *err)
{
    if (config->haproxy != NULL) {
        if (access(config->haproxy, X_OK) == 0 && text_copy(out, size, str_of(config->haproxy)))
            return true;
        return err_set(err, ERR_HAPROXY, "'%s' is not a program", config->haproxy);
    }
    if (process_find("haproxy", NULL, out, size))
        return true;
    /* Debian keeps it where the PATH of ordinary users does not reach. */
    if (access("/usr/sbin/haproxy", X_OK) == 0)
        return text_copy(out, size, STR("/usr/sbin/haproxy"));
    return err_set(err, ERR_HAPROXY, "haproxy is not installed (Debian: apt-get install haproxy)");
}

static bool
start_seeing(const struct balancer_config *config, const char *folder, struct seeing **out, struct err *err)
{
    const struct seeing_config seeing = {
        .folder = folder,
        .data_dir = config->data_dir,
        .account = config->account,
        .address = config->bind_address != NULL ? config->bind_address : "0.0.0.0",
    };

    *out = config->account != NULL ? seeing_new(&seeing, err) : NULL;
    return *out != NULL || config->account == NULL;
}

struct balancer *
balancer_new(const struct balancer_config *config, struct err *err)
{
    char program[4096];
    char cookie_key[COOKIE_KEY_SIZE];
    int lock_fd = -1;
    cleanup_free char *folder = text_format("%s/haproxy", config->data_dir);

    if (!find_program(config, program, sizeof(program), err) || !make_folders(folder, err) ||
        !lock_folder(folder, &lock_fd, err))
        return NULL;
    struct seeing *seeing = NULL;
    if (!cookie_key_read(folder, cookie_key, err) || !start_seeing(config, folder, &seeing, err)) {
        close(lock_fd);
        return NULL;
    }
    struct balancer *b = mem_new(sizeof(*b));
    b->seeing = seeing;
    b->config = *config;
    b->config.data_dir = b->config.haproxy = b->config.bind_address = b->config.account = NULL; /* the caller's */
    b->folder = TAKE(folder);
    memcpy(b->cookie_key, cookie_key, sizeof(b->cookie_key));
    b->bind_address = text_dup(config->bind_address != NULL ? config->bind_address : "0.0.0.0");
    b->lock_fd = lock_fd;
    b->loop = loop_new();
    b->prober = http_prober_new(b->loop);
    b->turn_timer = loop_timer_new(b->loop, traffic_turn_due, b);
    b->drain_timer = loop_timer_new(b->loop, drain_poll, b);
    const struct haproxy_process_spec spec = {
        .loop = b->loop,
        .folder = b->folder,
        .program = program,
        .ready = traffic_ready,
        .failed = traffic_failed,
        .died = traffic_died,
        .ctx = b,
    };
    b->haproxy = haproxy_process_new(&spec);
    loop_start(b->loop, "balancer");
    return b;
}

void
balancer_free(struct balancer *b)
{
    if (b == NULL)
        return;
    loop_stop(b->loop);
    loop_join(b->loop);
    seeing_free(b->seeing);
    for (struct group *g = b->groups, *next; g != NULL; g = next) {
        next = g->next;
        group_free(g);
    }
    for (struct frontend *f = b->frontends, *next; f != NULL; f = next) {
        next = f->next;
        frontend_free(f);
    }
    http_prober_free(b->prober);
    haproxy_process_free(b->haproxy);
    loop_timer_free(b->turn_timer);
    loop_timer_free(b->drain_timer);
    loop_free(b->loop);
    close(b->lock_fd);
    certificates_free(b);
    free(b->has_ports);
    free(b->written_ports);
    free(b->folder);
    free(b->bind_address);
    free(b);
}

bool
balancer_is_ready(struct balancer *b)
{
    return atomic_load(&b->ready_view) == atomic_load(&b->views_posted);
}

struct question {
    struct balancer *balancer;
    char *out;
    size_t size;
};

static bool
ask(struct balancer *b, loop_call *answer, char *out, size_t size)
{
    struct question q = {.balancer = b, .out = out, .size = size};

    assert(size > 0);
    loop_call_and_wait(b->loop, answer, &q);
    return out[0] != '\0';
}

static void
answer_problem(void *arg)
{
    struct question *q = arg;

    traffic_problem(q->balancer, q->out, q->size);
}

bool
balancer_problem(struct balancer *b, char *out, size_t size)
{
    return ask(b, answer_problem, out, size);
}

static void
answer_advice(void *arg)
{
    struct question *q = arg;

    text_copy(q->out, q->size, str_slice(str_of(q->balancer->advice), 0, q->size - 1));
}

bool
balancer_advice(struct balancer *b, char *out, size_t size)
{
    return atomic_load(&b->outdated_count) > 0 && ask(b, answer_advice, out, size);
}

struct balancer_faults
balancer_faults(struct balancer *b)
{
    return (struct balancer_faults){atomic_load(&b->deaths), atomic_load(&b->refusals)};
}

bool
balancer_traffic(struct balancer *b, balancer_traffic_call *call, void *arg)
{
    if (b->seeing == NULL)
        return false;
    seeing_read(b->seeing, call, arg);
    return true;
}

bool
balancer_shutdown(const char *data_dir, bool *was_running, struct err *err)
{
    cleanup_free char *folder = text_format("%s/haproxy", data_dir);

    return haproxy_process_stop(folder, was_running, err);
}
