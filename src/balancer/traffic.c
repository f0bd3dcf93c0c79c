/* SPDX-License-Identifier: MIT */
#include "balancer/certificates.h"
#include "balancer/traffic.h"
#include "base/clock.h"
#include "base/log.h"

#define RETRY_MS 1000 /* a configuration that HAProxy refused, a port that is taken */
#define RETRY_MAX_MS 30000
#define RELEARN_MS 100
#define SILENT_MAX 4   /* so often in a row without an answer: it hangs */
#define AUDIT_MS 10000 /* others may reach its socket; and we may be wrong */
#define BEAT_MS 2000   /* so often it has to say a word, though nothing changes */
#define UNSURE_MS 1000
#define CRASH_MS 1000 /* one that lives shorter, twice in a row, is not started again at once */
#define GATE_MS (HAPROXY_KEEP_ALIVE_MS + 500)
#define GATE_ADOPTED_MS (GATE_MS + 1000) /* the age of a found worker is in whole seconds */

/* ---- what is wanted ---- */

static void
start_checks(struct balancer *b, struct member *m)
{
    const bool wants = m->group->in_use && m->group->check.enabled && !m->is_draining;

    if (!wants && m->checker != NULL) {
        checker_free(m->checker);
        m->checker = NULL;
        m->known_state = TARGET_initial;
    } else if (wants && m->checker == NULL) {
        const struct checker_spec spec = {
            .loop = b->loop,
            .prober = b->prober,
            .address = m->address,
            .port = m->port,
            .check = &m->group->check,
            .state = m->known_state,
            .changed = member_checked,
            .arg = m,
        };
        m->checker = checker_new(&spec);
    }
}

static void
place_members(struct balancer *b, struct group *g)
{
    int needed = slots_count(&g->slots, SLOT_TAKEN) + slots_count(&g->slots, SLOT_LEAVING);

    for (struct member *m = g->members; m != NULL; m = m->next)
        needed += m->slot < 0 && !m->is_draining && m->is_numeric &&
                  slots_find(&g->slots, m->address, m->port) < 0;
    if (slots_reserve(&g->slots, needed))
        b->is_dirty = true;
    for (struct member *m = g->members; m != NULL; m = m->next) {
        if (m->slot >= 0 || m->is_drained || !m->is_numeric)
            continue;
        /* One that drains keeps the slot it had before we were killed, or needs none. */
        if (m->is_draining && slots_find(&g->slots, m->address, m->port) < 0)
            continue;
        m->slot = slots_take(&g->slots, m->address, m->port); /* -1 beyond 2048: it waits */
        /* In rotation by our own doing before we were killed, but not yet known to the core. */
        if (b->is_adopting && m->slot >= 0 && g->slots.at[m->slot].has_ready &&
            m->known_state == TARGET_initial)
            m->known_state = TARGET_healthy;
    }
}

/* Where nobody leads any more, all stay in rotation as they are: until the configuration without the
 * group is loaded, the one that runs still leads there. */
static void
decide_rotation(struct group *g)
{
    int healthy = 0, unhealthy = 0;

    for (const struct member *m = g->members; m != NULL; m = m->next) {
        healthy += !m->is_draining && member_state(m) == TARGET_healthy;
        unhealthy += !m->is_draining && member_state(m) == TARGET_unhealthy;
    }
    const bool fails_open = target_group_fails_open(
        healthy, unhealthy, g->options.healthy_min_count, g->options.healthy_min_percent);
    for (struct member *m = g->members; m != NULL; m = m->next) {
        const enum target_state state = member_state(m);
        if (m->slot >= 0)
            g->slots.at[m->slot].wants_ready =
                !m->is_draining &&
                (g->in_use ? state == TARGET_unavailable || target_in_rotation(state, fails_open)
                           : g->slots.at[m->slot].has_ready);
    }
}

static void
decide(struct balancer *b)
{
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        if (g->in_use)
            place_members(b, g);
        for (struct member *m = g->members; m != NULL; m = m->next)
            start_checks(b, m);
        decide_rotation(g);
    }
}

/* ---- loading ---- */

static void
note_failure(struct balancer *b, const char *why)
{
    text_copy(b->failure, sizeof(b->failure), str_slice(str_of(why), 0, sizeof(b->failure) - 1));
    memcpy(b->refused, b->loading, sizeof(b->refused));
    atomic_fetch_add(&b->refusals, 1);
}

static void
back_off(struct balancer *b)
{
    b->retry_ms = b->retry_ms == 0 ? RETRY_MS : b->retry_ms * 2;
    if (b->retry_ms > RETRY_MAX_MS)
        b->retry_ms = RETRY_MAX_MS;
    b->retry_at_ms = clock_monotonic_ms() + b->retry_ms;
}

static void
forget_failure(struct balancer *b)
{
    b->failure[0] = '\0';
    b->retry_at_ms = b->retry_ms = 0;
}

static void
compute_maps(const struct setup *s, struct frontend *f)
{
    const struct config_listener l = setup_listener(f);
    bool has[] = {[MAP_RULES] = f->rule_count > 0, [MAP_SOURCES] = f->sources != NULL, [MAP_STICKY] = false};

    for (int kind = 0; kind < FRONTEND_MAPS; kind++) {
        struct frontend_map *map = &f->maps[kind];
        strbuf_clear(&map->text);
        if (kind == MAP_STICKY)
            has[kind] = haproxy_config_sticky(&s->config, &l, &map->text);
        else if (kind == MAP_RULES)
            haproxy_config_rules(&s->config, &l, &map->text);
        else
            haproxy_config_sources(&l, &map->text);
        map->wanted[0] = '\0';
        if (has[kind])
            sha256_hex(strbuf_str(&map->text), map->wanted);
    }
}

/* Another configuration than the refused one does not wait as long as that one has to by now. */
static void
hurry_again(struct balancer *b)
{
    const int64_t soon_ms = clock_monotonic_ms() + RETRY_MS;

    if (b->failure[0] == '\0' || strcmp(b->wanted, b->refused) == 0)
        return;
    b->retry_ms = 0;
    if (b->retry_at_ms > soon_ms)
        b->retry_at_ms = soon_ms;
}

static void
compute_wanted(struct balancer *b)
{
    cleanup(setup_done) struct setup s = setup_make(b);

    haproxy_config_fingerprint(&s.config, b->wanted);
    hurry_again(b);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        compute_maps(&s, f);
    b->is_dirty = false;
}

/* The configuration of before is better than none, where the next one cannot be written. */
static void
start_as_written(struct balancer *b)
{
    char fingerprint[HAPROXY_FINGERPRINT_SIZE];

    if (haproxy_process_state(b->haproxy) != HAPROXY_ABSENT || !load_find_written(b, fingerprint))
        return;
    log_info("haproxy.as_before", "configuration=%s", fingerprint);
    b->is_as_written = true;
    haproxy_process_start(b->haproxy, fingerprint);
}

static void
load(struct balancer *b)
{
    struct err err;
    cleanup(setup_done) struct setup s = setup_make(b);

    memcpy(b->loading, b->wanted, sizeof(b->loading));
    if (!load_write(b, &s.config, &err)) {
        if (b->failure[0] == '\0' || strcmp(b->loading, b->refused) != 0) /* once: a disk may be full for hours */
            log_error("haproxy.write", "does=retry error=%s", log_quote(err.message));
        note_failure(b, err.message);
        back_off(b);
        start_as_written(b);
        return;
    }
    load_remember(b, &s.config);
    if (b->seeing != NULL)
        seeing_hurry(b->seeing);
    if (haproxy_process_state(b->haproxy) == HAPROXY_ABSENT)
        haproxy_process_start(b->haproxy, b->wanted);
    else
        haproxy_process_reload(b->haproxy, b->wanted);
}

/* ---- a HAProxy from before ---- */

/* Once: is there one? */
static void
look(struct balancer *b)
{
    struct haproxy_info info;

    b->has_looked = true;
    if (!haproxy_process_adopt(b->haproxy, &info))
        return;
    b->is_adopting = true;
    b->unsure_until_ms = clock_monotonic_ms() + UNSURE_MS;
    b->audit_at_ms = b->unsure_until_ms;
    sync_learn(b);
    log_info("haproxy.adopted", "worker=%d configuration=%s", (int)info.pid, b->running);
}

static void
end_adoption(struct balancer *b)
{
    const int64_t until_ms = haproxy_process_ready_ms(b->haproxy) + GATE_ADOPTED_MS;

    b->is_adopting = false;
    for (struct group *g = b->groups; g != NULL; g = g->next)
        for (struct member *m = g->members; m != NULL; m = m->next)
            m->gate_until_ms = until_ms;
}

/* ---- the turn ---- */

static void
run_haproxy(struct balancer *b, bool is_blocked)
{
    const int64_t now_ms = clock_monotonic_ms();
    const bool may_load = now_ms >= b->retry_at_ms;

    switch (haproxy_process_state(b->haproxy)) {
    case HAPROXY_ABSENT:
        if (b->frontends == NULL || !may_load)
            break;
        /* What blocks a port may be the last breath of the worker that died. */
        if (is_blocked && now_ms - b->died_ms < LOAD_DYING_MS)
            b->retry_at_ms = now_ms + 10;
        else
            load(b);
        break;
    case HAPROXY_RUNNING:
        if (!b->must_learn)
            sync_apply(b);
        if (strcmp(b->running, b->wanted) == 0 && b->failure[0] != '\0')
            forget_failure(b); /* what was refused is not wanted any more */
        if (strcmp(b->running, b->wanted) != 0 && may_load && !b->must_learn)
            load(b);
        break;
    case HAPROXY_STARTING:
    case HAPROXY_RELOADING:
        break; /* its end brings the next turn */
    }
}

static void
end_turn(struct balancer *b, bool is_blocked)
{
    const enum haproxy_state state = haproxy_process_state(b->haproxy);
    const int64_t now_ms = clock_monotonic_ms();
    const bool is_running = state == HAPROXY_RUNNING && strcmp(b->running, b->wanted) == 0;
    const bool is_idle = state == HAPROXY_ABSENT && b->frontends == NULL;
    char why[512]; /* a certificate that is not served as it should be */
    const bool is_ready = (is_running || is_idle) && !is_blocked && !b->must_learn &&
                          !certificates_problem(b, why, sizeof(why));

    atomic_store(&b->ready_view, is_ready ? b->views_applied : -1);
    int64_t next_ms = b->audit_at_ms > now_ms ? b->audit_at_ms - now_ms : AUDIT_MS;
    if (next_ms > BEAT_MS)
        next_ms = BEAT_MS;
    if (b->must_learn)
        next_ms = RELEARN_MS;
    else if (b->retry_at_ms > now_ms)
        next_ms = b->retry_at_ms - now_ms;
    else if (is_blocked)
        next_ms = RETRY_MS;
    loop_timer_set(b->turn_timer, next_ms);
}

static bool
is_alive(struct balancer *b)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    struct haproxy_info info;
    struct err err;

    return haproxy_process_ask(b->haproxy, "show info", &answer, &err) &&
           haproxy_parse_info(strbuf_str(&answer), &info, &err);
}

static void
audit(struct balancer *b)
{
    const int64_t now_ms = clock_monotonic_ms();

    if (!b->must_learn && now_ms < b->audit_at_ms) {
        if (now_ms < b->beat_at_ms)
            return;
        b->beat_at_ms = now_ms + BEAT_MS;
        if (is_alive(b))
            return;
        b->learn_failures++;
    }
    haproxy_process_trim_log(b->haproxy);
    sync_learn(b);
    b->audit_at_ms = now_ms + AUDIT_MS;
    if (b->learn_failures < SILENT_MAX)
        return;
    log_error("haproxy.is_silent", "does=kill");
    b->learn_failures = 0;
    haproxy_process_kill(b->haproxy); /* traffic_died() starts the next one */
}

static void
tell_group(struct balancer *b, struct group *g)
{
    int healthy = 0, unhealthy = 0;

    for (struct member *m = g->members; m != NULL; m = m->next) {
        const enum target_state state = m->is_draining ? TARGET_draining : member_state(m);
        healthy += state == TARGET_healthy;
        unhealthy += state == TARGET_unhealthy;
        member_tell(b, m);
    }
    if (b->seeing == NULL || (healthy == g->seen_healthy && unhealthy == g->seen_unhealthy))
        return;
    g->seen_healthy = healthy;
    g->seen_unhealthy = unhealthy;
    seeing_health(b->seeing, g->id, healthy, unhealthy);
}

void
traffic_turn(struct balancer *b)
{
    if (!b->has_looked)
        look(b);
    else if (haproxy_process_state(b->haproxy) == HAPROXY_RUNNING)
        audit(b);
    if (b->is_adopting && b->must_learn) {
        /* Seats are taken only once it is known who sits where. */
        loop_timer_set(b->turn_timer, RELEARN_MS);
        return;
    }
    const bool is_blocked = load_check_ports(b);
    decide(b);
    if (b->is_adopting)
        end_adoption(b);
    if (b->is_dirty)
        compute_wanted(b);
    run_haproxy(b, is_blocked);
    for (struct group *g = b->groups; g != NULL; g = g->next)
        tell_group(b, g);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        frontend_tell(b, f);
    end_turn(b, is_blocked);
}

void
traffic_turn_due(void *arg)
{
    traffic_turn(arg);
}

/* ---- what the process says ---- */

void
traffic_ready(void *ctx)
{
    struct balancer *b = ctx;
    const int64_t now_ms = clock_monotonic_ms();

    haproxy_process_fingerprint(b->haproxy, b->running);
    log_info("haproxy.ready", "configuration=%s", b->running);
    if (b->seeing != NULL)
        seeing_hurry(b->seeing);
    if (b->is_as_written) { /* it says itself what it has */
        b->is_as_written = false;
        b->must_learn = true;
        traffic_turn(b);
        return;
    }
    free(b->has_ports);
    b->has_ports = TAKE(b->written_ports);
    certificates_loaded(b);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = f->is_written;
        memcpy(f->has_action, f->written_action, sizeof(f->has_action));
        for (int kind = 0; kind < FRONTEND_MAPS; kind++)
            memcpy(f->maps[kind].has, f->maps[kind].written, sizeof(f->maps[kind].has));
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        g->has_slots = g->written_slots;
        if (g->has_slots == 0)
            sync_forget(g);
        for (struct member *m = g->members; m != NULL; m = m->next) {
            if (m->is_in_old)
                m->gate_until_ms = now_ms + GATE_MS;
            m->is_in_old = false;
            m->idle_polls = 0;
        }
    }
    forget_failure(b);
    b->audit_at_ms = now_ms + AUDIT_MS;
    drain_soon(b);
    traffic_turn(b);
}

static void
forget_all(struct balancer *b)
{
    b->is_as_written = false;
    b->running[0] = '\0';
    b->must_learn = false;
    free(TAKE(b->has_ports));
    free(TAKE(b->written_ports));
    certificates_forget(b);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = false;
        f->has_action[0] = '\0';
        for (int kind = 0; kind < FRONTEND_MAPS; kind++)
            f->maps[kind].has[0] = '\0';
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        sync_forget(g);
        for (struct member *m = g->members; m != NULL; m = m->next)
            m->gate_until_ms = 0; /* no worker outlives its master */
    }
}

void
traffic_failed(void *ctx, const char *why)
{
    struct balancer *b = ctx;

    back_off(b);
    log_error("haproxy.failed", "does=retry in_ms=%d error=%s", (int)b->retry_ms, log_quote(why));
    note_failure(b, why);
    if (certificates_blame(b, why)) { /* without it, and at once */
        b->is_dirty = true;
        b->retry_at_ms = b->retry_ms = 0;
    }
    free(TAKE(b->written_ports));
    if (haproxy_process_state(b->haproxy) == HAPROXY_ABSENT)
        forget_all(b);
    else
        b->must_learn = true; /* the slots were noted as loaded, but were not */
    traffic_turn(b);
}

void
traffic_died(void *ctx)
{
    struct balancer *b = ctx;
    const int64_t now_ms = clock_monotonic_ms();

    log_error("haproxy.died", "does=restart");
    atomic_fetch_add(&b->deaths, 1);
    b->early_deaths =
        now_ms - haproxy_process_ready_ms(b->haproxy) < CRASH_MS ? b->early_deaths + 1 : 0;
    b->retry_ms = 0;
    b->retry_at_ms = now_ms + (b->early_deaths > 1 ? RETRY_MS : 0);
    b->died_ms = now_ms;
    forget_all(b);
    drain_soon(b);
    traffic_turn(b);
}

void
traffic_problem(const struct balancer *b, char *out, size_t size)
{
    out[0] = '\0';
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (f->blocked[0] != '\0') {
            text_copy(out, size, str_slice(str_of(f->blocked), 0, size - 1));
            return;
        }
    if (b->failure[0] != '\0' || !certificates_problem(b, out, size))
        text_copy(out, size, str_slice(str_of(b->failure), 0, size - 1));
}
