/* SPDX-License-Identifier: MIT */
#include "fake_docker.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/json.h"
#include "base/str.h"
#include "base/uri.h"
#include "check.h"

#define CONNECTIONS_MAX 64
#define CONTAINERS_KEPT 32

struct fake_container {
    char name[256], id[72];
    struct json *labels, *ports;
    int state; /* 0 created, 1 running, 2 exited */
    int exit_code;
    const char *health; /* or NULL: it is not looked after */
};

struct fake_docker {
    char path[108];
    pthread_mutex_t lock;
    pthread_t thread;
    bool is_listening;
    int listener, connections[CONNECTIONS_MAX], streams[CONNECTIONS_MAX];
    pthread_t threads[4096];
    int thread_count;
    struct fake_container containers[CONTAINERS_KEPT];
    int container_count;
    char fault_part[128];
    enum fake_fault fault;
    int fault_count;
    bool has_image, hangs;
    int hung; /* the connection whose request FAKE_HANG met last, or -1 */
    struct strbuf seen, said;
};

struct connection {
    struct fake_docker *fake;
    int fd;
};

static void
remember(int *list, int fd)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (list[i] < 0) {
            list[i] = fd;
            return;
        }
    abort();
}

static void
forget(int *list, int fd)
{
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (list[i] == fd)
            list[i] = -1;
}

static void
put(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
answer(int fd, int status, const char *body, enum fake_fault fault)
{
    cleanup_free char *text = NULL;
    const size_t len = fault == FAKE_CUT_JSON ? strlen(body) / 2 : strlen(body);

    if (fault == FAKE_ERROR) {
        put(fd, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 18\r\n\r\n{\"message\":\"bang\"}");
        return;
    }
    text = text_format("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s", status, len,
                       (int)len, body);
    put(fd, text);
}

static struct fake_container *
find(struct fake_docker *f, struct str key)
{
    for (int i = 0; i < f->container_count; i++)
        if (str_is(key, f->containers[i].id) || str_is(key, f->containers[i].name))
            return &f->containers[i];
    return NULL;
}

static struct json *
describe(const struct fake_container *c)
{
    static const char *const states[] = {"created", "running", "exited"};
    struct json *j = json_object(), *state = json_object(), *config = json_object();
    cleanup_free char *name = text_format("/%s", c->name);

    json_set(j, "Id", json_text(c->id));
    json_set(j, "Name", json_text(name));
    json_set(j, "State", state);
    json_set(state, "Status", json_text(states[c->state]));
    json_set(state, "Running", json_bool(c->state == 1));
    json_set(state, "ExitCode", json_int(c->exit_code));
    if (c->state > 0)
        json_set(state, "StartedAt", json_text("2026-01-02T03:04:05.000000000Z"));
    if (c->state == 2)
        json_set(state, "FinishedAt", json_text("2026-01-02T03:04:06.000000000Z"));
    if (c->health != NULL) {
        json_set(state, "Health", json_object());
        json_set(json_get(state, "Health"), "Status", json_text(c->health));
    }
    json_set(j, "Config", config);
    json_set(config, "Labels", json_ref(c->labels));
    struct json *network = json_object();
    json_set(j, "NetworkSettings", network);
    if (c->state == 1 && c->ports != NULL)
        json_set(network, "Ports", json_ref(c->ports));
    return j;
}

static void
send_event(struct fake_docker *f, const struct fake_container *c, const char *action)
{
    cleanup_free char *line = text_format(
        "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{\"exitCode\":\"%d\",\"naru.task\":\"%s\"}}}\n",
        action, c->id, c->exit_code, json_get_cstr(c->labels, "naru.task", ""));

    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (f->streams[i] >= 0)
            put(f->streams[i], line);
}

static void
create(struct fake_docker *f, int fd, struct str path, struct str body, enum fake_fault fault)
{
    cleanup(strbuf_done) struct strbuf name = {0};
    cleanup_json struct json *spec = json_parse(body, NULL);
    char text[160];

    const ptrdiff_t query = str_index(path, '?');
    if (!uri_query_get(str_slice(path, (size_t)query + 1, path.len), "name", &name) || spec == NULL)
        return answer(fd, 400, "{\"message\":\"bad request\"}", FAKE_NONE);
    if (find(f, strbuf_str(&name)) != NULL)
        return answer(fd, 409, "{\"message\":\"Conflict. The container name is already in use\"}", FAKE_NONE);
    if (!f->has_image)
        return answer(fd, 404, "{\"message\":\"No such image: x\"}", FAKE_NONE);
    if (fault == FAKE_ERROR)
        return answer(fd, 500, "", fault);
    struct fake_container *c = &f->containers[f->container_count++];
    (void)text_copy(c->name, sizeof(c->name), strbuf_str(&name));
    (void)snprintf(c->id, sizeof(c->id), "%064d", f->container_count);
    c->labels = json_ref(json_get(spec, "Labels"));
    c->ports = json_ref(json_get(json_get(spec, "HostConfig"), "PortBindings"));
    if (fault == FAKE_CLOSE) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    (void)snprintf(text, sizeof(text), "{\"Id\":\"%s\",\"Warnings\":[]}", c->id);
    answer(fd, 201, text, fault);
}

static void
port_is_taken(int fd, const struct fake_container *c)
{
    const struct json *first = json_value(json_first(c->ports));
    cleanup_free char *body = text_format(
        "{\"message\":\"driver failed programming external connectivity on endpoint %s: Bind for 0.0.0.0:%s failed: "
        "port is already allocated\"}", c->name, json_get_cstr(json_at(first, 0), "HostPort", ""));

    answer(fd, 500, body, FAKE_NONE);
}

/* "/containers/<key>/<what>": start, kill, inspect, remove. */
static void
container_call(struct fake_docker *f, int fd, struct str method, struct str path, enum fake_fault fault)
{
    struct str rest = str_slice(path, strlen("/containers/"), path.len), first = {0}, key = {0}, what = {0};

    (void)str_split(&rest, '/', &first);
    (void)str_split(&rest, '?', &what);
    (void)str_split(&first, '?', &key);
    struct fake_container *c = find(f, key);
    if (str_is(what, "logs") && f->said.len > 0) {
        put(fd, "HTTP/1.0 200 OK\r\n\r\n");
        put(fd, strbuf_cstr(&f->said));
        shutdown(fd, SHUT_RDWR);
        return;
    }
    if (c == NULL)
        return answer(fd, 404, "{\"message\":\"No such container\"}", FAKE_NONE);
    if (str_is(what, "logs")) {
        put(fd, "HTTP/1.0 200 OK\r\n\r\n");
        shutdown(fd, SHUT_RDWR);
    } else if (str_is(what, "start") && fault == FAKE_PORT) {
        port_is_taken(fd, c);
    } else if (str_is(what, "start")) {
        if (c->state != 1) {
            c->state = 1;
            send_event(f, c, "start");
        }
        if (fault == FAKE_CLOSE)
            shutdown(fd, SHUT_RDWR);
        else
            answer(fd, 204, "", fault);
    } else if (str_is(what, "kill")) {
        answer(fd, c->state == 1 ? 204 : 409, c->state == 1 ? "" : "{\"message\":\"is not running\"}", fault);
        if (c->state == 1) {
            c->state = 2;
            c->exit_code = 143;
            send_event(f, c, "die");
        }
    } else if (str_is(what, "json")) {
        cleanup_json struct json *j = describe(c);
        cleanup_free char *text = json_format(j);
        answer(fd, 200, text, fault);
    } else {
        answer(fd, str_is(method, "DELETE") ? 204 : 404, "", fault);
        if (str_is(method, "DELETE") && fault == FAKE_NONE)
            c->name[0] = c->id[0] = '\0';
    }
}

static void
list(struct fake_docker *f, int fd, enum fake_fault fault)
{
    cleanup_json struct json *all = json_array();

    for (int i = 0; i < f->container_count; i++) {
        if (f->containers[i].id[0] == '\0')
            continue; /* removed */
        struct json *row = json_object(), *names = json_array();
        cleanup_free char *name = text_format("/%s", f->containers[i].name);

        json_append(names, json_text(name));
        json_set(row, "Id", json_text(f->containers[i].id));
        json_set(row, "Names", names);
        json_set(row, "Labels", json_ref(f->containers[i].labels));
        json_append(all, row);
    }
    cleanup_free char *text = json_format(all);
    answer(fd, 200, text, fault);
}

static void
pull(struct fake_docker *f, int fd, enum fake_fault fault)
{
    static const char good[] = "{\"status\":\"Pulling\"}\r\n{\"status\":\"Status: Downloaded newer image\"}\r\n";

    if (fault == FAKE_NONE)
        f->has_image = true;
    answer(fd, 200, fault == FAKE_CUT_JSON ? "{\"status\":\"Pulling\"}\r\n{\"status\":\"Downloading\",\"id\":\"aaaaaaaaaaaaaaaa\"}\r\n" : good, fault);
}

/* One request. True if the connection goes on. The lock is held. */
static bool
serve(struct fake_docker *f, int fd, struct str method, struct str path, struct str body)
{
    enum fake_fault fault = FAKE_NONE;
    cleanup_free char *line = text_format(STR_FMT " " STR_FMT, STR_ARG(method), STR_ARG(path));

    strbuf_addf(&f->seen, "%s\n", line);
    if (f->fault_count > 0 && strstr(line, f->fault_part) != NULL) {
        f->fault_count--;
        fault = f->fault;
    }
    if (fault == FAKE_HANG) {
        f->hung = fd;
        return true;
    }
    if (fault == FAKE_GARBAGE) {
        put(fd, "\x16\x03\x01garbage\r\n\r\n{{{{");
        return false;
    }
    if (str_starts(path, STR("/v1."))) {
        const struct str rest = str_slice(path, 1, path.len);
        path = str_slice(rest, (size_t)str_index(rest, '/'), rest.len);
    }
    if (str_starts(path, STR("/version")))
        answer(fd, 200, "{\"ApiVersion\":\"1.41\",\"Version\":\"fake\",\"Arch\":\"amd64\"}", fault);
    else if (str_starts(path, STR("/info")))
        answer(fd, 200, "{\"NCPU\":2,\"MemTotal\":1073741824,\"CpuCfsQuota\":true,\"DockerRootDir\":\"/fake/root\"}", fault);
    else if (str_starts(path, STR("/_ping")))
        answer(fd, 200, "OK", fault);
    else if (str_starts(path, STR("/events"))) {
        put(fd, "HTTP/1.0 200 OK\r\n\r\n");
        remember(f->streams, fd);
    } else if (str_starts(path, STR("/containers/json")))
        list(f, fd, fault);
    else if (str_starts(path, STR("/containers/create")))
        create(f, fd, path, body, fault);
    else if (str_starts(path, STR("/containers/")))
        container_call(f, fd, method, path, fault);
    else if (str_starts(path, STR("/images/create")))
        pull(f, fd, fault);
    else if (str_starts(path, STR("/images/" FAKE_IMAGE_PATH)))
        answer(fd, 200, "{\"Id\":\"" FAKE_IMAGE_ID "\"}", fault);
    else if (str_starts(path, STR("/volumes?")))
        answer(fd, 200, "{\"Volumes\":null}", fault);
    else
        answer(fd, 404, "{\"message\":\"page not found\"}", fault);
    return true;
}

/* Cuts one whole request off the front of `in`; false if it is not complete. */
static bool
take_request(struct strbuf *in, struct strbuf *method, struct strbuf *path, struct strbuf *body)
{
    const struct str all = strbuf_str(in);
    const ptrdiff_t end = str_find(all, STR("\r\n\r\n"));
    int64_t length = 0;
    struct str line, rest = all, word;

    if (end < 0)
        return false;
    const ptrdiff_t at = str_find(str_slice(all, 0, (size_t)end), STR("Content-Length: "));
    if (at >= 0) {
        struct str number = str_slice(all, (size_t)at + 16, all.len);
        number = str_slice(number, 0, (size_t)str_index(number, '\r'));
        CHECK(str_to_i64(number, &length));
    }
    if (all.len < (size_t)end + 4 + (size_t)length)
        return false;
    CHECK(str_split(&rest, '\r', &line));
    CHECK(str_split(&line, ' ', &word));
    strbuf_add(method, word);
    CHECK(str_split(&line, ' ', &word));
    strbuf_add(path, word);
    strbuf_add(body, str_slice(all, (size_t)end + 4, (size_t)end + 4 + (size_t)length));
    const size_t used = (size_t)end + 4 + (size_t)length;
    memmove(in->at, in->at + used, in->len - used);
    in->len -= used;
    return true;
}

static void *
connection_main(void *arg)
{
    cleanup_free struct connection *c = arg;
    struct fake_docker *f = c->fake;
    cleanup(strbuf_done) struct strbuf in = {0};
    char buffer[8192];

    for (bool goes_on = true; goes_on;) {
        const ssize_t n = read(c->fd, buffer, sizeof(buffer));
        cleanup(strbuf_done) struct strbuf method = {0}, path = {0}, body = {0};

        if (n <= 0)
            break;
        strbuf_add(&in, (struct str){buffer, (size_t)n});
        pthread_mutex_lock(&f->lock);
        if (!f->hangs && take_request(&in, &method, &path, &body))
            goes_on = serve(f, c->fd, strbuf_str(&method), strbuf_str(&path), strbuf_str(&body));
        pthread_mutex_unlock(&f->lock);
    }
    pthread_mutex_lock(&f->lock);
    forget(f->connections, c->fd);
    forget(f->streams, c->fd);
    f->hung = f->hung == c->fd ? -1 : f->hung;
    close(c->fd);
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void *
listen_main(void *arg)
{
    struct fake_docker *f = arg;

    for (;;) {
        const int fd = accept(f->listener, NULL, NULL);

        if (fd < 0)
            return NULL;
        struct connection *c = mem_new(sizeof(*c));
        *c = (struct connection){f, fd};
        pthread_mutex_lock(&f->lock);
        remember(f->connections, fd);
        CHECK(f->thread_count < 4096);
        CHECK(pthread_create(&f->threads[f->thread_count++], NULL, connection_main, c) == 0);
        pthread_mutex_unlock(&f->lock);
    }
}

struct fake_docker *
fake_docker_new(const char *socket_path)
{
    struct fake_docker *f = mem_new(sizeof(*f));

    CHECK(text_copy(f->path, sizeof(f->path), str_of(socket_path)));
    CHECK(pthread_mutex_init(&f->lock, NULL) == 0);
    f->has_image = true;
    f->hung = -1;
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        f->connections[i] = f->streams[i] = -1;
    return f;
}

void
fake_docker_listen(struct fake_docker *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, f->path, sizeof(f->path));
    (void)unlink(f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(f->listener >= 0);
    CHECK(bind(f->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(f->listener, 64) == 0);
    CHECK(pthread_create(&f->thread, NULL, listen_main, f) == 0);
    f->is_listening = true;
}

void
fake_docker_vanish(struct fake_docker *f)
{
    if (!f->is_listening)
        return;
    f->is_listening = false;
    (void)unlink(f->path);
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (f->connections[i] >= 0)
            shutdown(f->connections[i], SHUT_RDWR);
    pthread_mutex_unlock(&f->lock);
    for (int i = 0; i < f->thread_count; i++)
        pthread_join(f->threads[i], NULL);
    f->thread_count = 0;
}

void
fake_docker_free(struct fake_docker *f)
{
    fake_docker_vanish(f);
    for (int i = 0; i < f->container_count; i++) {
        json_unref(f->containers[i].labels);
        json_unref(f->containers[i].ports);
    }
    strbuf_done(&f->seen);
    strbuf_done(&f->said);
    free(f);
}

void
fake_docker_fault(struct fake_docker *f, const char *part, enum fake_fault fault, int count)
{
    pthread_mutex_lock(&f->lock);
    (void)text_copy(f->fault_part, sizeof(f->fault_part), str_of(part));
    f->fault = fault;
    f->fault_count = count;
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_end_pull(struct fake_docker *f)
{
    pthread_mutex_lock(&f->lock);
    CHECK(f->hung >= 0);
    pull(f, f->hung, FAKE_NONE);
    f->hung = -1;
    pthread_mutex_unlock(&f->lock);
}

static struct fake_container *
find_part(struct fake_docker *f, const char *name_part)
{
    for (int i = 0; i < f->container_count; i++)
        if (strstr(f->containers[i].name, name_part) != NULL)
            return &f->containers[i];
    abort();
}

void
fake_docker_set_health(struct fake_docker *f, const char *name_part, const char *health)
{
    cleanup_free char *action = text_format("health_status: %s", health);

    pthread_mutex_lock(&f->lock);
    find_part(f, name_part)->health = health;
    send_event(f, find_part(f, name_part), action);
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_end_look(struct fake_docker *f, const char *name_part, const char *health)
{
    struct fake_container then;

    pthread_mutex_lock(&f->lock);
    CHECK(f->hung >= 0);
    then = *find_part(f, name_part);
    then.health = health;
    cleanup_json struct json *j = describe(&then);
    cleanup_free char *text = json_format(j);
    answer(f->hung, 200, text, FAKE_NONE);
    f->hung = -1;
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_set_image(struct fake_docker *f, int is_present)
{
    pthread_mutex_lock(&f->lock);
    f->has_image = is_present;
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_hang(struct fake_docker *f, int hangs)
{
    pthread_mutex_lock(&f->lock);
    f->hangs = hangs;
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_exit(struct fake_docker *f, const char *name_part, int code, int tells)
{
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < f->container_count; i++)
        if (strstr(f->containers[i].name, name_part) != NULL) {
            f->containers[i].state = 2;
            f->containers[i].exit_code = code;
            if (tells)
                send_event(f, &f->containers[i], "die");
        }
    pthread_mutex_unlock(&f->lock);
}

void
fake_docker_send_event(struct fake_docker *f, const char *bytes)
{
    pthread_mutex_lock(&f->lock);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (f->streams[i] >= 0)
            put(f->streams[i], bytes);
    pthread_mutex_unlock(&f->lock);
}

int
fake_docker_count(struct fake_docker *f, const char *part)
{
    int count = 0;

    pthread_mutex_lock(&f->lock);
    for (const char *at = strbuf_cstr(&f->seen); (at = strstr(at, part)) != NULL; at++)
        count++;
    pthread_mutex_unlock(&f->lock);
    return count;
}

void
fake_docker_say(struct fake_docker *f, const char *lines)
{
    pthread_mutex_lock(&f->lock);
    strbuf_clear(&f->said);
    strbuf_add_cstr(&f->said, lines);
    pthread_mutex_unlock(&f->lock);
}
