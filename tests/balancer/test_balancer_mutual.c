/* SPDX-License-Identifier: MIT */
/* Clients that are verified by the real HAProxy: who comes in, and what targets are told of them. */
#include "balancer/tls_client.h"
#include "balancer/world.h"
#include "base/json.h"
#include "cert_maker.h"

#define SERVED_MAX 2

struct mutual { /* of the first listener */
    struct made served[SERVED_MAX];
    int served_count;
    const char *trust_id; /* NULL: clients are not verified */
    char *bundle;
    bool ignores_expiry, shows_names, passes_on;
};

static void
add_mutual(void *arg, struct balancer_view *v)
{
    const struct mutual *m = arg;
    struct view_listener *l = &v->listeners[0];

    l->policy = ssl_policy_find("ELBSecurityPolicy-TLS13-1-2-2021-06");
    l->has_http2 = true;
    l->certificate_ids = mem_new(SERVED_MAX * sizeof(*l->certificate_ids));
    v->certificates = mem_new(SERVED_MAX * sizeof(*v->certificates));
    for (int i = 0; i < m->served_count; i++) {
        struct view_certificate *c = &v->certificates[v->certificate_count++];
        snprintf(c->id, sizeof(c->id), "00000000-0000-4000-8000-00000000000%u", (unsigned)i % 10);
        c->body = json_text(m->served[i].certificate);
        c->private_key = json_text(m->served[i].private_key);
        memcpy(l->certificate_ids[l->certificate_count++], c->id, sizeof(c->id));
    }
    if (v->listener_count > 1) { /* the second one is of HTTPS, too, and verifies nobody */
        v->listeners[1].policy = l->policy;
        v->listeners[1].certificate_ids = mem_new(sizeof(*l->certificate_ids));
        memcpy(v->listeners[1].certificate_ids[0], l->certificate_ids[0], sizeof(l->certificate_ids[0]));
        v->listeners[1].certificate_count = 1;
    }
    if (m->trust_id == NULL)
        return;
    text_copy(l->trust.id, sizeof(l->trust.id), str_of(m->trust_id));
    l->trust.is_passed_on = m->passes_on;
    l->trust.bundle = m->passes_on ? NULL : json_text(m->bundle);
    l->trust.ignores_expiry = m->ignores_expiry;
    l->trust.shows_names = m->shows_names;
}

static void
mutual_end(struct mutual *m)
{
    for (int i = 0; i < m->served_count; i++)
        cert_done(&m->served[i]);
    free(m->bundle);
}
#define MUTUAL cleanup(mutual_end) struct mutual m = {.trust_id = "0123456789abcdef"}

static void
serve(struct mutual *m, const char *name)
{
    cleanup_free char *names = text_format("DNS:%s", name);

    m->served[m->served_count++] = cert_make(&(struct cert_wish){.common_name = name, .names = names});
}

static void
apply_and_wait(struct world *w, struct mutual *m)
{
    w->more = add_mutual;
    w->more_arg = m;
    world_apply(w);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

static void
start(struct world *w, struct mutual *m, const struct made *authority)
{
    struct app *app = app_start(w);

    serve(m, "a.example");
    m->bundle = text_dup(authority->certificate);
    w->more = add_mutual;
    w->more_arg = m;
    world_apply(w);
    world_register(w, app);
    world_wait_healthy(app);
    WAIT_FOR(balancer_is_ready(w->balancer), 5000);
}

static struct made
authority_new(const char *name)
{
    return cert_make(&(struct cert_wish){.common_name = name, .organisation = "Test, Inc", .is_ca = true});
}

static struct made
client_new(const char *name, const struct made *issuer)
{
    return cert_make(&(struct cert_wish){.common_name = name, .issuer = issuer});
}

/* By both versions; 0: it was not let in. */
static int
status_of(struct world *w, const char *name, const struct made *own)
{
    int status[2];

    for (int i = 0; i < 2; i++)
        status[i] = tls_talk(w->port, &(struct tls_wish){.name = name, .path = "/", .own = own, .min = 12 + i, .max = 12 + i})
                        .reply.status;
    CHECK_EQ(status[0], status[1]);
    return status[0];
}

TEST(only_clients_of_the_authorities_come_in)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root"), other = authority_new("root");
    cleanup_cert struct made middle =
        cert_make(&(struct cert_wish){.common_name = "middle", .is_ca = true, .issuer = &root});
    cleanup_cert struct made good = client_new("good", &root), stranger = client_new("good", &other);
    cleanup_cert struct made self = client_new("self", NULL), lower = client_new("lower", &middle);
    cleanup_cert struct made server = cert_make(
        &(struct cert_wish){.common_name = "server", .issuer = &root, .purposes = "serverAuth"});
    cleanup_free char *first = NULL;
    pid_t worker;

    start(w, &m, &root);
    worker = haproxy_worker(w);
    CHECK_EQ(status_of(w, "a.example", &good), 200);
    CHECK_EQ(status_of(w, "a.example", NULL), 0);
    CHECK_EQ(status_of(w, "a.example", &stranger), 0);
    CHECK_EQ(status_of(w, "a.example", &self), 0);
    CHECK_EQ(status_of(w, "a.example", &server), 0); /* it may not be a client's */
    CHECK_EQ(status_of(w, "a.example", &lower), 0);  /* nobody shows who issued it */
    CHECK(!tls_talk(w->port, &(struct tls_wish){.alpn = "h2", .max = 12}).is_done);
    /* A certificate that comes at run time, or again, opens no other door. */
    serve(&m, "b.example");
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "b.example", &good), 200);
    CHECK_EQ(status_of(w, "b.example", NULL), 0);
    CHECK_EQ(status_of(w, "b.example", &stranger), 0);
    cert_done(&m.served[0]);
    m.served[0] = cert_make(&(struct cert_wish){.common_name = "a.example"});
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", &good), 200);
    CHECK_EQ(status_of(w, "a.example", NULL), 0);
    CHECK_EQ(haproxy_worker(w), worker);
    /* Other authorities under the same name of the trust store. */
    first = m.bundle;
    m.bundle = text_format("%s%s", other.certificate, middle.certificate);
    apply_and_wait(w, &m);
    CHECK(haproxy_worker(w) != worker);
    CHECK_EQ(status_of(w, "a.example", &stranger), 200);
    CHECK_EQ(status_of(w, "a.example", &good), 0);
    free(m.bundle);
    m.bundle = text_format("%s%s", root.certificate, middle.certificate);
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", &lower), 200);
    CHECK_EQ(status_of(w, "a.example", &stranger), 0);
    m.trust_id = NULL;
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", NULL), 200);
    CHECK_EQ(status_of(w, "a.example", &stranger), 200);
}

static struct tls_wish
session_wish(int i)
{
    const int version = 12 + i / 2;

    return (struct tls_wish){
        .name = "a.example", .path = "/", .has_no_tickets = i % 2 == 1, .min = version, .max = version};
}

/* A session that was had without a certificate would open the door: HAProxy asks for none when one goes on. */
TEST(no_session_of_another_listener_opens_the_door)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root"), good = client_new("good", &root);

    w->has_second_listener = true;
    w->second_port = pick_port();
    start(w, &m, &root);
    for (int i = 0; i < 4; i++) {
        struct tls_wish wish = session_wish(i);
        wish.first_port = w->second_port;
        CHECK_EQ(tls_talk(w->port, &wish).reply.status, 0);
        CHECK_EQ(tls_talk(w->second_port, &wish).reply.status, 200);
    }
    for (int i = 0; i < 4; i++) { /* nor does its own: each time the certificate is looked at */
        struct tls_wish wish = session_wish(i);
        wish.own = &good;
        wish.first_port = w->port;
        const struct tls_talk talk = tls_talk(w->port, &wish);
        CHECK_EQ(talk.reply.status, 200);
        CHECK(!talk.is_resumed);
    }
    m.trust_id = NULL; /* nobody verifies: sessions go on as ever */
    apply_and_wait(w, &m);
    CHECK(tls_talk(w->port, &(struct tls_wish){.path = "/", .has_no_tickets = true, .max = 12, .first_port = w->port})
              .is_resumed);
}

TEST(an_expired_certificate_comes_in_only_where_that_is_ignored)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root"), other = authority_new("root");
    cleanup_cert struct made good = client_new("good", &root);
    cleanup_cert struct made old =
        cert_make(&(struct cert_wish){.common_name = "old", .issuer = &root, .from_s = -7200, .to_s = -3600});
    cleanup_cert struct made early =
        cert_make(&(struct cert_wish){.common_name = "early", .issuer = &root, .from_s = 3600, .to_s = 7200});
    cleanup_cert struct made stranger =
        cert_make(&(struct cert_wish){.common_name = "old", .issuer = &other, .from_s = -7200, .to_s = -3600});

    start(w, &m, &root);
    CHECK_EQ(status_of(w, "a.example", &old), 0);
    m.ignores_expiry = true;
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", &old), 200);
    CHECK_EQ(status_of(w, "a.example", &good), 200);
    CHECK_EQ(status_of(w, "a.example", &early), 0);
    CHECK_EQ(status_of(w, "a.example", &stranger), 0);
    CHECK_EQ(status_of(w, "a.example", NULL), 0);
    m.ignores_expiry = false;
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", &old), 0);
}

TEST(names_of_the_authorities_are_shown_if_that_is_asked_for)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root"), other = authority_new("other");
    cleanup_cert struct made good = client_new("good", &root);
    struct tls_wish wish = {.own = &good, .path = "/"};

    start(w, &m, &root);
    free(m.bundle);
    m.bundle = text_format("%s%s", root.certificate, other.certificate);
    apply_and_wait(w, &m);
    CHECK_EQ(tls_talk(w->port, &wish).authority_count, 0);
    m.shows_names = true;
    apply_and_wait(w, &m);
    CHECK_EQ(tls_talk(w->port, &wish).authority_count, 2);
    CHECK_EQ(tls_talk(w->port, &wish).reply.status, 200);
}

/* ---- what targets are told ---- */

/* As the service writes a certificate into a header. */
static char *
in_url(const char *pem)
{
    cleanup(strbuf_done) struct strbuf out = {0};

    for (; *pem != '\0'; pem++) {
        if (*pem == '\n')
            strbuf_add_cstr(&out, "%0A");
        else if (*pem == ' ')
            strbuf_add_cstr(&out, "%20");
        else
            strbuf_add_char(&out, *pem);
    }
    return strbuf_take(&out);
}

static void
check_told_at(int line, const struct tls_talk *talk, const char *name, const char *value)
{
    cleanup_free char *want = text_format("\n%s=%s\n", name, value);

    if (talk->reply.status != 200 || strstr(talk->text, want) == NULL)
        check_fail(__FILE__, line, "'%s' is not in\n%s", want, talk->text);
}
#define check_told(...) check_told_at(__LINE__, __VA_ARGS__)

static const char lies[] = "X-Amzn-Mtls-Clientcert-Subject: CN=admin\r\nx-amzn-mtls-clientcert-leaf: lie\r\n"
                           "X-Amzn-Mtls-Clientcert-Other: lie\r\nX-AMZN-MTLS-CLIENTCERT: lie\r\n"
                           "X_Amzn_Mtls_Clientcert_Subject: CN=admin\r\nx_my-name: lie\r\nX-My_Name: lie\r\n";

TEST(targets_are_told_who_the_client_is)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root");
    cleanup_cert struct made good = cert_make(&(struct cert_wish){
        .common_name = "c\r\nX-Amzn-Mtls-Clientcert-Other: lie\xc3\xa9", .organisation = "a,b+c", .issuer = &root});
    cleanup_free char *leaf = in_url(good.certificate);
    struct tls_wish wish = {.name = "a.example", .path = "/mtls", .headers = lies, .own = &good};
    char from[32] = "", to[32] = "";
    struct tm tm;

    start(w, &m, &root);
    struct tls_talk talk = tls_talk(w->port, &wish);
    CHECK_EQ(ASN1_TIME_to_tm(X509_get0_notBefore(good.x), &tm), 1);
    strftime(from, sizeof(from), "%Y-%m-%dT%H:%M:%SZ", &tm);
    CHECK_EQ(ASN1_TIME_to_tm(X509_get0_notAfter(good.x), &tm), 1);
    strftime(to, sizeof(to), "%Y-%m-%dT%H:%M:%SZ", &tm);
    cleanup_free char *valid = text_format("NotBefore=%s;NotAfter=%s", from, to);
    cleanup_free char *serial = text_format("%06lX", (unsigned long)ASN1_INTEGER_get(X509_get0_serialNumber(good.x)));
    check_told(&talk, "Issuer", "CN=root,O=Test\\, Inc");
    check_told(&talk, "Subject", "CN=c\\0D\\0AX-Amzn-Mtls-Clientcert-Other: lie\\C3\\A9,O=a\\,b\\+c");
    check_told(&talk, "Validity", valid);
    check_told(&talk, "Leaf", leaf);
    check_told(&talk, "Other", "");
    check_told(&talk, "Plain", "");
    check_told(&talk, "Folded", "");
    check_told(&talk, "Own", "lie"); /* nobody's name yet */
    cleanup_free char *line = text_format("Serial-Number=%s\n", serial);
    CHECK(strstr(talk.text, line) != NULL);
    w->attributes = "{\"routing.http.request.x_amzn_mtls_clientcert_subject.header_name\":\"X-My_Name\"}";
    apply_and_wait(w, &m);
    talk = tls_talk(w->port, &wish);
    check_told(&talk, "Own", "CN=c\\0D\\0AX-Amzn-Mtls-Clientcert-Other: lie\\C3\\A9,O=a\\,b\\+c");
    check_told(&talk, "Subject", "");
    check_told(&talk, "Folded", "");
    check_told(&talk, "Leaf", leaf);
}

TEST(a_client_that_is_not_verified_is_passed_on)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root");
    cleanup_cert struct made stranger = client_new("stranger", &root);
    cleanup_cert struct made old = cert_make(&(struct cert_wish){.common_name = "old", .issuer = &root, .from_s = -7200, .to_s = -3600});
    cleanup_free char *one = in_url(stranger.certificate), *other = in_url(root.certificate);
    struct tls_wish wish = {.name = "a.example", .path = "/mtls", .headers = lies, .own = &stranger};

    m.passes_on = true;
    start(w, &m, &root);
    struct tls_talk talk = tls_talk(w->port, &wish);
    check_told(&talk, "Plain", one);
    check_told(&talk, "Leaf", "");
    check_told(&talk, "Subject", "");
    check_told(&talk, "Folded", "");
    wish.behind = &root;
    talk = tls_talk(w->port, &wish);
    cleanup_free char *both = text_format("%s%s", one, other);
    check_told(&talk, "Plain", both); /* all that it shows */
    wish.behind = NULL;
    CHECK_EQ(status_of(w, "a.example", &old), 200); /* whatever is wrong with it */
    wish.own = NULL;
    talk = tls_talk(w->port, &wish);
    CHECK_EQ(talk.reply.status, 200);
    check_told(&talk, "Plain", ""); /* and none is no reason to shut the door */
    m.passes_on = false;
    apply_and_wait(w, &m);
    CHECK_EQ(status_of(w, "a.example", NULL), 0);
}

/* The names are those of the listener, whatever it does now: targets may trust them. */
TEST(a_client_that_is_not_verified_tells_no_lies_by_other_names)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root");
    struct tls_wish wish = {.name = "a.example", .path = "/mtls", .headers = lies};

    m.passes_on = true;
    w->attributes = "{\"routing.http.request.x_amzn_mtls_clientcert_subject.header_name\":\"X-My_Name\"}";
    start(w, &m, &root);
    struct tls_talk talk = tls_talk(w->port, &wish);
    check_told(&talk, "Own", "");
    check_told(&talk, "Subject", "");
}

/* Its own certificate alone would say that it showed no others. */
TEST(a_chain_that_is_too_long_to_be_told_is_refused)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root");
    cleanup_cert struct made stranger = client_new("stranger", &root);
    cleanup(strbuf_done) struct strbuf names = {0};

    for (int i = 0; i < 1100; i++)
        strbuf_addf(&names, "%sDNS:name-%04d.example", i > 0 ? "," : "", i);
    cleanup_cert struct made large = cert_make(&(struct cert_wish){.common_name = "large", .names = strbuf_cstr(&names), .is_ca = true});
    struct tls_wish wish = {.name = "a.example", .path = "/mtls", .own = &stranger, .behind = &large};

    CHECK(i2d_X509(large.x, NULL) > 16384);
    m.passes_on = true;
    start(w, &m, &root);
    CHECK_EQ(tls_talk(w->port, &wish).reply.status, 431);
    wish.behind = &root;
    CHECK_EQ(tls_talk(w->port, &wish).reply.status, 200);
}

/* What is told takes room where the request lies; bodies come with their heads. */
TEST(a_large_certificate_has_room_beside_a_large_request)
{
    WORLD;
    MUTUAL;
    cleanup_cert struct made root = authority_new("root");
    cleanup_cert struct made large =
        cert_make(&(struct cert_wish){.common_name = "large", .rsa_bits = 4096, .issuer = &root});
    cleanup_free char *leaf = in_url(large.certificate), *headers = NULL;
    cleanup(strbuf_done) struct strbuf text = {0};
    static const size_t sizes[] = {0, 1000, 14000, 15000, 16000, 30000, 31000, 32700, 33000, 300000};

    start(w, &m, &root);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        const struct tls_talk talk =
            tls_talk(w->port, &(struct tls_wish){.path = "/mtls", .own = &large, .body_size = sizes[i]});
        check_told(&talk, "Leaf", leaf);
    }
    strbuf_add_cstr(&text, "X: ");
    for (int i = 0; i < 15000; i++)
        strbuf_add_char(&text, 'x');
    strbuf_add_cstr(&text, "\r\n");
    headers = strbuf_take(&text);
    CHECK_EQ(tls_talk(w->port, &(struct tls_wish){.path = "/", .own = &large, .headers = headers}).reply.status, 200);
}
