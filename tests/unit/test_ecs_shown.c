/* SPDX-License-Identifier: MIT */
/* What DescribeServices wrote is kept for the next who asks: of how many services, and within which
 * room; and events, which are written once. */
#include "api_world.h"

#define TAGS 50

static struct json *
long_tags(void)
{
    struct json *tags = json_array();
    char text[257];

    memset(text, 'v', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < TAGS; i++) {
        struct json *tag = json_object();
        json_set(tag, "key", json_int(i));
        json_set(tag, "value", json_text(text));
        json_append(tags, tag);
    }
    return tags;
}

/* By the core alone: world_step() looks at every service after each step. */
static void
make_services(struct world *w, int count, const struct json *tags)
{
    const struct deployment_config config = {.minimum_healthy_percent = 100,
                                             .maximum_percent = 200};
    char name[NAME_SIZE];

    world_call(w, "CreateCluster", "{'clusterName':'c'}");
    world_call(w, "RegisterTaskDefinition",
               "{'family':'web','containerDefinitions':[{'name':'app','image':'localhost:4566/"
               "web:1','memory':64}]}");
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "service-%d", i);
        core_step(w->core,
                  &(struct event){
                      .type = EVENT_SERVICE_CREATE,
                      .service_create = {.cluster_arn = w->core->clusters->arn,
                                         .name = name,
                                         .created_by = "test",
                                         .client_token = "",
                                         .task_definition_arn = w->core->task_definitions->arn,
                                         .launch_type = LAUNCH_EC2,
                                         .config = &config,
                                         .tags = tags}},
                  ++w->now_ms, &w->effects);
        effects_clear(&w->effects);
    }
}

static struct request
describe_services(const struct world *w, const struct json *input)
{
    return (struct request){.api = w->api,
                            .core = w->core,
                            .now_ms = w->now_ms,
                            .account = WORLD_ACCOUNT,
                            .region = WORLD_REGION,
                            .operation = "DescribeServices",
                            .input = input};
}

/* How many of them are as the last round showed them; `shown` takes this round's. */
static int
show_all(const struct world *w, struct json **shown)
{
    cleanup_json struct json *input = json_object();
    const struct request rq = describe_services(w, input);
    int kept = 0, at = 0;

    for (const struct service *s = w->core->services; s != NULL; s = s->next, at++) {
        struct json *text = ecs_shown_service(&rq, s, /* with_tags= */ true);
        kept += text == shown[at];
        json_unref(shown[at]);
        shown[at] = text; /* held, so that no other one can come to stand in its place */
    }
    return kept;
}

static int
kept_of(int count, const struct json *tags)
{
    struct json **shown = mem_new((size_t)count * sizeof(struct json *));
    struct world w;
    int kept;

    world_init(&w);
    make_services(&w, count, tags);
    CHECK_EQ(show_all(&w, shown), 0);
    kept = show_all(&w, shown);
    for (int i = 0; i < count; i++)
        json_unref(shown[i]);
    free(shown);
    world_done(&w);
    return kept;
}

TEST(services_made_alike_are_kept_beside_each_other)
{
    CHECK(kept_of(3000, NULL) >= 2990); /* their numbers lie the same distance apart */
}

TEST(more_than_there_is_room_for_makes_room_and_is_kept_in_part)
{
    cleanup_json struct json *tags = long_tags();
    const int size = TAGS * 256, count = (int)(SHOWN_BYTES_MAX / (size_t)size) * 5 / 4;
    const int kept = kept_of(count, tags);

    CHECK(kept > 0 && kept < count * 9 / 10); /* else its limit does not hold */
    CHECK_EQ(kept_of(count * 3 / 5, tags), count * 3 / 5);
}

static void
check_events(const struct world *w, const struct service *s)
{
    cleanup_json struct json *input = json_object(), *described = NULL, *read = NULL;
    const struct request rq = describe_services(w, input);
    cleanup_free char *text = NULL;
    const struct json *events;
    struct err err = {0};

    described = ecs_describe_service(&rq, s, /* with_tags= */ false);
    text = json_format(described);
    read = json_parse(str_of(text), &err);
    events = json_get(read, "events");
    CHECK_EQ(json_size(events), s->event_count < EVENTS_MAX ? s->event_count : EVENTS_MAX);
    for (size_t i = 0; i < json_size(events); i++) {
        const struct json *e = json_at(events, i);
        CHECK_TEXT(json_get_cstr(e, "id", ""), s->events[i].id);
        CHECK_TEXT(json_get_cstr(e, "message", ""), s->events[i].message);
        CHECK(json_f64(json_get(e, "createdAt"), 0) * 1000 == (double)s->events[i].created_at_ms);
    }
}

/* Whoever asks after each event sees rows of five that are not full, full, and cut off by the
 * hundred; who asks now and then finds several new ones at once. */
static void
say_and_look(int events, int look_each)
{
    struct world w;
    struct service *s;

    world_init(&w);
    make_services(&w, 1, NULL);
    s = w.core->services;
    for (int n = 1; n <= events; n++) {
        char id[37], *message = NULL;

        snprintf(id, sizeof(id), "id-%d", n);
        CHECK(asprintf(&message, "(service \"s\") said %d", n) > 0);
        service_add_event(s, id, 1700000000000 + n, message);
        if (n % look_each == 0)
            check_events(&w, s);
    }
    world_done(&w);
}

TEST(events_are_shown_newest_first_whenever_somebody_asks)
{
    say_and_look(260, 1);
    say_and_look(260, 3);
    say_and_look(260, 7);
    say_and_look(260, 101);
}
