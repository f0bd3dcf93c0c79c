/* SPDX-License-Identifier: MIT */
/* HTTPS by the real HAProxy: which certificate comes, how they change at run time, what a broken one does. */
#include <signal.h>
#include <sys/stat.h>
#include "balancer/haproxy_socket.h"
#include "balancer/tls_client.h"
#include "balancer/world.h"
#include "base/json.h"
#include "cert_maker.h"
#include "io/file.h"

#define CERTIFICATES_MAX 8

/* What the first listener serves. */
struct tls {
    const char *policy; /* NULL: the usual one */
    bool has_no_http2;
    int count;
    char ids[CERTIFICATES_MAX][CERTIFICATE_ID_SIZE];
    char *body[CERTIFICATES_MAX], *chain[CERTIFICATES_MAX], *key[CERTIFICATES_MAX];
};

static void
add_tls(void *arg, struct balancer_view *v)
{
    const struct tls *t = arg;
    struct view_listener *l = &v->listeners[0];

    l->policy = ssl_policy_find(t->policy != NULL ? t->policy : "ELBSecurityPolicy-TLS13-1-2-2021-06");
    CHECK(l->policy != NULL);
    l->has_http2 = !t->has_no_http2;
    l->certificate_ids = mem_new(CERTIFICATES_MAX * sizeof(*l->certificate_ids));
    v->certificates = mem_new(CERTIFICATES_MAX * sizeof(*v->certificates));
    for (int i = 0; i < t->count; i++) {
        struct view_certificate *c = &v->certificates[v->certificate_count++];
        memcpy(c->id, t->ids[i], sizeof(c->id));
        c->body = json_text(t->body[i]);
        c->chain = t->chain[i] != NULL ? json_text(t->chain[i]) : NULL;
        c->private_key = json_text(t->key[i]);
        memcpy(l->certificate_ids[l->certificate_count++], t->ids[i], sizeof(t->ids[i]));
    }
}

static void
clear(struct tls *t, int index)
{
    free(t->body[index]);
    free(t->chain[index]);
    free(t->key[index]);
    t->body[index] = t->chain[index] = t->key[index] = NULL;
}

static void
tls_end(struct tls *t)
{
    for (int i = 0; i < CERTIFICATES_MAX; i++)
        clear(t, i);
}

/* Certificate number `index` is now for that name; with the chain of its issuer, if there is one. */
static void
put_wish(struct tls *t, int index, const struct cert_wish *wish)
{
    cleanup_cert struct made m = cert_make(wish);

    clear(t, index);
    snprintf(t->ids[index], sizeof(t->ids[index]), "00000000-0000-4000-8000-00000000000%d", index);
    t->body[index] = text_dup(m.certificate);
    t->key[index] = text_dup(m.private_key);
    t->chain[index] = wish->issuer != NULL ? text_dup(wish->issuer->certificate) : NULL;
    if (index >= t->count)
        t->count = index + 1;
}

static void
put(struct tls *t, int index, const char *name)
{
    cleanup_free char *names = text_format("DNS:%s", name);

    put_wish(t, index, &(struct cert_wish){.common_name = name, .names = names});
}

static void
apply(struct world *w, struct tls *t)
{
    w->more = add_tls;
    w->more_arg = t;
    world_apply(w);
}

static void
apply_and_wait(struct world *w, struct tls *t)
{
    apply(w, t);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

static struct tls_talk
ask(struct world *w, const char *name)
{
    return tls_talk(w->port, &(struct tls_wish){.name = name, .path = "/"});
}

static void
check_served_at(int line, struct world *w, const char *name, const char *subject)
{
    const struct tls_talk talk = ask(w, name);

    check_equal_text(__FILE__, line, name != NULL ? name : "-", talk.subject, subject);
    if (talk.reply.status != 200)
        check_fail(__FILE__, line, "status %d", talk.reply.status);
}
#define check_served(w, name, subject) check_served_at(__LINE__, w, name, subject)

static void
start(struct world *w, struct tls *t)
{
    struct app *app = app_start(w);

    apply(w, t);
    world_register(w, app);
    world_wait_healthy(app);
}

/* What HAProxy answers to a command. */
static char *
admin(struct world *w, const char *command)
{
    cleanup_free char *path = text_format("%s/haproxy/admin.sock", w->dir);
    cleanup(strbuf_done) struct strbuf answer = {0};
    struct err err;

    if (!haproxy_ask(path, command, &answer, &err))
        check_fail(__FILE__, __LINE__, "%s", err.message);
    return strbuf_take(&answer);
}

static void
restart_naru(struct world *w)
{
    balancer_free(w->balancer);
    world_open(w);
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

TEST(the_name_that_the_client_asks_for_decides)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    struct tls_talk talk;

    put(&t, 0, "a.example");
    put(&t, 1, "b.example");
    put_wish(&t, 2, &(struct cert_wish){.common_name = "star", .names = "DNS:*.c.example,DNS:d.example"});
    start(w, &t);
    check_served(w, "a.example", "a.example");
    check_served(w, "b.example", "b.example");
    check_served(w, "x.c.example", "star");
    check_served(w, "d.example", "star");
    check_served(w, "unknown.example", "a.example"); /* the default one */
    check_served(w, NULL, "a.example");
    talk = tls_talk(w->port, &(struct tls_wish){.name = "a.example", .path = "/proto"});
    cleanup_free char *want = text_format("https %d", w->port);
    CHECK_TEXT(talk.reply.body, want);
    CHECK_TEXT(talk.version, "TLSv1.3");
    CHECK_EQ(client_once(w->port, "GET", "/").status, 0); /* no plain HTTP */
}

TEST(http2_is_offered_unless_it_is_off)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};

    put(&t, 0, "a.example");
    start(w, &t);
    CHECK_TEXT(tls_talk(w->port, &(struct tls_wish){.alpn = "h2"}).alpn, "h2");
    CHECK_TEXT(tls_talk(w->port, &(struct tls_wish){.alpn = "http/1.1"}).alpn, "http/1.1");
    t.has_no_http2 = true;
    apply_and_wait(w, &t);
    CHECK_TEXT(tls_talk(w->port, &(struct tls_wish){.alpn = "h2"}).alpn, "");
    CHECK_TEXT(tls_talk(w->port, &(struct tls_wish){.alpn = "http/1.1"}).alpn, "http/1.1");
}

TEST(a_redirect_knows_its_protocol)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    struct tls_talk talk;

    put(&t, 0, "a.example");
    w->actions = "[{\"Type\":\"redirect\",\"RedirectConfig\":{\"StatusCode\":\"HTTP_301\",\"Path\":\"/x\"}}]";
    apply_and_wait(w, &t);
    talk = ask(w, "a.example");
    CHECK_EQ(talk.reply.status, 301);
    cleanup_free char *want = text_format("location: https://a.example:%d/x", w->port);
    CHECK(strstr(talk.reply.head, want) != NULL);
}

/* ---- at run time ---- */

TEST(certificates_come_change_and_go_without_a_reload)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    struct tls_talk before, after;
    pid_t worker;

    put(&t, 0, "a.example");
    start(w, &t);
    worker = haproxy_worker(w);
    put(&t, 1, "b.example");
    apply_and_wait(w, &t);
    check_served(w, "b.example", "b.example");
    before = ask(w, "a.example");
    put(&t, 0, "a.example"); /* imported again: also where it is the default */
    put(&t, 1, "c.example");
    apply_and_wait(w, &t);
    after = ask(w, "a.example");
    CHECK(strcmp(before.serial, after.serial) != 0);
    check_served(w, "c.example", "c.example");
    check_served(w, "b.example", "a.example");
    t.count = 1;
    apply_and_wait(w, &t);
    check_served(w, "c.example", "a.example");
    cleanup_free char *left = admin(w, "show ssl cert");
    CHECK(strstr(left, "0001.pem") == NULL && strstr(left, "0000.pem") != NULL);
    CHECK_EQ(haproxy_worker(w), worker);
    put(&t, 1, "b.example");
    memcpy(t.ids[2], t.ids[0], sizeof(t.ids[0])); /* the two change places: another default needs a reload */
    memcpy(t.ids[0], t.ids[1], sizeof(t.ids[0]));
    memcpy(t.ids[1], t.ids[2], sizeof(t.ids[0]));
    char *swap[] = {t.body[0], t.key[0]};
    t.body[0] = t.body[1], t.key[0] = t.key[1], t.body[1] = swap[0], t.key[1] = swap[1];
    apply_and_wait(w, &t);
    check_served(w, "unknown", "b.example");
    CHECK(haproxy_worker(w) != worker);
}

struct shaker { /* handshakes until it is stopped */
    int port;
    atomic_bool is_stopping;
    atomic_int good, bad;
};

static void *
shake(void *arg)
{
    struct shaker *s = arg;

    while (!atomic_load(&s->is_stopping)) {
        const struct tls_talk talk = tls_talk(s->port, &(struct tls_wish){.name = "b.example", .path = "/"});
        atomic_fetch_add(talk.reply.status == 200 && strcmp(talk.subject, "b.example") == 0 ? &s->good : &s->bad, 1);
    }
    return NULL;
}

TEST(eleven_replacements_break_no_handshake)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    struct shaker s = {.port = w->port};
    pthread_t threads[2];
    pid_t worker;

    put(&t, 0, "a.example");
    put(&t, 1, "b.example");
    start(w, &t);
    worker = haproxy_worker(w);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_create(&threads[i], NULL, shake, &s);
    for (int i = 0; i < 11; i++) {
        const int until = atomic_load(&s.good) + 20;
        WAIT_FOR(atomic_load(&s.good) >= until, 10000);
        put(&t, 1, "b.example");
        apply_and_wait(w, &t);
        const struct tls_talk talk = ask(w, "b.example");
        cleanup_free char *first = text_dup(talk.serial);
        CHECK(first[0] != '\0');
    }
    atomic_store(&s.is_stopping, true);
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&s.bad), 0);
    CHECK(atomic_load(&s.good) >= 200);
    CHECK_EQ(haproxy_worker(w), worker);
}

TEST(what_haproxy_has_is_read_back_and_repaired)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    cleanup_cert struct made other = cert_make(&(struct cert_wish){.common_name = "other"});
    cleanup_free char *set = NULL, *answer = NULL, *list = NULL;
    const struct tls_talk *talk;
    pid_t worker;

    put(&t, 0, "a.example");
    put(&t, 1, "b.example");
    start(w, &t);
    worker = haproxy_worker(w);
    const struct tls_talk first = ask(w, "a.example");
    talk = &first;
    set = text_format("set ssl cert certs/%s.pem <<\n%s%s", t.ids[0], other.certificate, other.private_key);
    free(admin(w, set));
    cleanup_free char *commit = text_format("commit ssl cert certs/%s.pem", t.ids[0]);
    answer = admin(w, commit);
    CHECK(strstr(answer, "Success") != NULL);
    check_served(w, "a.example", "other");
    cleanup_free char *del = text_format("del ssl crt-list certs/aaaaaaaaaaaaaaaa.list certs/%s.pem", t.ids[1]);
    free(admin(w, del));
    check_served(w, "b.example", "other");
    restart_naru(w); /* as after ten seconds */
    const struct tls_talk again = ask(w, "a.example");
    CHECK_TEXT(again.serial, talk->serial);
    check_served(w, "b.example", "b.example");
    /* Twice in the list, and one that nobody wants. */
    cleanup_free char *add = text_format("add ssl crt-list certs/aaaaaaaaaaaaaaaa.list certs/%s.pem", t.ids[1]);
    free(admin(w, add));
    free(admin(w, "new ssl cert certs/00000000-0000-4000-8000-000000000009.pem"));
    restart_naru(w);
    cleanup_free char *show = admin(w, "show ssl crt-list certs/aaaaaaaaaaaaaaaa.list");
    const char *line = strstr(show, t.ids[1]);
    CHECK(line != NULL && strstr(line + 1, t.ids[1]) == NULL);
    list = admin(w, "show ssl cert");
    CHECK(strstr(list, "000000000009") == NULL);
    CHECK_EQ(haproxy_worker(w), worker);
}

TEST(another_chain_is_seen_too)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    cleanup_cert struct made ca = cert_make(&(struct cert_wish){.common_name = "ca", .is_ca = true});
    pid_t worker;

    put_wish(&t, 0, &(struct cert_wish){.common_name = "a.example", .names = "DNS:a.example", .issuer = &ca});
    start(w, &t);
    worker = haproxy_worker(w);
    CHECK_EQ(ask(w, "a.example").chain_count, 2);
    free(TAKE(t.chain[0])); /* the same certificate and key */
    apply_and_wait(w, &t);
    CHECK_EQ(ask(w, "a.example").chain_count, 1);
    /* And when naru was away: the fingerprint alone would not tell. */
    balancer_free(w->balancer);
    t.chain[0] = text_dup(ca.certificate);
    world_open(w);
    apply_and_wait(w, &t);
    CHECK_EQ(ask(w, "a.example").chain_count, 2);
    CHECK_EQ(haproxy_worker(w), worker);
}

TEST(what_is_too_large_for_a_command_comes_by_a_reload)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    cleanup_cert struct made ca = cert_make(&(struct cert_wish){.common_name = "ca", .is_ca = true, .rsa_bits = 4096});
    cleanup(strbuf_done) struct strbuf chain = {0};
    pid_t worker;

    put(&t, 0, "a.example");
    start(w, &t);
    worker = haproxy_worker(w);
    put(&t, 1, "b.example");
    while (chain.len < 20000)
        strbuf_add_cstr(&chain, ca.certificate);
    t.chain[1] = strbuf_take(&chain);
    apply_and_wait(w, &t);
    CHECK(ask(w, "b.example").chain_count > 10);
    CHECK(haproxy_worker(w) != worker);
    t.count = 1;
    apply_and_wait(w, &t);
    check_served(w, "b.example", "a.example");
}

TEST(haproxy_dies_and_comes_back_with_its_certificates)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};

    put(&t, 0, "a.example");
    start(w, &t);
    put(&t, 1, "b.example");
    apply_and_wait(w, &t);
    const pid_t master = haproxy_master(w);
    kill(haproxy_worker(w), SIGKILL);
    kill(master, SIGKILL);
    WAIT_FOR(haproxy_master(w) > 0 && haproxy_master(w) != master && balancer_is_ready(w->balancer), 5000);
    check_served(w, "b.example", "b.example");
    check_served(w, "a.example", "a.example");
}

/* ---- private ---- */

TEST(nobody_else_reads_the_keys)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    cleanup_free char *path = NULL;
    struct stat st;

    put(&t, 0, "a.example");
    start(w, &t);
    path = text_format("%s/haproxy/certs/%s.pem", w->dir, t.ids[0]);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    put(&t, 0, "a.example");
    apply_and_wait(w, &t);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
}

/* ---- faults ---- */

static bool
problem_says(struct world *w, const char *text)
{
    char why[512] = "";

    return balancer_problem(w->balancer, why, sizeof(why)) && strstr(why, text) != NULL;
}

TEST(a_broken_certificate_takes_nobody_else_down)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};

    w->has_second_listener = true; /* of plain HTTP */
    w->second_port = pick_port();
    put(&t, 0, "a.example");
    put(&t, 1, "b.example");
    free(t.body[1]);
    t.body[1] = text_dup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    start(w, &t);
    CHECK_EQ(client_once(w->second_port, "GET", "/").status, 200);
    check_served(w, "a.example", "a.example");
    check_served(w, "b.example", "a.example");
    CHECK(problem_says(w, "0001 of listener aaaaaaaaaaaaaaaa cannot be served"));
    CHECK(!balancer_is_ready(w->balancer));
    put(&t, 1, "b.example"); /* imported again */
    apply_and_wait(w, &t);
    check_served(w, "b.example", "b.example");
    CHECK(!problem_says(w, ""));
    /* And when it had been a good one: that one goes on. */
    free(t.key[1]);
    t.key[1] = text_dup(t.key[0]);
    apply(w, &t);
    WAIT_FOR(problem_says(w, "mismatch"), 5000);
    check_served(w, "b.example", "b.example");
}

TEST(a_listener_without_any_good_certificate_is_left_out)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};

    w->has_second_listener = true;
    w->second_port = pick_port();
    put(&t, 0, "a.example");
    free(t.key[0]);
    t.key[0] = text_dup("no key");
    start(w, &t);
    CHECK_EQ(client_once(w->second_port, "GET", "/").status, 200);
    CHECK(!ask(w, "a.example").is_done);
    CHECK(problem_says(w, "no certificate of it can be served"));
    CHECK(!balancer_is_ready(w->balancer));
    put(&t, 0, "a.example");
    apply_and_wait(w, &t);
    check_served(w, "a.example", "a.example");
}

/* A HAProxy that wants more than OpenSSL told us: no RSA keys of 2048 bits. */
static char *
strict_haproxy(const struct world *w)
{
    static const char settings[] = "openssl_conf = o\n[o]\nssl_conf = s\n[s]\nsystem_default = d\n[d]\n"
                                   "CipherString = DEFAULT:@SECLEVEL=3\n";
    cleanup_free char *conf = text_format("%s/strict.cnf", w->dir);
    cleanup_free char *script =
        text_format("#!/bin/sh\nPATH=$PATH:/usr/sbin\nexport OPENSSL_CONF=%s\nexec haproxy \"$@\"\n", conf);
    char *path = text_format("%s/strict", w->dir);
    struct err err;

    CHECK(file_write_atomic(conf, str_of(settings), 0600, &err));
    CHECK(file_write_atomic(path, str_of(script), 0700, &err));
    return path;
}

TEST(what_only_haproxy_refuses_is_left_out_at_its_start_and_later)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};
    const struct cert_wish rsa = {.common_name = "b.example", .names = "DNS:b.example", .rsa_bits = 2048};
    cleanup_free char *program = strict_haproxy(w);
    pid_t worker;

    balancer_free(w->balancer);
    w->program = program;
    world_open(w);
    put(&t, 0, "a.example");
    put_wish(&t, 1, &rsa);
    start(w, &t); /* its first configuration is refused */
    check_served(w, "a.example", "a.example");
    check_served(w, "b.example", "a.example");
    CHECK(problem_says(w, "0001 of listener"));
    worker = haproxy_worker(w);
    put(&t, 1, "b.example");
    apply_and_wait(w, &t);
    check_served(w, "b.example", "b.example");
    CHECK(!problem_says(w, ""));
    put_wish(&t, 2, &rsa); /* at run time */
    apply(w, &t);
    WAIT_FOR(problem_says(w, "0002 of listener"), 5000);
    check_served(w, "b.example", "b.example");
    CHECK_EQ(haproxy_worker(w), worker);
    put(&t, 2, "c.example");
    apply_and_wait(w, &t);
    check_served(w, "c.example", "c.example");
}

TEST(each_policy_is_taken_and_kept)
{
    WORLD;
    cleanup(tls_end) struct tls t = {0};

    put_wish(&t, 0, &(struct cert_wish){.common_name = "a.example", .names = "DNS:a.example", .rsa_bits = 2048});
    start(w, &t);
    for (const struct ssl_policy *p = ssl_policies; p->name != NULL; p++) {
        t.policy = p->name;
        apply_and_wait(w, &t);
        for (int v = 10; v <= 13; v++) {
            const struct tls_talk talk = tls_talk(w->port, &(struct tls_wish){.min = v, .max = v, .path = "/"});
            const bool wants = v >= p->min && v <= p->max;
            if (talk.is_done != wants || (wants && talk.reply.status != 200))
                check_fail(__FILE__, __LINE__, "%s: TLS 1.%d is %d", p->name, v - 10, talk.is_done);
            if (talk.is_done && strstr(v == 13 ? p->cipher_suites : p->ciphers, talk.cipher) == NULL)
                check_fail(__FILE__, __LINE__, "%s: cipher %s", p->name, talk.cipher);
        }
    }
}
