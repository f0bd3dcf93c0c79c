/* SPDX-License-Identifier: MIT */
/* The pull-through cache beside upstreams that hang: a server of the test's own answers what it is
 * told to and keeps the rest waiting. */
#include "registry_world.h"

#include "registry/mirror/pull_failure.h"
#include "registry/mirror/pull_internal.h"

/* ---- what is remembered ---- */

TEST(what_took_long_to_fail_is_not_asked_again_for_a_while)
{
    cleanup(pull_failures_done) struct pull_failures f = {0};

    CHECK(pull_ask_begin(&f, "u", "a", 0));
    CHECK(!pull_ask_begin(&f, "u", "a", 1)); /* somebody asks already */
    CHECK(pull_ask_begin(&f, "u", "b", 1));
    pull_ask_end(&f, "u", "b", ERR_NONE, 1, 2);
    pull_ask_end(&f, "u", "a", ERR_UNAVAILABLE, 0, 2000); /* after two seconds */
    CHECK(!pull_ask_begin(&f, "u", "a", 13999) && !pull_ask_begin(&f, "u", "b", 13999));
    CHECK(pull_ask_begin(&f, "v", "c", 13999));
    CHECK(pull_ask_begin(&f, "u", "a", 14000));
    pull_ask_end(&f, "u", "a", ERR_NONE, 14000, 14001); /* it answers again */
    CHECK(pull_ask_begin(&f, "u", "b", 14002));
}

TEST(a_failure_is_the_tags_or_the_upstreams_and_never_remembered_for_long)
{
    cleanup(pull_failures_done) struct pull_failures f = {0};

    CHECK(pull_ask_begin(&f, "u", "a", 0));
    pull_ask_end(&f, "u", "a", ERR_ACCESS_DENIED, 0, 1000);
    CHECK(!pull_ask_begin(&f, "u", "a", 6999) && pull_ask_begin(&f, "u", "b", 6999));
    CHECK(pull_ask_begin(&f, "u", "a", 7000));
    pull_ask_end(&f, "u", "a", ERR_THROTTLING, 7000, 7000);
    CHECK(!pull_ask_begin(&f, "u", "c", 36999) && pull_ask_begin(&f, "u", "c", 37000));
    pull_ask_end(&f, "u", "c", ERR_TIMEOUT, 37000, 3637000);
    CHECK(!pull_ask_begin(&f, "u", "c", 3696999) && pull_ask_begin(&f, "u", "c", 3697000));
    pull_ask_end(&f, "u", "c", ERR_UNAVAILABLE, 3697000, 3697499); /* it was refused at once */
    CHECK(pull_ask_begin(&f, "u", "c", 3697499));
}

TEST(what_is_not_upstream_is_remembered_for_ten_seconds)
{
    cleanup(pull_failures_done) struct pull_failures f = {0};

    CHECK(!pull_is_absent(&f, "a", 0));
    pull_ask_end(&f, "u", "a", ERR_IMAGE_NOT_FOUND, 0, 1);
    CHECK(pull_is_absent(&f, "a", 10000) && !pull_is_absent(&f, "a", 10001) && !pull_is_absent(&f, "b", 1));
    CHECK(pull_ask_begin(&f, "u", "b", 1)); /* it is the tag's */
    pull_ask_end(&f, "u", "a", ERR_NONE, 2, 3);
    CHECK(!pull_is_absent(&f, "a", 3));
    pull_ask_end(&f, "u", "a", ERR_ACCESS_DENIED, 0, 1000); /* something else */
    CHECK(!pull_is_absent(&f, "a", 1001));
    pull_ask_end(&f, "u", "a", ERR_IMAGE_NOT_FOUND, 0, 5000); /* no longer because it took long to be said */
    CHECK(pull_is_absent(&f, "a", 14999) && !pull_is_absent(&f, "a", 15000));
}

TEST(the_memory_of_failures_has_an_end)
{
    cleanup(pull_failures_done) struct pull_failures f = {0};

    for (int i = 0; i < 2 * PULL_FAILURES_MAX; i++) {
        cleanup_free char *tag = text_format("t%d", i);
        CHECK(pull_ask_begin(&f, "u", tag, 0));
    }
    CHECK_EQ(f.count, PULL_FAILURES_MAX);
}

/* Who asks for names that nobody has does not make all others wait for an upstream that hangs. */
TEST(what_is_not_upstream_leaves_room_for_what_took_long_to_fail)
{
    cleanup(pull_failures_done) struct pull_failures f = {0};

    for (int i = 0; i < 2 * PULL_FAILURES_MAX; i++) {
        cleanup_free char *tag = text_format("t%d", i);
        pull_ask_end(&f, "u", tag, ERR_IMAGE_NOT_FOUND, 0, 1);
    }
    CHECK(pull_is_absent(&f, "t0", 1) && pull_is_absent(&f, "t99", 1));
    pull_ask_end(&f, "v", "a", ERR_UNAVAILABLE, 0, 2000);
    CHECK(!pull_ask_begin(&f, "v", "b", 2001));
}

/* ---- an upstream ---- */

#define HELD_MAX 64

struct upstream {
    int fd;
    unsigned port;
    pthread_t thread;
    _Atomic int asked;                   /* requests so far */
    atomic_bool holds_tags, holds_blobs; /* ... do not get an answer */
    atomic_bool lacks_tags;              /* ... are not there */
    char config[REGISTRY_DIGEST_SIZE];
    char *manifest;
    int held[HELD_MAX];
    _Atomic int held_count;
};

#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static void
upstream_say(int fd, const char *type, struct str body, bool is_head)
{
    cleanup_free char *head = text_format("HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
                                          "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                                          type, body.len);
    struct err err = {0};

    CHECK(file_write_all(fd, str_of(head), &err) && (is_head || file_write_all(fd, body, &err)));
}

/* One request a connection. True: it was answered. */
static bool
upstream_answer(struct upstream *u, int fd)
{
    char head[4096] = "";
    size_t len = 0;

    while (strstr(head, "\r\n\r\n") == NULL && len < sizeof head - 1) {
        const ssize_t n = read(fd, head + len, sizeof head - 1 - len);
        if (n <= 0)
            return true;
        len += (size_t)n;
        head[len] = '\0';
    }
    atomic_fetch_add(&u->asked, 1);
    const bool is_blob = strstr(head, "/blobs/") != NULL;
    if (atomic_load(is_blob ? &u->holds_blobs : &u->holds_tags))
        return false;
    if (!is_blob && atomic_load(&u->lacks_tags))
        return write(fd, NOT_FOUND, strlen(NOT_FOUND)) > 0;
    upstream_say(fd, is_blob ? "application/octet-stream" : OCI_MANIFEST,
                 is_blob ? STR("{}") : str_of(u->manifest), strncmp(head, "HEAD", 4) == 0);
    return true;
}

static void *
upstream_run(void *arg)
{
    struct upstream *u = arg;

    for (int fd; (fd = accept(u->fd, NULL, NULL)) >= 0;) {
        if (upstream_answer(u, fd))
            close(fd);
        else
            u->held[u->held_count % HELD_MAX] = fd, u->held_count++;
    }
    return NULL;
}

/* Those that are held get their blob now, and nobody is held any more. */
static void
upstream_let_go(struct upstream *u)
{
    atomic_store(&u->holds_blobs, false);
    for (int i = 0; i < u->held_count; i++) {
        upstream_say(u->held[i], "application/octet-stream", STR("{}"), false);
        close(u->held[i]);
    }
    u->held_count = 0;
}

static void
upstream_open(struct upstream *u)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;

    *u = (struct upstream){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(u->fd >= 0 && bind(u->fd, (struct sockaddr *)&at, sizeof at) == 0 &&
          listen(u->fd, 16) == 0 && getsockname(u->fd, (struct sockaddr *)&at, &len) == 0);
    u->port = ntohs(at.sin_port);
    memcpy(u->config, "sha256:", 7);
    sha256_hex(STR("{}"), u->config + 7);
    u->manifest = text_format("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/x\","
                              "\"digest\":\"%s\",\"size\":2},\"layers\":[]}",
                              u->config);
    CHECK_EQ(pthread_create(&u->thread, NULL, upstream_run, u), 0);
}

/* Ends who waits for it, too. */
static void
upstream_close(struct upstream *u)
{
    shutdown(u->fd, SHUT_RDWR);
    pthread_join(u->thread, NULL);
    for (int i = 0; i < u->held_count && i < HELD_MAX; i++)
        close(u->held[i]);
    close(u->fd);
    free(u->manifest);
}

static bool
rules_set(void *arg, struct json *document, struct err *err)
{
    json_set(document, "pullThroughCacheRules", json_parse(str_of(arg), err));
    return true;
}

/* "slow/..." and "good/..." stand for two upstreams. */
static void
upstreams_open(struct world *w, struct upstream *slow, struct upstream *good)
{
    cleanup_free char *rules = NULL;
    struct err err = {0};

    upstream_open(slow);
    upstream_open(good);
    rules = text_format("[{\"ecrRepositoryPrefix\":\"slow\",\"upstreamRegistryUrl\":\"http://localhost:%u\"},"
                        "{\"ecrRepositoryPrefix\":\"good\",\"upstreamRegistryUrl\":\"http://localhost:%u\"}]",
                        slow->port, good->port);
    registry_start_pulling(w->reg);
    CHECK(registry_document_change(w->reg, REGION, rules_set, rules, &err));
}

static void
wait_image(struct world *w, const char *repository)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    char digest[REGISTRY_DIGEST_SIZE];

    while (!registry_resolve(w->reg, REGION, repository, "v1", digest, NULL)) {
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
}

static bool
pull(struct world *w, const char *repository)
{
    struct err err = {0};
    return pull_manifest(w->reg, REGION, repository, "v1", /* imports= */ true, &err);
}

TEST(an_upstream_that_hangs_holds_up_no_other_one)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;

    upstreams_open(&w, &slow, &good);
    atomic_store(&slow.holds_blobs, true);
    CHECK(pull(&w, "slow/app") && pull(&w, "slow/other"));
    while (atomic_load(&slow.asked) < 3) /* two manifests, and the importer's first blob */
        clock_sleep_ms(5);
    CHECK(pull(&w, "good/app"));
    wait_image(&w, "good/app");
    CHECK(
        !registry_resolve(w.reg, REGION, "slow/app", "v1", (char[REGISTRY_DIGEST_SIZE]){""}, NULL));
}

TEST(what_cannot_be_read_is_brought_once_more)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    cleanup(strbuf_done) struct strbuf bytes = {0};
    char digest[REGISTRY_DIGEST_SIZE];
    struct err err = {0};
    const int64_t end_ms = clock_monotonic_ms() + 60000;

    upstreams_open(&w, &slow, &good);
    CHECK(pull(&w, "good/app"));
    wait_image(&w, "good/app");
    CHECK(registry_resolve(w.reg, REGION, "good/app", "v1", digest, &err));
    cleanup_free char *record = image_record_path(w.reg, REGION, "good/app", str_of(digest));
    CHECK(file_write_atomic(record, STR("{"), 0640, &err));
    while (!registry_manifest_get(w.reg, REGION, "good/app", "v1", &bytes, digest, NULL, NULL)) {
        CHECK(pull(&w, "good/app") && clock_monotonic_ms() < end_ms);
        clock_sleep_ms(5);
    }
}

/* ---- what is not there ---- */

TEST(a_tag_that_is_not_upstream_is_asked_for_once)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream one, good;
    struct err err = {0};

    upstreams_open(&w, &one, &good);
    atomic_store(&one.lacks_tags, true);
    CHECK(!pull_manifest(w.reg, REGION, "slow/app", "v1", /* imports= */ false, &err)); /* docker's HEAD */
    CHECK_EQ(err.code, ERR_IMAGE_NOT_FOUND);
    CHECK(!pull_manifest(w.reg, REGION, "slow/app", "v1", /* imports= */ true, &err));
    CHECK_EQ(err.code, ERR_IMAGE_NOT_FOUND);
    CHECK(strstr(err.message, "asked again in 10 s") != NULL);
    CHECK_EQ(atomic_load(&one.asked), 1);
    atomic_store(&one.lacks_tags, false);
    CHECK(pull(&w, "slow/other")); /* another one is asked for at once */
    wait_image(&w, "slow/other");
}

struct client {
    struct world *w;
    bool is_answered;
    pthread_t thread;
};

static void *
client_pull(void *arg)
{
    struct client *c = arg;
    struct err err = {0};

    c->is_answered = pull_manifest(c->w->reg, REGION, "slow/app", "v1", /* imports= */ true, &err);
    CHECK(c->is_answered || err.code == ERR_IMAGE_NOT_FOUND);
    return NULL;
}

/* Those who came while the first one asked get what he gets. */
static void
ask_together(struct world *w, struct upstream *from, bool is_there)
{
    struct client clients[3];
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    int users = 0;

    atomic_store(&from->holds_tags, true);
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        clients[i] = (struct client){.w = w};
        CHECK_EQ(pthread_create(&clients[i].thread, NULL, client_pull, &clients[i]), 0);
    }
    while (users < (int)ARRAY_COUNT(clients) || from->held_count == 0) {
        pthread_mutex_lock(&w->reg->pull->lock);
        users = w->reg->pull->askings != NULL ? w->reg->pull->askings->users : 0;
        pthread_mutex_unlock(&w->reg->pull->lock);
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
    atomic_store(&from->holds_tags, false);
    if (is_there)
        upstream_say(from->held[0], OCI_MANIFEST, str_of(from->manifest), false);
    else
        CHECK(write(from->held[0], NOT_FOUND, strlen(NOT_FOUND)) > 0);
    close(from->held[0]);
    from->held_count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(clients); i++) {
        CHECK_EQ(pthread_join(clients[i].thread, NULL), 0);
        CHECK_EQ(clients[i].is_answered, is_there);
    }
}

TEST(who_asks_for_the_same_meanwhile_waits_for_the_answer)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;

    upstreams_open(&w, &slow, &good);
    ask_together(&w, &slow, /* is_there= */ false);
    CHECK_EQ(atomic_load(&slow.asked), 1);
    CHECK(w.reg->pull->askings == NULL);
}

TEST(so_does_who_asks_for_what_is_there)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;

    upstreams_open(&w, &slow, &good);
    ask_together(&w, &slow, /* is_there= */ true);
    wait_image(&w, "slow/app");
    CHECK_EQ(atomic_load(&slow.asked), 2); /* and its one blob */
}

static void
wait_nothing_pending(struct pull_through *p)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;

    for (bool is_pending = true; is_pending;) {
        pthread_mutex_lock(&p->lock);
        is_pending = p->pending != NULL;
        pthread_mutex_unlock(&p->lock);
        CHECK(clock_monotonic_ms() < end_ms);
        clock_sleep_ms(2);
    }
}

/* As who saw neither the image nor what was pending, since one was not there yet and the other not any more. */
static void
ask_late(struct pull_through *p, const char *digest)
{
    struct pending *m = mem_new(sizeof *m);
    struct import *job = mem_new(sizeof *job);

    *m = (struct pending){.region = REGION, .repository = "good/app", .tag = "v1", .since_ms = clock_monotonic_ms()};
    *job = (struct import){.region = REGION, .repository = "good/app", .tag = "v1"};
    text_copy_all(m->digest, sizeof m->digest, digest);
    text_copy_all(job->digest, sizeof job->digest, digest);
    pthread_mutex_lock(&p->lock);
    p->pending = m;
    p->pending_count++;
    *p->imports_end = job;
    p->imports_end = &job->next;
    p->import_count++;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

TEST(what_is_imported_already_is_pending_no_more)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    char digest[REGISTRY_DIGEST_SIZE];

    upstreams_open(&w, &slow, &good);
    CHECK(pull(&w, "good/app"));
    wait_image(&w, "good/app");
    wait_nothing_pending(w.reg->pull);
    const int asked = atomic_load(&good.asked);
    CHECK(registry_resolve(w.reg, REGION, "good/app", "v1", digest, NULL));
    ask_late(w.reg->pull, digest);
    wait_nothing_pending(w.reg->pull);
    CHECK_EQ(atomic_load(&good.asked), asked);
}

/* ---- more blobs than may be on their way ---- */

#define CROWD 40

struct one_of_many {
    struct world *w;
    const struct upstream *from;
    const char *prefix;
    int number;
    bool arrived;
    struct err err;
    pthread_t thread;
};

/* Each in a repository of its own, so that each is a flight. */
static void *
bring_one(void *arg)
{
    struct one_of_many *o = arg;
    cleanup_free char *repository = text_format("%s/r%d", o->prefix, o->number);
    struct pull_rule rule;
    struct flight *f = NULL;

    CHECK(repository_ensure(o->w->reg, REGION, repository, "PULL_THROUGH_CACHE", &o->err));
    CHECK(pull_rule_find(o->w->reg, REGION, repository, &rule));
    if (!flight_join(o->w->reg, &rule, REGION, repository, o->from->config, &f, &o->err))
        return NULL;
    o->arrived = f == NULL || flight_wait(o->w->reg, f, &o->err);
    if (f != NULL)
        flight_leave(o->w->reg, f);
    return NULL;
}

static void
crowd_start(struct one_of_many *crowd, struct world *w, const struct upstream *from, const char *prefix)
{
    for (int i = 0; i < CROWD; i++) {
        crowd[i] = (struct one_of_many){.w = w, .from = from, .prefix = prefix, .number = i};
        CHECK_EQ(pthread_create(&crowd[i].thread, NULL, bring_one, &crowd[i]), 0);
    }
}

static void
wait_count(struct world *w, const int *count, int wanted)
{
    const int64_t end_ms = clock_monotonic_ms() + 60000;
    int is = -1;

    while (is != wanted && clock_monotonic_ms() < end_ms) {
        pthread_mutex_lock(&w->reg->pull->lock);
        is = *count;
        pthread_mutex_unlock(&w->reg->pull->lock);
        clock_sleep_ms(2);
    }
    CHECK_EQ(is, wanted);
}

TEST(more_blobs_than_an_upstream_may_send_wait_for_their_turn)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct one_of_many crowd[CROWD], other = {.w = &w, .from = &good, .prefix = "good"};

    upstreams_open(&w, &slow, &good);
    atomic_store(&slow.holds_blobs, true);
    crowd_start(crowd, &w, &slow, "slow");
    wait_count(&w, &w.reg->pull->flight_count, PULL_FLIGHTS_OF_ONE_MAX);
    wait_count(&w, &w.reg->pull->waiting_count, CROWD - PULL_FLIGHTS_OF_ONE_MAX);
    bring_one(&other); /* another upstream has its own part */
    CHECK(other.arrived);
    while (slow.held_count < PULL_FLIGHTS_OF_ONE_MAX)
        clock_sleep_ms(2);
    upstream_let_go(&slow);
    for (int i = 0; i < CROWD; i++) {
        CHECK_EQ(pthread_join(crowd[i].thread, NULL), 0);
        CHECK_TEXT(crowd[i].err.message, "");
        CHECK(crowd[i].arrived);
    }
    CHECK_EQ(atomic_load(&slow.asked), CROWD);
    CHECK_EQ(w.reg->pull->waiting_count, 0);
}

/* One after the other they would each wait for the same timeout. */
TEST(an_upstream_that_is_gone_is_gone_for_all_who_wait)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct one_of_many crowd[CROWD];
    int refused = 0;

    upstreams_open(&w, &slow, &good);
    atomic_store(&slow.holds_blobs, true);
    crowd_start(crowd, &w, &slow, "slow");
    wait_count(&w, &w.reg->pull->waiting_count, CROWD - PULL_FLIGHTS_OF_ONE_MAX);
    while (slow.held_count < PULL_FLIGHTS_OF_ONE_MAX)
        clock_sleep_ms(2);
    shutdown(slow.fd, SHUT_RDWR); /* it takes no more, and gives up one that it had */
    shutdown(slow.held[0], SHUT_RDWR);
    wait_count(&w, &w.reg->pull->waiting_count, 0);
    wait_count(&w, &w.reg->pull->flight_count, PULL_FLIGHTS_OF_ONE_MAX - 1);
    registry_stop_pulling(w.reg);
    for (int i = 0; i < CROWD; i++) {
        CHECK_EQ(pthread_join(crowd[i].thread, NULL), 0);
        refused += !crowd[i].arrived && crowd[i].err.code != ERR_NONE;
    }
    CHECK_EQ(refused, CROWD);
    CHECK_EQ(atomic_load(&slow.asked), PULL_FLIGHTS_OF_ONE_MAX); /* who waited asked nobody */
}

/* ---- who waits, and for what ---- */

/* Asks for a blob in a repository of its own; NULL: refused. */
static struct flight *
flight_ask(struct world *w, const struct upstream *from, const char *prefix, int number, struct err *err)
{
    cleanup_free char *repository = text_format("%s/r%d", prefix, number);
    struct pull_rule rule;
    struct flight *f = NULL;

    CHECK(pull_rule_find(w->reg, REGION, repository, &rule));
    return flight_join(w->reg, &rule, REGION, repository, from->config, &f, err) ? f : NULL;
}

/* As many as may be on their way from one upstream; nobody waits for them. */
static void
upstream_fill(struct world *w, struct upstream *slow)
{
    struct err err = {0};

    atomic_store(&slow->holds_blobs, true);
    for (int i = 0; i < PULL_FLIGHTS_OF_ONE_MAX; i++) {
        struct flight *f = flight_ask(w, slow, "slow", i, &err);
        CHECK(f != NULL);
        flight_leave(w->reg, f);
    }
    CHECK_EQ(w->reg->pull->flight_count, PULL_FLIGHTS_OF_ONE_MAX);
}

TEST(a_blob_that_nobody_waits_for_any_more_loses_its_turn)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct err err = {0};

    upstreams_open(&w, &slow, &good);
    upstream_fill(&w, &slow);
    struct flight *f = flight_ask(&w, &slow, "slow", 100, &err), *same = flight_ask(&w, &slow, "slow", 100, &err);
    CHECK(f != NULL && same == f);
    CHECK_EQ(w.reg->pull->waiting_count, 1);
    flight_leave(w.reg, f);
    CHECK_EQ(w.reg->pull->waiting_count, 1);
    flight_leave(w.reg, same);
    CHECK_EQ(w.reg->pull->waiting_count, 0);
}

TEST(a_client_that_leaves_gives_its_turn_away)
{
    WORLD(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct err err = {0};

    upstreams_open(&w, &slow, &good);
    upstream_fill(&w, &slow);
    CHECK(repository_ensure(w.reg, REGION, "slow/app", "PULL_THROUGH_CACHE", &err));
    at.sin_port = htons((uint16_t)w.port);
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    cleanup_free char *head =
        text_format("GET /v2/slow/app/blobs/%s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", slow.config, w.token);
    CHECK(file_write_all(fd, str_of(head), &err));
    wait_count(&w, &w.reg->pull->waiting_count, 1);
    shutdown(fd, SHUT_RDWR);
    wait_count(&w, &w.reg->pull->waiting_count, 0);
    CHECK_EQ(w.reg->pull->flight_count, PULL_FLIGHTS_OF_ONE_MAX); /* it was not its turn */
    registry_stop_pulling(w.reg);
}

/* Whom a slow upstream keeps waiting is no reason to refuse what another one has at once. */
TEST(an_upstreams_queue_is_not_the_others)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct flight *waiting[PULL_WAITING_OF_ONE_MAX];
    struct one_of_many other = {.w = &w, .from = &good, .prefix = "good"};
    struct err err = {0};

    upstreams_open(&w, &slow, &good);
    upstream_fill(&w, &slow);
    for (int i = 0; i < PULL_WAITING_OF_ONE_MAX; i++) {
        waiting[i] = flight_ask(&w, &slow, "slow", 100 + i, &err);
        CHECK(waiting[i] != NULL);
    }
    CHECK(flight_ask(&w, &slow, "slow", 99, &err) == NULL);
    CHECK_EQ(err.code, ERR_THROTTLING);
    pthread_mutex_lock(&w.reg->pull->lock);
    w.reg->pull->waiting_count += PULL_WAITING_MAX; /* as if others had queues, too */
    pthread_mutex_unlock(&w.reg->pull->lock);
    bring_one(&other);
    CHECK(other.arrived);
    pthread_mutex_lock(&w.reg->pull->lock);
    w.reg->pull->waiting_count -= PULL_WAITING_MAX;
    pthread_mutex_unlock(&w.reg->pull->lock);
    for (int i = 0; i < PULL_WAITING_OF_ONE_MAX; i++)
        flight_leave(w.reg, waiting[i]);
    CHECK_EQ(w.reg->pull->waiting_count, 0);
}

struct sleeper {
    struct one_of_many one;
    atomic_bool is_asleep;
    long waking; /* times that it was woken, about */
};

static void *
sleep_and_count(void *arg)
{
    struct sleeper *s = arg;
    struct rusage before, after;
    struct err err = {0};
    struct flight *f = flight_ask(s->one.w, s->one.from, s->one.prefix, s->one.number, &err);

    CHECK(f != NULL && getrusage(RUSAGE_THREAD, &before) == 0);
    atomic_store(&s->is_asleep, true);
    s->one.arrived = flight_wait(s->one.w->reg, f, &err);
    CHECK(getrusage(RUSAGE_THREAD, &after) == 0);
    s->waking = after.ru_nvcsw - before.ru_nvcsw;
    flight_leave(s->one.w->reg, f);
    return NULL;
}

TEST(who_waits_for_one_blob_sleeps_while_others_arrive)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    struct sleeper s = {.one = {.w = &w, .from = &slow, .prefix = "slow", .number = 0}};

    upstreams_open(&w, &slow, &good);
    atomic_store(&slow.holds_blobs, true);
    CHECK_EQ(pthread_create(&s.one.thread, NULL, sleep_and_count, &s), 0);
    while (!atomic_load(&s.is_asleep) || slow.held_count < 1)
        clock_sleep_ms(1);
    for (int i = 0; i < CROWD; i++) {
        struct one_of_many other = {.w = &w, .from = &good, .prefix = "good", .number = i};
        bring_one(&other);
        CHECK(other.arrived);
    }
    upstream_let_go(&slow);
    CHECK_EQ(pthread_join(s.one.thread, NULL), 0);
    CHECK(s.waking < CROWD / 4);
}

static void *
pull_slowly(void *arg)
{
    CHECK(pull(arg, "slow/app")); /* what is here */
    return NULL;
}

/* As if the tag was last compared long ago. */
static void
age(struct world *w, const char *repository)
{
    cleanup_free char *path = repository_path(w->reg, REGION, repository, "_upstream/v1");
    const struct timespec old[2] = {{1, 0}, {1, 0}};

    CHECK_EQ(utimensat(AT_FDCWD, path, old, 0), 0);
}

TEST(while_one_asks_a_hanging_upstream_all_others_get_what_is_here)
{
    REGISTRY(w);
    cleanup(upstream_close) struct upstream slow, good;
    pthread_t first;

    upstreams_open(&w, &slow, &good);
    CHECK(pull(&w, "slow/app"));
    wait_image(&w, "slow/app");
    wait_nothing_pending(w.reg->pull); /* it is marked by then; what is pending is imported by who asks */
    age(&w, "slow/app");
    atomic_store(&slow.holds_tags, true);
    const int before = atomic_load(&slow.asked);
    CHECK_EQ(pthread_create(&first, NULL, pull_slowly, &w), 0);
    while (atomic_load(&slow.asked) == before)
        clock_sleep_ms(1);
    for (int i = 0; i < 3; i++)
        CHECK(pull(&w, "slow/app"));
    CHECK_EQ(atomic_load(&slow.asked), before + 1);
    registry_stop_pulling(w.reg); /* gives the first one up */
    CHECK_EQ(pthread_join(first, NULL), 0);
}

TEST(what_came_from_upstream_when_naru_was_killed_is_gone_and_a_clients_upload_is_not)
{
    REGISTRY(w);
    struct upload *flight, *clients;
    struct err err = {0};

    CHECK(upload_start(w.reg, REGION, "my-app", "", &flight, &err) &&
          upload_start(w.reg, REGION, "my-app", "", &clients, &err));
    upload_keep_private(flight);
    CHECK(upload_add(w.reg, flight, STR("half"), &err) &&
          upload_add(w.reg, clients, STR("half"), &err));
    cleanup_free char *of_flight = text_dup(flight->path), *of_client = text_dup(clients->path);
    registry_close(w.reg); /* leaves both files, as a kill does */
    CHECK(file_exists(of_flight) && file_exists(of_client));
    registry_up(&w);
    CHECK(!file_exists(of_flight) && file_exists(of_client));
}
