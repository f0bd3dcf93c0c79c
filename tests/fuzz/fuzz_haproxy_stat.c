/* SPDX-License-Identifier: MIT */
/* HAProxy's statistics. */
#include <assert.h>
#include "balancer/haproxy_stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
take(void *arg, const struct haproxy_stat *row)
{
    const struct str *text = arg;

    assert(row->port >= 0 && row->port <= 65535);
    assert(row->proxy.len <= text->len && row->server.len <= text->len && row->address.len <= text->len);
    for (int i = 0; i < STAT_SIZE; i++)
        assert(row->value[i] >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct err err;

    (void)!haproxy_parse_stat(text, take, &text, &err);
    assert(haproxy_dropped_logs(text) >= 0);
    return 0;
}
