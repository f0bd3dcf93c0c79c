/* SPDX-License-Identifier: MIT */
/* wait.h - why a service has fewer tasks than it wants, and until when: for whoever asks why
 * nothing runs.  Only reads.  Nothing is said of one whose missing tasks are on their way, or which
 * a lifecycle hook holds back. */
#pragma once
#include "core/core.h"

/* The cause, and its name on the wire. */
#define WAIT_CAUSES(X)                                                                             \
    X(FAILED)         /* its deployment failed: nothing is launched until somebody updates it */   \
    X(START_FAILURES) /* the launch back-off: tasks did not get RUNNING */                         \
    X(CRASHES)        /* tasks run, and exit at once */                                            \
    X(RUNTIME)        /* the container runtime lost tasks */                                       \
    X(AGENT)          /* the container agent has not reported yet what became of its tasks */      \
    X(IMAGE)          /* the digests of its images are asked for */                                \
    X(PLACEMENT)      /* no container instance takes a task */
enum wait_cause {
    WAIT_NOTHING,
#define X(NAME) WAIT_##NAME,
    WAIT_CAUSES(X)
#undef X
};
const char *wait_cause_name(enum wait_cause cause);

struct service_wait {
    enum wait_cause cause;
    int missing;             /* tasks */
    int64_t next_try_ms;     /* 0: when something else happens */
    bool ends_with_host;     /* earlier if a container instance comes back */
    char reason[REASON_SIZE]; /* of the last failure, or what is lacking; may be empty */
};

struct service_wait core_service_wait(const struct core *core, const struct service *s);
