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
