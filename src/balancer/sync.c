/* SPDX-License-Identifier: MIT */
/* sync.c - what HAProxy has, and the least change that makes it what is wanted, without a reload.
 */
#include "balancer/certificates.h"
#include "balancer/traffic.h"
#include "base/log.h"

/* ---- what HAProxy has ---- */

void
sync_forget(struct group *g)
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

    while (g != NULL &&
           (strncmp(row->backend, "group_", 6) != 0 || strcmp(row->backend + 6, g->id) != 0))
        g = g->next;
    if (g == NULL || row->name[0] != 's' || !str_to_i64(str_of(row->name + 1), &number) ||
        number < 1 || number > SLOTS_MAX)
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

static const char *const map_names[] = {[MAP_RULES] = "rules", [MAP_SOURCES] = "sources", [MAP_STICKY] = "sticky"};

static bool
learn_map(struct balancer *b, struct frontend *f, int kind, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup(strbuf_done) struct strbuf text = {0};
    cleanup_free char *line = text_format("show map maps/%s.%s", f->id, map_names[kind]);

    if (!haproxy_process_ask(b->haproxy, line, &answer, err))
        return false;
    if (haproxy_parse_map(strbuf_str(&answer), &text))
        sha256_hex(strbuf_str(&text), f->maps[kind].has);
    return true;
}

/* Known before what is wanted has been worked out. */
static bool
is_sticky(const struct frontend *f)
{
    const struct config_setup nothing = {0};
    const struct config_listener l = setup_listener(f);
    cleanup(strbuf_done) struct strbuf ignored = {0};

    return haproxy_config_sticky(&nothing, &l, &ignored);
}

/* Of the listeners that have rules, keep clients with their group, or let not everybody in.  One whose configuration knows none answers
 * that there is no such map, which is the map of nobody. */
static bool
learn_maps(struct balancer *b, struct err *err)
{
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        if (!f->is_served)
            continue;
        if ((f->rule_count > 0 && !learn_map(b, f, MAP_RULES, err)) ||
            (f->sources != NULL && !learn_map(b, f, MAP_SOURCES, err)) ||
            (is_sticky(f) && !learn_map(b, f, MAP_STICKY, err)))
            return false;
    }
    return true;
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
        sync_forget(g);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_served = false;
        f->has_action[0] = '\0';
        for (int kind = 0; kind < FRONTEND_MAPS; kind++)
            f->maps[kind].has[0] = '\0';
    }
    if (b->has_ports != NULL)
        b->has_ports[0] = 0;
    return haproxy_parse_state(strbuf_str(&state), learn_server, b, err) &&
           haproxy_parse_frontends(strbuf_str(&stat), learn_frontend, b, err) &&
           learn_maps(b, err) && certificates_learn(b, err);
}

void
sync_learn(struct balancer *b)
{
    struct err err;

    b->must_learn = !ask_and_learn(b, &err);
    b->learn_failures = b->must_learn ? b->learn_failures + 1 : 0;
    if (b->must_learn)
        log_warn("haproxy.learn", "error=%s", log_quote(err.message));
    b->is_dirty = true;
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
    cleanup(setup_done) struct setup s = setup_make(b);
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        char action[HAPROXY_ACTION_SIZE];
        const struct config_listener l = setup_listener(f);
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
    case CHANGE_MAINT:
        strbuf_addf(out, "set server group_%s/s%d state maint", id, number);
        break;
    case CHANGE_READY:
        strbuf_addf(out, "set server group_%s/s%d state ready", id, number);
        break;
    case CHANGE_ADDRESS:
        strbuf_addf(out, "set server group_%s/s%d addr %s port %d", id, number, s->address,
                    s->port);
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
    case CHANGE_MAINT:
        s->has_ready = false;
        break;
    case CHANGE_READY:
        s->has_ready = true;
        break;
    case CHANGE_ADDRESS:
        memcpy(s->has_address, s->address, sizeof(s->has_address));
        s->has_port = s->port;
        break;
    case CHANGE_ACTION:
        memcpy(c->frontend->has_action, c->action, sizeof(c->action));
        break;
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

/* ---- the maps of rules and of sources ---- */

static bool
refused(const char *what, struct str answer, struct err *err)
{
    return err_set(err, ERR_HAPROXY, "HAProxy answered '" STR_FMT "' to %s",
                   STR_ARG(str_slice(str_trim(answer), 0, 150)), what);
}

/* Lines of the text, from its beginning, that fit into one command. */
static struct str
next_lines(struct str text)
{
    size_t len = 0;

    while (len < text.len) {
        const ptrdiff_t end = str_index(str_slice(text, len, text.len), '\n');
        if (len > 0 && len + (size_t)end + 1 > HAPROXY_LINE_MAX)
            break;
        len += (size_t)end + 1;
    }
    return str_slice(text, 0, len);
}

static bool
add_lines(struct balancer *b, const char *map, int64_t version, struct str lines, struct err *err)
{
    cleanup(strbuf_done) struct strbuf answer = {0};
    cleanup_free char *command =
        text_format("add map @%lld %s <<\n" STR_FMT, (long long)version, map, STR_ARG(lines));

    if (!haproxy_process_ask(b->haproxy, command, &answer, err))
        return false;
    return haproxy_did_set_quietly(strbuf_str(&answer)) ||
           refused("add map", strbuf_str(&answer), err);
}

/* A new version beside the one that requests are looked up in, then that one at once (alb.md B9). */
static bool
replace_map(struct balancer *b, struct frontend *f, int kind, struct err *err)
{
    cleanup(strbuf_done) struct strbuf prepared = {0};
    cleanup(strbuf_done) struct strbuf committed = {0};
    struct frontend_map *map = &f->maps[kind];
    cleanup_free char *name = text_format("maps/%s.%s", f->id, map_names[kind]);
    cleanup_free char *prepare = text_format("prepare map %s", name);
    struct str rest = strbuf_str(&map->text);
    int64_t version;

    if (!haproxy_process_ask(b->haproxy, prepare, &prepared, err))
        return false;
    if (!haproxy_parse_version(strbuf_str(&prepared), &version))
        return refused("prepare map", strbuf_str(&prepared), err);
    while (rest.len > 0) {
        const struct str lines = next_lines(rest);
        if (!add_lines(b, name, version, lines, err))
            return false;
        rest = str_slice(rest, lines.len, rest.len);
    }
    cleanup_free char *commit = text_format("commit map @%lld %s", (long long)version, name);
    if (!haproxy_process_ask(b->haproxy, commit, &committed, err))
        return false;
    if (!haproxy_did_set_quietly(strbuf_str(&committed)))
        return refused("commit map", strbuf_str(&committed), err);
    memcpy(map->has, map->wanted, sizeof(map->has));
    log_info("listener.map", "listener=%s map=%s bytes=%zu", f->id, map_names[kind], map->text.len);
    return true;
}

static void
apply_maps(struct balancer *b)
{
    struct err err;

    if (strcmp(b->running, b->wanted) != 0)
        return; /* as with the other maps */
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        for (int kind = 0; kind < FRONTEND_MAPS && f->is_served; kind++) {
            if (strcmp(f->maps[kind].has, f->maps[kind].wanted) == 0)
                continue;
            if (!replace_map(b, f, kind, &err)) {
                log_error("haproxy.map", "listener=%s map=%s error=%s", f->id, map_names[kind],
                          log_quote(err.message));
                b->must_learn = true; /* and try again */
                return;
            }
        }
    }
}

bool
sync_is_in_force(const struct balancer *b, const struct frontend *f)
{
    cleanup(setup_done) struct setup s = setup_make(b);
    const struct config_listener l = setup_listener(f);
    char action[HAPROXY_ACTION_SIZE];

    if (haproxy_process_state(b->haproxy) != HAPROXY_RUNNING || b->must_learn || !f->is_served ||
        strcmp(b->running, b->wanted) != 0)
        return false;
    haproxy_config_action(&s.config, &l, action);
    /* Clients that stay with a group that has no weight any more are not where they should be. */
    return strcmp(action, f->has_action) == 0 &&
           strcmp(f->maps[MAP_STICKY].has, f->maps[MAP_STICKY].wanted) == 0;
}

void
sync_apply(struct balancer *b)
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
    apply_maps(b);
    if (!certificates_sync(b))
        b->must_learn = true;
}
