/* SPDX-License-Identifier: MIT */
/* config_setup.h - what HAProxy's configuration is made from, for tests of its text: the listener "listen" on
 * port 8080, the groups "one" and "two".  A test changes what it is about. */
#pragma once
#include "balancer/haproxy_config.h"
#include "base/json.h"
#include "check.h"

#define SETUP_RULES_MAX 8

struct setup {
    struct config_setup config;
    struct config_listener listener;
    struct config_group groups[2];
    struct group_options options[2]; /* of tests that set them */
    struct slots slots[2];
    struct view_rule rules[SETUP_RULES_MAX];
    struct json *actions, *list, *sources; /* the last two of tests that set them */
};

static inline struct setup *
setup_new(const char *actions)
{
    struct setup *s = mem_new(sizeof(*s));
    struct err err;

    s->actions = json_parse(str_of(actions), &err);
    CHECK(s->actions != NULL);
    s->listener = (struct config_listener){
        .id = "listen", .port = 8080, .idle_timeout_s = 75, .actions = s->actions};
    for (int i = 0; i < 2; i++) {
        slots_reserve(&s->slots[i], 1);
        s->groups[i] = (struct config_group){.id = i == 0 ? "one" : "two",
                                             .arn = i == 0 ? "arn:one" : "arn:two",
                                             .algorithm = "round_robin",
                                             .slots = &s->slots[i]};
    }
    s->config = (struct config_setup){.bind_address = "127.0.0.1",
                                      .longest_drain_s = 300,
                                      .listeners = &s->listener,
                                      .listener_count = 1,
                                      .groups = s->groups,
                                      .group_count = 2};
    return s;
}

static inline void
setup_free(struct setup **at)
{
    struct setup *s = *at;

    for (int i = 0; i < 2; i++)
        slots_done(&s->slots[i]);
    json_unref(s->actions);
    json_unref(s->list);
    json_unref(s->sources);
    free(s);
}
