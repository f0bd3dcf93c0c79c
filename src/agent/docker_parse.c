/* SPDX-License-Identifier: MIT */
#include "agent/docker_parse.h"
#include <stdio.h>
#include "base/clock.h"
#include "model/task_definition.h"

static void
copy_member(char *to, size_t size, const struct json *object, const char *key)
{
    (void)text_copy(to, size, str_of(json_get_cstr(object, key, "")));
}

/* Docker's words may be longer than what we keep: the beginning is what matters. */
static void
copy_cut(char *to, size_t size, struct str from)
{
    if (from.len >= size) {
        from.len = size - 1;
        while (from.len > 0 && ((unsigned char)from.at[from.len] & 0xC0) == 0x80)
            from.len--; /* not in the middle of a character */
    }
    (void)text_copy(to, size, from);
}

static enum health_status
health_of(struct str text)
{
    if (str_is(text, "healthy"))
        return HEALTH_HEALTHY;
    return str_is(text, "unhealthy") ? HEALTH_UNHEALTHY : HEALTH_UNKNOWN;
}

static bool
has_binding(const struct docker_state *s, const struct network_binding *b)
{
    for (int i = 0; i < s->binding_count; i++)
        if (s->bindings[i].container_port == b->container_port && s->bindings[i].host_port == b->host_port &&
            s->bindings[i].is_udp == b->is_udp)
            return true; /* bound to several addresses */
    return false;
}

static bool
is_ipv6(const struct json *binding)
{
    return strchr(json_get_cstr(binding, "HostIp", ""), ':') != NULL;
}

/* Docker picks a dynamic port for each address family, and after a restart of its own they differ.
 * A binding of ours has no address: the IPv4 one is meant wherever there is one. */
static bool
has_ipv4(const struct json *list)
{
    for (size_t i = 0; i < json_size(list); i++)
        if (!is_ipv6(json_at(list, i)))
            return true;
    return false;
}

struct ranges {
    struct {
        int first, last;
        bool is_udp;
    } all[PORTS_MAX];
    int count;
};

static void
read_ranges(struct ranges *out, const struct json *mappings)
{
    out->count = 0;
    for (size_t i = 0; i < json_size(mappings) && i < PORTS_MAX; i++) {
        const struct json *m = json_at(mappings, i);
        int first, last;

        if (!port_range_parse(json_get_cstr(m, "containerPortRange", ""), &first, &last))
            continue;
        out->all[out->count].first = first;
        out->all[out->count].last = last;
        out->all[out->count++].is_udp = strcmp(json_get_cstr(m, "protocol", ""), "udp") == 0;
    }
}

/* Is it a port behind the first one of a range?  That one speaks for them: they were made a row. */
static bool
is_inside(const struct ranges *ranges, struct network_binding *b)
{
    for (int i = 0; i < ranges->count; i++) {
        if (ranges->all[i].is_udp != b->is_udp || b->container_port < ranges->all[i].first ||
            b->container_port > ranges->all[i].last)
            continue;
        b->range_len = ranges->all[i].last - ranges->all[i].first + 1;
        return b->container_port != ranges->all[i].first || b->host_port + b->range_len - 1 > 65535;
    }
    return false;
}

static void
parse_ports(struct docker_state *s, const struct json *ports, const struct json *mappings)
{
    struct ranges ranges;

    read_ranges(&ranges, mappings);
    for (void *it = json_first(ports); it != NULL; it = json_next(ports, it)) {
        struct str rest = str_of(json_key(it)), number = {0};
        const struct json *list = json_value(it);
        int64_t port = 0, host_port = 0;

        if (!str_split(&rest, '/', &number) || !str_to_i64(number, &port) || port < 1 || port > 65535)
            continue;
        for (size_t i = 0; i < json_size(list) && s->binding_count < BINDINGS_MAX; i++) {
            if (is_ipv6(json_at(list, i)) && has_ipv4(list))
                continue;
            if (!str_to_i64(str_of(json_get_cstr(json_at(list, i), "HostPort", "")), &host_port) ||
                host_port < 1 || host_port > 65535)
                continue;
            struct network_binding b = {(int)port, (int)host_port, str_is(rest, "udp"), 0};
            if (!is_inside(&ranges, &b) && !has_binding(s, &b))
                s->bindings[s->binding_count++] = b;
        }
    }
}

/* Docker keeps the last five results, the newest at the end.  What does not fit is left out. */
static void
parse_health_log(struct docker_state *s, const struct json *log)
{
    cleanup(strbuf_done) struct strbuf text = {0};

    for (size_t i = json_size(log); i-- > 0;) {
        const struct json *probe = json_at(log, i);
        const struct str output = str_trim(str_of(json_get_cstr(probe, "Output", "")));

        strbuf_addf(&text, "%.19sZ exit %d", json_get_cstr(probe, "End", ""),
                    (int)json_get_i64(probe, "ExitCode", 0));
        if (output.len > 0)
            strbuf_addf(&text, ": " STR_FMT, STR_ARG(str_slice(output, 0, HEALTH_LOG_SIZE)));
        strbuf_add_char(&text, '\n');
        if (text.len >= HEALTH_LOG_SIZE)
            break;
    }
    copy_cut(s->health_log, sizeof(s->health_log), strbuf_str(&text));
}

/* "0001-01-01T00:00:00Z" stands for never. */
static int64_t
parse_moment(const struct json *state, const char *member)
{
    int64_t at_ms = 0;

    return clock_parse_iso(str_of(json_get_cstr(state, member, "")), &at_ms) && at_ms > 0 ? at_ms : 0;
}

bool
docker_parse_state(const struct json *answer, const char *network, const struct json *mappings,
                   struct docker_state *out, struct err *err)
{
    const struct json *state = json_get(answer, "State"), *config = json_get(answer, "Config"),
                      *labels = json_get(config, "Labels"), *net = json_get(answer, "NetworkSettings");
    struct docker_state s = {0};
    struct str name = str_of(json_get_cstr(answer, "Name", ""));

    copy_member(s.id, sizeof(s.id), answer, "Id");
    if (s.id[0] == '\0' || json_type(state) != JSON_OBJECT)
        return err_set(err, ERR_SERIALIZATION, "Docker's answer describes no container");
    if (str_starts(name, STR("/")))
        name = str_slice(name, 1, name.len);
    (void)text_copy(s.name, sizeof(s.name), name);
    copy_member(s.task, sizeof(s.task), labels, "naru.task");
    copy_member(s.installation, sizeof(s.installation), labels, "naru.installation");
    copy_member(s.image_id, sizeof(s.image_id), answer, "Image");
    copy_member(s.status, sizeof(s.status), state, "Status");
    copy_member(s.stop_signal, sizeof(s.stop_signal), config, "StopSignal");
    if (s.stop_signal[0] == '\0')
        (void)text_copy(s.stop_signal, sizeof(s.stop_signal), STR("SIGTERM"));
    s.has_tty = json_get_bool(config, "Tty", false);
    s.exit_code = (int)json_get_i64(state, "ExitCode", 0);
    s.was_oom_killed = json_get_bool(state, "OOMKilled", false);
    copy_cut(s.error, sizeof(s.error), str_of(json_get_cstr(state, "Error", "")));
    s.started_at_ms = parse_moment(state, "StartedAt");
    s.finished_at_ms = parse_moment(state, "FinishedAt");
    s.is_running = json_get_bool(state, "Running", false);
    s.has_ended = !s.is_running && (strcmp(s.status, "exited") == 0 || strcmp(s.status, "dead") == 0 ||
                                    (strcmp(s.status, "removing") == 0 && s.started_at_ms > 0));
    s.health = health_of(str_of(json_get_cstr(json_get(state, "Health"), "Status", "")));
    parse_health_log(&s, json_get(json_get(state, "Health"), "Log"));
    parse_ports(&s, json_get(net, "Ports"), mappings);
    if (network != NULL) {
        const struct json *endpoint = json_get(json_get(net, "Networks"), network);

        copy_member(s.address, sizeof(s.address), endpoint, "IPAddress");
        copy_member(s.mac_address, sizeof(s.mac_address), endpoint, "MacAddress");
    }
    *out = s;
    return true;
}

bool
docker_parse_event(struct str line, struct docker_event *out, struct err *err)
{
    cleanup_json struct json *j = json_parse(line, err);
    struct docker_event e = {.type = DOCKER_OTHER};
    int64_t code = 0;

    if (j == NULL)
        return false;
    const struct json *actor = json_get(j, "Actor"), *attributes = json_get(actor, "Attributes");
    const struct str action = str_of(json_get_cstr(j, "Action", ""));
    copy_member(e.id, sizeof(e.id), actor, "ID");
    copy_member(e.task, sizeof(e.task), attributes, "naru.task");
    if (strcmp(json_get_cstr(j, "Type", ""), "container") != 0 || e.id[0] == '\0') {
        *out = e;
        return true;
    }
    if (str_is(action, "start"))
        e.type = DOCKER_START;
    else if (str_is(action, "oom"))
        e.type = DOCKER_OOM;
    else if (str_is(action, "destroy"))
        e.type = DOCKER_DESTROY;
    else if (str_is(action, "die")) {
        e.type = DOCKER_DIE;
        if (str_to_i64(str_of(json_get_cstr(attributes, "exitCode", "")), &code))
            e.exit_code = (int)code;
    } else if (str_starts(action, STR("health_status: "))) {
        e.type = DOCKER_HEALTH;
        e.health = health_of(str_slice(action, strlen("health_status: "), action.len));
    }
    *out = e;
    return true;
}

void
docker_lines_done(struct docker_lines *l)
{
    strbuf_done(&l->partial);
    *l = (struct docker_lines){0};
}

void
docker_lines_feed(struct docker_lines *l, struct str data, void (*line)(void *arg, struct str line), void *arg)
{
    while (data.len > 0) {
        const ptrdiff_t end = str_index(data, '\n');
        const struct str piece = end < 0 ? data : str_slice(data, 0, (size_t)end);

        if (!l->is_skipping && l->partial.len + piece.len > DOCKER_LINE_MAX) {
            l->is_skipping = l->was_cut = true;
            strbuf_clear(&l->partial);
        }
        if (!l->is_skipping)
            strbuf_add(&l->partial, piece);
        if (end < 0)
            return;
        const struct str whole = str_trim(strbuf_str(&l->partial));
        if (!l->is_skipping && whole.len > 0)
            line(arg, whole);
        strbuf_clear(&l->partial);
        l->is_skipping = false;
        data = str_slice(data, (size_t)end + 1, data.len);
    }
}

void
docker_pull_done(struct docker_pull *p)
{
    docker_lines_done(&p->lines);
}

static void
pull_line(void *arg, struct str line)
{
    struct docker_pull *p = arg;
    cleanup_json struct json *j = json_parse(line, NULL);
    const char *message = json_get_cstr(j, "message", NULL); /* the body of an answer of 400 or more is such a line */
    const char *text = json_get_cstr(json_get(j, "errorDetail"), "message", json_get_cstr(j, "error", message));

    if (text != NULL && !p->has_error) {
        p->has_error = true;
        copy_cut(p->error, sizeof(p->error), str_of(text));
    }
    if (str_starts(str_of(json_get_cstr(j, "status", "")), STR("Status: ")))
        p->is_done = true;
}

void
docker_pull_feed(struct docker_pull *p, struct str data)
{
    docker_lines_feed(&p->lines, data, pull_line, p);
}

void
docker_parse_message(struct str body, char *out, size_t size)
{
    cleanup_json struct json *j = json_parse(body, NULL);
    const char *text = json_get_cstr(j, "message", NULL);

    copy_cut(out, size, str_trim(text != NULL ? str_of(text) : body));
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}
