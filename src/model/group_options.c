/* SPDX-License-Identifier: MIT */
#include "model/group_options.h"
#include "base/json.h"

#define UNHEALTHY_ROUTING "target_group_health.unhealthy_state_routing.minimum_healthy_targets."

/* "off" and what is no number: `fallback`. */
static int
number_of(const struct json *attributes, const char *key, int fallback)
{
    int64_t n;

    return str_to_i64(str_of(json_get_cstr(attributes, key, "")), &n) && n >= 0 && n <= INT32_MAX
               ? (int)n
               : fallback;
}

bool
cookie_name_is_valid(const char *name)
{
    const size_t len = strlen(name);

    return len > 0 && len <= COOKIE_NAME_MAX &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")] ==
               '\0';
}

static enum stickiness
stickiness_of(const struct json *attributes)
{
    const char *name = json_get_cstr(attributes, "stickiness.app_cookie.cookie_name", "");

    if (strcmp(json_get_cstr(attributes, "stickiness.enabled", "false"), "true") != 0)
        return STICKY_NONE;
    if (strcmp(json_get_cstr(attributes, "stickiness.type", "lb_cookie"), "app_cookie") != 0)
        return STICKY_BALANCER;
    return cookie_name_is_valid(name) ? STICKY_APPLICATION : STICKY_NONE;
}

void
group_options_set_protocol(struct group_options *o, const char *protocol, const char *version)
{
    o->is_tls = strcmp(protocol, "HTTPS") == 0;
    o->is_grpc = strcmp(version, "GRPC") == 0;
    o->is_http2 = o->is_grpc || strcmp(version, "HTTP2") == 0;
}

struct group_options
group_options_of(const struct json *attributes)
{
    struct group_options o = {
        .stickiness = stickiness_of(attributes),
        .slow_start_s = number_of(attributes, "slow_start.duration_seconds", 0),
        .healthy_min_count = number_of(attributes, UNHEALTHY_ROUTING "count", 1),
        .healthy_min_percent = number_of(attributes, UNHEALTHY_ROUTING "percentage", 0),
    };

    if (o.stickiness == STICKY_APPLICATION)
        text_copy(o.cookie_name, sizeof(o.cookie_name),
                  str_of(json_get_cstr(attributes, "stickiness.app_cookie.cookie_name", "")));
    o.sticky_s = number_of(attributes,
                           o.stickiness == STICKY_APPLICATION
                               ? "stickiness.app_cookie.duration_seconds"
                               : "stickiness.lb_cookie.duration_seconds",
                           86400);
    return o;
}
