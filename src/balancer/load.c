/* SPDX-License-Identifier: MIT */
/* load.c - what a start or a reload needs: free ports, the files, and a note of what will be. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include "balancer/certificates.h"
#include "balancer/traffic.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"

#define NEXT "next" /* the folder in which a configuration is made */
#define CONFIG "haproxy.cfg"
#define CONFIG_SIZE_MAX (256 << 20)

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
        if (o != f && o->port == f->port && o->blocked[0] == '\0' &&
            (o->is_served || !f->is_served))
            return o;
    return NULL;
}

/* Who is left out, and why. True if somebody is. */
bool
load_check_ports(struct balancer *b)
{
    bool is_any = false;

    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        char why[sizeof(f->blocked)] = "";
        if (!f->is_served) {
            const struct frontend *rival = find_rival(b, f);
            if (rival != NULL)
                snprintf(why, sizeof(why), "port %d is listener %s's", f->port, rival->id);
            else if (!is_port_ours(b->has_ports, f->port) && !is_port_ours(b->written_ports, f->port))
                try_port(b->bind_address, f->port, why, sizeof(why));
        }
        if (f->tls.policy != NULL && why[0] == '\0')
            certificates_setup(b, f, NULL, why, sizeof(why));
        if (strcmp(why, f->blocked) != 0) {
            b->is_dirty = true;
            memcpy(f->blocked, why, sizeof(why));
            /* A worker that just died may hold the port for a moment. */
            if (why[0] != '\0' && clock_monotonic_ms() - b->died_ms > LOAD_DYING_MS)
                log_error("listener.blocked", "listener=%s error=%s", f->id, log_quote(why));
        }
        is_any |= why[0] != '\0';
    }
    return is_any;
}

/* ---- the configuration ---- */

void
setup_done(struct setup *s)
{
    for (int i = 0; i < s->config.listener_count; i++)
        free((char *)s->tls[i].large);
    free(s->tls);
    free(s->groups);
    free(s->listeners);
}

struct config_listener
setup_listener(const struct frontend *f)
{
    return (struct config_listener){.id = f->id,
                                    .port = f->port,
                                    .is_tcp = f->is_tcp,
                                    .idle_timeout_s = f->idle_timeout_s,
                                    .actions = f->actions,
                                    .attributes = f->attributes,
                                    .balancer_attributes = f->balancer_attributes,
                                    .rules = f->rules,
                                    .rule_count = f->rule_count,
                                    .sources = f->sources};
}

struct setup
setup_make(const struct balancer *b)
{
    struct setup s = {.config = {.bind_address = b->bind_address, .cookie_key = b->cookie_key}};
    struct config_setup *c = &s.config;
    size_t group_count = 1, listener_count = 1;

    for (const struct group *g = b->groups; g != NULL; g = g->next)
        group_count++;
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next)
        listener_count++;
    s.groups = mem_new(group_count * sizeof(*s.groups));
    s.listeners = mem_new(listener_count * sizeof(*s.listeners));
    s.tls = mem_new(listener_count * sizeof(*s.tls));
    for (const struct group *g = b->groups; g != NULL; g = g->next) {
        if (g->drain_delay_s > c->longest_drain_s)
            c->longest_drain_s = g->drain_delay_s;
        if (g->in_use)
            s.groups[c->group_count++] = (struct config_group){
                .id = g->id,
                .arn = g->arn,
                .algorithm = g->algorithm,
                .options = &g->options,
                .slots = &g->slots,
                .tcp = g->tcp.is_on ? &g->tcp : NULL};
    }
    for (const struct frontend *f = b->frontends; f != NULL; f = f->next) {
        struct config_tls *tls = &s.tls[c->listener_count];
        char why[256];
        if (f->blocked[0] != '\0' ||
            (f->tls.policy != NULL && !certificates_setup(b, f, tls, why, sizeof(why))))
            continue;
        s.listeners[c->listener_count] = setup_listener(f);
        s.listeners[c->listener_count].log = b->seeing == NULL ? CONFIG_LOG_NONE
                                             : f->has_log      ? CONFIG_LOG_ALL
                                                               : CONFIG_LOG_SAMPLES;
        s.listeners[c->listener_count++].tls = f->tls.policy != NULL ? tls : NULL;
    }
    c->groups = s.groups;
    c->listeners = s.listeners;
    return s;
}

static bool
write_file(const struct balancer *b, const char *name, struct str text, struct err *err)
{
    cleanup_free char *path = text_format("%s/" NEXT "/%s", b->folder, name);

    return file_write_atomic(path, text, 0600, err);
}

/* Made beside what HAProxy last loaded, which it would start with again: what cannot be written, as on a full disk,
 * takes nothing away. */
static bool
begin_next(const struct balancer *b, struct err *err)
{
    cleanup_free char *next = text_format("%s/" NEXT, b->folder), *maps = text_format("%s/maps", next);
    cleanup_free char *bodies = text_format("%s/bodies", next);

    return file_remove_tree(next, err) && file_make_dirs(maps, 0700, err) && file_make_dirs(bodies, 0700, err) &&
           certificates_write(b, next, err);
}

/* Files of listeners gone by go with the folders that they were in. */
static bool
put_in_place(const struct balancer *b, const char *name, struct err *err)
{
    cleanup_free char *from = text_format("%s/" NEXT "/%s", b->folder, name);
    cleanup_free char *to = text_format("%s/%s", b->folder, name);

    if (rename(from, to) == 0)
        return true;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_errno(err, "cannot rename '%s' to '%s'", from, to);
    return file_remove_tree(to, err) &&
           (rename(from, to) == 0 || err_errno(err, "cannot rename '%s' to '%s'", from, to));
}

static bool
write_body(const struct balancer *b, const char *id, const struct json *actions, struct err *err)
{
    char path[64];
    struct str body;

    return !haproxy_config_body(id, actions, path, &body) || write_file(b, path, body, err);
}

static bool
write_rules(const struct balancer *b, const struct config_setup *c, const struct config_listener *l,
            struct err *err)
{
    cleanup_free char *path = text_format("maps/%s.rules", l->id);
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_rules(c, l, &text);
    for (int i = 0; i < l->rule_count; i++)
        if (!write_body(b, l->rules[i].id, l->rules[i].actions, err))
            return false;
    return l->rule_count == 0 || write_file(b, path, strbuf_str(&text), err);
}

static bool
write_sources(const struct balancer *b, const struct config_listener *l, struct err *err)
{
    cleanup_free char *path = text_format("maps/%s.sources", l->id);
    cleanup(strbuf_done) struct strbuf text = {0};

    haproxy_config_sources(l, &text);
    return l->sources == NULL || write_file(b, path, strbuf_str(&text), err);
}

static bool
write_sticky(const struct balancer *b, const struct config_setup *c, const struct config_listener *l,
             struct err *err)
{
    cleanup_free char *path = text_format("maps/%s.sticky", l->id);
    cleanup(strbuf_done) struct strbuf text = {0};

    return !haproxy_config_sticky(c, l, &text) || write_file(b, path, strbuf_str(&text), err);
}

static bool
write_listener(const struct balancer *b, const struct config_setup *c,
               const struct config_listener *l, struct err *err)
{
    char action[HAPROXY_ACTION_SIZE];
    cleanup_free char *path = text_format("maps/%s.actions", l->id);

    haproxy_config_action(c, l, action);
    cleanup_free char *line = text_format("%s.default %s\n", l->id, action);
    return write_file(b, path, str_of(line), err) && write_body(b, l->id, l->actions, err) &&
           write_rules(b, c, l, err) && write_sources(b, l, err) &&
           write_sticky(b, c, l, err);
}

static bool
write_next(const struct balancer *b, const struct config_setup *c, struct err *err)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    if (!begin_next(b, err))
        return false;
    for (int i = 0; i < c->listener_count; i++)
        if (!write_listener(b, c, &c->listeners[i], err))
            return false;
    haproxy_config_format(c, &text);
    if (!write_file(b, HAPROXY_CHAIN_FILE, haproxy_config_chain_script(), err))
        return false;
    return write_file(b, CONFIG, strbuf_str(&text), err);
}

bool
load_write(const struct balancer *b, const struct config_setup *c, struct err *err)
{
    static const char *const names[] = {"maps", "bodies", "certs", HAPROXY_CHAIN_FILE, CONFIG};
    cleanup_free char *next = text_format("%s/" NEXT, b->folder);
    bool ok = write_next(b, c, err);

    for (size_t i = 0; i < ARRAY_COUNT(names) && ok; i++)
        ok = put_in_place(b, names[i], err);
    return file_remove_tree(next, ok ? err : NULL) && ok;
}

bool
load_find_written(const struct balancer *b, char out[static HAPROXY_FINGERPRINT_SIZE])
{
    cleanup_free char *path = text_format("%s/" CONFIG, b->folder);
    cleanup(strbuf_done) struct strbuf text = {0};
    struct str rest, line;

    if (!file_read(path, CONFIG_SIZE_MAX, &text, NULL))
        return false;
    rest = strbuf_str(&text);
    while (str_split(&rest, '\n', &line))
        if (str_starts(str_trim(line), STR("description ")))
            return text_copy(out, HAPROXY_FINGERPRINT_SIZE, str_slice(str_trim(line), sizeof("description ") - 1, line.len));
    return false;
}

void
load_remember(struct balancer *b, const struct config_setup *c)
{
    const bool is_unsure = clock_monotonic_ms() < b->unsure_until_ms;
    int port_count = 0;

    free(b->written_ports);
    b->written_ports = mem_new((size_t)(c->listener_count + 1) * sizeof(*b->written_ports));
    for (struct frontend *f = b->frontends; f != NULL; f = f->next) {
        f->is_written = f->blocked[0] == '\0';
        if (!f->is_written)
            continue;
        b->written_ports[port_count++] = f->port;
        const struct config_listener l = setup_listener(f);
        haproxy_config_action(c, &l, f->written_action);
        for (int kind = 0; kind < FRONTEND_MAPS; kind++)
            memcpy(f->maps[kind].written, f->maps[kind].wanted, sizeof(f->maps[kind].written));
    }
    certificates_remember(b);
    for (struct group *g = b->groups; g != NULL; g = g->next) {
        for (struct member *m = g->members; m != NULL; m = m->next)
            m->is_in_old = m->slot >= 0 && m->slot < g->has_slots &&
                           (is_unsure || g->slots.at[m->slot].has_ready);
        g->written_slots = g->in_use ? g->slots.count : 0;
        if (g->in_use)
            slots_loaded(&g->slots);
    }
}
