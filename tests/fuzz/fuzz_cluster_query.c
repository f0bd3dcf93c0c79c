/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include "model/cluster_query.h"
#include "model/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
attribute(const void *ctx, struct str name, struct str *value_out)
{
    *value_out = STR("g2.large");
    return name.len % 2 == 0;
}

static const char *
task_group(const void *ctx, int index)
{
    return index < 2 ? "service:web" : NULL;
}

/* A query, and the same bytes as a pattern: parsed or refused with words, answered the same twice, and
 * its opposite the other way. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    const struct query_instance instance = {.is_connected = true,
                                            .agent_version = "1.50.0",
                                            .ec2_instance_id = "i-0123456789abcdef0",
                                            .registered_at_ms = 1767323045000,
                                            .running_tasks = 3,
                                            .attribute = attribute,
                                            .task_group = task_group};
    struct err err = {0};
    struct cluster_query *q = cluster_query_parse(text, &err);
    struct pattern *p;

    assert(q != NULL || err.message[0] != '\0');
    if (q != NULL) {
        cleanup(strbuf_done) struct strbuf opposite = {0};
        struct cluster_query *no;
        const bool holds = cluster_query_matches(q, &instance);
        assert(cluster_query_matches(q, &instance) == holds);
        strbuf_add_cstr(&opposite, "not(");
        strbuf_add(&opposite, text);
        strbuf_add_char(&opposite, ')');
        no = cluster_query_parse(strbuf_str(&opposite), &err);
        assert(no == NULL || cluster_query_matches(no, &instance) != holds);
        cluster_query_free(no);
    }
    cluster_query_free(q);
    p = pattern_parse(text, &err);
    if (p != NULL)
        (void)pattern_matches(p, STR("g2.large"));
    pattern_free(p);
    return 0;
}
