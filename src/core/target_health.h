/* SPDX-License-Identifier: MIT */
/* target_health.h - the health of one target, and who of a group gets traffic (alb.md A6).
 * Pure: the balancer feeds it check results and applies its verdicts; the simulator does the same. */
#pragma once
#include "model/balancing.h"

struct target_health {
    enum target_state state; /* initial, healthy, unhealthy */
    int successes, failures; /* in a row */
    int refusals;            /* while initial: probes that nobody answered */
    bool has_answered;       /* anything at all, since registration */
    char reason[64];
    char description[256];
};

enum check_result { CHECK_OK, CHECK_BAD_CODE, CHECK_TIMED_OUT, CHECK_FAILED, CHECK_NOT_MADE /* our own fault */ };

void target_health_init(struct target_health *h);
/* Takes in one check; true if state, reason or description changed. `status` is the HTTP code of
 * CHECK_BAD_CODE.  From initial one success is enough; thresholds count for later changes. */
bool target_health_checked(struct target_health *h, const struct health_check *check,
                           enum check_result result, int status);
/* Does `status` match "200", "200-299", "200,301-302"?  With the protocol version GRPC it is one of gRPC,
 * 0 to 99; else one of HTTP, 200 to 499. */
bool matcher_accepts(const char *version, const char *matcher, int status);
bool matcher_is_valid(const char *version, const char *matcher);
/* When to probe again, in ms after the start of the last probe: 250 until the first answer (a fast
 * first check), then the interval.  Refused connections of the fast phase do not make a target
 * unhealthy sooner than the interval times the threshold: it is just not listening yet. */
int64_t target_health_next_ms(const struct target_health *h, const struct health_check *check);
/* Too few of a group's targets are healthy to leave the others out?  AWS's defaults are 1 and 0 (off):
 * none is.  Targets without a verdict yet, and those that drain, count on neither side. */
bool target_group_fails_open(int healthy, int unhealthy, int min_count, int min_percent);
/* In rotation?  Healthy ones are; if the group fails open, all that are past `initial` are. */
bool target_in_rotation(enum target_state state, bool fails_open);
