/* SPDX-License-Identifier: MIT */
#include "balancer/traffic.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"

#define RETRY_MS 1000       /* a configuration that HAProxy refused, a port that is taken */
#define RELEARN_MS 100
#define DYING_MS 300        /* so long the ports of a dying worker may still be taken */
#define CRASH_MS 1000       /* one that lives shorter is not started again at once */
#define GATE_MS (HAPROXY_KEEP_ALIVE_MS + 500)
#define GATE_ADOPTED_MS (GATE_MS + 1000) /* the age of a found worker is in whole seconds */

/* ---- ports ---- */

static bool
is_port_ours(const int *ports, int port)
{
    for (; ports != NULL && *ports != 0; ports++)
        if (*ports == port)
            return true;
    return false;
}

/* HAProxy binds with SO_REUSEPORT: beside a foreign listener it would start without an error and
 * take half of its connections (alb.md B14).  So we try the port without it first. */
static bool
try_port(const char *bind_address, int port, char *why, size_t size)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const bool is_v4 = inet_pton(AF_INET, bind_address, &v4.sin_addr) == 1;
    const int on = 1;

    if (!is_v4 && inet_pton(AF_INET6, bind_address, &v6.sin6_addr) != 1) {
        snprintf(why, size, "'%s' is no address to bind to", bind_address);
        return false;
    }
    cleanup_close int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* not the port's fault; HAProxy will say what it is */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const int got = is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
                          : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
    if (got == 0)
        return true;
    snprintf(why, size, "port %d of %s cannot be used: %s", port, bind_address,
             errno == EADDRINUSE ? "another program listens on it" : strerror(errno));
    return false;
}

static const struct frontend *
find_rival(const struct balancer *b, const struct frontend *f)
{
    for (const struct frontend *o = b->frontends; o != NULL; o = o->next)
        if (o != f && o->port == f->port && o->blocked[0] == '\0' && (o->is_served || !f->is_served))
            return o;
    return NULL;
}

/* Who is left out, and why. True if somebody is. */
static bool
check_ports(struct balancer *b)
{
    bool is_any = false;

    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        char why[sizeof(f->blocked)] = "";
        if (!f->is_served) {
            /* Blocked for now, so that of two new ones the first gets the port. */
            char before[sizeof(f->blocked)];
            memcpy(before, f->blocked, sizeof(before));
            text_copy(f->blocked, sizeof(f->blocked), STR("not looked at"));
            const struct frontend *rival = find_rival(b, f);
            memcpy(f->blocked, before, sizeof(before));
            if (rival != NULL)
                snprintf(why, sizeof(why), "port %d is listener %s's", f->port, rival->id);
            else if (!is_port_ours(b->has_ports, f->port))
                try_port(b->bind_address, f->port, why, sizeof(why));
        }
        if (strcmp(why, f->blocked) != 0) {
            b->is_dirty = true;
            memcpy(f->blocked, why, sizeof(why));
            /* A worker that just died may hold the port for a moment. */
            if (why[0] != '\0' && clock_monotonic_ms() - b->died_ms > DYING_MS)
                log_error("listener.blocked", "listener=%s error=%s", f->id, log_quote(why));
        }
        is_any |= why[0] != '\0';
    }
    return is_any;
}

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
            .loop = b->loop, .address = m->address, .port = m->port, .check = &m->group->check,
            .state = m->known_state, .changed = member_checked, .arg = m,
        };
        m->checker = checker_new(&spec);
    }
}

static void
place_members(struct balancer *b, struct group *g)
{
    int needed = slots_count(&g->slots, SLOT_TAKEN) + slots_count(&g->slots, SLOT_LEAVING);

    for (struct member *m = g->members; m != NULL; m = m->next)
        needed += m->slot < 0 && !m->is_draining &&
                  slots_find(&g->slots, m->address, m->port) < 0;
    if (slots_reserve(&g->slots, needed))
        b->is_dirty = true;
    for (struct member *m = g->members; m != NULL; m = m->next) {
        if (m->slot >= 0 || m->is_drained)
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

static void
decide_rotation(struct group *g)
{
    int healthy = 0;

    for (const struct member *m = g->members; m != NULL; m = m->next)
        healthy += !m->is_draining && member_state(m) == TARGET_healthy;
    for (struct member *m = g->members; m != NULL; m = m->next) {
        const enum target_state state = member_state(m);
        if (m->slot >= 0)
            g->slots.at[m->slot].wants_ready =
                g->in_use && !m->is_draining &&
                (state == TARGET_unavailable || target_in_rotation(state, healthy));
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

/* ---- the configuration ---- */

struct setup { /* with the arrays that it borrows */
    struct config_setup config;
    struct config_group *groups;
    struct config_listener *listeners;
};

static void
setup_done(struct setup *s)
{
    free(s->groups);
    free(s->listeners);
}

static struct setup
make_setup(struct balancer *b)
{
    struct setup s = {.config = {.bind_address = b->bind_address}};
    struct config_setup *c = &s.config;
    size_t group_count = 1, listener_count = 1;

    for (const struct group *g = b->groups; g != NULL; g = g->next)
        group_count++;
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        listener_count++;
    s.groups = mem_new(group_count * sizeof(*s.groups));
    s.listeners = mem_new(listener_count * sizeof(*s.listeners));
    for (const struct group *g = b->groups; g != NULL; g = g->next) {
        if (g->drain_delay_s > c->longest_drain_s)
            c->longest_drain_s = g->drain_delay_s;
        if (g->in_use)
            s.groups[c->group_count++] = (struct config_group){
                .id = g->id, .arn = g->arn, .algorithm = g->algorithm, .slots = &g->slots};
    }
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (f->blocked[0] == '\0')
            s.listeners[c->listener_count++] = (struct config_listener){
                .id = f->id, .port = f->port, .idle_timeout_s = f->idle_timeout_s,
                .actions = f->actions};
    c->groups = s.groups;
    c->listeners = s.listeners;
    return s;
}

static bool
write_file(const struct balancer *b, const char *name, struct str text, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", b->folder, name);

    return file_write_atomic(path, text, 0600, err);
}

/* Files of listeners gone by are of no use to anybody: HAProxy reads them only when it loads. */
static bool
empty_folder(const struct balancer *b, const char *name, struct err *err)
{
    cleanup_free char *path = text_format("%s/%s", b->folder, name);

    return file_remove_tree(path, err) && file_make_dirs(path, 0700, err);
}

static bool
write_listener(const struct balancer *b, const struct config_setup *c, const struct config_listener *l,
               struct err *err)
{
    char action[HAPROXY_ACTION_SIZE], body_path[64];
    struct str body;
    cleanup_free char *path = text_format("maps/%s.actions", l->id);

    haproxy_config_action(c, l, action);
    cleanup_free char *line = text_format("%s.default %s\n", l->id, action);
    return write_file(b, path, str_of(line), err) &&
           (!haproxy_config_body(l, body_path, &body) || write_file(b, body_path, body, err));
}

static bool
write_files(const struct balancer *b, const struct config_setup *c, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!empty_folder(b, "maps", err) || !empty_folder(b, "bodies", err))
        return false;
    for (int i = 0; i < c->listener_count; i++)
        if (!write_listener(b, c, &c->listeners[i], err))
            return false;
    haproxy_config_format(c, &text);
    return write_file(b, "haproxy.cfg", strbuf_str(&text), err);
}

/* What HAProxy will have once it has loaded what was just written. */
static void
remember_written(struct balancer *b, const struct config_setup *c)
{
    int port_count = 0;

    free(b->written_ports);
    b->written_ports = mem_new((size_t)(c->listener_count + 1) * sizeof(*b->written_ports));
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_written = f->blocked[0] == '\0';
        if (!f->is_written)
            continue;
        b->written_ports[port_count++] = f->port;
        const struct config_listener l = {.id = f->id, .port = f->port, .actions = f->actions};
        haproxy_config_action(c, &l, f->written_action);
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        for (struct member *m = g->members; m != NULL; m = m->next)
            m->is_in_old = m->slot >= 0 && m->slot < g->has_slots && g->slots.at[m->slot].has_ready;
        g->written_slots = g->in_use ? g->slots.count : 0;
        if (g->in_use)
            slots_loaded(&g->slots);
    }
}

static void
compute_wanted(struct balancer *b)
{
    cleanup(setup_done) struct setup s = make_setup(b);

    haproxy_config_fingerprint(&s.config, b->wanted);
    b->is_dirty = false;
}

static bool
load(struct balancer *b)
{
    struct err err;
    cleanup(setup_done) struct setup s = make_setup(b);

    if (!write_files(b, &s.config, &err)) {
        log_error("haproxy.write", "error=%s", log_quote(err.message));
        b->retry_at_ms = clock_monotonic_ms() + RETRY_MS;
        return false;
    }
    remember_written(b, &s.config);
    if (haproxy_process_state(b->haproxy) == HAPROXY_ABSENT)
        haproxy_process_start(b->haproxy, b->wanted);
    else
        haproxy_process_reload(b->haproxy, b->wanted);
    return true;
}

/* ---- what HAProxy has ---- */

static void
forget_slots(struct group *g)
{
    g->has_slots = 0;
    for (int i = 0; i < g->slots.count; i++) {
        struct slot *s = &g->slots.at[i];
        s->has_address[0] = '\0';
        s->has_port = 0;
        s->has_ready = false;
    }
    if (g->in_use)
        return;
    /* No backend and none wanted: nobody sits anywhere. */
    slots_done(&g->slots);
    for (struct member *m = g->members; m != NULL; m = m->next)
        m->slot = -1;
}

static void
learn_server(void *arg, const struct haproxy_server *row)
{
    struct balancer *b = arg;
    struct group *g = b->groups;
    int64_t number;

    while (g != NULL && (strncmp(row->backend, "group_", 6) != 0 || strcmp(row->backend + 6, g->id) != 0))
        g = g->next;
    if (g == NULL || row->name[0] != 's' || !str_to_i64(str_of(row->name + 1), &number) || number < 1 ||
        number > SLOTS_MAX)
        return;
    slots_reserve(&g->slots, (int)number);
    if (number > g->has_slots)
        g->has_slots = (int)number;
    struct slot *s = &g->slots.at[number - 1];
    const bool is_empty = strcmp(row->address, "0.0.0.0") == 0;
    text_copy(s->has_address, sizeof(s->has_address), is_empty ? STR("") : str_of(row->address));
    s->has_port = is_empty ? 0 : row->port;
    s->has_ready = row->is_ready;
    if (b->is_adopting && !is_empty) {
        /* Whose it is shows when the members take their seats. */
        memcpy(s->address, s->has_address, sizeof(s->address));
        s->port = s->has_port;
        s->use = SLOT_LEAVING;
    }
}

static void
learn_frontend(void *arg, struct str name)
{
    struct balancer *b = arg;
    const ptrdiff_t cut = str_rindex(name, '_');
    int64_t port;
    int count = 0;

    if (!str_starts(name, STR("listener_")) || cut < 9 ||
        !str_to_i64(str_slice(name, (size_t)cut + 1, name.len), &port) || port < 1 || port > 65535)
        return;
    while (b->has_ports != NULL && b->has_ports[count] != 0)
        count++;
    b->has_ports = mem_grow(b->has_ports, (size_t)count + 2, sizeof(*b->has_ports));
    b->has_ports[count] = (int)port;
    b->has_ports[count + 1] = 0;
    const struct str id = str_slice(name, 9, (size_t)cut);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next)
        if (f->port == port && str_is(id, f->id))
            f->is_served = true;
}

static bool
ask_and_learn(struct balancer *b, struct err *err)
{
    cleanup(strbuf_done) struct strbuf info_text = {0};
    cleanup(strbuf_done) struct strbuf state = {0};
    cleanup(strbuf_done) struct strbuf stat = {0};
    struct haproxy_info info;

    if (!haproxy_process_ask(b->haproxy, "show info", &info_text, err) ||
        !haproxy_parse_info(strbuf_str(&info_text), &info, err) ||
        !haproxy_process_ask(b->haproxy, "show servers state", &state, err) ||
        !haproxy_process_ask(b->haproxy, "show stat -1 1 -1", &stat, err))
        return false;
    if (!text_copy(b->running, sizeof(b->running), str_of(info.description)))
        b->running[0] = '\0'; /* not ours: reload */
    for (struct group *g = b->groups; g != NULL; g = g->next)
        forget_slots(g);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = false;
        f->has_action[0] = '\0';
    }
    if (b->has_ports != NULL)
        b->has_ports[0] = 0;
    return haproxy_parse_state(strbuf_str(&state), learn_server, b, err) &&
           haproxy_parse_frontends(strbuf_str(&stat), learn_frontend, b, err);
}

static void
learn(struct balancer *b)
{
    struct err err;

    b->must_learn = !ask_and_learn(b, &err);
    if (b->must_learn)
        log_warn("haproxy.learn", "error=%s", log_quote(err.message));
    b->is_dirty = true;
}

/* Once: is there a HAProxy from before? */
static void
look(struct balancer *b)
{
    struct haproxy_info info;

    b->has_looked = true;
    if (!haproxy_process_adopt(b->haproxy, &info))
        return;
    b->is_adopting = true;
    learn(b);
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

/* ---- the difference ---- */

enum change_kind { CHANGE_MAINT, CHANGE_ADDRESS, CHANGE_READY, CHANGE_ACTION };

struct change {
    enum change_kind kind;
    struct group *group;
    int slot;
    struct frontend *frontend;
    char action[HAPROXY_ACTION_SIZE];
};

struct changes {
    struct change *at;
    int count, capacity;
};

static void
changes_done(struct changes *c)
{
    free(c->at);
}

static struct change *
changes_add(struct changes *c, enum change_kind kind)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity == 0 ? 16 : c->capacity * 2;
        c->at = mem_grow(c->at, (size_t)c->capacity, sizeof(*c->at));
    }
    c->at[c->count] = (struct change){.kind = kind};
    return &c->at[c->count++];
}

static void
collect_slot(struct changes *c, struct group *g, int index)
{
    const struct slot *s = &g->slots.at[index];
    const bool moves =
        s->use == SLOT_TAKEN && (s->port != s->has_port || strcmp(s->address, s->has_address) != 0);
    const enum change_kind kinds[] = {CHANGE_MAINT, CHANGE_ADDRESS, CHANGE_READY};
    const bool wanted[] = {s->has_ready && (moves || !s->wants_ready), moves,
                           s->wants_ready && (moves || !s->has_ready)};

    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (wanted[i]) {
            struct change *change = changes_add(c, kinds[i]);
            change->group = g;
            change->slot = index;
        }
}

/* Slots first, then maps: nobody is led to a group before its targets are in. */
static void
collect(struct balancer *b, struct changes *c)
{
    for (struct group *g = b->groups; g != NULL; g = g->next)
        for (int i = 0; i < g->has_slots && i < g->slots.count; i++)
            collect_slot(c, g, i);
    if (strcmp(b->running, b->wanted) != 0)
        return; /* the reload brings the maps; before it a name in them might not exist */
    cleanup(setup_done) struct setup s = make_setup(b);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        char action[HAPROXY_ACTION_SIZE];
        const struct config_listener l = {.id = f->id, .port = f->port, .actions = f->actions};
        haproxy_config_action(&s.config, &l, action);
        if (!f->is_served || strcmp(action, f->has_action) == 0)
            continue;
        struct change *change = changes_add(c, CHANGE_ACTION);
        change->frontend = f;
        memcpy(change->action, action, sizeof(action));
    }
}

static void
format_change(const struct change *c, struct strbuf *out)
{
    const char *id = c->group != NULL ? c->group->id : "";
    const struct slot *s = c->group != NULL ? &c->group->slots.at[c->slot] : NULL;
    const int number = c->slot + 1;

    strbuf_add_cstr(out, out->len > 0 ? ";" : "");
    switch (c->kind) {
    case CHANGE_MAINT: strbuf_addf(out, "set server group_%s/s%d state maint", id, number); break;
    case CHANGE_READY: strbuf_addf(out, "set server group_%s/s%d state ready", id, number); break;
    case CHANGE_ADDRESS:
        strbuf_addf(out, "set server group_%s/s%d addr %s port %d", id, number, s->address, s->port);
        break;
    case CHANGE_ACTION:
        strbuf_addf(out, "set map maps/%s.actions %s.default %s", c->frontend->id, c->frontend->id,
                    c->action);
        break;
    }
}

/* True if HAProxy did it; then we know that it has it. */
static bool
take_answer(const struct change *c, struct str answer)
{
    struct slot *s = c->group != NULL ? &c->group->slots.at[c->slot] : NULL;
    const bool is_done = c->kind == CHANGE_ADDRESS ? haproxy_did_set_address(answer)
                                                   : haproxy_did_set_quietly(answer);
    if (!is_done) {
        cleanup_free char *text = str_dup(str_slice(answer, 0, 200));
        log_error("haproxy.refused", "change=%d answer=%s", (int)c->kind, log_quote(text));
        return false;
    }
    switch (c->kind) {
    case CHANGE_MAINT: s->has_ready = false; break;
    case CHANGE_READY: s->has_ready = true; break;
    case CHANGE_ADDRESS:
        memcpy(s->has_address, s->address, sizeof(s->has_address));
        s->has_port = s->port;
        break;
    case CHANGE_ACTION: memcpy(c->frontend->has_action, c->action, sizeof(c->action)); break;
    }
    return true;
}

/* One batch, from `first`; the number done, or -1. */
static int
send_changes(struct balancer *b, const struct changes *c, int first)
{
    cleanup(strbuf_done) struct strbuf line = {0};
    cleanup(strbuf_done) struct strbuf answers = {0};
    struct str rest, answer;
    struct err err;
    int end = first;

    while (end < c->count && line.len < HAPROXY_LINE_MAX - 1024)
        format_change(&c->at[end++], &line);
    if (!haproxy_process_ask(b->haproxy, strbuf_cstr(&line), &answers, &err)) {
        log_warn("haproxy.ask", "error=%s", log_quote(err.message));
        return -1;
    }
    rest = strbuf_str(&answers);
    for (int i = first; i < end; i++)
        if (!haproxy_next_answer(&rest, &answer) || !take_answer(&c->at[i], answer))
            return -1;
    return end - first;
}

static void
sync_changes(struct balancer *b)
{
    cleanup(changes_done) struct changes c = {0};

    collect(b, &c);
    for (int first = 0; first < c.count;) {
        const int done = send_changes(b, &c, first);
        if (done < 0) {
            b->must_learn = true; /* and try again */
            return;
        }
        first += done;
    }
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
        if (is_blocked && now_ms - b->died_ms < DYING_MS)
            b->retry_at_ms = now_ms + 10;
        else
            load(b);
        break;
    case HAPROXY_RUNNING:
        sync_changes(b);
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
    const bool is_ready = (is_running || is_idle) && !is_blocked && !b->must_learn;

    atomic_store(&b->ready_view, is_ready ? b->views_applied : -1);
    if (b->must_learn)
        loop_timer_set(b->turn_timer, RELEARN_MS);
    else if (b->retry_at_ms > now_ms)
        loop_timer_set(b->turn_timer, b->retry_at_ms - now_ms);
    else if (is_blocked)
        loop_timer_set(b->turn_timer, RETRY_MS);
}

void
traffic_turn(struct balancer *b)
{
    if (!b->has_looked)
        look(b);
    else if (b->must_learn && haproxy_process_state(b->haproxy) == HAPROXY_RUNNING)
        learn(b);
    const bool is_blocked = check_ports(b);
    decide(b);
    if (b->is_adopting)
        end_adoption(b);
    if (b->is_dirty)
        compute_wanted(b);
    run_haproxy(b, is_blocked);
    for (struct group *g = b->groups; g != NULL; g = g->next)
        for (struct member *m = g->members; m != NULL; m = m->next)
            member_tell(b, m);
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

    log_info("haproxy.ready", "configuration=%s", b->wanted);
    haproxy_process_fingerprint(b->haproxy, b->running);
    free(b->has_ports);
    b->has_ports = TAKE(b->written_ports);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = f->is_written;
        memcpy(f->has_action, f->written_action, sizeof(f->has_action));
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        g->has_slots = g->written_slots;
        if (g->has_slots == 0)
            forget_slots(g);
        for (struct member *m = g->members; m != NULL; m = m->next) {
            if (m->is_in_old)
                m->gate_until_ms = now_ms + GATE_MS;
            m->is_in_old = false;
            m->idle_polls = 0;
        }
    }
    b->retry_at_ms = 0;
    drain_soon(b);
    traffic_turn(b);
}

static void
forget_all(struct balancer *b)
{
    b->running[0] = '\0';
    b->must_learn = false;
    free(TAKE(b->has_ports));
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = false;
        f->has_action[0] = '\0';
    }
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        forget_slots(g);
        for (struct member *m = g->members; m != NULL; m = m->next)
            m->gate_until_ms = 0; /* no worker outlives its master */
    }
}

void
traffic_failed(void *ctx, const char *why)
{
    struct balancer *b = ctx;

    log_error("haproxy.failed", "does=retry in_ms=%d error=%s", RETRY_MS, log_quote(why));
    b->retry_at_ms = clock_monotonic_ms() + RETRY_MS;
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
    if (now_ms - haproxy_process_ready_ms(b->haproxy) < CRASH_MS)
        b->retry_at_ms = now_ms + RETRY_MS;
    b->died_ms = now_ms;
    forget_all(b);
    drain_soon(b);
    traffic_turn(b);
}
