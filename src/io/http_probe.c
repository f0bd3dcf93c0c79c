/* SPDX-License-Identifier: MIT */
#include "io/http_probe.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include "base/str.h"
#include "io/http_client.h"

#define HEAD_LIMIT 65536
#define BODY_LIMIT 65536 /* read and dropped, so that the end is no reset; then it is enough */

struct http_prober {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer *timer;
    int under_way;
};

struct watch { /* of one socket, with curl */
    struct http_prober *prober;
    curl_socket_t fd;
    struct loop_fd *fd_watch;
};

struct http_probe {
    struct http_prober *prober;
    CURL *easy;
    struct curl_slist *headers;
    bool is_http2, is_grpc;
    bool has_head;  /* of the final answer */
    int grpc_status; /* -1: none */
    int socket_error; /* why there was no socket, which curl does not tell; 0: there was */
    size_t head_len, body_len;
    char message[5]; /* gRPC: not compressed, of no length */
    void (*done)(void *arg, enum http_probe_result result, int status);
    void *arg;
};

/* ---- curl on the loop ---- */

static void tell_done(struct http_prober *p);

static void
act(struct http_prober *p, curl_socket_t fd, int what)
{
    int running;

    (void)curl_multi_socket_action(p->multi, fd, what, &running);
    tell_done(p);
}

static void
fd_ready(void *arg, bool readable, bool writable)
{
    const struct watch *w = arg;

    act(w->prober, w->fd, (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0));
}

static void
timer_due(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    struct http_prober *p = ctx;
    struct watch *w = of_socket;

    if (what == CURL_POLL_REMOVE) {
        if (w != NULL)
            loop_fd_free(w->fd_watch);
        free(w);
        (void)curl_multi_assign(p->multi, fd, NULL);
        return 0;
    }
    if (w == NULL) {
        w = mem_new(sizeof(*w));
        w->prober = p;
        w->fd = fd;
        w->fd_watch = loop_fd_new(p->loop, fd, fd_ready, w);
        (void)curl_multi_assign(p->multi, fd, w);
    }
    loop_fd_watch(w->fd_watch, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    struct http_prober *p = ctx;

    if (timeout_ms < 0)
        loop_timer_clear(p->timer);
    else
        loop_timer_set(p->timer, timeout_ms); /* never from here, also if it is 0 */
    return 0;
}

struct http_prober *
http_prober_new(struct loop *loop)
{
    struct http_prober *p = mem_new(sizeof(*p));

    http_client_init();
    p->loop = loop;
    p->timer = loop_timer_new(loop, timer_due, p);
    p->multi = curl_multi_init();
    if (p->multi == NULL)
        abort();
    (void)curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    (void)curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
    return p;
}

void
http_prober_free(struct http_prober *p)
{
    if (p == NULL)
        return;
    assert(p->under_way == 0);
    (void)curl_multi_cleanup(p->multi);
    loop_timer_free(p->timer);
    free(p);
}

/* ---- one probe ---- */

static size_t
on_header(char *at, size_t size, size_t count, void *arg)
{
    struct http_probe *probe = arg;
    struct str line = {at, size * count}, name;
    int64_t status;
    long code = 0;

    probe->head_len += line.len;
    if (probe->head_len > HEAD_LIMIT)
        return 0;
    (void)curl_easy_getinfo(probe->easy, CURLINFO_RESPONSE_CODE, &code);
    if (str_trim(line).len == 0 && code >= 200)
        probe->has_head = true;
    /* In the head where nothing follows, else in the trailer. */
    if (probe->is_grpc && str_split(&line, ':', &name) &&
        str_equal_nocase(str_trim(name), STR("grpc-status")) && str_to_i64(str_trim(line), &status) &&
        status >= 0 && status <= 999)
        probe->grpc_status = (int)status;
    return size * count;
}

static size_t
on_body(char *at, size_t size, size_t count, void *arg)
{
    struct http_probe *probe = arg;

    probe->body_len += size * count;
    return probe->body_len <= BODY_LIMIT ? size * count : CURL_WRITEFUNC_ERROR;
}

static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct http_probe *probe = arg;
    const int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);

    (void)purpose;
    probe->socket_error = fd < 0 ? errno : 0;
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void
set(CURL *easy, CURLoption option, const void *value)
{
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
        abort(); /* no memory, or an option that this libcurl does not know */
}

static void
set_number(CURL *easy, CURLoption option, long value)
{
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
        abort();
}

static void
set_request(struct http_probe *probe, const struct http_probe_spec *spec)
{
    CURL *easy = probe->easy;
    const bool is_tls = strncmp(spec->origin, "https:", 6) == 0;

    set(easy, CURLOPT_URL, spec->origin);
    set(easy, CURLOPT_REQUEST_TARGET, spec->path);
    set(easy, CURLOPT_PROXY, "");
    set(easy, CURLOPT_USERAGENT, "ELB-HealthChecker/2.0");
    set_number(easy, CURLOPT_HTTP_VERSION,
               !spec->is_http2 ? CURL_HTTP_VERSION_1_1
               : is_tls        ? CURL_HTTP_VERSION_2TLS
                               : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    if (spec->is_grpc) {
        probe->headers = curl_slist_append(NULL, "content-type: application/grpc");
        probe->headers = curl_slist_append(probe->headers, "te: trailers");
        if (probe->headers == NULL)
            abort();
        set(easy, CURLOPT_HTTPHEADER, probe->headers);
        set_number(easy, CURLOPT_POST, 1);
        set(easy, CURLOPT_POSTFIELDS, probe->message);
        set_number(easy, CURLOPT_POSTFIELDSIZE, (long)sizeof(probe->message));
    }
}

static void
set_manner(struct http_probe *probe, int64_t timeout_ms)
{
    CURL *easy = probe->easy;

    set_number(easy, CURLOPT_NOSIGNAL, 1);
    set_number(easy, CURLOPT_SSL_VERIFYPEER, 0);
    set_number(easy, CURLOPT_SSL_VERIFYHOST, 0);
    set_number(easy, CURLOPT_FRESH_CONNECT, 1);
    set_number(easy, CURLOPT_FORBID_REUSE, 1);
    set_number(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    set_number(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
    set(easy, CURLOPT_PRIVATE, probe);
    set(easy, CURLOPT_HEADERDATA, probe);
    set(easy, CURLOPT_WRITEDATA, probe);
    set(easy, CURLOPT_OPENSOCKETDATA, probe);
    if (curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket) != CURLE_OK)
        abort();
}

struct http_probe *
http_probe_start(struct http_prober *p, const struct http_probe_spec *spec)
{
    struct http_probe *probe = mem_new(sizeof(*probe));

    probe->prober = p;
    probe->is_http2 = spec->is_http2;
    probe->is_grpc = spec->is_grpc;
    probe->grpc_status = -1;
    probe->done = spec->done;
    probe->arg = spec->arg;
    probe->easy = curl_easy_init();
    if (probe->easy == NULL)
        abort();
    set_request(probe, spec);
    set_manner(probe, spec->timeout_ms);
    p->under_way++;
    if (curl_multi_add_handle(p->multi, probe->easy) != CURLM_OK)
        abort();
    return probe;
}

void
http_probe_free(struct http_probe *probe)
{
    if (probe == NULL)
        return;
    (void)curl_multi_remove_handle(probe->prober->multi, probe->easy);
    curl_easy_cleanup(probe->easy);
    curl_slist_free_all(probe->headers);
    probe->prober->under_way--;
    free(probe);
}

/* ---- what it means ---- */

static bool
is_our_fault(const struct http_probe *probe, CURLcode code)
{
    long error = probe->socket_error;

    if (error == 0)
        (void)curl_easy_getinfo(probe->easy, CURLINFO_OS_ERRNO, &error);
    return code == CURLE_OUT_OF_MEMORY ||
           (code == CURLE_COULDNT_CONNECT &&
            (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
             error == EADDRNOTAVAIL));
}

static enum http_probe_result
judge(struct http_probe *probe, CURLcode code, int *status_out)
{
    long status = 0, version = 0;

    (void)curl_easy_getinfo(probe->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(probe->easy, CURLINFO_HTTP_VERSION, &version);
    /* Who has answered has answered, whatever becomes of the body. */
    if (!probe->has_head || (probe->is_grpc && probe->grpc_status < 0)) {
        if (is_our_fault(probe, code))
            return HTTP_PROBE_NOT_MADE;
        return code == CURLE_OPERATION_TIMEDOUT ? HTTP_PROBE_TIMED_OUT : HTTP_PROBE_FAILED;
    }
    if (probe->is_http2 && version != CURL_HTTP_VERSION_2_0)
        return HTTP_PROBE_FAILED;
    *status_out = probe->is_grpc ? probe->grpc_status : (int)status;
    return HTTP_PROBE_ANSWERED;
}

/* Those that have ended.  Each may free itself, others, and start new ones. */
static void
tell_done(struct http_prober *p)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(p->multi, &left)) != NULL) {
        const CURLcode code = message->data.result;
        struct http_probe *probe = NULL;
        int status = 0;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &probe);
        const enum http_probe_result result = judge(probe, code, &status);
        probe->done(probe->arg, result, status);
    }
}
