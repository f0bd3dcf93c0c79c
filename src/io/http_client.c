/* SPDX-License-Identifier: MIT */
#include "io/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include "base/clock.h"

#define CONNECT_TIMEOUT_MS 5000
#define ANSWER_LIMIT ((size_t)16 * 1024 * 1024)
#define HEADERS_LIMIT ((size_t)256 * 1024)
#define CANCEL_POLL_MS 250
#define SEND_BUFFER 262144L

/* One easy handle driven by a multi handle: curl_easy_perform() asks its progress callback only
 * once a second, and the connections live in the multi. */
struct http_client {
    CURL *easy;
    CURLM *multi;
};

/* What one call needs while it runs. */
struct transfer {
    const struct http_call *call;
    struct http_answer *answer;
    int64_t last_byte_ms;
    bool stopped;   /* on_data() had enough */
    bool too_large;
    int64_t sent;   /* of call->file */
    int file_errno; /* why it cannot be read; 0: nothing is wrong */
    bool file_is_short;
};

static void
global_init(void)
{
    /* CURLOPT_NOSIGNAL covers what curl writes itself, TLS libraries write on their own. */
    (void)signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

void
http_client_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, global_init);
}

struct http_client *
http_client_new(void)
{
    struct http_client *c = mem_new(sizeof(*c));

    http_client_init();
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    if (c->easy == NULL || c->multi == NULL)
        abort();
    (void)curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, 4L);
    return c;
}

void
http_client_free(struct http_client *c)
{
    if (c == NULL)
        return;
    curl_easy_cleanup(c->easy);
    (void)curl_multi_cleanup(c->multi);
    free(c);
}

static size_t
on_body(char *at, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str data = {at, size * count};
    size_t limit = t->call->limit == 0 ? ANSWER_LIMIT : t->call->limit;

    t->last_byte_ms = clock_monotonic_ms();
    if (t->call->on_data != NULL) {
        if (t->call->on_data(t->call->arg, data))
            return data.len;
        t->stopped = true;
        return CURL_WRITEFUNC_ERROR;
    }
    if (data.len > limit - t->answer->body.len) {
        t->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    strbuf_add(&t->answer->body, data);
    return data.len;
}

static size_t
on_header(char *at, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    struct str line = {at, size * count};

    t->last_byte_ms = clock_monotonic_ms();
    if (str_starts(line, STR("HTTP/")))
        strbuf_clear(&t->answer->headers); /* a "100 Continue" came before the real head */
    if (t->answer->headers.len + line.len > HEADERS_LIMIT) {
        t->too_large = true;
        return 0;
    }
    strbuf_add(&t->answer->headers, line);
    return line.len;
}

/* The next bytes of call->file. */
static size_t
on_send(char *to, size_t size, size_t count, void *arg)
{
    struct transfer *t = arg;
    const struct http_file *file = t->call->file;
    const int64_t left = file->size - t->sent;
    const size_t wanted = (int64_t)(size * count) < left ? size * count : (size_t)left;
    ssize_t n;

    if (wanted == 0)
        return 0;
    do
        n = pread(file->fd, to, wanted, (off_t)t->sent);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        t->file_is_short = n == 0;
        t->file_errno = n < 0 ? errno : EIO;
        return CURL_READFUNC_ABORT;
    }
    t->sent += n;
    return (size_t)n;
}

/* A connection that was kept and is found closed: the body once more. */
static int
on_rewind(void *arg, curl_off_t offset, int origin)
{
    struct transfer *t = arg;

    if (origin != SEEK_SET || offset < 0 || offset > t->call->file->size)
        return CURL_SEEKFUNC_CANTSEEK;
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

/* Bytes that leave count as a sign of life, too: a large upload gets no answer for long. */
static int
on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    struct transfer *t = arg;

    (void)down_total;
    (void)down;
    if (up > 0 && up < up_total)
        t->last_byte_ms = clock_monotonic_ms();
    return 0;
}

static void
set(CURL *easy, CURLoption option, const void *value)
{
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
        abort(); /* constant options; only memory can be short */
}

static void
set_long(CURL *easy, CURLoption option, long value)
{
    if (curl_easy_setopt(easy, option, value) != CURLE_OK)
        abort();
}

static void
set_file(CURL *easy, struct transfer *t)
{
    set_long(easy, CURLOPT_POST, 1);
    set_long(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER);
    if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->call->file->size) !=
            CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_send) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind) != CURLE_OK)
        abort();
    set(easy, CURLOPT_READDATA, t);
    set(easy, CURLOPT_SEEKDATA, t);
}

static void
set_body(CURL *easy, struct transfer *t)
{
    const struct http_call *call = t->call;
    bool wants_body = strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0 ||
                      strcmp(call->method, "PATCH") == 0;

    if (strcmp(call->method, "HEAD") == 0) {
        set_long(easy, CURLOPT_NOBODY, 1);
    } else if (call->file != NULL) {
        set_file(easy, t);
    } else if (call->body.at != NULL || wants_body) {
        set_long(easy, CURLOPT_POST, 1);
        if (curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len) !=
            CURLE_OK)
            abort();
        set(easy, CURLOPT_POSTFIELDS, call->body.at == NULL ? "" : call->body.at);
    } else {
        set_long(easy, CURLOPT_HTTPGET, 1);
    }
    set(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static long
as_long(int64_t ms)
{
    return ms > INT32_MAX ? INT32_MAX : (long)ms;
}

static void
set_options(CURL *easy, struct transfer *t)
{
    const struct http_call *call = t->call;

    curl_easy_reset(easy);
    set(easy, CURLOPT_URL, call->url);
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set_long(easy, CURLOPT_NOSIGNAL, 1);
    set_long(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    set_long(easy, CURLOPT_PATH_AS_IS, 1);
    set_long(easy, CURLOPT_TCP_NODELAY, 1);
    /* A proxy of the environment is meant for the world outside, not for our own containers. */
    if (call->unix_socket != NULL || str_starts(str_of(call->url), STR("http://")))
        set(easy, CURLOPT_PROXY, "");
    if (call->unix_socket != NULL)
        set(easy, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    set_long(easy, CURLOPT_CONNECTTIMEOUT_MS,
             call->connect_timeout_ms > 0 ? as_long(call->connect_timeout_ms) : CONNECT_TIMEOUT_MS);
    if (call->timeout_ms > 0)
        set_long(easy, CURLOPT_TIMEOUT_MS, as_long(call->timeout_ms));
    if (curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress) != CURLE_OK)
        abort();
    set(easy, CURLOPT_WRITEDATA, t);
    set(easy, CURLOPT_HEADERDATA, t);
    set(easy, CURLOPT_XFERINFODATA, t);
    set_long(easy, CURLOPT_NOPROGRESS, 0);
    set_body(easy, t);
}

static void
add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL)
        abort();
    *list = longer;
}

/* curl adds "Expect: 100-continue" to large bodies and a form's content type to all; the first
 * costs a round trip, the second is a lie. */
static struct curl_slist *
make_headers(const struct http_call *call)
{
    struct curl_slist *list = NULL;
    bool has_type = false, has_expect = false;

    for (size_t i = 0; call->headers != NULL && call->headers[i] != NULL; i++) {
        struct str line = str_of(call->headers[i]);

        has_type = has_type || str_equal_nocase(str_slice(line, 0, 13), STR("content-type:"));
        has_expect = has_expect || str_equal_nocase(str_slice(line, 0, 7), STR("expect:"));
        add_header(&list, call->headers[i]);
    }
    if (!has_type)
        add_header(&list, "Content-Type:");
    if (!has_expect)
        add_header(&list, "Expect:");
    return list;
}

/* Where the call stands: still running, or over with `*result`. */
static bool
is_over(CURLM *multi, CURLcode *result)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            return true;
        }
    }
    return false;
}

static bool
drive(struct http_client *c, struct transfer *t, CURLcode *result, struct err *err)
{
    const struct http_call *call = t->call;
    int wait_ms = call->is_cancelled != NULL || call->idle_timeout_ms > 0 ? CANCEL_POLL_MS : 1000;

    for (;;) {
        int running;

        if (curl_multi_perform(c->multi, &running) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "curl failed");
        if (is_over(c->multi, result))
            return true;
        if (call->is_cancelled != NULL && call->is_cancelled(call->arg))
            return err_set(err, ERR_TIMEOUT, "given up");
        if (call->idle_timeout_ms > 0 &&
            clock_monotonic_ms() - t->last_byte_ms > call->idle_timeout_ms)
            return err_set(err, ERR_TIMEOUT, "no byte for %lld ms",
                           (long long)call->idle_timeout_ms);
        if (curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return err_set(err, ERR_INTERNAL, "curl failed");
    }
}

static bool
judge(const struct transfer *t, CURLcode result, const char *detail, struct err *err)
{
    enum err_code code = ERR_INTERNAL;

    if (result == CURLE_OK || t->stopped)
        return true;
    if (t->file_errno != 0) {
        errno = t->file_errno;
        return t->file_is_short
                   ? err_errno(err, "the body's file ends after %lld of %lld bytes",
                               (long long)t->sent, (long long)t->call->file->size)
                   : err_errno(err, "cannot read the body's file");
    }
    if (t->too_large)
        return err_set(err, ERR_LIMIT_EXCEEDED, "the answer is too large");
    if (result == CURLE_OPERATION_TIMEDOUT)
        code = ERR_TIMEOUT;
    else if (result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST)
        code = ERR_UNAVAILABLE;
    return err_set(err, code, "%s", detail[0] != '\0' ? detail : curl_easy_strerror(result));
}

bool
http_client_call(struct http_client *c, const struct http_call *call, struct http_answer *out,
                 struct err *err)
{
    struct transfer t = {.call = call, .answer = out, .last_byte_ms = clock_monotonic_ms()};
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers;
    CURLcode result = CURLE_OK;
    long status = 0;
    bool ok;

    assert(call->method != NULL && call->url != NULL);
    *out = (struct http_answer){0};
    set_options(c->easy, &t);
    headers = make_headers(call);
    set(c->easy, CURLOPT_HTTPHEADER, headers);
    set(c->easy, CURLOPT_ERRORBUFFER, detail);
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        abort();
    ok = drive(c, &t, &result, err) && judge(&t, result, detail, err);
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(c->multi, c->easy);
    set(c->easy, CURLOPT_ERRORBUFFER, NULL);
    set(c->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    out->status = (int)status;
    if (ok)
        return true;
    http_answer_done(out);
    return err_context(err, "%s %s", call->method, call->url);
}

void
http_answer_done(struct http_answer *a)
{
    strbuf_done(&a->body);
    strbuf_done(&a->headers);
    a->status = 0;
}

struct str
http_answer_header(const struct http_answer *a, const char *name)
{
    struct str rest = strbuf_str(&a->headers), line;

    while (str_split(&rest, '\n', &line)) {
        ptrdiff_t colon = str_index(line, ':');

        if (colon > 0 && str_equal_nocase(str_slice(line, 0, (size_t)colon), str_of(name)))
            return str_trim(str_slice(line, (size_t)colon + 1, line.len));
    }
    return (struct str){NULL, 0};
}
