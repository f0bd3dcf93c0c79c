/* SPDX-License-Identifier: MIT */
/* Certificates as rows, and the listeners that serve them. */
#include "story.h"
#include "core/index.h"

static const struct story_options none = {STORY_USUAL};

static struct json *
parsed(const char *text)
{
    struct err err;
    struct json *value = json_parse(str_of(text), &err);

    CHECK(value != NULL);
    return value;
}

static void
tell_certificate(struct story *st, const char *arn, const char *body)
{
    struct certificate *c = mem_new(sizeof(*c));
    const struct event ev = {.type = EVENT_CERTIFICATE_PUT, .certificate_put = {.certificate = c}};

    text_copy(c->arn, sizeof(c->arn), str_of(arn));
    c->facts = parsed("{\"DomainName\":\"a.example\"}");
    c->body = json_text(body);
    c->private_key = json_text("key");
    story_tell(st, &ev, "certificate");
}

static void
tell_listener(struct story *st, const char *arn, const char *certificates)
{
    struct listener *l = mem_new(sizeof(*l));
    const struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};

    text_copy(l->arn, sizeof(l->arn), str_of(arn));
    text_copy(l->load_balancer_arn, sizeof(l->load_balancer_arn), STR("lb"));
    text_copy(l->protocol, sizeof(l->protocol), STR("HTTPS"));
    text_copy(l->ssl_policy, sizeof(l->ssl_policy), STR("policy"));
    l->certificates = parsed(certificates);
    l->actions = json_array();
    story_tell(st, &ev, "listener");
}

TEST(certificates_come_change_and_go)
{
    cleanup_story struct story *st = story_new(&none);
    struct event tags = {.type = EVENT_TAGS_SET}, gone = {.type = EVENT_CERTIFICATE_DELETE};
    cleanup_json struct json *some = parsed("[{\"Key\":\"a\",\"Value\":\"b\"}]");
    int64_t made_ms;

    tell_certificate(st, "c1", "first");
    made_ms = core_certificate(st->core, "c1")->imported_at_ms;
    tell_certificate(st, "c2", "second");
    tell_listener(st, "l1", "[\"c1\",\"c2\"]");
    CHECK(core_certificate_in_use(st->core, "c2"));
    story_at(st, 1000);
    strbuf_clear(&st->trace);
    tell_certificate(st, "c1", "third"); /* the same one, imported again: the listener serves it */
    CHECK_TRACE(st, "1000 certificate | balancer\n");
    tags.tags_set = (struct ev_tags_set){.arn = "c1", .tags = some};
    story_tell(st, &tags, "tags");
    story_restart(st);
    core_check(st->core);
    const struct certificate *c = core_certificate(st->core, "c1");
    CHECK_TEXT(json_cstr(c->body, ""), "third");
    CHECK_TEXT(json_cstr(c->private_key, ""), "key");
    CHECK(json_equal(c->tags, some));
    CHECK_EQ(c->created_at_ms, made_ms);
    CHECK_EQ(c->imported_at_ms, made_ms + 1000);
    const struct listener *l = core_listener(st->core, "l1");
    CHECK_TEXT(l->ssl_policy, "policy");
    CHECK(listener_has_certificate(l, "c1") && listener_has_certificate(l, "c2"));
    CHECK(!listener_has_certificate(l, "c3"));
    tell_listener(st, "l1", "[\"c1\"]");
    CHECK(!core_certificate_in_use(st->core, "c2") && core_certificate_in_use(st->core, "c1"));
    gone.certificate_delete.arn = "c2";
    story_tell(st, &gone, "delete-certificate");
    CHECK(core_certificate(st->core, "c2") == NULL);
    story_restart(st);
    CHECK(core_certificate(st->core, "c2") == NULL && core_certificate(st->core, "c1") != NULL);
}

/* ---- trust stores ---- */

static void
tell_trust_store(struct story *st, const char *arn, const char *bundle)
{
    struct trust_store *t = mem_new(sizeof(*t));
    const struct event ev = {.type = EVENT_TRUST_STORE_PUT, .trust_store_put = {.trust_store = t}};

    text_copy(t->arn, sizeof(t->arn), str_of(arn));
    text_copy(t->name, sizeof(t->name), STR("name"));
    t->certificate_count = 2;
    t->bundle = json_text(bundle);
    story_tell(st, &ev, "trust-store");
}

static void
tell_mutual(struct story *st, const char *mutual)
{
    struct listener *l = mem_new(sizeof(*l));
    const struct event ev = {.type = EVENT_LISTENER_PUT, .listener_put = {.listener = l}};

    text_copy(l->arn, sizeof(l->arn), STR("l1"));
    text_copy(l->load_balancer_arn, sizeof(l->load_balancer_arn), STR("lb"));
    l->mutual = mutual != NULL ? parsed(mutual) : NULL;
    l->actions = json_array();
    story_tell(st, &ev, "listener");
}

TEST(trust_stores_come_change_and_go)
{
    cleanup_story struct story *st = story_new(&none);
    struct event tags = {.type = EVENT_TAGS_SET}, gone = {.type = EVENT_TRUST_STORE_DELETE};
    cleanup_json struct json *some = parsed("[{\"Key\":\"a\",\"Value\":\"b\"}]");
    const struct trust_store *t;
    int64_t made_ms;

    strbuf_clear(&st->trace);
    tell_trust_store(st, "t1", "first");
    tell_trust_store(st, "t2", "other");
    made_ms = core_trust_store(st->core, "t1")->created_at_ms;
    tell_trust_store(st, "t1", "second"); /* nobody verifies by it yet */
    CHECK(strstr(strbuf_cstr(&st->trace), "balancer") == NULL);
    tell_mutual(st, "{\"Mode\":\"verify\",\"TrustStoreArn\":\"t1\"}");
    CHECK(core_trust_store_in_use(st->core, "t1") && !core_trust_store_in_use(st->core, "t2"));
    story_at(st, 1000);
    strbuf_clear(&st->trace);
    tell_trust_store(st, "t1", "third");
    CHECK_TRACE(st, "1000 trust-store | balancer\n");
    tags.tags_set = (struct ev_tags_set){.arn = "t1", .tags = some};
    story_tell(st, &tags, "tags");
    story_restart(st);
    core_check(st->core);
    t = core_trust_store(st->core, "t1");
    CHECK_TEXT(json_cstr(t->bundle, ""), "third");
    CHECK_TEXT(t->name, "name");
    CHECK_EQ(t->certificate_count, 2);
    CHECK_EQ(t->created_at_ms, made_ms);
    CHECK(json_equal(t->tags, some));
    CHECK_TEXT(listener_trust_store(core_listener(st->core, "l1")), "t1");
    gone.trust_store_delete.arn = "t2";
    story_tell(st, &gone, "delete");
    tell_mutual(st, NULL);
    CHECK_TEXT(listener_trust_store(core_listener(st->core, "l1")), "");
    gone.trust_store_delete.arn = "t1";
    story_tell(st, &gone, "delete");
    story_restart(st);
    CHECK(core_trust_store(st->core, "t1") == NULL && core_trust_store(st->core, "t2") == NULL);
}
