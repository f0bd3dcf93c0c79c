/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"

#define ANSWER_MAX 65536
#define BUCKETS_PER_DOUBLING 16
#define BUCKETS (32 * BUCKETS_PER_DOUBLING) /* microseconds up to 2^32 */
#define WORKER_STACK ((size_t)192 * 1024)

enum worker_kind { WORKER_KEEP_ALIVE, WORKER_FRESH, WORKER_SLOW };

struct load {
    struct load_config config;
    struct sockaddr_storage address;
    socklen_t address_len;
    int64_t started_us;
    atomic_bool is_stopping;
    atomic_int_least64_t ticket; /* numbers the requests: the n-th is due at n / rate */
    pthread_t threads[LOAD_WORKERS_MAX];
    int thread_count;

    pthread_mutex_t lock; /* of all below */
    struct load_report report;
    int64_t buckets[BUCKETS];
    int64_t max_us;
};

struct worker {
    struct load *load;
    enum worker_kind kind;
    int fd; /* -1: not connected */
    char answer[ANSWER_MAX + 1];
    size_t len;
};

enum outcome { OUTCOME_GOOD, OUTCOME_BAD, OUTCOME_STALE };

bool
load_url_parse(const char *url, struct load_config *out, struct err *err)
{
    int used = 0;

    if (sscanf(url, "http://%127[^:/]:%d%n", out->host, &out->port, &used) != 2 || out->port < 1 ||
        out->port > 65535 || (url[used] != '/' && url[used] != '\0'))
        return err_set(err, ERR_USAGE,
                       "the URL must look like http://127.0.0.1:8080/path, not '%s'", url);
    if (!text_copy(out->path, sizeof(out->path), str_of(url[used] != '\0' ? url + used : "/")))
        return err_set(err, ERR_USAGE, "the URL's path is too long");
    return true;
}

const char *
load_failure_name(enum load_failure kind)
{
    static const char *const names[] = {"connect", "closed", "timeout", "status", "malformed"};

    return names[kind];
}

/* ---- counting ---- */

static int64_t
elapsed_ms(const struct load *load)
{
    return (clock_monotonic_us() - load->started_us) / 1000;
}

static int
bucket_of(int64_t us)
{
    const uint64_t value = us < 1 ? 1 : (uint64_t)us;
    const int doubling = 63 - __builtin_clzll(value);
    const int fraction = (int)(((value << 4) >> doubling) & 15);
    const int bucket = doubling * BUCKETS_PER_DOUBLING + fraction;

    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double
bucket_ms(int bucket)
{
    const double base = (double)(1ULL << (bucket / BUCKETS_PER_DOUBLING));

    return base * (1 + (double)(bucket % BUCKETS_PER_DOUBLING + 1) / BUCKETS_PER_DOUBLING) / 1000;
}

static double
percentile(const struct load *load, double part)
{
    int64_t all = 0, seen = 0;

    for (int i = 0; i < BUCKETS; i++)
        all += load->buckets[i];
    for (int i = 0; i < BUCKETS; i++) {
        seen += load->buckets[i];
        if (all > 0 && (double)seen >= part * (double)all)
            return bucket_ms(i);
    }
    return 0;
}

static void
count_good(struct worker *w, const char *version, int64_t took_us)
{
    struct load *load = w->load;
    struct load_report *r = &load->report;
    const int64_t at_ms = elapsed_ms(load);
    int i = 0;

    pthread_mutex_lock(&load->lock);
    r->requests++;
    if (w->kind != WORKER_SLOW) {
        load->buckets[bucket_of(took_us)]++;
        load->max_us = took_us > load->max_us ? took_us : load->max_us;
    }
    while (i < r->version_count && strcmp(r->versions[i].name, version) != 0)
        i++;
    if (i == r->version_count && i < LOAD_VERSIONS_MAX) {
        text_copy(r->versions[i].name, sizeof(r->versions[i].name), str_of(version));
        r->versions[i].first_ms = at_ms;
        r->version_count++;
    }
    if (i < r->version_count) {
        r->versions[i].count++;
        r->versions[i].last_ms = at_ms;
    }
    pthread_mutex_unlock(&load->lock);
}

static void
count_bad(struct worker *w, enum load_failure kind, const char *detail)
{
    static const char *const kinds[] = {"keep-alive", "fresh", "slow"};
    struct load_report *r = &w->load->report;
    const int64_t at_ms = elapsed_ms(w->load);

    pthread_mutex_lock(&w->load->lock);
    r->requests++;
    r->failed++;
    r->failures[kind]++;
    if (r->sample_count < LOAD_SAMPLES_MAX) {
        r->samples[r->sample_count].at_ms = at_ms;
        snprintf(r->samples[r->sample_count].text, sizeof(r->samples[0].text), "%s: %s: %s",
                 kinds[w->kind], load_failure_name(kind), detail);
        r->sample_count++;
    }
    pthread_mutex_unlock(&w->load->lock);
}

/* ---- one request ---- */

static void
disconnect(struct worker *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static bool
wait_for(int fd, short events, int64_t end_ms)
{
    struct pollfd p = {fd, events, 0};
    int64_t left;

    while ((left = end_ms - clock_monotonic_ms()) > 0) {
        const int ready = poll(&p, 1, (int)left);

        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
    errno = ETIMEDOUT;
    return false;
}

static bool
connect_worker(struct worker *w, int64_t end_ms)
{
    const int on = 1;
    int problem = 0;
    socklen_t size = sizeof(problem);

    w->fd = socket(w->load->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (w->fd < 0)
        return false;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(w->fd, (const struct sockaddr *)&w->load->address, w->load->address_len) == 0)
        return true;
    if (errno != EINPROGRESS || !wait_for(w->fd, POLLOUT, end_ms))
        return false;
    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0 || problem != 0) {
        errno = problem;
        return false;
    }
    return true;
}

static bool
send_request(struct worker *w, int64_t end_ms)
{
    const struct load_config *c = &w->load->config;
    char text[1024];
    const int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s:%d\r\n%s\r\n",
                                w->kind == WORKER_SLOW ? c->slow_path : c->path, c->host, c->port,
                                w->kind == WORKER_FRESH ? "Connection: close\r\n" : "");
    int sent = 0;

    while (sent < length) {
        const ssize_t n = send(w->fd, text + sent, (size_t)(length - sent), MSG_NOSIGNAL);

        if (n > 0)
            sent += (int)n;
        else if (n >= 0 ||
                 (errno != EINTR && (errno != EAGAIN || !wait_for(w->fd, POLLOUT, end_ms))))
            return false;
    }
    return true;
}

/* The value of a header in the head of the answer, as a view up to the line's end. */
static struct str
header_of(const struct worker *w, size_t head_len, const char *name)
{
    const size_t length = strlen(name);
    struct str head = {w->answer, head_len}, line;

    while (str_split(&head, '\n', &line))
        if (line.len > length && strncasecmp(line.at, name, length) == 0 && line.at[length] == ':')
            return str_trim(str_slice(line, length + 1, line.len));
    return (struct str){0};
}

static void
version_of(const struct worker *w, size_t head_len, char *out, size_t size)
{
    struct str version = header_of(w, head_len, "X-Version");
    struct str body = {w->answer + head_len, w->len - head_len};

    if (version.at == NULL && !str_split(&body, '\n', &version))
        version = STR("none");
    version = str_trim(version);
    if (str_index(version, ' ') > 0) /* "v2 3f2a91b0": the first word */
        version = str_slice(version, 0, (size_t)str_index(version, ' '));
    text_copy(out, size, str_slice(version, 0, size - 1));
}

/* The whole answer; 0 bytes before a close on a kept connection is OUTCOME_STALE. */
static enum outcome
receive(struct worker *w, bool is_kept, int64_t end_ms, size_t *head_out, bool *closes_out)
{
    int64_t want = -1; /* of the whole answer, once the head is there */
    size_t head = 0;

    w->len = 0;
    for (;;) {
        ssize_t got;

        if (want >= 0 && (int64_t)w->len >= want)
            break;
        if (w->len == ANSWER_MAX)
            return count_bad(w, LOAD_MALFORMED, "an answer of more than 64 KiB"), OUTCOME_BAD;
        got = recv(w->fd, w->answer + w->len, ANSWER_MAX - w->len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN) {
            if (wait_for(w->fd, POLLIN, end_ms))
                continue;
            return count_bad(w, LOAD_TIMEOUT, w->len == 0 ? "no answer" : "half an answer"),
                   OUTCOME_BAD;
        }
        if (got <= 0) {
            if (w->len == 0 && is_kept)
                return OUTCOME_STALE;
            return count_bad(w, LOAD_CLOSED,
                             w->len == 0 ? "before the answer" : "in the middle of the answer"),
                   OUTCOME_BAD;
        }
        w->len += (size_t)got;
        w->answer[w->len] = '\0';
        if (want < 0) {
            const char *end = strstr(w->answer, "\r\n\r\n");
            struct str length;

            if (end == NULL)
                continue;
            head = (size_t)(end + 4 - w->answer);
            length = header_of(w, head, "Content-Length");
            if (!str_to_i64(length, &want) || want < 0)
                return count_bad(w, LOAD_MALFORMED, "an answer without Content-Length"),
                       OUTCOME_BAD;
            want += (int64_t)head;
        }
    }
    *head_out = head;
    *closes_out = str_equal_nocase(header_of(w, head, "Connection"), STR("close"));
    return OUTCOME_GOOD;
}

static enum outcome
try_request(struct worker *w, int64_t began_us)
{
    const bool is_kept = w->fd >= 0;
    const int64_t end_ms = clock_monotonic_ms() + w->load->config.timeout_ms;
    size_t head = 0;
    bool closes = false;
    enum outcome outcome;
    char version[32];
    int status;

    if (!is_kept && !connect_worker(w, end_ms))
        return count_bad(w, LOAD_CONNECT, strerror(errno)), OUTCOME_BAD;
    if (!send_request(w, end_ms)) {
        if (is_kept)
            return OUTCOME_STALE;
        return count_bad(w, LOAD_CLOSED, "while sending"), OUTCOME_BAD;
    }
    outcome = receive(w, is_kept, end_ms, &head, &closes);
    if (outcome != OUTCOME_GOOD)
        return outcome;
    if (sscanf(w->answer, "HTTP/1.%*d %d", &status) != 1)
        return count_bad(w, LOAD_MALFORMED, "no status line"), OUTCOME_BAD;
    if (status < 200 || status > 299) {
        char detail[16];

        snprintf(detail, sizeof(detail), "%d", status);
        return count_bad(w, LOAD_STATUS, detail), OUTCOME_BAD;
    }
    version_of(w, head, version, sizeof(version));
    count_good(w, version, clock_monotonic_us() - began_us);
    if (closes || w->kind == WORKER_FRESH)
        disconnect(w);
    return OUTCOME_GOOD;
}

static void
request(struct worker *w)
{
    const int64_t began_us = clock_monotonic_us();
    enum outcome outcome = try_request(w, began_us);

    if (outcome == OUTCOME_STALE) {
        disconnect(w);
        pthread_mutex_lock(&w->load->lock);
        w->load->report.resent++;
        pthread_mutex_unlock(&w->load->lock);
        outcome = try_request(w, began_us); /* on a new connection: it cannot be stale */
    }
    if (outcome == OUTCOME_BAD) {
        disconnect(w);
        clock_sleep_ms(5); /* a service that is down is not to be hammered */
    }
}

/* Waits for this request's turn; the workers share one schedule. */
static void
wait_for_turn(struct worker *w)
{
    struct load *load = w->load;
    int64_t due_us, now_us;

    if (load->config.rate <= 0 || w->kind == WORKER_SLOW)
        return;
    now_us = clock_monotonic_us();
    due_us = load->started_us + atomic_fetch_add(&load->ticket, 1) * 1000000 / load->config.rate;
    if (now_us - due_us > 1000000) /* hopelessly behind: do not send a burst later */
        atomic_fetch_add(&load->ticket, (now_us - due_us) * load->config.rate / 1000000);
    if (due_us > now_us)
        usleep((useconds_t)(due_us - now_us));
}

static void *
run_worker(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(&w->load->is_stopping)) {
        wait_for_turn(w);
        request(w);
    }
    disconnect(w);
    free(w);
    return NULL;
}

/* ---- from outside ---- */

static void
add_workers(struct load *load, enum worker_kind kind, int count)
{
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    for (int i = 0; i < count && load->thread_count < LOAD_WORKERS_MAX; i++) {
        struct worker *w = mem_new(sizeof(*w));

        w->load = load;
        w->kind = kind;
        w->fd = -1;
        if (pthread_create(&load->threads[load->thread_count], &attributes, run_worker, w) != 0)
            abort();
        load->thread_count++;
    }
    pthread_attr_destroy(&attributes);
}

struct load *
load_start(const struct load_config *config)
{
    struct load *load = mem_new(sizeof(*load));
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[12];

    load->config = *config;
    snprintf(port, sizeof(port), "%d", config->port);
    if (getaddrinfo(config->host, port, &hints, &found) == 0) {
        memcpy(&load->address, found->ai_addr, found->ai_addrlen);
        load->address_len = found->ai_addrlen;
        freeaddrinfo(found);
    }
    pthread_mutex_init(&load->lock, NULL);
    load->started_us = clock_monotonic_us();
    add_workers(load, WORKER_KEEP_ALIVE, config->keep_alive);
    add_workers(load, WORKER_FRESH, config->fresh);
    add_workers(load, WORKER_SLOW, config->slow);
    return load;
}

void
load_look(struct load *load, struct load_report *out)
{
    pthread_mutex_lock(&load->lock);
    *out = load->report;
    out->p50_ms = percentile(load, 0.50);
    out->p99_ms = percentile(load, 0.99);
    out->max_ms = (double)load->max_us / 1000;
    pthread_mutex_unlock(&load->lock);
    out->elapsed_ms = elapsed_ms(load);
}

void
load_stop(struct load *load, struct load_report *out)
{
    atomic_store(&load->is_stopping, true);
    for (int i = 0; i < load->thread_count; i++)
        pthread_join(load->threads[i], NULL);
    load_look(load, out);
    pthread_mutex_destroy(&load->lock);
    free(load);
}

void
load_print(const struct load_report *r, FILE *out)
{
    fprintf(out, "requests=%lld failed=%lld resent=%lld", (long long)r->requests,
            (long long)r->failed, (long long)r->resent);
    for (int i = 0; i < LOAD_FAILURES; i++)
        if (r->failures[i] > 0)
            fprintf(out, " %s=%lld", load_failure_name((enum load_failure)i),
                    (long long)r->failures[i]);
    fprintf(out, " p50_ms=%.2f p99_ms=%.2f max_ms=%.2f seconds=%.1f versions=", r->p50_ms,
            r->p99_ms, r->max_ms, (double)r->elapsed_ms / 1000);
    for (int i = 0; i < r->version_count; i++)
        fprintf(out, "%s%s:%lld", i > 0 ? "," : "", r->versions[i].name,
                (long long)r->versions[i].count);
    if (r->version_count == 0)
        fputs("none", out);
}
