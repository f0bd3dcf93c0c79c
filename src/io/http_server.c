/* SPDX-License-Identifier: MIT */
#include "io/http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "io/http_cut.h"
#include "io/http_door.h"
#include "io/http_guests.h"
#include "io/http_proxies.h"
#include "io/listener.h"

#define IDLE_SECONDS 300u
#define HEAD_AND_READ_BUFFER ((size_t)64 * 1024) /* a larger head is answered 431 */
#define BODY_LIMIT_DEFAULT ((size_t)1024 * 1024)
#define STREAM_PIECE ((size_t)32 * 1024)
/* After an early reply a body up to this size is read and dropped, so the connection stays. */
#define DROP_POLITELY_MAX ((int64_t)1024 * 1024)
#define STOP_WAIT_S 10
#define RETRY_AFTER_S "2"
#define KEPT_UNCOUNTED ((size_t)64 * 1024) /* of a body; all connections' together is little */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_SIZE ((size_t)4 * 1024 * 1024)
#else
#define STACK_SIZE ((size_t)512 * 1024) /* address space; a page counts once it is touched */
#endif

struct http_server {
    struct MHD_Daemon *mhd;
    /* With TLS: a second daemon, and a door that listens and hands connections to both. */
    struct MHD_Daemon *secure;
    struct http_door *door;
    int listener;
    char *certificate, *private_key;
    unsigned port;
    struct http_guests *guests;
    struct http_proxies proxies;
    size_t route_count;
    struct http_route *routes;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t idle_cond;
    unsigned running;
    bool stopping;
};

/* One request, from its first line to its end. */
struct exchange {
    struct http_exchange x; /* what handlers see; x.impl points back here */
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route;
    struct http_guest *guest;
    struct strbuf collected;
    size_t kept; /* bytes of it that are accounted for */
    uint64_t received;
    size_t collect_limit; /* asked once: the answer may change while bytes arrive */
    struct MHD_Response *reply;
    int status;
    bool has_begun, replied, is_stream, lingers;
    bool is_receiving;  /* a reply now may have to go past MHD: */
    struct strbuf said; /* its body, once more */
};

static struct exchange *
impl_of(const struct http_exchange *x)
{
    return x->impl;
}

/* --- replies --- */

static void
add_headers(struct MHD_Response *response, const struct http_header *headers)
{
    for (; headers != NULL && headers->name != NULL; headers++)
        if (headers->value[0] != '\0' && /* MHD knows no empty ones */
            MHD_add_response_header(response, headers->name, headers->value) != MHD_YES)
            log_error("http.bad_header", "name=%s value=%s", log_quote(headers->name), log_quote(headers->value));
}

/* The answer waits here until MHD may take it: in the middle of a body it may not. */
static void
set_reply(struct http_exchange *x, int status, const struct http_header *headers,
          struct MHD_Response *response)
{
    struct exchange *e = impl_of(x);

    assert(!e->replied);
    assert(status >= 200 && status <= 599);
    if (response == NULL)
        abort();
    add_headers(response, headers);
    e->reply = response;
    e->status = status;
    e->replied = true;
}

void
http_reply(struct http_exchange *x, int status, const struct http_header *headers, struct str body)
{
    if (impl_of(x)->is_receiving)
        strbuf_add(&impl_of(x)->said, body);
    set_reply(x, status, headers,
              MHD_create_response_from_buffer(body.len,
                                              (void *)(uintptr_t)(body.len == 0 ? "" : body.at),
                                              MHD_RESPMEM_MUST_COPY));
}

void
http_reply_buffer(struct http_exchange *x, int status, const struct http_header *headers,
                  struct strbuf *body)
{
    const size_t size = body->len;

    if (impl_of(x)->is_receiving)
        strbuf_add(&impl_of(x)->said, strbuf_str(body));
    set_reply(x, status, headers,
              MHD_create_response_from_buffer(size, strbuf_take(body), MHD_RESPMEM_MUST_FREE));
}

static ssize_t
read_nothing(void *arg, uint64_t at, char *buffer, size_t size)
{
    (void)arg;
    (void)at;
    (void)buffer;
    (void)size;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

void
http_reply_file(struct http_exchange *x, int status, const struct http_header *headers, int fd,
                int64_t offset, int64_t size)
{
    struct MHD_Response *response;

    assert(offset >= 0 && size >= 0);
    if (fd < 0) {
        assert(str_is(x->method, "HEAD") || status == 304);
        response = MHD_create_response_from_callback((uint64_t)size, 1024, read_nothing, NULL, NULL);
    } else if (size == 0) {
        close(fd);
        http_reply(x, status, headers, STR(""));
        return;
    } else {
        response = MHD_create_response_from_fd_at_offset64((uint64_t)size, fd, (uint64_t)offset);
    }
    set_reply(x, status, headers, response);
}

struct stream {
    ptrdiff_t (*next)(void *arg, char *buffer, size_t size);
    void (*done_arg)(void *arg);
    void *arg;
};

static ssize_t
stream_read(void *arg, uint64_t at, char *buffer, size_t size)
{
    struct stream *s = arg;
    ptrdiff_t n = s->next(s->arg, buffer, size);

    (void)at;
    assert(n <= (ptrdiff_t)size);
    if (n > 0)
        return n;
    return n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void
stream_free(void *arg)
{
    struct stream *s = arg;

    if (s->done_arg != NULL)
        s->done_arg(s->arg);
    free(s);
}

void
http_reply_stream(struct http_exchange *x, int status, const struct http_header *headers,
                  ptrdiff_t (*next)(void *arg, char *buffer, size_t size),
                  void (*done_arg)(void *arg), void *arg)
{
    struct stream *s = mem_new(sizeof(*s));

    *s = (struct stream){next, done_arg, arg};
    impl_of(x)->is_stream = true;
    set_reply(x, status, headers,
              MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_PIECE, stream_read, s,
                                                stream_free));
}

bool
http_has_replied(const struct http_exchange *x)
{
    return impl_of(x)->replied;
}

/* --- requests --- */

bool
http_client_has_left(const struct http_exchange *x)
{
    return http_cut_by_client(impl_of(x)->connection);
}

struct str
http_header_get(const struct http_exchange *x, const char *name)
{
    return str_trim(
        str_of(MHD_lookup_connection_value(impl_of(x)->connection, MHD_HEADER_KIND, name)));
}

struct each {
    void (*call)(void *arg, struct str name, struct str value);
    void *arg;
};

static enum MHD_Result
each_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct each *each = cls;

    (void)kind;
    each->call(each->arg, str_of(name), value == NULL ? STR("") : str_trim(str_of(value)));
    return MHD_YES;
}

void
http_header_each(const struct http_exchange *x,
                 void (*call)(void *arg, struct str name, struct str value), void *arg)
{
    struct each each = {call, arg};

    (void)MHD_get_connection_values(impl_of(x)->connection, MHD_HEADER_KIND, each_header, &each);
}

/* MHD would decode %XX in place; a signature is made over what was sent. */
static size_t
keep_escaped(void *cls, struct MHD_Connection *connection, char *s)
{
    (void)cls;
    (void)connection;
    return strlen(s);
}

/* "http://host/path" is allowed in a request line as well; routes look at the path. */
static struct str
without_authority(struct str target)
{
    struct str rest = target;
    ptrdiff_t slash;

    if (str_equal_nocase(str_slice(target, 0, 7), STR("http://")))
        rest = str_slice(target, 7, target.len);
    else if (str_equal_nocase(str_slice(target, 0, 8), STR("https://")))
        rest = str_slice(target, 8, target.len);
    else
        return target;
    slash = str_index(rest, '/');
    return slash < 0 ? STR("/") : str_slice(rest, (size_t)slash, rest.len);
}

static void
enter_phase(const struct exchange *e, enum guest_phase phase)
{
    http_guest_enters_phase(e->guest, phase, e->route != NULL && e->route->body == NULL && !e->replied,
                            e->received, clock_monotonic_ms());
}

/* First sight of a request; MHD hands what is returned to every later callback. */
static void *
on_target(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = cls;
    struct exchange *e = mem_new(sizeof(*e));
    struct str target = without_authority(arena_dup(&e->x.arena, str_of(uri)));
    ptrdiff_t mark = str_index(target, '?');

    e->server = server;
    e->connection = connection;
    e->x.impl = e;
    e->guest = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    enter_phase(e, GUEST_HEAD);
    e->x.path = mark < 0 ? target : str_slice(target, 0, (size_t)mark);
    e->x.query = mark < 0 ? STR("") : str_slice(target, (size_t)mark + 1, target.len);
    e->x.body_size = -1;
    random_uuid(e->x.request_id);
    pthread_mutex_lock(&server->lock);
    server->running++;
    pthread_mutex_unlock(&server->lock);
    return e;
}

static struct str
peer_of(struct exchange *e)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN];

    if (info == NULL || info->client_addr == NULL)
        return STR("");
    http_address_text(info->client_addr, text);
    return arena_dup(&e->x.arena, str_of(text));
}

static void
add_forwarded(void *arg, struct str name, struct str value)
{
    struct strbuf *all = arg;

    if (!str_equal_nocase(name, STR("X-Forwarded-For")))
        return;
    if (all->len > 0)
        strbuf_add(all, STR(","));
    strbuf_add(all, value);
}

/* Who asks, by the socket or by the word of a proxy that is believed. */
static void
find_client(struct exchange *e)
{
    cleanup(strbuf_done) struct strbuf forwarded = {0};
    struct http_exchange *x = &e->x;

    x->peer = peer_of(e);
    x->is_secure = MHD_get_connection_info(e->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) != NULL;
    if (!http_proxies_have(&e->server->proxies, x->peer))
        return;
    http_header_each(x, add_forwarded, &forwarded);
    x->peer = arena_dup(&x->arena, http_proxies_client(&e->server->proxies, x->peer, strbuf_str(&forwarded)));
    x->is_secure |= str_equal_nocase(http_header_get(x, "X-Forwarded-Proto"), STR("https"));
}

static const struct http_route *
find_route(const struct http_server *server, struct str path)
{
    const struct http_route *best = NULL;

    for (size_t i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->routes[i];

        if (str_starts(path, str_of(route->prefix)) &&
            (best == NULL || strlen(route->prefix) > strlen(best->prefix)))
            best = route;
    }
    return best;
}

static bool
has_body(const struct exchange *e)
{
    return e->x.body_size > 0 || http_header_get(&e->x, "Transfer-Encoding").at != NULL;
}

static size_t
collect_limit(const struct exchange *e)
{
    const struct http_route *route = e->route;

    if (route->body_limit_of != NULL)
        return route->body_limit_of(&e->x, route->ctx);
    return route->body_limit == 0 ? BODY_LIMIT_DEFAULT : route->body_limit;
}

static void
reply_text(struct exchange *e, int status, const char *text)
{
    static const struct http_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"},
                                                 {NULL, NULL}};

    http_reply(&e->x, status, headers, str_of(text));
}

static void
refuse(struct exchange *e, int status, const char *why)
{
    if (e->route != NULL && e->route->refuse != NULL)
        e->route->refuse(&e->x, status, why, e->route->ctx);
    else
        reply_text(e, status, arena_format(&e->x.arena, "%s\n", why));
}

/* The same, and nothing more on this connection. */
static void
refuse_and_close(struct exchange *e, int status, const char *why)
{
    static const struct http_header headers[] = {{"Connection", "close"}, {NULL, NULL}};

    refuse(e, status, why);
    add_headers(e->reply, headers);
}

/* The same to whoever takes too much, with a word about when to come again. */
static void
refuse_for_now(struct exchange *e, int status, const char *why)
{
    static const struct http_header headers[] = {
        {"Connection", "close"}, {"Retry-After", RETRY_AFTER_S}, {NULL, NULL}};

    refuse(e, status, why);
    add_headers(e->reply, headers);
}

static void
count_length(void *arg, struct str name, struct str value)
{
    (void)value;
    *(int *)arg += str_equal_nocase(name, STR("Content-Length")) ||
                   str_equal_nocase(name, STR("Transfer-Encoding"));
}

/* Whoever stands before us may have taken the other of two lengths: what follows is no request. */
static bool
has_two_lengths(const struct exchange *e)
{
    int count = 0;

    http_header_each(&e->x, count_length, &count);
    return count > 1;
}

static bool
is_stopping(struct http_server *server)
{
    bool stopping;

    pthread_mutex_lock(&server->lock);
    stopping = server->stopping;
    pthread_mutex_unlock(&server->lock);
    return stopping;
}

/* Handlers may block for longer than a silent client may: the clock stands still for them.  MHD
 * starts it anew when a timeout follows none. */
static void
set_timeout(const struct exchange *e, unsigned seconds)
{
    (void)MHD_set_connection_option(e->connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static void
begin_on_route(struct exchange *e)
{
    e->collect_limit = collect_limit(e);
    if (e->route->body == NULL && e->x.body_size > (int64_t)e->collect_limit) {
        refuse(e, 413, "The body is too large.");
        return;
    }
    e->has_begun = true;
    if (e->route->begin != NULL)
        e->route->begin(&e->x, e->route->ctx);
}

static void
begin(struct exchange *e, const char *method)
{
    struct http_exchange *x = &e->x;

    x->method = arena_dup(&x->arena, str_of(method));
    find_client(e);
    if (!str_to_i64(http_header_get(x, "Content-Length"), &x->body_size) || x->body_size < 0)
        x->body_size = http_header_get(x, "Transfer-Encoding").at == NULL ? 0 : -1;
    e->route = find_route(e->server, x->path);
    const int refusal = http_guest_refusal(e->guest);
    if (refusal != 0) {
        refuse_for_now(e, refusal,
                       refusal == 429 ? "There are too many connections from this address."
                                      : "There are too many connections.");
    } else if (is_stopping(e->server)) {
        refuse_and_close(e, 503, "The server is shutting down.");
    } else if (has_two_lengths(e)) {
        refuse_and_close(e, 400, "The length of the body is given twice.");
    } else if (e->route == NULL) {
        reply_text(e, 404, "not found\n");
    } else {
        begin_on_route(e);
    }
}

/* Is there room for so many bytes more of a body that is kept? It grows by doubling. */
static bool
make_room(struct exchange *e, size_t more)
{
    const size_t need = e->collected.len + more;
    size_t want = e->kept * 2 > 2 * KEPT_UNCOUNTED ? e->kept * 2 : 2 * KEPT_UNCOUNTED;
    int status;

    if (need <= KEPT_UNCOUNTED || need <= e->kept)
        return true;
    if (want > e->collect_limit)
        want = e->collect_limit;
    if (want < need)
        want = need;
    if (http_guest_keep(e->guest, want, &status)) {
        strbuf_reserve(&e->collected, want - e->collected.len);
        e->kept = want;
        return true;
    }
    strbuf_done(&e->collected);
    e->collected = (struct strbuf){0};
    refuse_for_now(e, status, "There is no room for the body at the moment.");
    return false;
}

static void
receive(struct exchange *e, struct str data)
{
    if (e->route->body != NULL) {
        e->route->body(&e->x, data, e->route->ctx);
    } else if (data.len > e->collect_limit - e->collected.len) {
        refuse(e, 413, "The body is too large.");
    } else if (make_room(e, data.len)) {
        strbuf_add(&e->collected, data);
    }
}

static void
end(struct exchange *e)
{
    e->x.body = strbuf_str(&e->collected);
    if (e->route->end != NULL)
        e->route->end(&e->x, e->route->ctx);
    if (e->replied)
        return;
    log_error("http.no_reply", "method=" STR_FMT " path=%s request_id=%s", STR_ARG(e->x.method),
              log_quote(arena_cstr(&e->x.arena, e->x.path)), e->x.request_id);
    reply_text(e, 500, "internal error\n");
}

static enum MHD_Result
send_reply(struct exchange *e)
{
    enum MHD_Result result =
        MHD_queue_response(e->connection, (unsigned)e->status, e->reply);

    if (e->is_stream)
        set_timeout(e, 0); /* a log may be silent for hours */
    return result;
}

/* The rest of its body is more than one reads out of politeness, or nobody knows how much. */
static bool
has_much_to_send(const struct exchange *e)
{
    return e->x.body_size < 0 || e->x.body_size - (int64_t)e->received > DROP_POLITELY_MAX;
}

/* A client that asked before sending, or that has much to send, hears the answer now; MHD then
 * closes the connection, because what follows on it would be a body. */
static bool
answers_early(const struct exchange *e)
{
    if (!e->replied || !has_body(e))
        return false;
    return has_much_to_send(e) || http_header_get(&e->x, "Expect").at != NULL;
}

/* In the middle of the body, where MHD takes no answer. MHD_NO closes the connection. */
static enum MHD_Result
cut(struct exchange *e)
{
    if (http_cut_answer(e->connection, e->status, e->reply, strbuf_str(&e->said)))
        http_cut_linger(e->connection);
    return MHD_NO;
}

static enum MHD_Result
on_body(struct exchange *e, struct str data)
{
    e->received += data.len;
    if (!e->replied) {
        enter_phase(e, GUEST_SERVED);
        e->is_receiving = true;
        receive(e, data);
        e->is_receiving = false;
    }
    enter_phase(e, GUEST_BODY);
    return e->replied && has_much_to_send(e) ? cut(e) : MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *upload_data, size_t *upload_size, void **con_cls)
{
    struct exchange *e = *con_cls;

    (void)cls;
    (void)connection;
    (void)url;
    (void)version;
    if (e->x.method.at == NULL) {
        set_timeout(e, 0);
        enter_phase(e, GUEST_SERVED);
        begin(e, method);
        set_timeout(e, IDLE_SECONDS);
        if (!answers_early(e)) {
            enter_phase(e, GUEST_BODY);
            return MHD_YES;
        }
        e->lingers = true;
        return send_reply(e);
    }
    if (*upload_size > 0) {
        struct str data = {upload_data, *upload_size};

        *upload_size = 0;
        return on_body(e, data);
    }
    set_timeout(e, 0);
    enter_phase(e, GUEST_SERVED);
    if (!e->replied)
        end(e);
    set_timeout(e, IDLE_SECONDS);
    return send_reply(e);
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
             enum MHD_RequestTerminationCode code)
{
    struct http_server *server = cls;
    struct exchange *e = *con_cls;

    (void)connection;
    if (e == NULL)
        return;
    *con_cls = NULL;
    /* First: what the route holds, an upload for example, is asked for again by who has heard the answer. */
    if (e->has_begun && e->route->done != NULL)
        e->route->done(&e->x, e->route->ctx);
    if (e->lingers && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        http_cut_linger(e->connection);
    if (e->reply != NULL)
        MHD_destroy_response(e->reply);
    strbuf_done(&e->collected);
    strbuf_done(&e->said);
    if (e->kept > 0)
        (void)http_guest_keep(e->guest, 0, &e->status);
    enter_phase(e, GUEST_IDLE);
    arena_done(&e->x.arena);
    free(e);
    pthread_mutex_lock(&server->lock);
    if (--server->running == 0)
        pthread_cond_signal(&server->idle_cond);
    pthread_mutex_unlock(&server->lock);
}

/* --- connections --- */

static enum MHD_Result
on_accept(void *cls, const struct sockaddr *address, socklen_t length)
{
    const struct http_server *s = cls;

    (void)length;
    return http_guests_may_enter(s->guests, address) ? MHD_YES : MHD_NO;
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
              enum MHD_ConnectionNotificationCode code)
{
    const struct http_server *s = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = http_guest_enter(
            s->guests,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
            clock_monotonic_ms());
        return;
    }
    http_guest_leave(*context);
    *context = NULL;
}

/* --- the server --- */

static void
server_free(struct http_server *s)
{
    pthread_cond_destroy(&s->idle_cond);
    pthread_mutex_destroy(&s->lock);
    http_guests_free(s->guests);
    free(s->routes);
    free(s->certificate);
    if (s->private_key != NULL)
        explicit_bzero(s->private_key, strlen(s->private_key));
    free(s->private_key);
    free(s);
}

static struct http_server *
server_new(const struct http_route *routes, size_t route_count)
{
    struct http_server *s = mem_new(sizeof(*s));
    pthread_condattr_t attr;

    s->routes = mem_new(route_count * sizeof(*routes));
    memcpy(s->routes, routes, route_count * sizeof(*routes));
    s->route_count = route_count;
    if (pthread_mutex_init(&s->lock, NULL) != 0 || pthread_condattr_init(&attr) != 0 ||
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&s->idle_cond, &attr) != 0)
        abort();
    pthread_condattr_destroy(&attr);
    return s;
}

#define DAEMON_FLAGS                                                                               \
    (MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC)

/* `fd` -1: connections are handed to it. `tls` NULL: it speaks plain HTTP. */
static struct MHD_Daemon *
daemon_start(struct http_server *s, int fd, const struct http_tls *tls)
{
    struct MHD_OptionItem options[8] = {{MHD_OPTION_END, 0, NULL}};
    int count = 0;

    if (fd >= 0)
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_LISTEN_SOCKET, fd, NULL};
    if (tls != NULL) {
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, s->certificate};
        options[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, s->private_key};
        options[count++] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
    }
    options[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(
        DAEMON_FLAGS | (fd < 0 ? MHD_USE_NO_LISTEN_SOCKET : 0) | (tls != NULL ? MHD_USE_TLS : 0), 0,
        on_accept, s, on_request, s, MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        HEAD_AND_READ_BUFFER, MHD_OPTION_THREAD_STACK_SIZE, STACK_SIZE,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

static bool
is_loopback(const struct sockaddr *address)
{
    static const unsigned char mapped[13] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family != AF_INET6)
        return false;
    const struct in6_addr *in6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || memcmp(in6->s6_addr, mapped, sizeof(mapped)) == 0;
}

static void
refuse_plain(int fd)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                                 "Connection: close\r\nContent-Length: 51\r\n\r\n"
                                 "this port speaks HTTPS to other machines than this\n";

    (void)!send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static void
take_connection(void *ctx, int fd, const struct sockaddr *address, socklen_t length, bool is_tls)
{
    struct http_server *s = ctx;

    if (is_tls || is_loopback(address))
        (void)MHD_add_connection(is_tls ? s->secure : s->mhd, fd, address, length); /* closes it if not */
    else
        refuse_plain(fd);
}

static bool
start_both(struct http_server *s, int fd, const struct http_tls *tls, struct err *err)
{
    s->certificate = text_dup(tls->certificate);
    s->private_key = text_dup(tls->private_key);
    s->listener = fd;
    s->mhd = daemon_start(s, -1, NULL);
    s->secure = daemon_start(s, -1, tls);
    if (s->mhd == NULL || s->secure == NULL)
        return err_set(err, ERR_INTERNAL,
                       "cannot start HTTPS: the certificate or its key is not to the server's liking");
    s->door = http_door_open(fd, take_connection, s, err);
    return s->door != NULL;
}

static bool
start(struct http_server *s, int fd, const struct http_tls *tls, const struct http_limits *limits,
      const char *listen, struct err *err)
{
    s->port = listener_port(fd);
    if (!http_proxies_read(limits->proxies, &s->proxies, err))
        return false;
    s->guests = http_guests_new(limits, HTTP_CONNECTIONS_MAX, err);
    if (s->guests == NULL || !http_guests_watch(s->guests, err))
        return false;
    if (tls != NULL)
        return start_both(s, fd, tls, err);
    s->mhd = daemon_start(s, fd, NULL);
    return s->mhd != NULL || err_set(err, ERR_INTERNAL, "cannot start the HTTP server on %s port %u",
                                     listen, s->port);
}

struct http_server *
http_server_start_limited(const char *listen, unsigned port, const struct http_tls *tls,
                          const struct http_limits *limits, const struct http_route *routes,
                          size_t route_count, struct err *err)
{
    int fd = listener_open(listen, port, err);
    struct http_server *s;

    if (fd < 0)
        return NULL;
    (void)signal(SIGPIPE, SIG_IGN); /* sendfile() has no MSG_NOSIGNAL */
    s = server_new(routes, route_count);
    if (start(s, fd, tls, limits, listen, err))
        return s;
    if (s->secure != NULL)
        MHD_stop_daemon(s->secure);
    if (s->mhd != NULL)
        MHD_stop_daemon(s->mhd);
    close(fd);
    server_free(s);
    return NULL;
}

struct http_server *
http_server_start_tls(const char *listen, unsigned port, const struct http_tls *tls,
                      const struct http_route *routes, size_t route_count, struct err *err)
{
    static const struct http_limits limits = {HTTP_PER_ADDRESS, HTTP_BODY_BYTES, HTTP_TRUSTED, ""};

    return http_server_start_limited(listen, port, tls, &limits, routes, route_count, err);
}

struct http_server *
http_server_start(const char *listen, unsigned port, const struct http_route *routes,
                  size_t route_count, struct err *err)
{
    return http_server_start_tls(listen, port, NULL, routes, route_count, err);
}

unsigned
http_server_port(const struct http_server *s)
{
    return s->port;
}

/* Waits for what runs, but not for ever: a follower of a log may never hang up. */
static void
wait_until_idle(struct http_server *s)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_S;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    while (s->running > 0)
        if (pthread_cond_timedwait(&s->idle_cond, &s->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&s->lock);
}

void
http_server_stop(struct http_server *s)
{
    int fd;

    if (s == NULL)
        return;
    http_door_close(s->door);
    fd = s->door != NULL ? s->listener : MHD_quiesce_daemon(s->mhd);
    wait_until_idle(s);
    MHD_stop_daemon(s->mhd);
    if (s->secure != NULL)
        MHD_stop_daemon(s->secure);
    cleanup_close_(&fd);
    server_free(s);
}
