/* SPDX-License-Identifier: MIT */
/* What a target answers to a health check, whole and as it grows: a verdict once given stays. */
#include <assert.h>
#include "balancer/http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t len = size < HTTP_HEAD_LIMIT ? size : HTTP_HEAD_LIMIT;
    enum http_head before = HTTP_HEAD_MORE;
    int status = 0, first_status = 0;

    for (size_t i = 0; i <= len; i += 1 + len / 64) {
        /* an exact copy, so that reading beyond the view is seen */
        char *copy = mem_new(i + 1);
        if (i > 0)
            memcpy(copy, data, i);
        char *exact = mem_grow(copy, i > 0 ? i : 1, 1);
        const enum http_head now = http_head_parse((struct str){exact, i}, &status);
        free(exact);
        assert(before == HTTP_HEAD_MORE || now == before);
        if (now == HTTP_HEAD_DONE) {
            assert(status >= 100 && status <= 999);
            assert(first_status == 0 || first_status == status);
            first_status = status;
        }
        before = now;
    }
    return 0;
}
