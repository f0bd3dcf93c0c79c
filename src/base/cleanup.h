/* SPDX-License-Identifier: MIT */
/* cleanup.h - frees what dies with its scope.
 * `cleanup(strbuf_done) struct strbuf b = {0};` calls strbuf_done(&b) on every way out.
 * TAKE(p) hands a pointer over: it yields p and leaves NULL behind. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn), unused)) /* unused: but for its cleanup */
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define UNUSED __attribute__((unused))
#define ARRAY_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define TAKE(p)                                                                                    \
    __extension__({                                                                                \
        __auto_type taken_ = (p);                                                                  \
        (p) = NULL;                                                                                \
        taken_;                                                                                    \
    })

static inline void
cleanup_free_(void *p)
{
    free(*(void **)p);
}

static inline void
cleanup_close_(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free cleanup(cleanup_free_)
#define cleanup_close cleanup(cleanup_close_)
