/* SPDX-License-Identifier: MIT */
/* health_checker.h - asks one target for its health, over and over.
 * A checker probes at once, then whenever core/target_health.h says, counted from start to start, one
 * probe at a time.  A probe is one GET on a connection of its own (gRPC: one call); what it means is decided there.
 * Only a target that does not listen yet is asked more often, from 10 ms up: most start within a
 * tenth of a second, and a deployment waits for each.  Those refusals do not count.
 * Everything happens on the loop's thread. Ownership: the checker copies what it is given. */
#pragma once
#include "core/target_health.h"
#include "io/http_probe.h"

struct checker;

struct checker_spec {
    struct loop *loop;
    struct http_prober *prober; /* of the loop; for checks over TLS or HTTP/2 */
    const char *address; /* numeric, IPv4 or IPv6 */
    int port;            /* of the target; health_check.port goes before it */
    const struct health_check *check;
    enum target_state state; /* what is known from before: initial, healthy or unhealthy */
    void (*changed)(void *arg); /* state, reason or description; may free the checker */
    void *arg;
};

struct checker *checker_new(const struct checker_spec *spec);
void checker_free(struct checker *c);
/* From the next probe on, which a shorter interval brings forward. */
void checker_set_check(struct checker *c, const struct health_check *check);
const struct target_health *checker_health(const struct checker *c);
