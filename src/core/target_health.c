/* SPDX-License-Identifier: MIT */
#include "core/target_health.h"
#include <stdio.h>

/* Until a new target's first answer decided it, probing is cheap and waiting is what users feel:
 * ALB's own interval would cost a deployment 5 to 30 s. */
#define FIRST_PROBE_MS 250

void
target_health_init(struct target_health *h)
{
    *h = (struct target_health){.state = TARGET_initial};
    text_copy(h->reason, sizeof(h->reason), STR("Elb.RegistrationInProgress"));
    text_copy(h->description, sizeof(h->description), STR("Target registration is in progress"));
}

static bool
set_state(struct target_health *h, enum target_state state, const char *reason,
          const char *description)
{
    if (h->state == state && strcmp(h->reason, reason) == 0 &&
        strcmp(h->description, description) == 0)
        return false;
    h->state = state;
    text_copy(h->reason, sizeof(h->reason), str_of(reason));
    text_copy(h->description, sizeof(h->description), str_of(description));
    return true;
}

static bool
check_passed(struct target_health *h, const struct health_check *check)
{
    h->failures = 0;
    h->has_answered = true;
    if (h->successes < check->healthy_threshold)
        h->successes++;
    if (h->state == TARGET_unhealthy && h->successes < check->healthy_threshold)
        return false;
    return set_state(h, TARGET_healthy, "", "");
}

/* The fast phase asks many times an interval; together they are worth one failure. */
static void
count_refusal(struct target_health *h, const struct health_check *check)
{
    const int an_interval = check->interval_s * 1000 / FIRST_PROBE_MS;

    if (++h->refusals < an_interval)
        return;
    h->refusals = 0;
    if (h->failures < check->unhealthy_threshold)
        h->failures++;
}

/* It says nothing about the target: what is known of it stays, and where nothing is, that is said. */
static bool
not_checked(struct target_health *h)
{
    return h->state == TARGET_initial && set_state(h, TARGET_initial, "Elb.InternalError",
                                                   "Health checks failed due to an internal error");
}

static bool
check_did_not_pass(struct target_health *h, const struct health_check *check,
                   enum check_result result, int status)
{
    char description[64] = "Health checks failed";
    const char *reason = "Target.FailedHealthChecks";

    if (result == CHECK_NOT_MADE)
        return not_checked(h);
    if (result == CHECK_BAD_CODE) {
        reason = "Target.ResponseCodeMismatch";
        snprintf(description, sizeof(description), "Health checks failed with these codes: [%d]",
                 status);
    } else if (result == CHECK_TIMED_OUT) {
        reason = "Target.Timeout";
        snprintf(description, sizeof(description), "Request timed out");
    }
    h->successes = 0;
    if (result != CHECK_FAILED)
        h->has_answered = true;
    if (h->state == TARGET_initial && !h->has_answered)
        count_refusal(h, check);
    else if (h->failures < check->unhealthy_threshold)
        h->failures++;
    if (h->state == TARGET_unhealthy || h->failures >= check->unhealthy_threshold)
        return set_state(h, TARGET_unhealthy, reason, description);
    if (h->state == TARGET_initial)
        return set_state(h, TARGET_initial, "Elb.InitialHealthChecking",
                         "Initial health checks in progress");
    return false;
}

bool
target_health_checked(struct target_health *h, const struct health_check *check,
                      enum check_result result, int status)
{
    return result == CHECK_OK ? check_passed(h, check)
                              : check_did_not_pass(h, check, result, status);
}

struct code_range { /* what a matcher may hold */
    int64_t first, last;
    size_t digits_min, digits_max;
};
static const struct code_range http_codes = {200, 499, 3, 3}, grpc_codes = {0, 99, 1, 2};

static bool
parse_code(const struct code_range *allowed, struct str text, int64_t *out)
{
    return text.len >= allowed->digits_min && text.len <= allowed->digits_max &&
           text.at[0] >= '0' && text.at[0] <= '9' && str_to_i64(text, out);
}

/* One "200" or "200-299"; false if it is neither. */
static bool
parse_range(const struct code_range *allowed, struct str part, int64_t *first, int64_t *last)
{
    struct str from;

    if (!str_split(&part, '-', &from) || !parse_code(allowed, from, first))
        return false;
    *last = *first;
    if (part.at != NULL && !parse_code(allowed, part, last))
        return false;
    return *first <= *last;
}

static const struct code_range *
codes_of(const char *version)
{
    return strcmp(version, "GRPC") == 0 ? &grpc_codes : &http_codes;
}

bool
matcher_accepts(const char *version, const char *matcher, int status)
{
    struct str rest = str_of(matcher), part;

    while (str_split(&rest, ',', &part)) {
        int64_t first, last;
        if (parse_range(codes_of(version), str_trim(part), &first, &last) && status >= first &&
            status <= last)
            return true;
    }
    return false;
}

bool
matcher_is_valid(const char *version, const char *matcher)
{
    const struct code_range *allowed = codes_of(version);
    struct str rest = str_of(matcher), part;
    int count = 0;

    while (str_split(&rest, ',', &part)) {
        int64_t first, last;
        if (!parse_range(allowed, str_trim(part), &first, &last) || first < allowed->first ||
            last > allowed->last)
            return false;
        count++;
    }
    return count > 0;
}

int64_t
target_health_next_ms(const struct target_health *h, const struct health_check *check)
{
    const int64_t interval_ms = (int64_t)check->interval_s * 1000;

    return h->state == TARGET_initial && !h->has_answered ? FIRST_PROBE_MS : interval_ms;
}

bool
target_group_fails_open(int healthy, int unhealthy, int min_count, int min_percent)
{
    return healthy < min_count || healthy * 100 < min_percent * (healthy + unhealthy);
}

bool
target_in_rotation(enum target_state state, bool fails_open)
{
    switch (state) {
    case TARGET_healthy:
    case TARGET_unavailable: /* checks are disabled: it is served unchecked */
        return true;
    case TARGET_unhealthy:
        return fails_open;
    case TARGET_initial: /* never before its first success: it may not even listen yet */
    case TARGET_unused:
    case TARGET_draining:
    case TARGET_ENUM_SIZE:
        return false;
    }
    return false;
}
